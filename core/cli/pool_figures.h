// What a pool's places come to, as counts that add up: derived once, shown by text and JSON alike.
// Threads: plain values.
#pragma once

#include <cstdint>

#include "shm/snapshot.h"

namespace weir::cli {

struct PoolFigures {
  std::uint32_t idle = 0, used = 0;  // a connection on its way to another worker counts as it was
  std::uint32_t connecting = 0, closing = 0, lingering = 0;
  std::uint32_t offered = 0;    // empty, held out to somebody in line
  std::uint32_t free = 0;       // empty, anybody's
  std::uint32_t open = 0;       // what the server may see: the first five together
  std::uint32_t available = 0;  // to be had at once: idle, or free with a permit
  std::uint32_t overflow = 0;   // open above `keep`
  double utilization_pct = 0;   // used of max, to a tenth; above 100 only while max shrinks
};

[[nodiscard]] PoolFigures figures_of(const shm::Snapshot& snapshot, const shm::PoolSnapshot& pool);

/// How long the `share`-th (0 to 1) of the pool's live handovers took at most, in ns: the upper end
/// of its bucket, UINT64_MAX for the last. 0 where there were none.
[[nodiscard]] std::uint64_t handover_quantile_ns(const shm::PoolSnapshot& pool, double share);

/// The quota that a pool shares; null if it is alone on its places.
[[nodiscard]] const shm::QuotaSnapshot* quota_of(const shm::Snapshot& snapshot,
                                                 const shm::PoolSnapshot& pool);
/// The worker in that row; null if nobody is.
[[nodiscard]] const shm::WorkerSnapshot* worker_in(const shm::Snapshot& snapshot,
                                                   std::uint32_t row);

}  // namespace weir::cli
