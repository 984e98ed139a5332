#include "shm/snapshot.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "shm/control.h"
#include "shm/file_locks.h"
#include "shm/line.h"
#include "shm/pool_ref.h"
#include "shm/stats.h"

namespace weir::shm {
namespace {

std::uint64_t ago(std::uint64_t now_ns, std::uint64_t then_ns) {
  return then_ns == 0 || then_ns > now_ns ? 0 : now_ns - then_ns;
}

PlaceSnapshot copy_place(std::uint32_t index, PlaceWord word, const PlaceInfo& info,
                         std::uint64_t now_ns) {
  PlaceSnapshot place;
  place.index = index;
  place.state = word.state();
  place.occ = word.occ();
  place.retire = word.retire();
  if (word.names_worker()) place.worker = word.idx();
  if (word.state() == PlaceState::kGiving) {
    place.worker = word.giver().row;
    place.to = word.receiver().row;
  }
  if (word.state() == PlaceState::kLingering) place.cause = word.linger_cause();
  place.state_ns = ago(now_ns, info.since_ns.load(std::memory_order_relaxed));
  place.leases = info.leases.load(std::memory_order_relaxed);
  if (!word.occupied()) return place;
  place.age_ns = ago(now_ns, info.opened_ns.load(std::memory_order_relaxed));
  // Read apart from each other: in between another connection can have been opened here.
  const std::uint64_t before = info.leases_before.load(std::memory_order_relaxed);
  place.session_leases = place.leases > before ? place.leases - before : 0;
  place.klass = info.holder_class.load(std::memory_order_relaxed);
  place.connection = info.connection.load(std::memory_order_relaxed);
  place.generation = info.generation.load(std::memory_order_relaxed);
  place.holder_pid = info.holder_pid.load(std::memory_order_relaxed);
  place.holder_thread = info.holder_thread.load(std::memory_order_relaxed);
  place.label = info.label.load();
  place.token = info.load_token();
  return place;
}

std::vector<ClassSnapshot> copy_classes(const PoolRow& row,
                                        const std::vector<PlaceSnapshot>& places) {
  std::vector<ClassSnapshot> classes(std::min<std::size_t>(row.classes.load(), kMaxClasses));
  for (std::size_t i = 0; i < classes.size(); ++i) {
    classes[i].name = row.class_names[i].load();
    classes[i].floor = row.class_floors[i].load();
  }
  for (const PlaceSnapshot& place : places) {
    if (place.state != PlaceState::kUsed || place.klass == 0) continue;
    if (place.klass <= classes.size()) ++classes[place.klass - 1].used;
  }
  return classes;
}

PoolSnapshot copy_pool(const Segment& segment, std::uint32_t id, std::uint64_t now_ns) {
  const PoolRow& row = segment.pools()[id];
  PoolSnapshot pool;
  pool.row = id;
  pool.name = row.name.load();
  pool.driver = row.driver.load();
  pool.quota = row.quota.load();
  pool.max = row.max.load();
  const std::uint32_t overruled = row.overruled_max.load();
  pool.configured_max = overruled != 0 ? overruled : pool.max;
  pool.min = row.min.load();
  pool.keep = row.keep.load();
  pool.max_per_worker = row.max_per_worker.load();
  const DemandWord demand = demand_of(row);
  pool.paused = demand.is_paused();
  pool.generation = demand.generation();
  pool.connect_failures = row.connect_failures.load();
  pool.connect_code = row.connect_code.load();
  pool.connect_error = row.connect_error.load();
  const BreakerWord breaker(row.breaker.load());
  if (!breaker.is_closed()) pool.breaker = breaker.state();
  pool.breaker_failures = breaker.failures();
  pool.breaker_retry_ms = breaker.retry_in_ms(now_ns);
  for (const Word& turn : row.handshakes) pool.handshakes += TurnWord(turn.load()).taken() ? 1 : 0;

  const std::size_t first = std::min<std::size_t>(row.first_place.load(), segment.places().size());
  const std::size_t count =
      std::min<std::size_t>(row.capacity.load(), segment.places().size() - first);
  pool.room = static_cast<std::uint32_t>(count);
  for (std::size_t i = 0; i < count; ++i) {
    const PlaceWord word(segment.places()[first + i].load());
    if (!word.possible()) continue;
    ++pool.count[static_cast<std::size_t>(word.state())];
    const PlaceInfo& info = segment.place_info()[first + i];
    pool.acquires += info.leases.load(std::memory_order_relaxed);
    if (word.state() == PlaceState::kRetired) continue;
    pool.places.push_back(copy_place(static_cast<std::uint32_t>(i), word, info, now_ns));
  }
  pool.classes = copy_classes(row, pool.places);
  pool.acquires -= std::min(pool.acquires, row.acquires_popped.load(std::memory_order_relaxed));
  const PoolFigures figures = look_at_figures(segment, id);
  pool.counters = figures.counters;
  pool.histograms = figures.histograms;
  for (std::uint32_t worker = 0; worker < segment.geometry().workers; ++worker) {
    if (auto note = policy_of(segment, worker, id)) {
      pool.policies.push_back({worker, std::move(*note)});
    }
  }
  const StatsRow& totals = segment.pool_totals()[id];
  for (std::size_t b = 0; b < kHandoverBuckets; ++b) {
    pool.handovers[b] = totals.handovers[b].load(std::memory_order_relaxed);
  }
  return pool;
}

QuotaSnapshot copy_quota(const Segment& segment, std::uint32_t id) {
  const QuotaRow& row = segment.quotas()[id];
  QuotaSnapshot quota;
  quota.row = id;
  quota.name = row.name.load();
  quota.limit = row.limit.load();
  const std::uint32_t overruled = row.overruled_limit.load();
  quota.configured = overruled != 0 ? overruled : quota.limit;
  const std::size_t first =
      std::min<std::size_t>(row.first_permit.load(), segment.permits().size());
  const std::size_t count =
      std::min<std::size_t>(row.capacity.load(), segment.permits().size() - first);
  quota.room = static_cast<std::uint32_t>(count);
  for (const Word& cell : segment.permits().subspan(first, count)) {
    const PermitWord permit(cell.load());
    if (permit.state() == PermitState::kRetired) continue;
    const bool held = permit.state() == PermitState::kHeld &&
                      permit.place() < segment.places().size() &&
                      !permit.is_void(PlaceWord(segment.places()[permit.place()].load()));
    ++(held ? quota.held : quota.free);
  }
  return quota;
}

WorkerSnapshot copy_worker(const Segment& segment, std::uint32_t id, std::uint64_t now_ns) {
  const WorkerRow& row = segment.workers()[id];
  WorkerSnapshot worker;
  worker.row = id;
  worker.gen = WorkerWord(row.word.load()).gen();
  worker.pid = row.pid.load();
  worker.service = row.service.load();
  worker.dead = !is_byte_locked_elsewhere(segment.fd(), kWorkerBytes + id);
  worker.age_ns = ago(now_ns, row.joined_ns.load());
  worker.beat_ago_ns = ago(now_ns, row.beat_ns.load());
  return worker;
}

void count_in_worker(WorkerSnapshot& worker, PlaceState state) {
  // As a pool's figures count them: what has let go is nobody's yet, what has not is in use.
  worker.idle += state == PlaceState::kIdle || state == PlaceState::kParked ? 1 : 0;
  worker.used += state == PlaceState::kUsed || state == PlaceState::kGiving ? 1 : 0;
  worker.connecting += state == PlaceState::kOpening ? 1 : 0;
  worker.closing += state == PlaceState::kClosing ? 1 : 0;
}

}  // namespace

bool PlaceSnapshot::is_older_than(std::uint32_t of_generation) const {
  const bool is_empty =
      state == PlaceState::kFree || state == PlaceState::kOffered || state == PlaceState::kRetired;
  return !is_empty && DemandWord::is_before(generation, of_generation);
}

std::uint32_t PoolSnapshot::older_than(std::uint32_t of_generation) const {
  return static_cast<std::uint32_t>(std::count_if(
      places.begin(), places.end(),
      [&](const PlaceSnapshot& place) { return place.is_older_than(of_generation); }));
}

std::uint32_t PoolSnapshot::occupied() const {
  return std::accumulate(count.begin(), count.end(), 0u) -
         in(PlaceState::kFree)-in(PlaceState::kRetired);
}

const PoolSnapshot* Snapshot::pool(const std::string& name) const {
  const auto found = std::find_if(pools.begin(), pools.end(),
                                  [&](const PoolSnapshot& pool) { return pool.name == name; });
  return found == pools.end() ? nullptr : &*found;
}

Snapshot take_snapshot(const Segment& segment) {
  Snapshot snapshot;
  const std::uint64_t now_ns = monotonic_ns();
  snapshot.path = segment.path();
  snapshot.taken_ns = now_ns;
  snapshot.created_unix_ns = segment.header().facts.created_unix_ns;
  snapshot.bytes = segment.header().facts.total_bytes;
  if (segment.is_poisoned()) snapshot.poison_reason = segment.header().poison_reason.load();

  for (std::uint32_t i = 0; i < segment.geometry().workers; ++i) {
    if (WorkerWord(segment.workers()[i].word.load()).state() == WorkerState::kLive) {
      snapshot.workers.push_back(copy_worker(segment, i, now_ns));
    }
  }
  const auto worker_at = [&](std::uint32_t row) -> WorkerSnapshot* {
    const auto found =
        std::find_if(snapshot.workers.begin(), snapshot.workers.end(),
                     [&](const WorkerSnapshot& worker) { return worker.row == row; });
    return found == snapshot.workers.end() ? nullptr : &*found;
  };
  for (std::uint32_t i = 0; i < segment.geometry().quotas; ++i) {
    if (segment.quotas()[i].declared.load() != 0) snapshot.quotas.push_back(copy_quota(segment, i));
  }
  for (std::uint32_t i = 0; i < segment.geometry().pools; ++i) {
    if (segment.pools()[i].declared.load() == 0) continue;
    snapshot.pools.push_back(copy_pool(segment, i, now_ns));
    for (const PlaceSnapshot& place : snapshot.pools.back().places) {
      if (WorkerSnapshot* worker = worker_at(place.worker)) count_in_worker(*worker, place.state);
    }
  }
  for (std::uint32_t i = 0; i < segment.geometry().waiters; ++i) {
    const WaiterRow& row = segment.waiters()[i];
    const WaiterWord word(row.word.load());
    // Not yet in line in SETUP: since, pool and label may be those of the row's last user.
    if (word.state() == WaiterState::kFree || word.state() == WaiterState::kSetup ||
        !word.possible()) {
      continue;
    }
    WaiterSnapshot waiter;
    waiter.row = i;
    waiter.state = word.state();
    waiter.worker = word.owner_row();
    waiter.pool = row.pool_quota_class.load(std::memory_order_relaxed) & 0xfff;
    waiter.klass = class_of(row);
    waiter.ticket = row.ticket.load(std::memory_order_relaxed);
    waiter.waited_ns = ago(now_ns, row.since_ns.load(std::memory_order_relaxed));
    waiter.label = row.label.load();
    if (WorkerSnapshot* worker = worker_at(waiter.worker)) ++worker->waiting;
    for (PoolSnapshot& pool : snapshot.pools) {
      if (pool.row != waiter.pool) continue;
      ++pool.waiting;
      pool.oldest_wait_ns = std::max(pool.oldest_wait_ns, waiter.waited_ns);
      const bool is_of_class = waiter.klass != 0 && waiter.klass <= pool.classes.size();
      if (is_of_class) ++pool.classes[waiter.klass - 1].waiting;
    }
    snapshot.waiters.push_back(std::move(waiter));
  }
  std::sort(
      snapshot.waiters.begin(), snapshot.waiters.end(),
      [](const WaiterSnapshot& a, const WaiterSnapshot& b) { return a.waited_ns > b.waited_ns; });
  return snapshot;
}

}  // namespace weir::shm
