// What a policy would be told of a pool, from snapshots of the segment: as a worker's keeper sees
// it, but from outside, so nothing is this worker's. Settings that the segment does not hold come
// from the workers' configuration, where it is known. Threads: one.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config/pool_config.h"
#include "policy/policy.h"
#include "policy/window.h"
#include "shm/snapshot.h"

namespace weir::cli {

class PolicyView {
 public:
  /// `config`: of the pool; null where it is not known.
  PolicyView(std::string pool, const config::PoolConfig* config);

  /// One more look, about a second after the last. False: there is no such pool.
  bool look(const shm::Snapshot& snapshot);
  /// Of the last look; valid until the next.
  [[nodiscard]] const policy::PoolView& view() const { return view_; }
  [[nodiscard]] const std::vector<policy::ConnectionView>& idle() const { return idle_; }

 private:
  void look_at_pool(const shm::Snapshot& snapshot, const shm::PoolSnapshot& pool);
  void look_at_shares(const shm::Snapshot& snapshot, const shm::PoolSnapshot& pool);
  void look_at_classes(const shm::PoolSnapshot& pool);
  void look_at_idle(const shm::PoolSnapshot& pool);

  const std::string pool_;
  std::uint64_t idle_timeout_ms_ = 0, handover_after_ms_ = 0;
  policy::SlidingWindow window_;
  std::vector<policy::PoolShare> pools_;
  std::vector<policy::WorkerShare> workers_;
  std::vector<policy::ClassShare> classes_;
  std::vector<policy::ConnectionView> idle_;
  std::vector<std::string> names_, class_names_;
  policy::PoolView view_;
};

}  // namespace weir::cli
