// ProcessStates: whether other processes could have done something lately, had they wanted to: as
// far as the kernel knows (proc(5)).
//
// Threads: one. Any process of the same PID namespace.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>

namespace weir::test {

class ProcessStates {
 public:
  /// Forgets what was seen at earlier looks, but for how much processor time each had used.
  void begin_look(std::uint64_t now_ns);
  /// Whether it lives and neither stands still nor waits for a processor: all its threads sleep of
  /// their own will, or it had a processor for most of the time since the last look.
  [[nodiscard]] bool is_able(pid_t pid);

 private:
  struct Seen {
    std::uint64_t at_ns = 0;   // of the look
    std::uint64_t cpu_ns = 0;  // used so far, by all its threads
    bool able = false;
  };
  std::map<pid_t, Seen> seen_;
  std::uint64_t now_ns_ = 0;
};

}  // namespace weir::test
