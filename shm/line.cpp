#include "shm/line.h"

#include <algorithm>
#include <array>

#include "shm/control.h"
#include "shm/futex.h"
#include "shm/turns.h"
#include "shm/worker_table.h"

namespace weir::shm {
namespace {

// pool_quota_class: pool:12 | quota:12 | class:6 | rings:1 | local only:1.
constexpr std::uint32_t kNoQuota = 0xfff;
constexpr unsigned kClassAt = 24;
constexpr std::uint32_t kClassMask = 0x3f;
constexpr std::uint32_t kRings = std::uint32_t{1} << 30;
constexpr std::uint32_t kLocalOnly = std::uint32_t{1} << 31;

std::uint32_t class_in(std::uint32_t belongs) { return belongs >> kClassAt & kClassMask; }

std::uint32_t pack_pool_quota(const PoolRef& pool) {
  return pool.id() | (pool.has_quota() ? pool.quota() : kNoQuota) << 12;
}

std::uint32_t waiting_in_pool(const LineView& view) { return view.waiting + view.waiting_local; }

// A row this thread used last: mostly free again, and its cache line is warm.
thread_local std::uint32_t recent_row = 0;

// Everybody in line whose row says that it is for `pool` or a mate of its quota.
template <typename Each>
void for_each_in_line(const PoolRef& pool, Each each) {
  const Segment& segment = pool.segment();
  const std::span<WaiterRow> rows = segment.waiters();
  const std::uint32_t high = std::min<std::uint32_t>(segment.header().waiters_high.load(),
                                                     static_cast<std::uint32_t>(rows.size()));
  const std::uint32_t short_ones = short_classes(pool);
  for (std::uint32_t i = 0; i < high; ++i) {
    const WaiterWord word(rows[i].word.load());
    if (word.state() != WaiterState::kWaiting) continue;
    const std::uint32_t belongs = rows[i].pool_quota_class.load(std::memory_order_relaxed);
    const bool same_pool = (belongs & 0xfff) == pool.id();
    const bool mate = !same_pool && pool.has_quota() && (belongs >> 12 & 0xfff) == pool.quota();
    if (!same_pool && !mate) continue;
    const std::uint32_t klass = class_in(belongs);
    const bool is_short = same_pool && klass != 0 && (short_ones >> (klass - 1) & 1) != 0;
    const Candidate who{i,
                        word,
                        rows[i].ticket.load(std::memory_order_relaxed),
                        rows[i].since_ns.load(std::memory_order_relaxed),
                        belongs & 0xfff,
                        is_short,
                        klass};
    each(who, mate, (belongs & kLocalOnly) != 0);
  }
}

}  // namespace

std::uint32_t class_of(const WaiterRow& row) {
  return class_in(row.pool_quota_class.load(std::memory_order_relaxed));
}

std::uint32_t short_classes(const PoolRef& pool) {
  const PoolRow& row = pool.row();
  const std::uint32_t count =
      std::min<std::uint32_t>(row.classes.load(std::memory_order_relaxed), kMaxClasses);
  if (count == 0) return 0;
  std::array<std::uint32_t, kMaxClasses> held{};
  for (PlaceIndex place = 0; place < pool.capacity(); ++place) {
    const PlaceState state =
        PlaceWord(pool.places()[place].load(std::memory_order_relaxed)).state();
    if (state != PlaceState::kUsed) continue;
    const std::uint32_t klass = pool.info(place).holder_class.load(std::memory_order_relaxed);
    if (klass != 0 && klass <= kMaxClasses) ++held[klass - 1];
  }
  std::uint32_t bits = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    if (held[i] < row.class_floors[i].load(std::memory_order_relaxed)) bits |= 1u << i;
  }
  return bits;
}

LineView look_at_line(const PoolRef& pool, WorkerId self) {
  LineView view;
  for_each_in_line(pool, [&](const Candidate& who, bool mate, bool local_only) {
    if (mate) {
      ++view.waiting_mates;
      // A permit is of no use to one who waits for a connection of its own worker.
      if (!local_only && (!view.oldest_mate || who.since_ns < view.oldest_mate->since_ns)) {
        view.oldest_mate = who;
      }
      return;
    }
    ++(local_only ? view.waiting_local : view.waiting);
    if (!local_only) view.waiting_since_ns = std::min(view.waiting_since_ns, who.since_ns);
    if (!local_only && (!view.oldest || who.goes_before(*view.oldest))) view.oldest = who;
    if (who.word.owner_row() != self.row) return;
    view.waiting_here += local_only ? 0 : 1;
    if (!view.oldest_own || who.goes_before(*view.oldest_own)) view.oldest_own = who;
  });
  return view;
}

std::vector<Candidate> everybody_in_line(const PoolRef& pool) {
  std::vector<Candidate> all;
  for_each_in_line(pool, [&](const Candidate& who, bool, bool) { all.push_back(who); });
  return all;
}

