#include "shm/rooms.h"

#include <gtest/gtest.h>

#include <vector>

#include "shm/reaper.h"
#include "shm/stats.h"
#include "shm/turns.h"
#include "support/room_user.h"
#include "support/shm_world.h"

namespace weir::shm {
namespace {

using test::count_held_permits;
using test::count_places;
using test::place_word;
using test::ShmWorld;

class Rooms : public ::testing::Test {
 protected:
  Waiter enter(const PoolRef& pool, const Membership& worker) {
    auto waiter = Waiter::enter(pool, worker.id(), Deadline::never(), "label", 0);
    WEIR_CHECK(waiter.has_value());
    return *waiter;
  }
  Room take(const PoolRef& pool) {
    const auto room = take_room(pool, me_->id());
    WEIR_CHECK(room.has_value());
    return *room;
  }
  void leave(const PoolRef& pool, const Room& room) {
    leave_room(pool, me_->id(), room.place, room.word);
  }
  bool is_offered(const Waiter& waiter) {
    const WaiterWord word = waiter.word();
    if (word.state() != WaiterState::kClaimed) return false;
    return PlaceWord(world_.segment().places()[word.what()].load())
        .offers_to(waiter.row(), word.inc());
  }

  ShmWorld world_;
  std::unique_ptr<Membership> me_ = world_.join();
  std::unique_ptr<Membership> other_ = world_.join();
  PoolRef pool_ = world_.pool(me_->id(), 2);
};

TEST_F(Rooms, AreTakenUntilThePoolIsFull) {
  const Room first = take(pool_);
  EXPECT_EQ(first.word, place_word(pool_, first.place));
  EXPECT_EQ(first.word.state(), PlaceState::kOpening);
  EXPECT_TRUE(first.word.belongs_to(me_->id()));
  const Room second = take(pool_);
  EXPECT_NE(second.place, first.place);
  EXPECT_FALSE(take_room(pool_, other_->id()));
  leave(pool_, first);
  EXPECT_EQ(place_word(pool_, first.place).state(), PlaceState::kFree);
  EXPECT_TRUE(take_room(pool_, other_->id()));
}

TEST_F(Rooms, AreANewOccupationEachTime) {
  const Room first = take(pool_);
  leave(pool_, first);
  const Room again = take(pool_);
  EXPECT_EQ(again.place, first.place);
  EXPECT_EQ(again.word.occ(), first.word.occ() + 1);
}

TEST_F(Rooms, LeftGoToTheOldestInLine) {
  const Room room = take(pool_), kept = take(pool_);
  const Waiter oldest = enter(pool_, *other_), younger = enter(pool_, *me_);
  leave(pool_, room);
  EXPECT_TRUE(is_offered(oldest));
  EXPECT_FALSE(is_offered(younger));
  const auto accepted = accept_offer(pool_, other_->id(), oldest, oldest.word());
  ASSERT_TRUE(accepted);
  EXPECT_EQ(accepted->place, room.place);
  EXPECT_EQ(accepted->word.occ(), room.word.occ());
  EXPECT_TRUE(place_word(pool_, room.place).belongs_to(other_->id()));
  EXPECT_EQ(kept.word, place_word(pool_, kept.place));
}

TEST_F(Rooms, WithAClosedConnectionGoOnAsWell) {
  Room room = take(pool_);
  (void)take(pool_);
  ASSERT_TRUE(test::move_place(pool_, me_->id(), room, PlaceState::kUsed));
  ASSERT_TRUE(test::move_place(pool_, me_->id(), room, PlaceState::kClosing));
  const Waiter waiter = enter(pool_, *other_);
  leave(pool_, room);
  EXPECT_TRUE(is_offered(waiter));
}

TEST_F(Rooms, AreAcceptedOnceByWhomTheyWereOfferedTo) {
  const Room room = take(pool_);
  (void)take(pool_);
  const Waiter waiter = enter(pool_, *other_);
  leave(pool_, room);
  const WaiterWord seen = waiter.word();
  ASSERT_TRUE(accept_offer(pool_, other_->id(), waiter, seen));
  EXPECT_FALSE(accept_offer(pool_, other_->id(), waiter, seen));
}

TEST_F(Rooms, OnlyClaimedForAreNotAccepted) {
  const Waiter waiter = enter(pool_, *other_);
  ASSERT_TRUE(claim(pool_, *look_at_line(pool_, me_->id()).oldest, 1));
  EXPECT_FALSE(accept_offer(pool_, other_->id(), waiter, waiter.word()));
}

TEST_F(Rooms, ClaimedForAnImpossiblePlacePoisonTheSegment) {
  const Waiter waiter = enter(pool_, *other_);
  const WaiterWord impossible = waiter.word().to(WaiterState::kClaimed, 5000);
  EXPECT_FALSE(accept_offer(pool_, other_->id(), waiter, impossible));
  EXPECT_TRUE(world_.segment().is_poisoned());
}

TEST_F(Rooms, FreeBeforeSomebodyEnteredAreFoundByMatching) {
  const Waiter first = enter(pool_, *other_), second = enter(pool_, *me_);
  match(pool_, me_->id());
  EXPECT_TRUE(is_offered(first));
  EXPECT_TRUE(is_offered(second));
  EXPECT_EQ(count_places(pool_, PlaceState::kOffered), 2u);
}

TEST_F(Rooms, AreNotOfferedToThoseWhoWaitForTheirOwnWorkersConnection) {
  Waiter local = enter(pool_, *other_);
  local.set_local_only(true);
  match(pool_, me_->id());
  EXPECT_EQ(local.word().state(), WaiterState::kWaiting);
  EXPECT_EQ(count_places(pool_, PlaceState::kFree), 2u);
  EXPECT_EQ(pool_.row().demand.load(), 1u);
}

TEST_F(Rooms, MatchedWithNobodyLowerDemand) {
  raise_demand(pool_);
  match(pool_, me_->id());
  EXPECT_EQ(pool_.row().demand.load(), 0u);
  EXPECT_EQ(count_places(pool_, PlaceState::kFree), 2u);
}

TEST_F(Rooms, OfferedToOneWhoLeftAreTakenByThemOnTheWayOut) {
  const Room room = take(pool_);
  (void)take(pool_);
  Waiter waiter = enter(pool_, *other_);
  leave(pool_, room);
  const WaiterWord seen = waiter.word();
  ASSERT_TRUE(waiter.leave(seen));
  EXPECT_TRUE(accept_offer(pool_, other_->id(), waiter, seen));
}

TEST_F(Rooms, ClaimedForOneWhoLeavesBeforeTheOfferAreWithdrawnAndGoToTheNext) {
  // The giver stands between claim and offer while the waiter leaves: here the claim is made for
  // it.
  const Room room = take(pool_);
  (void)take(pool_);
  Waiter leaver = enter(pool_, *other_);
  const Candidate candidate = *look_at_line(pool_, me_->id()).oldest;
  ASSERT_TRUE(claim(pool_, candidate, room.place));
  ASSERT_TRUE(leaver.leave(leaver.word()));
  const Waiter next = enter(pool_, *me_);
  leave(pool_, room);
  EXPECT_TRUE(is_offered(next));
}

TEST_F(Rooms, OfferedInVainAreRevokedAtOnceOnlyWhenTheOfferIsVoid) {
  const Room room = take(pool_);
  (void)take(pool_);
  Waiter stopped = enter(pool_, *other_);
  leave(pool_, room);
  EXPECT_EQ(revoke_offers(pool_, me_->id(), monotonic_ns()), 0u);
  EXPECT_TRUE(is_offered(stopped));
  // The same waiter as another incarnation: the offer means nobody any more.
  ASSERT_TRUE(stopped.take_back(stopped.word()));
  EXPECT_EQ(revoke_offers(pool_, me_->id(), monotonic_ns()), 1u);
  EXPECT_TRUE(is_offered(stopped));  // handed on, and it is the oldest again
  EXPECT_EQ(sum_counter(pool_, Counter::kRevoked), 1u);
}

TEST_F(Rooms, OfferedToAStoppedWorkerGoToTheNextAfterAWhile) {
  const Room room = take(pool_);
  (void)take(pool_);
  const Waiter stopped = enter(pool_, *other_), next = enter(pool_, *me_);
  leave(pool_, room);
  EXPECT_EQ(revoke_offers(pool_, me_->id(), monotonic_ns() + kOfferPatienceNs), 1u);
  EXPECT_TRUE(is_offered(next));
  EXPECT_FALSE(is_offered(stopped));
  EXPECT_FALSE(accept_offer(pool_, other_->id(), stopped, stopped.word()));
}

TEST_F(Rooms, RevokedWithNobodyElseInLineAreFree) {
  const Room room = take(pool_);
  (void)take(pool_);
  Waiter leaver = enter(pool_, *other_);
  leave(pool_, room);
  ASSERT_TRUE(leaver.leave(leaver.word()));
  EXPECT_EQ(revoke_offers(pool_, me_->id(), monotonic_ns()), 1u);
  EXPECT_EQ(count_places(pool_, PlaceState::kFree), 1u);
}

TEST_F(Rooms, OfferedToAnImpossibleRowPoisonTheSegment) {
  const Room room = take(pool_);
  pool_.places()[room.place].store(room.word.to_offered(2000, 1).raw());
  EXPECT_EQ(revoke_offers(pool_, me_->id(), monotonic_ns()), 0u);
  EXPECT_TRUE(world_.segment().is_poisoned());
}

TEST_F(Rooms, OfTheDeadLingerUntilSomebodyConfirms) {
  const Room room = take(pool_);
  test::die(me_);
  EXPECT_EQ(reap(world_.segment(), other_->id()).places, 1u);
  const PlaceWord lingering = place_word(pool_, room.place);
  ASSERT_EQ(lingering.state(), PlaceState::kLingering);
  const Waiter waiter = enter(pool_, *other_);
  EXPECT_TRUE(settle_lingering(pool_, other_->id(), room.place, lingering));
  EXPECT_FALSE(settle_lingering(pool_, other_->id(), room.place, lingering));
  EXPECT_TRUE(is_offered(waiter));
  EXPECT_EQ(sum_counter(pool_, Counter::kReclaimed), 1u);
}

TEST_F(Rooms, SettledOverTheirOwnersHeadAreNotFreedByIt) {
  Room room = take(pool_);
  const PlaceWord lingering = room.word.to_lingering(LingerCause::kOpening, me_->id().row);
  pool_.places()[room.place].store(lingering.raw());
  leave(pool_, room);
  EXPECT_EQ(place_word(pool_, room.place), lingering);
  (void)enter(pool_, *other_);
  leave(pool_, room);
  EXPECT_EQ(place_word(pool_, room.place), lingering);
}

TEST_F(Rooms, FlaggedToRetireAreNotOffered) {
  Room room = take(pool_);
  (void)take(pool_);
  room.word = PlaceWord(PlaceState::kOpening, me_->id().row, me_->id().gen, room.word.occ(), true);
  pool_.places()[room.place].store(room.word.raw());
  const Waiter waiter = enter(pool_, *other_);
  leave(pool_, room);
  EXPECT_EQ(place_word(pool_, room.place).state(), PlaceState::kRetired);
  EXPECT_EQ(waiter.word().state(), WaiterState::kWaiting);
}

TEST_F(Rooms, FlaggedBetweenTheOwnersLookAndItsOfferAreStillItsToGive) {
  const Room room = take(pool_);
  (void)take(pool_);
  const Waiter waiter = enter(pool_, *other_);
  pool_.places()[room.place].store(
      PlaceWord(PlaceState::kOpening, me_->id().row, me_->id().gen, room.word.occ(), true).raw());
  leave(pool_, room);
  // Handed on within the old size, and out of service when it comes back.
  ASSERT_TRUE(is_offered(waiter));
  const auto accepted = accept_offer(pool_, other_->id(), waiter, waiter.word());
  ASSERT_TRUE(accepted);
  leave_room(pool_, other_->id(), accepted->place, accepted->word);
  EXPECT_EQ(place_word(pool_, room.place).state(), PlaceState::kRetired);
}

// ---- turns --------------------------------------------------------------------------------------

TEST_F(Rooms, AreNotOfferedWhileNoHandshakeCouldBegin) {
  pool_.row().connect_concurrency.store(1);
  const Turn turn = *take_turn(pool_, other_->id(), monotonic_ns());
  const Waiter waiter = enter(pool_, *me_);
  match(pool_, me_->id());
  EXPECT_EQ(waiter.word().state(), WaiterState::kWaiting);
  return_turn(pool_, turn);
  match(pool_, me_->id());
  EXPECT_TRUE(is_offered(waiter));
}

TEST_F(Rooms, AreOfferedNoMoreThanHandshakesCouldBegin) {
  pool_.row().connect_concurrency.store(1);
  const Waiter first = enter(pool_, *me_), second = enter(pool_, *me_);
  match(pool_, me_->id());
  EXPECT_TRUE(is_offered(first));
  EXPECT_EQ(second.word().state(), WaiterState::kWaiting);
}

// ---- two pools on one quota
// ----------------------------------------------------------------------

class RoomsOfAQuota : public Rooms {
 protected:
  PoolRef shared(const char* name, std::uint32_t max) {
    PoolDeclaration declaration;
    declaration.name = name;
    declaration.driver = "fake";
    declaration.max = max;
    declaration.quota = quota_;
    declaration.connect_concurrency = kMaxHandshakes;
    declaration.permit_quantum_ms = 0;  // the longest wait goes first whatever its pool
    return world_.pool(me_->id(), declaration);
  }
  std::uint32_t quota_ = world_.quota(me_->id(), 2);
  PoolRef a_ = shared("a", 2), b_ = shared("b", 2);
};

TEST_F(RoomsOfAQuota, LeftInOnePoolServeTheOther) {
  const Room first = take(a_);
  (void)take(a_);
  const Waiter waiter = enter(b_, *other_);
  match(b_, other_->id());
  EXPECT_EQ(waiter.word().state(), WaiterState::kWaiting);
  leave(a_, first);
  EXPECT_TRUE(is_offered(waiter));
  EXPECT_EQ(count_places(a_, PlaceState::kFree), 1u);
  EXPECT_EQ(count_held_permits(a_), 2u);
}

TEST_F(RoomsOfAQuota, GoToTheLongestWaitOfAllPools) {
  const Room first = take(a_);
  (void)take(a_);
  const Waiter mate = enter(b_, *other_), own = enter(a_, *me_);
  leave(a_, first);
  EXPECT_TRUE(is_offered(mate));
  EXPECT_EQ(own.word().state(), WaiterState::kWaiting);
}

// Who gets in line notes the time first and then draws a ticket; somebody else may do both in
// between.
TEST_F(RoomsOfAQuota, AreKeptByNoPoolForTheOtherWhereTicketsAndTimesDiffer) {
  const Room first = take(a_), second = take(a_);
  const Waiter late = enter(b_, *me_), early = enter(b_, *other_), between = enter(a_, *me_);
  const auto since = [&](const Waiter& waiter, std::uint64_t ns) {
    world_.segment().waiters()[waiter.row()].since_ns.store(ns);
  };
  since(early, 1000);
  since(between, 2000);
  since(late, 3000);
  leave(a_, first);
  leave(a_, second);
  EXPECT_TRUE(is_offered(late)) << "it has the first ticket of its pool";
  EXPECT_EQ(test::count_held_permits(a_), 2u) << "nothing is kept from who waits";
}

TEST_F(RoomsOfAQuota, StayInTheirPoolWithinTheQuantum) {
  a_.row().permit_quantum_ms.store(3'600'000);
  const Room first = take(a_);
  (void)take(a_);
  const Waiter mate = enter(b_, *other_), own = enter(a_, *me_);
  leave(a_, first);
  EXPECT_TRUE(is_offered(own));
  EXPECT_EQ(mate.word().state(), WaiterState::kWaiting);
}

TEST_F(RoomsOfAQuota, AreNotKeptForAMateWhosePoolIsFull) {
  const Room stuck = take(b_);
  b_.places()[1].store(PlaceWord(PlaceState::kRetired, 0, 0, 0).raw());  // b has one place only
  const Room mine = take(a_);
  const Waiter mate = enter(b_, *other_), own = enter(a_, *me_);
  leave(a_, mine);
  EXPECT_TRUE(is_offered(own));
  EXPECT_EQ(mate.word().state(), WaiterState::kWaiting);
  EXPECT_EQ(stuck.word, place_word(b_, stuck.place));
}

TEST_F(RoomsOfAQuota, AreNotKeptForAMateWhosePoolHasNoTurn) {
  b_.row().connect_concurrency.store(1);
  ASSERT_TRUE(take_turn(b_, other_->id(), monotonic_ns()));
  const Room mine = take(a_);
  (void)take(a_);
  (void)enter(b_, *other_);
  const Waiter own = enter(a_, *me_);
  leave(a_, mine);
  EXPECT_TRUE(is_offered(own));
}

TEST_F(RoomsOfAQuota, AreNotKeptForAMateWhoWantsNoRoom) {
  const Room mine = take(a_);
  (void)take(a_);
  Waiter mate = enter(b_, *other_);
  mate.set_local_only(true);
  const Waiter own = enter(a_, *me_);
  leave(a_, mine);
  EXPECT_TRUE(is_offered(own));
}

TEST_F(RoomsOfAQuota, ServeAllWhoCanBeServedInOnePass) {
  const Waiter in_b = enter(b_, *other_), in_a = enter(a_, *me_), late = enter(a_, *me_);
  match(a_, me_->id());
  EXPECT_TRUE(is_offered(in_b));
  EXPECT_TRUE(is_offered(in_a));
  EXPECT_EQ(late.word().state(), WaiterState::kWaiting);
  EXPECT_EQ(count_held_permits(a_), 2u);
}

}  // namespace
}  // namespace weir::shm
