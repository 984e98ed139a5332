#include "shm/reaper.h"

#include <gtest/gtest.h>

#include "shm/rooms.h"
#include "shm/stats.h"
#include "support/shm_world.h"

namespace weir::shm {
namespace {

using test::count_waiters;
using test::place_word;
using test::ShmWorld;

class Reaping : public ::testing::Test {
 protected:
  Reaped reap_now() { return reap(world_.segment(), me_->id()); }
  Room room_in(PlaceState state) {
    Room room = *take_room(pool_, dying_->id());
    WEIR_CHECK(state == PlaceState::kOpening || test::move_place(pool_, dying_->id(), room, state));
    return room;
  }
  Waiter enter(const Membership& worker) {
    auto waiter = Waiter::enter(pool_, worker.id(), Deadline::never(), "", 0);
    WEIR_CHECK(waiter.has_value());
    return *waiter;
  }

  ShmWorld world_;
  std::unique_ptr<Membership> me_ = world_.join();
  std::unique_ptr<Membership> dying_ = world_.join();
  PoolRef pool_ = world_.pool(me_->id(), 4);
};

TEST_F(Reaping, FindsNothingWhileEverybodyLives) {
  (void)room_in(PlaceState::kUsed);
  EXPECT_FALSE(reap_now().anything());
  EXPECT_EQ(place_word(pool_, 0).state(), PlaceState::kUsed);
}

TEST_F(Reaping, LeavesEveryPlaceOfTheDeadLingeringWithWhatItWas) {
  const Room opening = room_in(PlaceState::kOpening), idle = room_in(PlaceState::kIdle),
             used = room_in(PlaceState::kUsed), closing = room_in(PlaceState::kClosing);
  const WorkerId dead = dying_->id();
  test::die(dying_);
  const Reaped reaped = reap_now();
  EXPECT_EQ(reaped.workers, 1u);
  EXPECT_EQ(reaped.places, 4u);
  const auto cause = [&](const Room& room) {
    const PlaceWord word = place_word(pool_, room.place);
    EXPECT_EQ(word.state(), PlaceState::kLingering);
    EXPECT_EQ(word.occ(), room.word.occ());
    EXPECT_EQ(word.gen(), dead.row);
    return word.linger_cause();
  };
  EXPECT_EQ(cause(opening), LingerCause::kOpening);
  EXPECT_EQ(cause(idle), LingerCause::kIdle);
  EXPECT_EQ(cause(used), LingerCause::kUsed);
  EXPECT_EQ(cause(closing), LingerCause::kClosing);
  EXPECT_EQ(WorkerWord(world_.segment().workers()[dead.row].word.load()),
            WorkerWord(WorkerState::kFree, dead.gen));
  EXPECT_FALSE(reap_now().anything());
}

TEST_F(Reaping, TakesTheDeadOutOfTheLineWhateverTheyWaitedFor) {
  const Waiter waiting = enter(*dying_), claimed = enter(*dying_), granted = enter(*dying_);
  const Waiter alive = enter(*me_);
  WaiterRow& setup = world_.segment().waiters()[alive.row() + 1];
  setup.word.store(WaiterWord(WaiterState::kSetup, dying_->id().row, 0, 5).raw());
  Word& claimed_word = world_.segment().waiters()[claimed.row()].word;
  claimed_word.store(claimed.word().to(WaiterState::kClaimed, 1).raw());
  Word& granted_word = world_.segment().waiters()[granted.row()].word;
  granted_word.store(granted.word().to(WaiterState::kGranted, 1).raw());
  const std::uint64_t inc = waiting.word().inc();
  test::die(dying_);
  (void)reap_now();
  EXPECT_EQ(count_waiters(world_.segment()), 1u);
  EXPECT_EQ(alive.word().state(), WaiterState::kWaiting);
  EXPECT_EQ(waiting.word().inc(), inc + 1);
}

TEST_F(Reaping, FreesWhatWasOfferedToTheDead) {
  std::vector<Room> rooms;
  for (int i = 0; i < 4; ++i) rooms.push_back(*take_room(pool_, me_->id()));
  (void)enter(*dying_);
  leave_room(pool_, me_->id(), rooms[0].place, rooms[0].word);
  ASSERT_EQ(place_word(pool_, rooms[0].place).state(), PlaceState::kOffered);
  test::die(dying_);
  (void)reap_now();
  EXPECT_EQ(place_word(pool_, rooms[0].place).state(), PlaceState::kFree);
  EXPECT_EQ(pool_.row().demand.load(), 1u);  // so that the next release looks
}

TEST_F(Reaping, LeavesOffersToTheLivingAlone) {
  std::vector<Room> rooms;
  for (int i = 0; i < 4; ++i) rooms.push_back(*take_room(pool_, dying_->id()));
  const Waiter waiter = enter(*me_);
  leave_room(pool_, dying_->id(), rooms[0].place, rooms[0].word);  // the giver dies right after
  test::die(dying_);
  EXPECT_EQ(reap_now().places, 3u);
  EXPECT_TRUE(accept_offer(pool_, me_->id(), waiter, waiter.word()));
}

TEST_F(Reaping, WakesThoseWhomADeadGiverHadClaimed) {
  const Room room = room_in(PlaceState::kOpening);
  Waiter waiter = enter(*me_);
  waiter.clear_wake();
  ASSERT_TRUE(claim(pool_, *look_at_line(pool_, dying_->id()).oldest, room.place));
  test::die(dying_);
  (void)reap_now();
  EXPECT_EQ(world_.segment().waiters()[waiter.row()].futex.load(), 1u);
  EXPECT_FALSE(accept_offer(pool_, me_->id(), waiter, waiter.word()));
  EXPECT_TRUE(waiter.take_back(waiter.word()));
  EXPECT_EQ(place_word(pool_, room.place).state(), PlaceState::kLingering);
}

TEST_F(Reaping, RingsTheKeepersOfTheLiving) {
  (void)room_in(PlaceState::kUsed);
  test::die(dying_);
  const std::uint32_t before = me_->row().doorbell.load();
  (void)reap_now();
  EXPECT_GT(me_->row().doorbell.load(), before);
}

TEST_F(Reaping, SettlesOrphansWithoutAskingAnyLock) {
  // A place whose worker's row has gone on to another generation, as after a slow sender.
  Room room = room_in(PlaceState::kUsed);
  const PlaceWord orphan(PlaceState::kIdle, dying_->id().row, dying_->id().gen + 5,
                         room.word.occ());
  pool_.places()[room.place].store(orphan.raw());
  const Reaped reaped = reap_now();
  EXPECT_EQ(reaped.workers, 0u);
  EXPECT_EQ(reaped.places, 1u);
  EXPECT_EQ(place_word(pool_, room.place).linger_cause(), LingerCause::kIdle);
}

TEST_F(Reaping, OfOnesOwnRowNeverHappens) {
  const Room room = *take_room(pool_, me_->id());
  // Its own lock reads free to whoever asks through the same description; the row is skipped.
  EXPECT_FALSE(reap_now().anything());
  EXPECT_EQ(place_word(pool_, room.place), room.word);
}

TEST_F(Reaping, BySeveralAtOnceSettlesEachWordOnce) {
  (void)room_in(PlaceState::kUsed);
  const auto third = world_.join();
  const WorkerWord seen(world_.segment().workers()[dying_->id().row].word.load());
  const std::uint32_t row = dying_->id().row;
  test::die(dying_);
  EXPECT_EQ(settle_dead_worker(world_.segment(), row, seen), 1u);
  const auto next = world_.join();  // the next generation of that row, with a place of its own
  ASSERT_EQ(next->id().row, row);
  const Room room = *take_room(pool_, next->id());
  // A reaper that was slow: all it knows is of the generation before.
  EXPECT_EQ(settle_dead_worker(world_.segment(), row, seen), 0u);
  EXPECT_EQ(place_word(pool_, room.place), room.word);
  EXPECT_TRUE(next->is_sound());
  EXPECT_EQ(WorkerWord(world_.segment().workers()[row].word.load()).gen(), next->id().gen);
}

TEST_F(Reaping, OfTheNextGenerationsWaitersIsNotForTheSlow) {
  const WorkerWord seen(world_.segment().workers()[dying_->id().row].word.load());
  const std::uint32_t row = dying_->id().row;
  test::die(dying_);
  (void)reap_now();
  const auto next = world_.join();
  ASSERT_EQ(next->id().row, row);
  const Waiter waiter = enter(*next);
  (void)settle_dead_worker(world_.segment(), row, seen);
  EXPECT_EQ(waiter.word().state(), WaiterState::kWaiting);
}

// A worker that lost its lock and has not noticed: no caller of its may pass for one of the next
// worker in its row, who would grant it a place of its own.
TEST_F(Reaping, LetsNobodyInLineUnderARowThatIsNotItsOwnAnyMore) {
  const WorkerId believed_dead = dying_->id();
  test::die(dying_);
  (void)reap_now();
  const auto enter_late = [&] {
    return Waiter::enter(pool_, believed_dead, Deadline::never(), "late", 0);
  };
  EXPECT_FALSE(enter_late());
  const auto next = world_.join();
  ASSERT_EQ(next->id().row, believed_dead.row);
  EXPECT_FALSE(enter_late());
  EXPECT_FALSE(look_at_line(pool_, next->id()).oldest_own);
}

TEST_F(Reaping, IsMadeUpForByTheNextInTheRowWhereSomebodyGotInLineAfterIt) {
  // Between its look at the row and its word in line the row was settled: as if it stood there.
  const std::uint32_t row = dying_->id().row;
  test::die(dying_);
  (void)reap_now();
  Word& word = world_.segment().waiters()[0].word;
  word.store(WaiterWord(WaiterState::kWaiting, row, 0, 7).raw());
  const auto next = world_.join();
  ASSERT_EQ(next->id().row, row);
  EXPECT_EQ(WaiterWord(word.load()).state(), WaiterState::kFree);
}

TEST_F(Reaping, HappensOncePerPeriodOnTheWholeMachine) {
  const std::uint64_t now = monotonic_ns();
  world_.segment().header().last_reap_ns.store(now);
  (void)room_in(PlaceState::kUsed);
  test::die(dying_);
  EXPECT_FALSE(reap_if_due(world_.segment(), me_->id(), now + kReapPeriodNs - 1).anything());
  EXPECT_TRUE(reap_if_due(world_.segment(), me_->id(), now + kReapPeriodNs).anything());
  EXPECT_EQ(world_.segment().header().last_reap_ns.load(), now + kReapPeriodNs);
}

TEST_F(Reaping, OfAnImpossiblePlacePoisonsTheSegment) {
  pool_.places()[1].store(13);
  (void)reap_now();
  EXPECT_TRUE(world_.segment().is_poisoned());
  EXPECT_EQ(pool_.places()[1].load(), 13u);
}

}  // namespace
}  // namespace weir::shm