std::optional<Candidate> oldest_in_line(const PoolRef& pool,
                                        const std::function<bool(std::uint32_t row)>& may_have) {
  std::optional<Candidate> oldest;
  for_each_in_line(pool, [&](const Candidate& who, bool mate, bool local_only) {
    if (mate || local_only || (oldest && oldest->goes_before(who))) return;
    if (may_have(who.word.owner_row())) oldest = who;
  });
  return oldest;
}

bool claim(const PoolRef& pool, const Candidate& who, PlaceIndex place) {
  std::uint64_t expected = who.word.raw();
  return pool.segment().waiters()[who.row].word.compare_exchange_strong(
      expected, who.word.to(WaiterState::kClaimed, pool.global(place)).raw());
}

bool grant(const PoolRef& pool, const Candidate& who, PlaceIndex place) {
  std::uint64_t expected = who.word.raw();
  if (!pool.segment().waiters()[who.row].word.compare_exchange_strong(
          expected, who.word.to(WaiterState::kGranted, pool.global(place)).raw())) {
    return false;
  }
  wake_waiter(pool.segment(), who.row);
  return true;
}

bool unclaim(const PoolRef& pool, const Candidate& who, PlaceIndex place) {
  std::uint64_t expected = who.word.to(WaiterState::kClaimed, pool.global(place)).raw();
  if (!pool.segment().waiters()[who.row].word.compare_exchange_strong(expected, who.word.raw())) {
    return false;
  }
  raise_demand(pool);
  wake_waiter(pool.segment(), who.row);
  return true;
}

bool grant_claimed(const PoolRef& pool, WorkerId self, PlaceIndex place) {
  const Segment& segment = pool.segment();
  const std::span<WaiterRow> rows = segment.waiters();
  const std::uint32_t high = std::min<std::uint32_t>(segment.header().waiters_high.load(),
                                                     static_cast<std::uint32_t>(rows.size()));
  for (std::uint32_t i = 0; i < high; ++i) {
    const WaiterWord seen(rows[i].word.load());
    if (seen.state() != WaiterState::kClaimed || seen.owner_row() != self.row ||
        seen.what() != pool.global(place)) {
      continue;
    }
    std::uint64_t expected = seen.raw();
    if (!rows[i].word.compare_exchange_strong(expected,
                                              seen.to(WaiterState::kGranted, seen.what()).raw())) {
      continue;
    }
    wake_waiter(segment, i);
    return true;
  }
  return false;
}

void wake_waiter(const Segment& segment, std::uint32_t row) {
  Word32& futex = segment.waiters()[row].futex;
  // Who finds it set already was not the first to wake: the first one's call does.
  if (futex.exchange(1) != 0) return;
  const WaiterRow& waiter = segment.waiters()[row];
  if ((waiter.pool_quota_class.load(std::memory_order_relaxed) & kRings) == 0) {
    futex_wake(futex);
  } else if (const std::uint32_t owner = WaiterWord(waiter.word.load()).owner_row();
             owner < segment.workers().size()) {
    ring(segment, owner);
  }
}

void wake_all_waiters(const Segment& segment, WorkerId self) {
  const std::span<WaiterRow> rows = segment.waiters();
  for (std::uint32_t i = 0; i < rows.size(); ++i) {
    const WaiterWord word(rows[i].word.load());
    if (word.state() != WaiterState::kFree && word.owner_row() == self.row) wake_waiter(segment, i);
  }
}

void wake_waiters_of(const PoolRef& pool) {
  const std::span<WaiterRow> rows = pool.segment().waiters();
  for (std::uint32_t i = 0; i < rows.size(); ++i) {
    const WaiterWord word(rows[i].word.load());
    const std::uint32_t belongs = rows[i].pool_quota_class.load(std::memory_order_relaxed);
    if (word.state() != WaiterState::kFree && (belongs & 0xfff) == pool.id()) {
      wake_waiter(pool.segment(), i);
    }
  }
}

void free_waiters_of(const Segment& segment, std::uint32_t row) {
  for (WaiterRow& waiter : segment.waiters()) {
    std::uint64_t raw = waiter.word.load();
    while (WaiterWord(raw).state() != WaiterState::kFree && WaiterWord(raw).owner_row() == row) {
      if (waiter.word.compare_exchange_strong(raw, WaiterWord(raw).to_free().raw())) break;
    }
  }
}

