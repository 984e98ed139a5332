#include "shm/permits.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "shm/reaper.h"
#include "support/shm_world.h"

namespace weir::shm {
namespace {

using test::count_held_permits;
using test::ShmWorld;

class Permits : public ::testing::Test {
 protected:
  PoolRef shared_pool(const char* name, std::uint32_t max) {
    PoolDeclaration declaration;
    declaration.name = name;
    declaration.driver = "fake";
    declaration.max = max;
    declaration.quota = quota_;
    return world_.pool(me_->id(), declaration);
  }

  ShmWorld world_;
  std::unique_ptr<Membership> me_ = world_.join();
  std::uint32_t quota_ = world_.quota(me_->id(), 2);
  PoolRef a_ = shared_pool("a", 4), b_ = shared_pool("b", 4);
};

TEST_F(Permits, AreOneForEachOccupiedPlaceOfAllPoolsOfTheQuota) {
  const auto first = take_room(a_, me_->id());
  const auto second = take_room(b_, me_->id());
  ASSERT_TRUE(first && second);
  EXPECT_EQ(count_held_permits(a_), 2u);
  EXPECT_FALSE(take_room(a_, me_->id()));
  EXPECT_FALSE(take_room(b_, me_->id()));
  EXPECT_FALSE(may_have_permit(b_));
  leave_room(a_, me_->id(), first->place, first->word);
  EXPECT_EQ(count_held_permits(a_), 1u);
  EXPECT_TRUE(may_have_permit(b_));
  EXPECT_TRUE(take_room(b_, me_->id()));
}

TEST_F(Permits, NameThePlaceAndItsOccupationNotTheWorker) {
  const Room room = *take_room(b_, me_->id());
  const PermitWord permit(b_.permits()[0].load());
  EXPECT_EQ(permit.place(), b_.global(room.place));
  EXPECT_EQ(permit.occ(), room.word.occ());
}

TEST_F(Permits, AreNotLostWithoutOneForTheRoomThatWasTried) {
  ASSERT_TRUE(take_room(a_, me_->id()) && take_room(a_, me_->id()));
  EXPECT_FALSE(take_room(b_, me_->id()));
  EXPECT_EQ(test::count_places(b_, PlaceState::kFree), 4u);
}

TEST_F(Permits, OfAPlaceThatIsFreeAreVoidAndAnybodys) {
  const Room room = *take_room(a_, me_->id());
  // As the reaper does for an offer that nobody can take up: the place alone is freed.
  a_.places()[room.place].store(room.word.to_free().raw());
  EXPECT_EQ(count_held_permits(a_), 1u);
  EXPECT_EQ(free_void_permits(b_), 1u);
  EXPECT_EQ(count_held_permits(a_), 0u);
}

TEST_F(Permits, OfAnEarlierOccupationAreVoid) {
  const Room room = *take_room(a_, me_->id());
  a_.places()[room.place].store(room.word.to_free().to_occupied(me_->id()).raw());
  EXPECT_EQ(free_void_permits(a_), 1u);
}

TEST_F(Permits, OfWhatLingersAreNotVoid) {
  const Room room = *take_room(a_, me_->id());
  a_.places()[room.place].store(room.word.to_lingering(LingerCause::kUsed, 0).raw());
  EXPECT_EQ(free_void_permits(a_), 0u);
  EXPECT_EQ(count_held_permits(a_), 1u);
}

TEST_F(Permits, ThatAreVoidAreFoundByWhoeverNeedsOne) {
  const Room first = *take_room(a_, me_->id()), second = *take_room(a_, me_->id());
  a_.places()[first.place].store(first.word.to_free().raw());
  a_.places()[second.place].store(second.word.to_free().raw());
  EXPECT_TRUE(may_have_permit(b_));
  EXPECT_TRUE(take_room(b_, me_->id()));
  EXPECT_TRUE(take_room(b_, me_->id()));
}

TEST_F(Permits, AreReturnedOnlyForTheOccupationTheyName) {
  const Room room = *take_room(a_, me_->id());
  return_permit(a_, room.place, room.word.occ() + 1);
  return_permit(b_, room.place, room.word.occ());
  EXPECT_EQ(count_held_permits(a_), 1u);
  return_permit(a_, room.place, room.word.occ());
  EXPECT_EQ(count_held_permits(a_), 0u);
  return_permit(a_, room.place, room.word.occ());  // twice is once
  EXPECT_EQ(count_held_permits(a_), 0u);
}

TEST_F(Permits, AreFoundAndGivenBackWhateverTheGuessesSay) {
  const Room others = *take_room(b_, me_->id());
  QuotaRow& row = world_.segment().quotas()[quota_];
  const auto capacity = static_cast<std::uint32_t>(a_.permits().size());
  for (const std::uint32_t guess : {0u, 1u, 2u, 3u, capacity, capacity + 1, UINT32_MAX}) {
    row.returned.store(guess);
    const std::optional<Room> room = take_room(a_, me_->id());
    ASSERT_TRUE(room) << guess;
    a_.info(room->place).permit.store(guess);
    leave_room(a_, me_->id(), room->place, room->word);
    EXPECT_EQ(count_held_permits(b_), 1u) << guess << ": the other one stays where it is";
    EXPECT_FALSE(PermitWord(b_.permits()[0].load()).is_void(others.word)) << guess;
  }
}

TEST_F(Permits, NamingNoPlaceAtAllPoisonTheSegment) {
  a_.permits()[0].store(PermitWord(PermitState::kHeld, 65000, 1).raw());
  EXPECT_EQ(free_void_permits(a_), 0u);
  EXPECT_TRUE(world_.segment().is_poisoned());
}

TEST_F(Permits, AreNotNeededByAPoolAloneOnItsPlaces) {
  const PoolRef alone = world_.pool(me_->id(), 2);
  EXPECT_TRUE(may_have_permit(alone));
  EXPECT_EQ(free_void_permits(alone), 0u);
  ASSERT_TRUE(take_room(alone, me_->id()));
  EXPECT_EQ(count_held_permits(a_), 0u);
}

TEST_F(Permits, StayWithAPlaceThatIsOffered) {
  const Room room = *take_room(a_, me_->id());
  ASSERT_TRUE(take_room(a_, me_->id()));
  const auto waiter = Waiter::enter(a_, me_->id(), Deadline::never(), "w", 0);
  ASSERT_TRUE(waiter);
  leave_room(a_, me_->id(), room.place, room.word);
  EXPECT_EQ(count_held_permits(a_), 2u);
  const auto accepted = accept_offer(a_, me_->id(), *waiter, waiter->word());
  ASSERT_TRUE(accepted);
  EXPECT_EQ(accepted->word.occ(), room.word.occ());
  EXPECT_EQ(count_held_permits(a_), 2u);
}

}  // namespace
}  // namespace weir::shm
