#include "cli/policy_view.h"

#include <algorithm>
#include <utility>

#include "cli/pool_figures.h"

namespace weir::cli {
namespace {

using shm::Counter;
using shm::PoolSnapshot;
using shm::Snapshot;

constexpr std::uint64_t kMillisecond = 1'000'000;
constexpr std::uint64_t kSecond = 1'000 * kMillisecond;
static_assert(policy::kWindowBuckets == shm::kHistogramBuckets);

policy::Figures sums_of(const PoolSnapshot& pool, std::uint32_t used, std::uint64_t now_ns) {
  const auto histogram = [&](shm::Histogram h) {
    return pool.histograms[static_cast<std::size_t>(h)];
  };
  return {.at_ns = now_ns,
          .acquires = pool.acquires,
          .waited = pool.counter(Counter::kAcquiresWaited),
          .timeouts = pool.counter(Counter::kTimeouts),
          .connects = pool.counter(Counter::kConnects),
          .connect_failures = pool.counter(Counter::kConnectFailures),
          .closes = pool.counter(Counter::kCloses),
          .handovers = pool.counter(Counter::kHandedLive),
          .use_ns = pool.counter(Counter::kUseNs),
          .wait = histogram(shm::Histogram::kWait),
          .use = histogram(shm::Histogram::kUse),
          .connect = histogram(shm::Histogram::kConnect),
          .used = used};
}

}  // namespace

PolicyView::PolicyView(std::string pool, const config::PoolConfig* config)
    : pool_(std::move(pool)), window_(shm::kHistogramEndsNs) {
  if (config == nullptr) return;
  idle_timeout_ms_ = static_cast<std::uint64_t>(config->idle_timeout.count());
  handover_after_ms_ = static_cast<std::uint64_t>(config->handover_after.count());
}

bool PolicyView::look(const Snapshot& snapshot) {
  const PoolSnapshot* const pool = snapshot.pool(pool_);
  if (pool == nullptr) return false;
  look_at_pool(snapshot, *pool);
  look_at_shares(snapshot, *pool);
  look_at_classes(*pool);
  look_at_idle(*pool);
  return true;
}

void PolicyView::look_at_pool(const Snapshot& snapshot, const PoolSnapshot& pool) {
  const shm::QuotaSnapshot* const quota = quota_of(snapshot, pool);
  const PoolFigures now = figures_of(snapshot, pool);
  window_.add(sums_of(pool, now.used, snapshot.taken_ns));
  view_ = {};
  view_.now_ms = snapshot.taken_ns / kMillisecond;
  view_.name = pool_;
  view_.max = pool.max;
  view_.min = pool.min;
  view_.keep = pool.keep;
  view_.max_per_worker = pool.max_per_worker;
  view_.idle_timeout_ms = idle_timeout_ms_;
  view_.handover_after_ms = handover_after_ms_;
  view_.idle = now.idle;
  view_.used = now.used;
  view_.connecting = now.connecting;
  view_.closing = now.closing;
  view_.lingering = now.lingering;
  view_.waiting = pool.waiting;
  view_.oldest_wait_ms = pool.oldest_wait_ns / kMillisecond;
  view_.workers =
      static_cast<std::uint32_t>(std::count_if(snapshot.workers.begin(), snapshot.workers.end(),
                                               [](const auto& worker) { return !worker.dead; }));
  view_.quota_limit = quota == nullptr ? pool.max : quota->limit;
  view_.quota_in_use = quota == nullptr ? now.open : quota->held;
  view_.last = window_.over(snapshot.taken_ns, 10 * kSecond);
  view_.minute = window_.over(snapshot.taken_ns, 60 * kSecond);
  view_.connect_failures_in_a_row = pool.breaker_failures;
  view_.breaker = static_cast<policy::BreakerState>(pool.breaker);
  view_.breaker_retry_ms = pool.breaker_retry_ms;
}

void PolicyView::look_at_shares(const Snapshot& snapshot, const PoolSnapshot& pool) {
  pools_.clear();
  names_.clear();
  for (const PoolSnapshot& one : snapshot.pools) {
    const bool is_mate = pool.quota != shm::kNone && one.quota == pool.quota;
    if (one.row != pool.row && !is_mate) continue;
    const PoolFigures now = figures_of(snapshot, one);
    pools_.push_back({.max = one.max, .idle = now.idle, .used = now.used, .waiting = one.waiting});
    names_.push_back(one.name);
  }
  for (std::size_t i = 0; i < pools_.size(); ++i) pools_[i].name = names_[i];

  workers_.clear();
  for (const shm::WorkerSnapshot& worker : snapshot.workers) {
    if (worker.dead) continue;
    policy::WorkerShare& share = workers_.emplace_back();
    for (const shm::PlaceSnapshot& place : pool.places) {
      if (place.worker != worker.row) continue;
      share.idle += place.state == shm::PlaceState::kIdle ? 1 : 0;
      share.used += place.state == shm::PlaceState::kUsed ? 1 : 0;
    }
    for (const shm::WaiterSnapshot& waiter : snapshot.waiters) {
      share.waiting += waiter.worker == worker.row && waiter.pool == pool.row ? 1 : 0;
    }
  }
  view_.pools = pools_;
  view_.worker_shares = workers_;
}

void PolicyView::look_at_classes(const PoolSnapshot& pool) {
  classes_.clear();
  class_names_.clear();
  for (const shm::ClassSnapshot& one : pool.classes) {
    classes_.push_back({.floor = one.floor, .used = one.used, .waiting = one.waiting});
    class_names_.push_back(one.name);
  }
  for (std::size_t i = 0; i < classes_.size(); ++i) classes_[i].name = class_names_[i];
  view_.classes = classes_;
}

void PolicyView::look_at_idle(const PoolSnapshot& pool) {
  idle_.clear();
  for (const shm::PlaceSnapshot& place : pool.places) {
    if (place.state != shm::PlaceState::kIdle) continue;
    idle_.push_back({.age_ms = place.age_ns / kMillisecond,
                     .idle_ms = place.state_ns / kMillisecond,
                     .lifetime_ms = 0,  // each worker's own
                     .checked_ms = place.state_ns / kMillisecond,
                     .leases = place.session_leases});
  }
}

}  // namespace weir::cli
