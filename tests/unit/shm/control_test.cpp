#include "shm/control.h"

#include <gtest/gtest.h>

#include <thread>

#include "shm/line.h"
#include "support/shm_world.h"

namespace weir::shm {
namespace {

using test::ShmWorld;

class Control : public ::testing::Test {
 protected:
  [[nodiscard]] DemandWord word() const { return demand_of(pool_.row()); }
  std::uint32_t rung() { return me_->row().doorbell.load(); }
  Waiter enter() {
    auto waiter = Waiter::enter(pool_, me_->id(), Deadline::never(), "", 0);
    WEIR_CHECK(waiter.has_value());
    return *waiter;
  }

  ShmWorld world_;
  std::unique_ptr<Membership> me_ = world_.join();
  PoolRef pool_ = world_.pool(me_->id(), 4);
};

TEST_F(Control, OfANewPoolIsQuiet) { EXPECT_EQ(word().raw(), DemandWord::quiet(0)); }

TEST_F(Control, PausesAndResumesOnceAndTellsKeepers) {
  const std::uint32_t before = rung();
  EXPECT_TRUE(pause(pool_));
  EXPECT_TRUE(word().is_paused());
  EXPECT_GT(rung(), before);
  const std::uint32_t told = rung();
  EXPECT_FALSE(pause(pool_));
  EXPECT_EQ(rung(), told);  // silent if it is so already
  EXPECT_TRUE(resume(pool_));
  EXPECT_FALSE(resume(pool_));
  EXPECT_EQ(word().raw(), DemandWord::quiet(0));
}

TEST_F(Control, BeginsAGenerationByDrainingWithoutPausing) {
  drain(pool_);
  drain(pool_);
  EXPECT_EQ(word().raw(), DemandWord::quiet(2));
}

TEST_F(Control, KnowsWhichGenerationCameBeforeAlsoWhereTheyStartAnew) {
  constexpr std::uint32_t kLast = (1u << DemandWord::kGenerationBits) - 1;
  EXPECT_TRUE(DemandWord::is_before(0, 1));
  EXPECT_FALSE(DemandWord::is_before(1, 1));
  EXPECT_FALSE(DemandWord::is_before(2, 1));
  EXPECT_TRUE(DemandWord::is_before(kLast, 0));
  EXPECT_FALSE(DemandWord::is_before(0, kLast));
}

TEST_F(Control, ClearsOnlyWhatIsNotPaused) {
  EXPECT_TRUE(clear(pool_, false));
  EXPECT_TRUE(word().is_paused());
  EXPECT_EQ(word().generation(), 1u);
  EXPECT_EQ(pool_.row().cut_below.load(), 0u);
  EXPECT_FALSE(clear(pool_, true));
  EXPECT_EQ(word().generation(), 1u);
  EXPECT_EQ(pool_.row().cut_below.load(), 0u);
  EXPECT_TRUE(resume(pool_));
  EXPECT_TRUE(clear(pool_, true));
  EXPECT_EQ(pool_.row().cut_below.load(), 2u);
}

TEST_F(Control, WakesWhoeverWaits) {
  Waiter waiter = enter();
  waiter.clear_wake();
  EXPECT_EQ(waiter.futex()->load(), 0u);
  pause(pool_);
  EXPECT_EQ(waiter.futex()->load(), 1u);
  EXPECT_TRUE(waiter.leave(waiter.word()));
}

TEST_F(Control, IsNotTouchedByWhoWaitsOrNoLongerDoes) {
  drain(pool_);
  pause(pool_);
  Waiter waiter = enter();
  EXPECT_TRUE(word().is_waiting());
  EXPECT_TRUE(waiter.leave(waiter.word()));
  EXPECT_TRUE(lower_demand(pool_, me_->id()));
  EXPECT_TRUE(word().is_paused());
  EXPECT_EQ(word().generation(), 1u);
  EXPECT_FALSE(word().is_waiting());
}

TEST_F(Control, OfManyAtOnceLosesNoGenerationAndNoWaiter) {
  constexpr int kEach = 2'000;
  const auto drains = [&] {
    for (int i = 0; i < kEach; ++i) drain(pool_);
  };
  std::thread one(drains), other(drains), waits([&] {
    for (int i = 0; i < kEach; ++i) {
      set_demanded(pool_.row());
      pause(pool_);
      lower_demand(pool_, me_->id());
      resume(pool_);
    }
  });
  one.join();
  other.join();
  waits.join();
  EXPECT_EQ(word().raw(), DemandWord::quiet(2 * kEach));
}

TEST_F(Control, OfAWaiterThatNobodySleepsAtRingsItsKeeperInstead) {
  Waiter waiter = enter();
  waiter.ring_keeper();
  waiter.clear_wake();
  const std::uint32_t before = rung();
  wake_waiter(world_.segment(), waiter.row());
  EXPECT_EQ(rung(), before + 1);
  wake_waiter(world_.segment(), waiter.row());  // it knows
  EXPECT_EQ(rung(), before + 1);
  waiter.set_local_only(true);
  waiter.clear_wake();
  wake_waiter(world_.segment(), waiter.row());
  EXPECT_EQ(rung(), before + 2);
  EXPECT_TRUE(waiter.leave(waiter.word()));
}

}  // namespace
}  // namespace weir::shm
