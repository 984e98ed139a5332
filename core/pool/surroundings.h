// Surroundings: who shares a pool's connections, as its policy is told: the pools of its quota, the
// workers that use it, its classes. Counted from the words, all at one look.
// Threads: one at a time. What the spans show is valid until the next look().
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "policy/policy.h"
#include "shm/pool_ref.h"
#include "shm/words.h"

namespace weir::pool {

class Surroundings {
 public:
  /// From where worker `self` stands.
  void look(const shm::PoolRef& pool, shm::WorkerId self);

  [[nodiscard]] std::span<const policy::PoolShare> pools() const { return pools_; }
  [[nodiscard]] std::span<const policy::WorkerShare> workers() const { return workers_; }
  [[nodiscard]] std::span<const policy::ClassShare> classes() const { return classes_; }
  /// Of the whole segment, whatever pools they use.
  [[nodiscard]] std::uint32_t workers_alive() const { return workers_alive_; }

 private:
  void look_at_pools(const shm::PoolRef& pool);
  void look_at_workers(const shm::PoolRef& pool, shm::WorkerId self);
  void look_at_classes(const shm::PoolRef& pool);
  void count_waiting(const shm::PoolRef& pool);
  [[nodiscard]] policy::WorkerShare* share_of(std::uint32_t row);

  std::vector<policy::PoolShare> pools_;
  std::vector<policy::WorkerShare> workers_;
  std::vector<policy::ClassShare> classes_;
  std::vector<std::string> pool_names_, class_names_;  // that shares show
  std::vector<std::uint32_t> pool_rows_;               // by share
  std::vector<std::uint32_t> share_by_row_;            // of workers_; kNone: it has none
  std::uint32_t workers_alive_ = 0;
};

}  // namespace weir::pool
