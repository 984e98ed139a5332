// ShmWorld: a small segment in a folder of its own, and the few lines every test of room shm needs:
// joining, declaring, dying.
//
// Several Memberships in one process stand for several workers: each has a row and a byte lock of
// its own. Threads: set up by one; the segment from any.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "shm/declare.h"
#include "shm/pool_ref.h"
#include "shm/rooms.h"
#include "shm/segment.h"
#include "shm/worker_table.h"
#include "support/temp_folder.h"

namespace weir::test {

/// Room for a few of everything: quick to make, quick to scan.
inline constexpr shm::Geometry kSmallGeometry{.workers = 8,
                                              .waiters = 12,
                                              .quotas = 4,
                                              .pools = 4,
                                              .places = 64,
                                              .permits = 64,
                                              .stats_per_worker = 2,
                                              .events_per_worker = 4};

class ShmWorld {
 public:
  explicit ShmWorld(const shm::Geometry& geometry = kSmallGeometry);

  [[nodiscard]] std::string folder() const { return folder_.path().string(); }
  [[nodiscard]] shm::SegmentOptions options() const;
  [[nodiscard]] shm::Segment& segment() const { return *segment_; }

  [[nodiscard]] std::unique_ptr<shm::Membership> join(std::string_view service = "test") const;
  /// Declares on behalf of `self`; a refusal fails the process.
  [[nodiscard]] std::uint32_t quota(shm::WorkerId self, std::uint32_t limit,
                                    const std::string& name = "shared") const;
  [[nodiscard]] shm::PoolRef pool(shm::WorkerId self, std::uint32_t max) const;
  [[nodiscard]] shm::PoolRef pool(shm::WorkerId self,
                                  const shm::PoolDeclaration& declaration) const;

 private:
  TempFolder folder_{"/dev/shm/weir-test-"};  // in memory, where segments live
  std::unique_ptr<shm::Segment> segment_;
};

/// What SIGKILL does to a worker as others see it: its lock is free, its words stay.
void die(std::unique_ptr<shm::Membership>& worker);

/// What place `index` of the pool reads.
[[nodiscard]] shm::PlaceWord place_word(const shm::PoolRef& pool, shm::PlaceIndex index);
/// How many places of the pool are in `state`.
[[nodiscard]] std::uint32_t count_places(const shm::PoolRef& pool, shm::PlaceState state);
/// How many permits of the pool's quota are held, void ones included.
[[nodiscard]] std::uint32_t count_held_permits(const shm::PoolRef& pool);
/// How many waiter rows of the segment are not free.
[[nodiscard]] std::uint32_t count_waiters(const shm::Segment& segment);
/// How many turns to connect are taken, by whomever.
[[nodiscard]] std::uint32_t count_turns(const shm::PoolRef& pool);

/// Moves a place of ours on by compare-and-swap, as its owner may. False if it was not `room.word`.
bool move_place(const shm::PoolRef& pool, shm::WorkerId self, shm::Room& room,
                shm::PlaceState state);

}  // namespace weir::test
