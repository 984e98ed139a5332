#include "runtime/look.h"

#include "shm/segment.h"
#include "shm/snapshot.h"

namespace weir::runtime {

Result<pool::Stats> look_at(const config::RuntimeConfig& config, const config::PoolConfig& pool) {
  using shm::Counter;
  using shm::PlaceState;
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
  stats.idle = seen->in(PlaceState::kIdle) + seen->in(PlaceState::kParked);
  stats.used = seen->in(PlaceState::kUsed) + seen->in(PlaceState::kGiving);
  stats.connecting = seen->in(PlaceState::kOpening) + seen->in(PlaceState::kOffered);
  stats.closing = seen->in(PlaceState::kClosing);
  stats.lingering = seen->in(PlaceState::kLingering);
  stats.waiting = seen->waiting;
  stats.acquires = seen->acquires;
  stats.acquires_waited = seen->counter(Counter::kAcquiresWaited);
  stats.wait_ns = seen->counter(Counter::kWaitNs);
  stats.timeouts = seen->counter(Counter::kTimeouts);
  stats.too_many_waiters = seen->counter(Counter::kTooManyWaiters);
  stats.connects = seen->counter(Counter::kConnects);
  stats.connect_failures = seen->counter(Counter::kConnectFailures);
  stats.closes = seen->counter(Counter::kCloses);
  stats.handed_on = seen->counter(Counter::kHandedOn);
  stats.resets = seen->counter(Counter::kResets);
  stats.reset_failures = seen->counter(Counter::kResetFailures);
  stats.pings = seen->counter(Counter::kPings);
  stats.ping_failures = seen->counter(Counter::kPingFailures);
  return stats;
}

}  // namespace weir::runtime
