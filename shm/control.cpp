#include "shm/control.h"

#include "shm/line.h"
#include "shm/stats.h"
#include "shm/worker_table.h"

namespace weir::shm {
namespace {

// True if `change` made another word of it.
template <typename Change>
bool change_demand(const PoolRef& pool, Change change) {
  Word32& cell = pool.row().demand;
  std::uint32_t raw = cell.load();
  while (true) {
    const DemandWord wanted = change(DemandWord(raw));
    if (wanted.raw() == raw) return false;
    if (cell.compare_exchange_weak(raw, wanted.raw())) return true;
  }
}

}  // namespace

bool pause(const PoolRef& pool) {
  if (!change_demand(pool, [](DemandWord word) { return word.paused(); })) return false;
  tell_pool(pool);
  return true;
}

bool resume(const PoolRef& pool) {
  if (!change_demand(pool, [](DemandWord word) { return word.resumed(); })) return false;
  tell_pool(pool);
  return true;
}

bool clear(const PoolRef& pool, bool cut) {
  const auto cleared = [](DemandWord word) {
    return word.is_paused() ? word : word.next_generation().paused();
  };
  if (!change_demand(pool, cleared)) return false;
  // A death before this leaves lent sessions to their holders, as without `cut`.
  if (cut) pool.row().cut_below.store(demand_of(pool.row()).generation());
  tell_pool(pool);
  return true;
}

void drain(const PoolRef& pool) {
  change_demand(pool, [](DemandWord word) { return word.next_generation(); });
  tell_pool(pool);
}

void tell_pool(const PoolRef& pool) {
  wake_waiters_of(pool);
  const std::span<WorkerRow> rows = pool.segment().workers();
  for (std::uint32_t i = 0; i < rows.size(); ++i) {
    const bool lives = WorkerWord(rows[i].word.load()).state() == WorkerState::kLive;
    if (lives && may_use_pool(pool.segment(), i, pool.id())) ring(pool.segment(), i);
  }
}

}  // namespace weir::shm
