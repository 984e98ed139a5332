// Child processes for tests: one that runs a function of the test, and what parent and children
// need to meet at a point without sleeping.
//
// A child is forked without exec, so it sees all the test had before: mappings, descriptors, and
// SharedCounters, which live in memory that parent and children share. It ends by _exit with what
// its function returned (no destructors, no gtest), dies with the process that made it
// (PR_SET_PDEATHSIG), and is killed by WorkerProcess's destructor at the latest.
// Threads: a WorkerProcess belongs to one thread, and its child dies with that thread.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <functional>

#include "base/clock.h"

namespace weir::test {

/// How long a test waits for what should happen within milliseconds, on a machine that is busy.
inline constexpr Nanos kPatience = std::chrono::seconds(20);

class WorkerProcess {
 public:
  explicit WorkerProcess(const std::function<int()>& body);
  WorkerProcess(WorkerProcess&& other) noexcept : pid_(other.pid_) { other.pid_ = -1; }
  WorkerProcess& operator=(WorkerProcess&& other) noexcept;
  /// Kills the child if it still runs.
  ~WorkerProcess();

  [[nodiscard]] pid_t pid() const { return pid_; }
  /// SIGKILL, and waits until the kernel has taken it apart. Does nothing if it has been waited
  /// for.
  void kill();
  /// SIGSTOP; returns once it stands still.
  void stop();
  /// Returns once it has stopped by itself (stop_here). False: it ended instead.
  bool await_stop();
  /// SIGCONT.
  void resume();
  /// Waits for its end: what its function returned, or -N if signal N ended it.
  int wait();
  /// As wait(), but at most `patience`: then it is killed, and the answer is -SIGKILL.
  int wait_at_most(Nanos patience = kPatience);

 private:
  pid_t pid_;
};

/// In a child: stands still until its parent calls resume().
void stop_here();

/// A number in memory shared with all children forked after it was made: the point at which
/// processes meet. Threads, processes: any.
class SharedCounter {
 public:
  SharedCounter();
  SharedCounter(const SharedCounter&) = delete;
  SharedCounter& operator=(const SharedCounter&) = delete;
  ~SharedCounter();

  /// Adds, and wakes everybody who awaits.
  void add(std::uint32_t by = 1);
  [[nodiscard]] std::uint32_t value() const { return word_->load(); }
  void reset() { word_->store(0); }
  /// Sleeps until the number is `at_least`; false if `patience` was over before.
  [[nodiscard]] bool await(std::uint32_t at_least, Nanos patience = kPatience) const;

 private:
  std::atomic<std::uint32_t>* word_;
};

/// Looks at `condition` each half millisecond until it holds; false if `patience` was over before.
/// For what no counter tells: the state of a foreign process, or words of a segment.
[[nodiscard]] bool poll_until(const std::function<bool()>& condition, Nanos patience = kPatience);

}  // namespace weir::test
