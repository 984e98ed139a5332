#include "runtime/look.h"

#include "shm/segment.h"
#include "shm/snapshot.h"

namespace weir::runtime {

Result<pool::Stats> look_at(const config::RuntimeConfig& config, const config::PoolConfig& pool) {
  pool::Stats stats;
  stats.max = pool.max;
  stats.min = pool.min;
  stats.keep = pool.kept();
  shm::SegmentOptions options;
  options.folder = config.folder;
  options.name = config.segment;
  const auto segment = shm::Segment::open_read_only(options);
  if (segment.status().code() == Code::kNotFound) return stats;
  if (!segment.ok()) return segment.status();
  const shm::Snapshot snapshot = shm::take_snapshot(*segment.value());
  const shm::PoolSnapshot* const seen = snapshot.pool(pool.name);
  if (seen == nullptr) return stats;
  stats.max = seen->max;
  stats.min = seen->min;
  stats.keep = seen->keep;
  for (std::size_t state = 0; state < seen->count.size(); ++state) {
    pool::add_places(stats, static_cast<shm::PlaceState>(state), seen->count[state]);
  }
  stats.waiting = seen->waiting;
  stats.acquires = seen->acquires;
  stats.paused = seen->paused;
  stats.generation = seen->generation;
  pool::take_counters(stats, [seen](shm::Counter counter) { return seen->counter(counter); });
  return stats;
}

}  // namespace weir::runtime
