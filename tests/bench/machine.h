// What the machine did besides the benchmark: figures of a busy machine are read differently.
#pragma once

#include <cstdint>

namespace weir::bench {

struct MachineLoad {
  unsigned cpus = 0;
  double seconds = 0;                            // how long the benchmark took
  double loadavg_before = 0, loadavg_after = 0;  // of one minute
  double own_cpu_seconds = 0;                    // this process and all it started
  double others_cpu_seconds = 0;                 // everybody else on the machine
};

/// Watches from its construction on. Threads: one at a time.
class MachineWatch {
 public:
  MachineWatch();
  /// Until now. Processes that this one started count as its own once they have been waited for.
  [[nodiscard]] MachineLoad look() const;

 private:
  std::uint64_t began_ns_;
  double loadavg_, busy_seconds_, own_seconds_;
};

}  // namespace weir::bench
