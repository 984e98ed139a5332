#include "shm/turns.h"

#include <gtest/gtest.h>

#include <vector>

#include "shm/reaper.h"
#include "support/shm_world.h"

namespace weir::shm {
namespace {

using test::ShmWorld;

constexpr std::uint64_t kSecond = 1'000'000'000;

class Turns : public ::testing::Test {
 protected:
  PoolRef pool_with(std::uint32_t concurrency, std::uint32_t timeout_ms) {
    PoolDeclaration declaration;
    declaration.name = "main";
    declaration.driver = "fake";
    declaration.max = 8;
    declaration.connect_concurrency = concurrency;
    declaration.connect_timeout_ms = timeout_ms;
    return world_.pool(me_->id(), declaration);
  }

  ShmWorld world_;
  std::unique_ptr<Membership> me_ = world_.join();
  std::unique_ptr<Membership> other_ = world_.join();
  PoolRef pool_ = pool_with(2, 1000);
  std::uint64_t now_ = 1000 * kSecond;
};

TEST_F(Turns, AreAsManyAsHandshakesMayBeInProgress) {
  EXPECT_EQ(free_turns(pool_, now_), 2u);
  const auto first = take_turn(pool_, me_->id(), now_);
  const auto second = take_turn(pool_, other_->id(), now_);
  ASSERT_TRUE(first && second);
  EXPECT_FALSE(take_turn(pool_, me_->id(), now_));
  EXPECT_EQ(free_turns(pool_, now_), 0u);
  return_turn(pool_, *first);
  EXPECT_EQ(free_turns(pool_, now_), 1u);
  EXPECT_TRUE(take_turn(pool_, other_->id(), now_));
}

TEST_F(Turns, AreAtLeastOneAndAtMostWhatARowHolds) {
  pool_.row().connect_concurrency.store(0);
  EXPECT_EQ(free_turns(pool_, now_), 1u);
  pool_.row().connect_concurrency.store(1000);
  EXPECT_EQ(free_turns(pool_, now_), kMaxHandshakes);
}

TEST_F(Turns, ThatOutlastTheTimeoutAreTakenOverAndTheOldOwnerCannotReturnThem) {
  const Turn stopped = *take_turn(pool_, other_->id(), now_);
  ASSERT_TRUE(take_turn(pool_, me_->id(), now_));
  EXPECT_FALSE(take_turn(pool_, me_->id(), now_ + kSecond));
  const auto taken_over = take_turn(pool_, me_->id(), now_ + 2 * kSecond);
  ASSERT_TRUE(taken_over);
  EXPECT_EQ(taken_over->index, stopped.index);
  return_turn(pool_, stopped);
  EXPECT_TRUE(TurnWord(pool_.row().handshakes[stopped.index].load()).taken());
}

TEST_F(Turns, AreNotTakenOverEarlyHoweverShortTheTimeout) {
  pool_.row().connect_timeout_ms.store(1);
  // Taken right before the coarse clock's next unit, looked at right after: it is 2 ns old.
  const std::uint64_t boundary = (now_ / TurnWord::kUnitNs + 1) * TurnWord::kUnitNs;
  ASSERT_TRUE(take_turn(pool_, me_->id(), boundary - 1));
  ASSERT_TRUE(take_turn(pool_, me_->id(), boundary - 1));
  EXPECT_FALSE(take_turn(pool_, other_->id(), boundary + 1));
}

TEST_F(Turns, AreNotTakenOverByWhoReadTheClockBefore) {
  const std::uint64_t boundary = (now_ / TurnWord::kUnitNs + 1) * TurnWord::kUnitNs;
  ASSERT_TRUE(take_turn(pool_, me_->id(), boundary));
  ASSERT_TRUE(take_turn(pool_, me_->id(), boundary));
  EXPECT_FALSE(take_turn(pool_, other_->id(), boundary - 1));
}

TEST_F(Turns, OfTheDeadAreTakenOverOnceTheirRowIsSettled) {
  ASSERT_TRUE(take_turn(pool_, other_->id(), now_));
  ASSERT_TRUE(take_turn(pool_, other_->id(), now_));
  test::die(other_);
  EXPECT_EQ(free_turns(pool_, now_), 0u);
  EXPECT_EQ(reap(world_.segment(), me_->id()).workers, 1u);
  EXPECT_EQ(free_turns(pool_, now_), 2u);
  EXPECT_EQ(test::count_turns(pool_), 0u);
}

TEST_F(Turns, OfAnEarlierGenerationAreFreedByAnyPass) {
  // A reaper that dies between freeing the row and the turns leaves this.
  pool_.row().handshakes[0].store(TurnWord({other_->id().row, 77}, now_).raw());
  pool_.row().probe.store(TurnWord({other_->id().row, 77}, now_).raw());
  EXPECT_EQ(free_turns(pool_, now_), 2u);
  (void)reap(world_.segment(), me_->id());
  EXPECT_EQ(test::count_turns(pool_), 0u);
  EXPECT_FALSE(TurnWord(pool_.row().probe.load()).taken());
}

TEST_F(Turns, NamingNoRowAtAllPoisonTheSegmentAndStay) {
  pool_.row().handshakes[0].store(TurnWord({2000, 1}, now_).raw());
  EXPECT_EQ(free_turns(pool_, now_), 1u);
  EXPECT_TRUE(world_.segment().is_poisoned());
}

TEST_F(Turns, KnowWhoIsInItsRow) {
  const WorkerId id = other_->id();
  EXPECT_TRUE(is_in_its_row(world_.segment(), id.row, id.gen));
  EXPECT_FALSE(is_in_its_row(world_.segment(), id.row, id.gen + 1));
  other_.reset();
  EXPECT_FALSE(is_in_its_row(world_.segment(), id.row, id.gen));
}

}  // namespace
}  // namespace weir::shm
