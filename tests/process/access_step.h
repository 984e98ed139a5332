// AccessStep: a child that is interrupted right before a chosen one of its accesses to the segment.
//
// What a worker does between two accesses to shared memory nobody can see, so a death before each
// access stands for a death at every instruction, at a thousandth of the cost of single-stepping.
// In the child the segment is out of reach (PROT_NONE): each access faults, is counted, and is then
// let through alone (trap flag), so that atomic operations stay atomic. The kernel cannot reach the
// segment either: wake-ups that the child sends are lost, as if it died before each of them.
// x86-64 only, and not under sanitizers, which have handlers of their own. Threads: one.
#pragma once

#include <cstdint>
#include <functional>

#include "shm/segment.h"
#include "support/worker_process.h"

namespace weir::test {

#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
inline constexpr bool kAccessStepWorks = true;
#else
inline constexpr bool kAccessStepWorks = false;
#endif

enum class Fate { kKilled, kStopped };

class AccessStep {
 public:
  /// Forks a child, lets it run `prepare`, and stops it before `act`.
  AccessStep(const shm::Segment& segment, const std::function<void()>& prepare,
             const std::function<void()>& act);

  /// Lets it run `act` up to its access number `n` (from 1), where `fate` waits for it. False if
  /// `act` ended before.
  bool run_to(std::uint32_t n, Fate fate);
  /// Lets a stopped one run to the end of `act`.
  void finish();
  void kill() { child_.kill(); }
  /// How many accesses it has made or was about to make.
  [[nodiscard]] std::uint32_t accesses() const { return accesses_.value(); }

 private:
  // Shared with the child, hence before it.
  SharedCounter accesses_, limit_, stops_, ended_;
  WorkerProcess child_;
};

}  // namespace weir::test
