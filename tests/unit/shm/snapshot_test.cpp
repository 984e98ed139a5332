#include "shm/snapshot.h"

#include <gtest/gtest.h>

#include <numeric>

#include "shm/admin.h"
#include "shm/reaper.h"
#include "shm/rooms.h"
#include "shm/stats.h"
#include "shm/turns.h"
#include "support/shm_world.h"

namespace weir::shm {
namespace {

using test::ShmWorld;

class Snapshots : public ::testing::Test {
 protected:
  PoolRef shared_pool() {
    PoolDeclaration declaration;
    declaration.name = "main";
    declaration.driver = "fake";
    declaration.max = 6;
    declaration.min = 1;
    declaration.quota = world_.quota(me_->id(), 5);
    declaration.connect_concurrency = 4;
    return world_.pool(me_->id(), declaration);
  }
  Room room_in(const Membership& worker, PlaceState state) {
    Room room = *take_room(pool_, worker.id());
    WEIR_CHECK(state == PlaceState::kOpening || test::move_place(pool_, worker.id(), room, state));
    return room;
  }
  /// What a monitor sees, who maps the segment read-only.
  Snapshot look() {
    const auto monitor = Segment::open_read_only(world_.options());
    WEIR_CHECK(monitor.ok());
    return take_snapshot(*monitor.value());
  }

