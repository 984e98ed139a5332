#include "pool/surroundings.h"

#include <algorithm>

#include "pool/stats.h"
#include "shm/line.h"
#include "shm/stats.h"

namespace weir::pool {

using shm::PlaceIndex;
using shm::PlaceState;
using shm::PlaceWord;

void Surroundings::look(const shm::PoolRef& pool, shm::WorkerId self) {
  look_at_pools(pool);
  look_at_workers(pool, self);
  look_at_classes(pool);
  count_waiting(pool);
}

void Surroundings::look_at_pools(const shm::PoolRef& pool) {
  pools_.clear();
  pool_rows_.clear();
  pool_names_.clear();
  for (const shm::PoolRef& one : shm::pools_of_quota(pool)) {
    Stats stats;
    for (const shm::Word& cell : one.places()) {
      add_places(stats, PlaceWord(cell.load(std::memory_order_relaxed)).state(), 1);
    }
    pools_.push_back({.max = one.row().max.load(), .idle = stats.idle, .used = stats.used});
    pool_rows_.push_back(one.id());
    pool_names_.push_back(one.row().name.load());
  }
  for (std::size_t i = 0; i < pools_.size(); ++i) pools_[i].name = pool_names_[i];
}

policy::WorkerShare* Surroundings::share_of(std::uint32_t row) {
  const std::uint32_t share = row < share_by_row_.size() ? share_by_row_[row] : shm::kNone;
  return share == shm::kNone ? nullptr : &workers_[share];
}

void Surroundings::look_at_workers(const shm::PoolRef& pool, shm::WorkerId self) {
  const shm::Segment& segment = pool.segment();
  const std::uint32_t high =
      std::min(segment.header().workers_high.load(), segment.geometry().workers);
  workers_.clear();
  share_by_row_.assign(high, shm::kNone);
  workers_alive_ = 0;
  for (std::uint32_t row = 0; row < high; ++row) {
    const shm::WorkerWord word(segment.workers()[row].word.load(std::memory_order_relaxed));
    if (word.state() != shm::WorkerState::kLive) continue;
    ++workers_alive_;
    if (!shm::may_use_pool(segment, row, pool.id())) continue;
    share_by_row_[row] = static_cast<std::uint32_t>(workers_.size());
    workers_.push_back({.is_here = row == self.row});
  }
  for (const shm::Word& cell : pool.places()) {
    const PlaceWord word(cell.load(std::memory_order_relaxed));
    const bool is_giving = word.state() == PlaceState::kGiving;
    if (!is_giving && !word.names_worker()) continue;
    policy::WorkerShare* const share = share_of(is_giving ? word.giver().row : word.idx());
    if (share == nullptr) continue;
    Stats one;
    add_places(one, word.state(), 1);
    share->idle += one.idle;
    share->used += one.used;
  }
}

void Surroundings::look_at_classes(const shm::PoolRef& pool) {
  const shm::PoolRow& row = pool.row();
  const auto count = std::min<std::size_t>(row.classes.load(), shm::kMaxClasses);
  classes_.clear();
  class_names_.clear();
  for (std::size_t i = 0; i < count; ++i) {
    classes_.push_back({.floor = row.class_floors[i].load()});
    class_names_.push_back(row.class_names[i].load());
  }
  if (count == 0) return;
  for (std::size_t i = 0; i < count; ++i) classes_[i].name = class_names_[i];
  for (PlaceIndex place = 0; place < pool.capacity(); ++place) {
    const PlaceWord word(pool.places()[place].load(std::memory_order_relaxed));
    const std::uint32_t klass = pool.info(place).holder_class.load(std::memory_order_relaxed);
    if (word.state() == PlaceState::kUsed && klass >= 1 && klass <= count) {
      ++classes_[klass - 1].used;
    }
  }
}

void Surroundings::count_waiting(const shm::PoolRef& pool) {
  for (const shm::Candidate& who : shm::everybody_in_line(pool)) {
    const auto row = std::find(pool_rows_.begin(), pool_rows_.end(), who.pool);
    if (row != pool_rows_.end()) {
      ++pools_[static_cast<std::size_t>(row - pool_rows_.begin())].waiting;
    }
    if (who.pool != pool.id()) continue;
    policy::WorkerShare* const share = share_of(who.word.owner_row());
    if (share != nullptr) ++share->waiting;
    if (who.klass >= 1 && who.klass <= classes_.size()) ++classes_[who.klass - 1].waiting;
  }
}

}  // namespace weir::pool
