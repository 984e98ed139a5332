#include "cli/pool_figures.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace weir::cli {

using shm::PlaceState;

PoolFigures figures_of(const shm::Snapshot& snapshot, const shm::PoolSnapshot& pool) {
  PoolFigures figures;
  figures.idle = pool.in(PlaceState::kIdle) + pool.in(PlaceState::kParked);
  figures.used = pool.in(PlaceState::kUsed) + pool.in(PlaceState::kGiving);
  figures.connecting = pool.in(PlaceState::kOpening);
  figures.closing = pool.in(PlaceState::kClosing);
  figures.lingering = pool.in(PlaceState::kLingering);
  figures.offered = pool.in(PlaceState::kOffered);
  figures.free = pool.in(PlaceState::kFree);
  figures.open =
      figures.idle + figures.used + figures.connecting + figures.closing + figures.lingering;
  const shm::QuotaSnapshot* quota = quota_of(snapshot, pool);
  figures.available =
      figures.idle + (quota == nullptr ? figures.free : std::min(figures.free, quota->free));
  figures.overflow = figures.open > pool.keep ? figures.open - pool.keep : 0;
  if (pool.max > 0) {
    figures.utilization_pct = std::round(1000.0 * figures.used / pool.max) / 10;
  }
  return figures;
}

std::uint64_t handover_quantile_ns(const shm::PoolSnapshot& pool, double share) {
  const auto all = std::accumulate(pool.handovers.begin(), pool.handovers.end(), std::uint64_t{0});
  if (all == 0) return 0;
  const auto wanted = static_cast<std::uint64_t>(std::ceil(share * static_cast<double>(all)));
  std::uint64_t seen = 0;
  for (std::size_t bucket = 0; bucket + 1 < pool.handovers.size(); ++bucket) {
    seen += pool.handovers[bucket];
    if (seen >= wanted) return shm::handover_bucket_end_ns(bucket);
  }
  return UINT64_MAX;
}

const shm::QuotaSnapshot* quota_of(const shm::Snapshot& snapshot, const shm::PoolSnapshot& pool) {
  const auto found = std::find_if(snapshot.quotas.begin(), snapshot.quotas.end(),
                                  [&](const auto& quota) { return quota.row == pool.quota; });
  return found == snapshot.quotas.end() ? nullptr : &*found;
}

const shm::WorkerSnapshot* worker_in(const shm::Snapshot& snapshot, std::uint32_t row) {
  const auto found = std::find_if(snapshot.workers.begin(), snapshot.workers.end(),
                                  [&](const auto& worker) { return worker.row == row; });
  return found == snapshot.workers.end() ? nullptr : &*found;
}

}  // namespace weir::cli