std::optional<Waiter> Waiter::enter(const PoolRef& pool, WorkerId self, Deadline deadline,
                                    std::string_view label, std::uint32_t most,
                                    std::uint32_t klass) {
  const Segment& segment = pool.segment();
  const std::span<WaiterRow> rows = segment.waiters();
  const auto count = static_cast<std::uint32_t>(rows.size());
  if (most != 0 && waiting_in_pool(look_at_line(pool, self)) >= most) return std::nullopt;

  // 1. a row: FREE -> SETUP(me, inc + 1). Only I leave SETUP; a death here leaves it to the reaper.
  std::uint32_t row = kNone;
  WaiterWord setup;
  const std::uint32_t start = recent_row < count ? recent_row : 0;
  for (std::uint32_t n = 0; n < count && row == kNone; ++n) {
    // The recent row first, then from the bottom: the line stays short to scan.
    const std::uint32_t i = n == 0 ? start : (n <= start ? n - 1 : n);
    const WaiterWord seen(rows[i].word.load(std::memory_order_relaxed));
    if (seen.state() != WaiterState::kFree) continue;
    std::uint64_t expected = seen.raw();
    setup = WaiterWord(WaiterState::kSetup, self.row, 0, seen.inc() + 1);
    if (rows[i].word.compare_exchange_strong(expected, setup.raw())) row = i;
  }
  if (row == kNone) return std::nullopt;
  recent_row = row;
  Word32& high = segment.header().waiters_high;
  for (std::uint32_t seen = high.load(); seen <= row;) {
    if (high.compare_exchange_weak(seen, row + 1)) break;
  }

  // 2. what givers want to know, the ticket last.
  WaiterRow& cell = rows[row];
  cell.pool_quota_class.store(pack_pool_quota(pool) | (klass & kClassMask) << kClassAt,
                              std::memory_order_relaxed);
  cell.since_ns.store(monotonic_ns(), std::memory_order_relaxed);
  cell.deadline_ns.store(deadline.ns(), std::memory_order_relaxed);
  cell.label.store(label);
  cell.futex.store(0);
  cell.ticket.store(pool.row().ticket.fetch_add(1), std::memory_order_relaxed);

  // 3. is our row still ours? Else its next worker, who freed what it found of the row before it
  // published itself, would take us for a caller of its own.
  std::uint64_t expected = setup.raw();
  if (!is_in_its_row(segment, self.row, self.gen)) {
    cell.word.compare_exchange_strong(expected, setup.to_free().raw());
    return std::nullopt;
  }

  // 4. in line; 5. then say so: a releaser that misses the flag has freed its place before, where
  // the caller's match finds it.
  if (!cell.word.compare_exchange_strong(expected, setup.to(WaiterState::kWaiting, 0).raw())) {
    return std::nullopt;  // somebody believes that this worker is dead: it is about to fence itself
  }
  raise_demand(pool);
  return Waiter(pool, row, setup.inc());
}

void Waiter::ring_keeper() { cell().pool_quota_class.fetch_or(kRings); }

void Waiter::set_local_only(bool local_only) {
  Word32& belongs = cell().pool_quota_class;
  const std::uint32_t rest = belongs.load(std::memory_order_relaxed) & ~kLocalOnly;
  belongs.store(rest | (local_only ? kLocalOnly : 0), std::memory_order_relaxed);
}

std::uint32_t Waiter::ahead() const {
  const std::span<WaiterRow> rows = pool_->segment().waiters();
  const std::uint64_t mine = cell().ticket.load(std::memory_order_relaxed);
  std::uint32_t ahead = 0;
  for (const WaiterRow& row : rows.first(
           std::min<std::size_t>(pool_->segment().header().waiters_high.load(), rows.size()))) {
    if (WaiterWord(row.word.load(std::memory_order_relaxed)).state() != WaiterState::kWaiting) {
      continue;
    }
    const bool same = (row.pool_quota_class.load(std::memory_order_relaxed) & 0xfff) == pool_->id();
    ahead += same && row.ticket.load(std::memory_order_relaxed) < mine ? 1 : 0;
  }
  return ahead;
}

void Waiter::wait(Deadline until) {
  WaiterRow& row = cell();
  if (row.futex.load() == 0) futex_wait(row.futex, 0, until);
}

bool Waiter::take_back(WaiterWord seen) {
  std::uint64_t expected = seen.raw();
  const WaiterWord again = seen.to_waiting_again();
  if (!cell().word.compare_exchange_strong(expected, again.raw())) return false;
  inc_ = again.inc();
  return true;
}

bool Waiter::leave(WaiterWord seen) {
  std::uint64_t expected = seen.raw();
  return cell().word.compare_exchange_strong(expected, seen.to_free().raw());
}

void raise_demand(const PoolRef& pool) {
  set_demanded(pool.row());
  if (!pool.has_quota()) return;
  for (PoolRow& row : pool.segment().pools()) {
    if (row.declared.load(std::memory_order_relaxed) != 0 && row.quota.load() == pool.quota()) {
      set_demanded(row);
    }
  }
}

bool lower_demand(const PoolRef& pool, WorkerId self) {
  pool.row().demand.fetch_and(~DemandWord::kWaiting);
  if (!look_at_line(pool, self).anybody()) return true;
  set_demanded(pool.row());
  return false;
}

}  // namespace weir::shm
