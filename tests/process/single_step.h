// SingleStep: a child that is led through an operation instruction by instruction, to be killed or
// left standing between any two of them (ptrace(2)). x86-64 only: elsewhere a step may never get
// past a load-linked, store-conditional pair.
// Threads: one. The child is traced by the thread that made it.
#pragma once

#include <functional>

#include "support/worker_process.h"

namespace weir::test {

class SingleStep {
 public:
  /// Forks a child, lets it run `prepare`, and stops it right before `act`.
  SingleStep(const std::function<void()>& prepare, const std::function<void()>& act);

  /// Leads it on by at most `count` instructions. False if `act` ended before.
  bool advance(long count);
  /// Lets it run to the end of `act`, where it stands still.
  void finish();
  void kill() { child_.kill(); }

 private:
  WorkerProcess child_;
};

}  // namespace weir::test
