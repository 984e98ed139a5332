// SteppedWorker: a child that is interrupted at a chosen instruction of what it does: killed there,
// or left standing until told to go on.
//
// What others can see of a worker are its *deeds*: its accesses to the segment and its system
// calls. A Point is a deed and a number of instructions behind it. To get there the child runs from
// deed to deed at full speed and is single-stepped (trap flag) from the last one on: a step costs
// up to 50 us on a virtual machine, so stepping all the way would cost a thousand times more.
//  - the segment is out of reach (PROT_NONE): each access faults, is counted, and is let through
//    alone, so that atomic operations stay atomic;
//  - each system call is trapped (seccomp), counted, and made on the child's behalf.
// x86-64 only, and not under sanitizers, which have handlers of their own. What is stepped must not
// start threads (they block SIGTRAP for a moment), nor handle SIGSEGV, SIGSYS or SIGTRAP. Other
// threads of the child, started before, must keep away from the segment unless `deeds` is off.
// Run with LD_BIND_NOW=1, else the dynamic linker's work counts too. Threads: one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "shm/segment.h"
#include "support/worker_process.h"

namespace weir::test {

#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
inline constexpr bool kSteppingWorks = true;
#else
inline constexpr bool kSteppingWorks = false;
#endif

enum class Fate { kKilled, kStopped };

/// Right before deed number `deed` (from 1), if `steps` is 0; else so many instructions later, that
/// deed being the first of them. Deed 0: the beginning.
struct Point {
  std::uint32_t deed = 0;
  std::uint32_t steps = 0;
};

/// What there is in one run.
struct Survey {
  std::uint32_t instructions = 0;
  std::vector<std::uint32_t> deeds;  // how many instructions came before each
  /// Where instruction `n` (from 1) has just been done.
  [[nodiscard]] Point after(std::uint32_t n) const;
};

class SteppedWorker {
 public:
  struct Part {
    std::function<void()> prepare;  // at full speed
    std::function<void()> act;      // step by step
    // Where the segment is mapped once it is prepared; empty: not yet, it is the first file mapped
    // for writing.
    std::function<std::span<std::byte>()> memory = [] { return std::span<std::byte>(); };
    // Off: accesses do not count, and system calls do not either: single-stepped all the way.
    bool deeds = true;
  };

  /// Forks a child, lets it run `prepare`, and stops it before `act`.
  explicit SteppedWorker(const Part& part);
  SteppedWorker(const SteppedWorker&) = delete;
  SteppedWorker& operator=(const SteppedWorker&) = delete;
  ~SteppedWorker();

  /// Lets it run `act` up to `point`, where `fate` waits for it. Returns at once.
  void start(Point point, Fate fate);
  /// Lets it run all of `act`, and takes notes. Returns at once. Without `counts_steps` only the
  /// deeds are counted, and quickly.
  void start_survey(bool counts_steps = true);
  /// REQUIRES: start_survey(), and is_through().
  [[nodiscard]] Survey survey() const;

  /// Whether it runs: it has neither reached its point nor the end of `act`.
  [[nodiscard]] bool is_running();
  /// Waits for that. False if `act` ended before its point.
  bool await();
  bool run_to(Point point, Fate fate) {
    start(point, fate);
    return await();
  }
  /// Whether `act` has ended.
  [[nodiscard]] bool is_through() const;
  /// Lets a stopped one go on, at full speed, to the end of `act`. Returns at once.
  void resume();
  /// The same, and waits for it.
  void finish() {
    resume();
    await();
  }
  void kill() { child_.kill(); }

  /// What parent and child share; the implementation's.
  struct Board;

 private:
  Board* board_;         // before the child, which has it too
  bool stands_ = false;  // stopped at its point, or at its end
  bool gone_ = false;    // killed at its point
  WorkerProcess child_;
};

/// The mapping of a segment that this process has open.
[[nodiscard]] std::span<std::byte> memory_of(const shm::Segment& segment);

}  // namespace weir::test
