// A forked child process that cannot outlive its parent. The parent must have no threads when it
// forks.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>

namespace weir::demo {

class Child {
 public:
  /// Forks; the child runs `body` and exits with its result (1 and a line on stderr if it throws).
  /// Throws std::system_error if the fork fails.
  explicit Child(const std::function<int()>& body);
  /// Kills it if it still runs, and waits for its end.
  ~Child();
  Child(Child&& other) noexcept;
  Child& operator=(Child&&) = delete;

  [[nodiscard]] pid_t pid() const { return pid_; }
  /// SIGKILL; returns once the process is gone.
  void kill_now();
  /// Waits until it ends by itself, and kills it if it has not by then; whether it exited with 0.
  bool wait_until(std::uint64_t deadline_ns);

 private:
  pid_t pid_;  // 0 once waited for
};

}  // namespace weir::demo
