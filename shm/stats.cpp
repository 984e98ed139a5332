#include "shm/stats.h"

#include <algorithm>

#include "base/text.h"

namespace weir::shm {
namespace {

std::uint64_t owner_mark(const PoolRef& pool, WorkerId self) {
  return std::uint64_t{self.gen} << 32 | (pool.id() + 1);
}

std::uint32_t pool_of(std::uint64_t mark) { return static_cast<std::uint32_t>(mark & 0xffffffffu); }

void move_into(Word& from, Word& to) {
  to.fetch_add(from.exchange(0, std::memory_order_relaxed), std::memory_order_relaxed);
}

void fold(const Segment& segment, StatsRow& row, std::uint32_t pool_plus_one) {
  if (pool_plus_one == 0 || pool_plus_one > segment.geometry().pools) return;
  StatsRow& totals = segment.pool_totals()[pool_plus_one - 1];
  for (std::size_t i = 0; i < kCounters; ++i) move_into(row.counters[i], totals.counters[i]);
  for (std::size_t h = 0; h < kHistograms; ++h) {
    for (std::size_t b = 0; b < kHistogramBuckets; ++b) {
      move_into(row.histograms[h][b], totals.histograms[h][b]);
    }
  }
}

void store_policy(StatsRow& row, const PolicyNote& note) {
  row.policy_name.store(note.name);
  row.policy_hash.store(note.hash);
  row.policy_error.store(cut_text(note.error, sizeof row.policy_error - 1));
  row.policy_bad_ticks.store(note.bad_ticks, std::memory_order_relaxed);
  row.policy_fallen_back.store(note.fallen_back ? 1 : 0, std::memory_order_relaxed);
  row.policy_reloaded.store(note.reloaded, std::memory_order_relaxed);
  row.size_target.store(note.target, std::memory_order_relaxed);
  row.size_warm.store(note.warm, std::memory_order_relaxed);
  row.size_max.store(note.max, std::memory_order_relaxed);
  row.size_max_per_worker.store(note.max_per_worker, std::memory_order_relaxed);
  row.size_handover_after_ms.store(note.handover_after_ms, std::memory_order_relaxed);
}

// The row of the living worker in `worker` for `pool`; null: it has none.
StatsRow* own_row(const Segment& segment, std::uint32_t worker, std::uint32_t pool) {
  const std::uint32_t per_worker = segment.geometry().stats_per_worker;
  const WorkerWord word(segment.workers()[worker].word.load());
  if (word.state() != WorkerState::kLive) return nullptr;
  const std::uint64_t mark = std::uint64_t{word.gen()} << 32 | (pool + 1);
  for (StatsRow& row : segment.stats().subspan(std::size_t{worker} * per_worker, per_worker)) {
    if (row.owner.load() == mark) return &row;
  }
  return nullptr;
}

// A pool's totals and everybody's rows of it. The totals first: what is folded in meanwhile is then
// seen once or not at all.
template <typename Each>
void for_each_row(const Segment& segment, std::uint32_t pool, Each each) {
  each(segment.pool_totals()[pool]);
  const std::size_t used =
      std::size_t{segment.header().workers_high.load()} * segment.geometry().stats_per_worker;
  const std::span<StatsRow> rows = segment.stats();
  for (StatsRow& row : rows.first(std::min(used, rows.size()))) {
    if (pool_of(row.owner.load(std::memory_order_relaxed)) == pool + 1) each(row);
  }
}

template <typename ValueOf>
std::uint64_t sum_of(const PoolRef& pool, Counter counter, ValueOf value_of) {
  std::uint64_t sum = 0;
  for_each_row(pool.segment(), pool.id(), [&](StatsRow& row) {
    sum += value_of(row.counters[static_cast<std::size_t>(counter)]);
  });
  return sum;
}

}  // namespace

StatsBook::StatsBook(const PoolRef& pool, WorkerId self) : row_(&pool.totals()) {
  const Segment& segment = pool.segment();
  const std::uint32_t per_worker = segment.geometry().stats_per_worker;
  for (StatsRow& row : segment.stats().subspan(std::size_t{self.row} * per_worker, per_worker)) {
    const std::uint64_t mark = row.owner.load();
    const bool mine = mark >> 32 == self.gen && pool_of(mark) != 0;
    if (mine && pool_of(mark) != pool.id() + 1) continue;
    if (!mine) {
      fold(segment, row, pool_of(mark));
      store_policy(row, {});
      row.owner.store(owner_mark(pool, self));
    }
    row_ = &row;
    is_own_ = true;
    return;
  }
}

void StatsBook::note_policy(const PolicyNote& note) {
  if (is_own_) store_policy(*row_, note);
}

std::optional<PolicyNote> policy_of(const Segment& segment, std::uint32_t row, std::uint32_t pool) {
  const StatsRow* const own = own_row(segment, row, pool);
  if (own == nullptr) return std::nullopt;
  PolicyNote note;
  note.name = own->policy_name.load();
  if (note.name.empty()) return std::nullopt;
  note.hash = own->policy_hash.load();
  note.error = own->policy_error.load();
  note.bad_ticks = own->policy_bad_ticks.load(std::memory_order_relaxed);
  note.fallen_back = own->policy_fallen_back.load(std::memory_order_relaxed) != 0;
  note.reloaded = own->policy_reloaded.load(std::memory_order_relaxed);
  note.target = own->size_target.load(std::memory_order_relaxed);
  note.warm = own->size_warm.load(std::memory_order_relaxed);
  note.max = own->size_max.load(std::memory_order_relaxed);
  note.max_per_worker = own->size_max_per_worker.load(std::memory_order_relaxed);
  note.handover_after_ms = own->size_handover_after_ms.load(std::memory_order_relaxed);
  return note;
}

bool may_use_pool(const Segment& segment, std::uint32_t row, std::uint32_t pool) {
  const std::uint32_t per_worker = segment.geometry().stats_per_worker;
  const std::uint64_t gen = WorkerWord(segment.workers()[row].word.load()).gen();
  for (const StatsRow& stats : segment.stats().subspan(std::size_t{row} * per_worker, per_worker)) {
    const std::uint64_t mark = stats.owner.load();
    const bool is_its_own = mark >> 32 == gen && pool_of(mark) != 0;
    if (!is_its_own) return false;  // rows are taken in order: it has no more
    if (pool_of(mark) == pool + 1) return true;
  }
  return true;
}

PoolFigures look_at_figures(const Segment& segment, std::uint32_t pool) {
  PoolFigures figures;
  for_each_row(segment, pool, [&](const StatsRow& row) {
    for (std::size_t i = 0; i < kCounters; ++i) {
      figures.counters[i] += row.counters[i].load(std::memory_order_relaxed);
    }
    for (std::size_t h = 0; h < kHistograms; ++h) {
      for (std::size_t b = 0; b < kHistogramBuckets; ++b) {
        figures.histograms[h][b] += row.histograms[h][b].load(std::memory_order_relaxed);
      }
    }
  });
  return figures;
}

std::uint64_t sum_counter(const PoolRef& pool, Counter counter) {
  return sum_of(pool, counter,
                [](const Word& cell) { return cell.load(std::memory_order_relaxed); });
}

std::uint64_t pop_counter(const PoolRef& pool, Counter counter) {
  return sum_of(pool, counter,
                [](Word& cell) { return cell.exchange(0, std::memory_order_relaxed); });
}

}  // namespace weir::shm
