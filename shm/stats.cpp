#include "shm/stats.h"

#include <algorithm>

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
      row.owner.store(owner_mark(pool, self));
    }
    row_ = &row;
    return;
  }
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
