// What is seen of a pool: figures for people, and the view that its policy decides by.
#include <algorithm>
#include <random>

#include "pool/pool.h"

namespace weir::pool {

using shm::PlaceIndex;
using shm::PlaceWord;

namespace {

constexpr std::uint64_t kMillisecond = 1'000'000;
constexpr std::uint64_t kSecond = 1'000 * kMillisecond;
static_assert(policy::kWindowBuckets == shm::kHistogramBuckets);

// From 0 to below 1.
double draw_chance() {
  static thread_local std::minstd_rand random{std::random_device{}()};
  return std::uniform_real_distribution<double>(0, 1)(random);
}

policy::Figures figures_of(const Stats& now, const shm::PoolFigures& figures,
                           std::uint64_t now_ns) {
  return {.at_ns = now_ns,
          .acquires = now.acquires,
          .waited = now.acquires_waited,
          .timeouts = now.timeouts,
          .connects = now.connects,
          .connect_failures = now.connect_failures,
          .closes = now.closes,
          .handovers = now.handed_live,
          .use_ns = now.use_ns,
          .wait = figures.histogram(shm::Histogram::kWait),
          .use = figures.histogram(shm::Histogram::kUse),
          .connect = figures.histogram(shm::Histogram::kConnect),
          .used = now.used};
}

}  // namespace

Stats Pool::stats() const { return stats_of(shm::look_at_figures(parts_.segment, ref().id())); }

Stats Pool::stats_of(const shm::PoolFigures& figures) const {
  Stats stats;
  const shm::PoolRow& row = ref().row();
  stats.max = row.max.load();
  stats.min = row.min.load();
  stats.keep = row.keep.load();
  Stats own;
  for (PlaceIndex i = 0; i < ref().capacity(); ++i) {
    const PlaceWord word(cell(i).load());
    add_places(stats, word.state(), 1);
    if (word.belongs_to(self())) add_places(own, word.state(), 1);
    stats.acquires += ref().info(i).leases.load(std::memory_order_relaxed);
  }
  stats.worker_idle = own.idle;
  stats.worker_used = own.used;
  const shm::LineView line = shm::look_at_line(ref(), self());
  stats.waiting = line.waiting + line.waiting_local;
  stats.paused = shm::demand_of(row).is_paused();
  stats.generation = shm::demand_of(row).generation();
  stats.acquires -= std::min(stats.acquires, row.acquires_popped.load());
  take_counters(stats, [&](shm::Counter counter) { return figures.counter(counter); });
  return stats;
}

Stats Pool::pop_stats() {
  Stats stats = this->stats();
  ref().row().acquires_popped.fetch_add(stats.acquires);
  take_counters(stats, [this](shm::Counter counter) { return shm::pop_counter(ref(), counter); });
  return stats;
}

// No more than the built-in breaker asks for: any thread may need it, while a server is down.
policy::PoolView Pool::view_of(shm::BreakerWord breaker, std::uint64_t now_ns) {
  policy::PoolView view;
  view.now_ms = now_ns / kMillisecond;
  view.connect_failures_in_a_row = breaker.failures();
  view.breaker = static_cast<policy::BreakerState>(breaker.state());
  view.breaker_retry_ms = breaker.retry_in_ms(now_ns);
  view.chance = draw_chance();
  return view;
}

// All there is; valid until the next look. The keeper's.
policy::PoolView Pool::look_around(std::uint64_t now_ns) {
  const shm::PoolFigures figures = shm::look_at_figures(parts_.segment, ref().id());
  const Stats now = stats_of(figures);
  window_.add(figures_of(now, figures, now_ns));
  surroundings_.look(ref(), self());

  policy::PoolView view = view_of(shm::breaker_of(ref()), now_ns);
  view.name = config().name;
  view.max = now.max;
  view.min = now.min;
  view.keep = now.keep;
  view.max_per_worker = ref().row().max_per_worker.load();
  view.idle_timeout_ms = static_cast<std::uint64_t>(config().idle_timeout.count());
  view.handover_after_ms = static_cast<std::uint64_t>(config().handover_after.count());
  view.idle = now.idle;
  view.used = now.used;
  view.connecting = now.connecting;
  view.closing = now.closing;
  view.lingering = now.lingering;
  view.waiting = now.waiting;
  const shm::LineView line = shm::look_at_line(ref(), self());
  if (line.oldest && now_ns > line.oldest->since_ns) {
    view.oldest_wait_ms = (now_ns - line.oldest->since_ns) / kMillisecond;
  }
  view.workers = surroundings_.workers_alive();
  view.quota_limit = ref().has_quota() ? ref().quota_row().limit.load() : now.max;
  view.quota_in_use =
      ref().has_quota() ? shm::count_held(parts_.segment, ref().permits()) : now.total();
  view.last = window_.over(now_ns, 10 * kSecond);
  view.minute = window_.over(now_ns, 60 * kSecond);
  view.worker_idle = now.worker_idle;
  view.worker_used = now.worker_used;
  view.pools = surroundings_.pools();
  view.worker_shares = surroundings_.workers();
  view.classes = surroundings_.classes();
  return view;
}

}  // namespace weir::pool
