// `weir pause`, `resume`, `drain` and `clear`: what an operator decides for a pool in all its
// workers at once.
//
// No worker's help is needed to decide; each finds the decision at its next acquire or release, or
// within a second. Threads: the commands from one; the texts are pure functions.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "base/clock.h"
#include "cli/screen.h"
#include "cli/where.h"
#include "shm/admin.h"
#include "shm/snapshot.h"

namespace weir::cli {

struct PoolOptions {
  Where where;
  std::string pool;
  shm::Decision decision = shm::Decision::kPause;
  bool json = false;
  bool wait = false;                              // drain: until no older connection is left
  Nanos wait_at_most = std::chrono::seconds(60);  // drain
};

/// Blocks only to wait. Writes to stdout, failures to stderr; kFailed also if some connections of
/// older generations were still out when the time to wait was over.
[[nodiscard]] ExitCode run_pool(const PoolOptions& options);

/// Connections begun before a generation, by what they are now.
struct OlderConnections {
  std::uint32_t used = 0, idle = 0, connecting = 0, closing = 0, lingering = 0;
  [[nodiscard]] std::uint32_t all() const { return used + idle + connecting + closing + lingering; }
};

/// What became of a decision, and the pool as it was right after, or when the wait was over.
struct PoolReport {
  shm::Decision decision = shm::Decision::kPause;
  shm::Decided decided;
  std::uint32_t used = 0;  // of all generations
  std::uint32_t waiting = 0;
  OlderConnections older;
  std::string longest_out;  // of the older ones in use the one that has been for longest; or empty
  std::optional<std::uint64_t> waited_ns;
};

[[nodiscard]] PoolReport report_of(shm::Decision decision, const shm::Decided& decided,
                                   const shm::Snapshot& snapshot);
/// What it means for callers, and what ends it.
[[nodiscard]] std::string decided_text(const PoolReport& report);
[[nodiscard]] nlohmann::ordered_json decided_json(const PoolReport& report);
/// "none is left after 1.2 s", or who still holds what. REQUIRES: waited_ns.
[[nodiscard]] std::string waited_text(const PoolReport& report);

}  // namespace weir::cli
