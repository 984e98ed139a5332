// What `weir policy simulate` takes from a pool: its settings, how long steps take in it, and the
// policy that runs: from the configuration of its workers, and from the segment, where they are.
// Threads: one; reads files.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "cli/where.h"
#include "config/runtime_config.h"
#include "shm/snapshot.h"
#include "simulation/settings.h"
#include "simulation/simulate.h"

namespace weir::cli {

struct PoolToSimulate {
  std::string name{};  // empty: no pool was named, and all is as by default
  simulation::MachineSettings machine{};
  /// In a status: why it cannot be had. kNotFound: the workers run a script that nobody said where
  /// to find.
  Result<simulation::MakePolicy> running = Status();
  std::vector<std::string> notes{};  // where it is not what the workers run
};

/// The pool `asked`, or the only one. Where neither it nor any of `where` is said: none, and the
/// built-in policy. With --config the segment need not be there. The codes of resolve(), of
/// open_segment() and of choose_pool().
[[nodiscard]] Result<PoolToSimulate> pool_to_simulate(const Where& where, const std::string& asked);

/// As configured. `quotas`: of the same configuration.
[[nodiscard]] simulation::PoolSettings settings_of(const config::PoolConfig& pool,
                                                   const std::vector<config::QuotaConfig>& quotas);

/// Changes what the segment knows better: limits in force, workers alive, how long connects and
/// handovers took (their medians, once there were enough).
void take_from(const shm::Snapshot& snapshot, const shm::PoolSnapshot& pool,
               simulation::MachineSettings& machine);

}  // namespace weir::cli