  ShmWorld world_;
  std::unique_ptr<Membership> me_ = world_.join("web");
  std::unique_ptr<Membership> other_ = world_.join("batch");
  PoolRef pool_ = shared_pool();
};

TEST_F(Snapshots, OfAnIdleSegmentShowWhatIsDeclared) {
  const Snapshot snapshot = look();
  EXPECT_EQ(snapshot.path, world_.segment().path());
  EXPECT_EQ(snapshot.bytes, offsets_of(test::kSmallGeometry).end);
  EXPECT_EQ(snapshot.poison_reason, "");
  ASSERT_EQ(snapshot.quotas.size(), 1u);
  EXPECT_EQ(snapshot.quotas[0].name, "shared");
  EXPECT_EQ(snapshot.quotas[0].limit, 5u);
  EXPECT_EQ(snapshot.quotas[0].free, 5u);
  const PoolSnapshot* pool = snapshot.pool("main");
  ASSERT_NE(pool, nullptr);
  EXPECT_EQ(pool->max, 6u);
  EXPECT_EQ(pool->min, 1u);
  EXPECT_EQ(pool->driver, "fake");
  EXPECT_EQ(pool->quota, snapshot.quotas[0].row);
  EXPECT_EQ(pool->in(PlaceState::kFree), 6u);
  EXPECT_EQ(pool->occupied(), 0u);
  EXPECT_EQ(snapshot.pool("other"), nullptr);
  ASSERT_EQ(snapshot.workers.size(), 2u);
  EXPECT_EQ(snapshot.workers[0].service, "web");
  EXPECT_EQ(snapshot.workers[1].service, "batch");
  EXPECT_FALSE(snapshot.workers[0].dead);
  EXPECT_TRUE(snapshot.waiters.empty());
}

TEST_F(Snapshots, AddUp) {
  (void)room_in(*me_, PlaceState::kUsed);
  (void)room_in(*me_, PlaceState::kIdle);
  (void)room_in(*other_, PlaceState::kClosing);
  (void)room_in(*other_, PlaceState::kOpening);
  auto dying = world_.join();
  (void)room_in(*dying, PlaceState::kUsed);
  test::die(dying);
  (void)reap(world_.segment(), me_->id());
  const auto waiter = Waiter::enter(pool_, other_->id(), Deadline::never(), "job 7", 0);
  ASSERT_TRUE(waiter);
  ASSERT_TRUE(take_turn(pool_, other_->id(), monotonic_ns()));

  const Snapshot snapshot = look();
  const PoolSnapshot& pool = *snapshot.pool("main");
  EXPECT_EQ(pool.in(PlaceState::kUsed), 1u);
  EXPECT_EQ(pool.in(PlaceState::kIdle), 1u);
  EXPECT_EQ(pool.in(PlaceState::kClosing), 1u);
  EXPECT_EQ(pool.in(PlaceState::kOpening), 1u);
  EXPECT_EQ(pool.in(PlaceState::kLingering), 1u);
  EXPECT_EQ(pool.in(PlaceState::kFree), 1u);
  EXPECT_EQ(pool.occupied(), 5u);
  EXPECT_EQ(pool.places.size(), 6u);
  EXPECT_EQ(std::accumulate(pool.count.begin(), pool.count.end(), 0u), pool_.capacity());
  EXPECT_EQ(pool.handshakes, 1u);
  EXPECT_EQ(pool.waiting, 1u);
  EXPECT_EQ(snapshot.quotas[0].held, 5u);
  EXPECT_EQ(snapshot.quotas[0].free, 0u);

  std::uint32_t of_workers = 0;
  for (const WorkerSnapshot& worker : snapshot.workers) {
    of_workers += worker.idle + worker.used + worker.connecting + worker.closing;
  }
  EXPECT_EQ(of_workers + pool.in(PlaceState::kLingering), pool.occupied());
  ASSERT_EQ(snapshot.waiters.size(), 1u);
  EXPECT_EQ(snapshot.waiters[0].label, "job 7");
  EXPECT_EQ(snapshot.waiters[0].worker, other_->id().row);
  EXPECT_EQ(snapshot.waiters[0].pool, pool.row);
  EXPECT_EQ(snapshot.workers[other_->id().row].waiting, 1u);
}

TEST_F(Snapshots, CountTheConnectionsAndCallersOfEachClass) {
  PoolRow& row = pool_.row();
  row.class_names[0].store("auth");
  row.class_floors[0].store(3);
  row.class_names[1].store("jobs");
  row.classes.store(2);
  const PlaceIndex used = room_in(*me_, PlaceState::kUsed).place;
  pool_.info(used).holder_class.store(1);
  const PlaceIndex idle = room_in(*me_, PlaceState::kIdle).place;
  pool_.info(idle).holder_class.store(1);
  const auto waiter = Waiter::enter(pool_, other_->id(), Deadline::never(), "job 7", 0, 2);
  ASSERT_TRUE(waiter);

  const std::vector<ClassSnapshot> classes = look().pool("main")->classes;
  ASSERT_EQ(classes.size(), 2u);
  EXPECT_EQ(classes[0].name, "auth");
  EXPECT_EQ(classes[0].floor, 3u);
  EXPECT_EQ(classes[0].used, 1u) << "what is idle is nobody's";
  EXPECT_EQ(classes[0].waiting, 0u);
  EXPECT_EQ(classes[1].used, 0u);
  EXPECT_EQ(classes[1].waiting, 1u);
}

TEST_F(Snapshots, ShowWhoHoldsAPlaceAndSinceWhen) {
  const Room room = room_in(*other_, PlaceState::kUsed);
  PlaceInfo& info = pool_.info(room.place);
  info.since_ns.store(monotonic_ns() - 5'000'000);
  info.opened_ns.store(monotonic_ns() - 9'000'000'000);
  info.leases.store(12);
  info.leases_before.store(9);
  info.holder_pid.store(99);
  info.holder_thread.store(100);
  info.label.store("GET /");
  info.store_token("token");
  const Snapshot snapshot = look();
  const PlaceSnapshot& place = snapshot.pool("main")->places[room.place];
  EXPECT_EQ(place.index, room.place);
  EXPECT_EQ(place.state, PlaceState::kUsed);
  EXPECT_EQ(place.occ, room.word.occ());
  EXPECT_EQ(place.worker, other_->id().row);
  EXPECT_GE(place.state_ns, 5'000'000u);
  EXPECT_LT(place.state_ns, 4'000'000'000u);
  EXPECT_GE(place.age_ns, 9'000'000'000u);
  EXPECT_EQ(place.leases, 12u);
  EXPECT_EQ(place.session_leases, 3u);
  EXPECT_EQ(place.holder_pid, 99u);
  EXPECT_EQ(place.holder_thread, 100u);
  EXPECT_EQ(place.label, "GET /");
  EXPECT_EQ(place.token, "token");
  EXPECT_EQ(snapshot.pool("main")->acquires, 12u);
}

TEST_F(Snapshots, ShowAConnectionOnItsWayWithBothItsWorkers) {
  Room giving = room_in(*me_, PlaceState::kUsed), parked = room_in(*me_, PlaceState::kUsed);
  pool_.places()[giving.place].store(giving.word.to_giving(me_->id(), other_->id()).raw());
  ASSERT_TRUE(test::move_place(pool_, other_->id(), parked, PlaceState::kParked));
  record_handover(pool_, 25'000);
  const Snapshot snapshot = look();
  const PoolSnapshot& pool = *snapshot.pool("main");
  EXPECT_EQ(pool.occupied(), 2u);
  EXPECT_EQ(pool.places[giving.place].worker, me_->id().row);
  EXPECT_EQ(pool.places[giving.place].to, other_->id().row);
  EXPECT_EQ(pool.places[parked.place].worker, other_->id().row);
  EXPECT_EQ(pool.places[parked.place].to, kNone);
  EXPECT_EQ(snapshot.workers[0].used, 1u);
  EXPECT_EQ(snapshot.workers[1].idle, 1u);
  EXPECT_EQ(pool.handovers[1], 1u);
  EXPECT_EQ(pool.counter(Counter::kHandedLive), 1u);
}

TEST_F(Snapshots, TellTheDeadNobodyHasSettled) {
  const std::uint32_t row = other_->id().row;
  test::die(other_);
  const Snapshot snapshot = look();
  ASSERT_EQ(snapshot.workers.size(), 2u);
  EXPECT_EQ(snapshot.workers[1].row, row);
  EXPECT_TRUE(snapshot.workers[1].dead);
  EXPECT_FALSE(snapshot.workers[0].dead);
}

TEST_F(Snapshots, ShowWhyAPlaceLingers) {
  const Room room = room_in(*other_, PlaceState::kClosing);
  test::die(other_);
  (void)reap(world_.segment(), me_->id());
  const Snapshot snapshot = look();
  const PlaceSnapshot& place = snapshot.pool("main")->places[room.place];
  EXPECT_EQ(place.state, PlaceState::kLingering);
  EXPECT_EQ(place.cause, LingerCause::kClosing);
  EXPECT_EQ(place.worker, kNone);
}

TEST_F(Snapshots, CountAPermitWhosePlaceIsGoneAsFree) {
  const Room room = room_in(*me_, PlaceState::kOpening);
  EXPECT_EQ(look().quotas[0].held, 1u);
  pool_.places()[room.place].store(room.word.to_free().raw());
  EXPECT_EQ(look().quotas[0].held, 0u);
  EXPECT_EQ(look().quotas[0].free, 5u);
}

TEST_F(Snapshots, SumTheFiguresOfAllWorkers) {
  StatsBook(pool_, me_->id()).add(Counter::kConnects, 3);
  StatsBook(pool_, other_->id()).add(Counter::kConnects, 4);
  StatsBook(pool_, other_->id()).record(Histogram::kUse, 11'000);
  count(pool_, Counter::kRevoked, 2);
  const Snapshot snapshot = look();
  EXPECT_EQ(snapshot.pool("main")->counter(Counter::kConnects), 7u);
  EXPECT_EQ(snapshot.pool("main")->counter(Counter::kRevoked), 2u);
  EXPECT_EQ(snapshot.pool("main")->histograms[static_cast<std::size_t>(Histogram::kUse)][1], 1u);
}

TEST_F(Snapshots, NameWhatDecidesForAPoolInEachWorkerThatNotedIt) {
  StatsBook(pool_, me_->id());
  StatsBook(pool_, other_->id()).note_policy({.name = "fixed", .target = 3});
  const Snapshot snapshot = look();
  ASSERT_EQ(snapshot.pool("main")->policies.size(), 1u);
  EXPECT_EQ(snapshot.pool("main")->policies[0].worker, other_->id().row);
  EXPECT_EQ(snapshot.pool("main")->policies[0].note.name, "fixed");
  EXPECT_EQ(snapshot.pool("main")->policies[0].note.target, 3u);
}

TEST_F(Snapshots, HaveTheLongestWaitFirst) {
  const auto first = Waiter::enter(pool_, me_->id(), Deadline::never(), "first", 0);
  const auto second = Waiter::enter(pool_, me_->id(), Deadline::never(), "second", 0);
  world_.segment().waiters()[first->row()].since_ns.store(monotonic_ns() - 2'000'000'000);
  world_.segment().waiters()[second->row()].since_ns.store(monotonic_ns() - 3'000'000'000);
  const Snapshot snapshot = look();
  ASSERT_EQ(snapshot.waiters.size(), 2u);
  EXPECT_EQ(snapshot.waiters[0].label, "second");
  EXPECT_GE(snapshot.pool("main")->oldest_wait_ns, 3'000'000'000u);
}

TEST_F(Snapshots, LeaveOutImpossibleValuesAndFollowNone) {
  PoolRow& row = pool_.row();
  pool_.places()[0].store(~std::uint64_t{0});
  world_.segment().waiters()[0].word.store(~std::uint64_t{0});
  world_.segment().quotas()[0].first_permit.store(UINT32_MAX);
  Snapshot snapshot = look();
  EXPECT_EQ(snapshot.pool("main")->places.size(), 5u);
  EXPECT_TRUE(snapshot.waiters.empty());
  EXPECT_EQ(snapshot.quotas[0].held + snapshot.quotas[0].free, 0u);
  row.first_place.store(UINT32_MAX);
  row.capacity.store(UINT32_MAX);
  snapshot = look();
  EXPECT_TRUE(snapshot.pool("main")->places.empty());
}

TEST_F(Snapshots, CountConnectionsOfOlderGenerationsAndNoEmptyPlace) {
  const auto begun_in = [&](std::uint32_t generation, PlaceState state) {
    const Room room = room_in(*me_, state);
    pool_.info(room.place).generation.store(generation);
    return room;
  };
  begun_in(0, PlaceState::kUsed);
  begun_in(1, PlaceState::kIdle);
  begun_in(2, PlaceState::kClosing);
  const Room left = begun_in(0, PlaceState::kOpening);
  ASSERT_TRUE(decide(world_.segment(), "main", Decision::kDrain).ok());
  ASSERT_TRUE(decide(world_.segment(), "main", Decision::kDrain).ok());
  EXPECT_EQ(look().pool("main")->generation, 2u);
  EXPECT_EQ(look().pool("main")->older_than(2), 3u);
  leave_room(pool_, me_->id(), left.place, left.word);
  EXPECT_EQ(look().pool("main")->older_than(2), 2u) << "its place is empty";
  EXPECT_EQ(look().pool("main")->older_than(1), 1u) << "of what an earlier drain meant";
  test::die(me_);
  reap(world_.segment(), other_->id());
  EXPECT_EQ(look().pool("main")->older_than(2), 2u) << "the server may still have them";
}

}  // namespace
}  // namespace weir::shm
