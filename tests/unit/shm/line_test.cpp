#include "shm/line.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "support/shm_world.h"

namespace weir::shm {
namespace {

using namespace std::chrono_literals;
using test::count_waiters;
using test::ShmWorld;

class Line : public ::testing::Test {
 protected:
  Waiter enter(const PoolRef& pool, const Membership& worker) {
    auto waiter = Waiter::enter(pool, worker.id(), Deadline::never(), "label", 0);
    WEIR_CHECK(waiter.has_value());
    return *waiter;
  }
  LineView look() { return look_at_line(pool_, me_->id()); }

  ShmWorld world_;
  std::unique_ptr<Membership> me_ = world_.join();
  std::unique_ptr<Membership> other_ = world_.join();
  PoolRef pool_ = world_.pool(me_->id(), 4);
};

TEST_F(Line, IsEmptyAtFirst) {
  const LineView view = look();
  EXPECT_FALSE(view.oldest);
  EXPECT_FALSE(view.anybody());
  EXPECT_EQ(pool_.row().demand.load(), 0u);
}

TEST_F(Line, ShowsWhoEnteredAndThatSomebodyWaits) {
  const Waiter waiter = enter(pool_, *me_);
  EXPECT_EQ(waiter.word().state(), WaiterState::kWaiting);
  EXPECT_EQ(waiter.word().owner_row(), me_->id().row);
  EXPECT_EQ(pool_.row().demand.load(), 1u);
  const LineView view = look();
  ASSERT_TRUE(view.oldest);
  EXPECT_EQ(view.oldest->row, waiter.row());
  EXPECT_EQ(view.oldest->since_ns, waiter.since_ns());
  EXPECT_EQ(view.waiting, 1u);
  EXPECT_EQ(world_.segment().waiters()[waiter.row()].label.load(), "label");
}

TEST_F(Line, HasTheLongestWaitingFirstWhateverRowTheyAreIn) {
  Waiter first = enter(pool_, *me_);
  const Waiter second = enter(pool_, *other_);
  ASSERT_TRUE(first.leave(first.word()));
  const Waiter third = enter(pool_, *me_);  // in the row that `first` left
  EXPECT_LT(third.row(), second.row());
  EXPECT_EQ(look().oldest->row, second.row());
  EXPECT_EQ(look().oldest_own->row, third.row());
  EXPECT_EQ(third.ahead(), 1u);
  EXPECT_EQ(second.ahead(), 0u);
}

TEST_F(Line, IsFullWhenAllRowsAreTaken) {
  std::vector<Waiter> all;
  for (std::uint32_t i = 0; i < test::kSmallGeometry.waiters; ++i) {
    all.push_back(enter(pool_, *me_));
  }
  EXPECT_FALSE(Waiter::enter(pool_, me_->id(), Deadline::never(), "", 0));
  ASSERT_TRUE(all[7].leave(all[7].word()));
  EXPECT_TRUE(Waiter::enter(pool_, me_->id(), Deadline::never(), "", 0));
  EXPECT_FALSE(Waiter::enter(pool_, me_->id(), Deadline::never(), "", 0));
}

TEST_F(Line, TakesNoMoreOfOnePoolThanAsked) {
  PoolDeclaration declaration;
  declaration.name = "second";
  declaration.driver = "fake";
  const PoolRef second = world_.pool(me_->id(), declaration);
  EXPECT_TRUE(Waiter::enter(pool_, me_->id(), Deadline::never(), "", 2));
  EXPECT_TRUE(Waiter::enter(pool_, me_->id(), Deadline::never(), "", 2));
  EXPECT_FALSE(Waiter::enter(pool_, me_->id(), Deadline::never(), "", 2));
  EXPECT_TRUE(Waiter::enter(second, me_->id(), Deadline::never(), "", 2));
}

TEST_F(Line, GivesARowANewIncarnationEachTime) {
  Waiter waiter = enter(pool_, *me_);
  const std::uint64_t inc = waiter.word().inc();
  ASSERT_TRUE(waiter.leave(waiter.word()));
  const Waiter again = enter(pool_, *me_);
  ASSERT_EQ(again.row(), waiter.row());
  EXPECT_GT(again.word().inc(), inc);
}

TEST_F(Line, LetsOneGiverClaimAWaiter) {
  const Waiter waiter = enter(pool_, *me_);
  const Candidate seen = *look().oldest;
  EXPECT_TRUE(claim(pool_, seen, 2));
  EXPECT_FALSE(claim(pool_, seen, 3));
  EXPECT_FALSE(grant(pool_, seen, 3));
  EXPECT_EQ(waiter.word().state(), WaiterState::kClaimed);
  EXPECT_EQ(waiter.word().what(), pool_.global(2));
  EXPECT_FALSE(look().oldest);
}

TEST_F(Line, TakenBackAClaimIsANewIncarnationWithItsOldTicket) {
  Waiter first = enter(pool_, *me_);
  const Waiter second = enter(pool_, *me_);
  ASSERT_TRUE(claim(pool_, *look().oldest, 2));
  const WaiterWord claimed = first.word();
  EXPECT_EQ(look().oldest->row, second.row());
  ASSERT_TRUE(first.take_back(claimed));
  EXPECT_EQ(first.word().inc(), claimed.inc() + 1);
  EXPECT_EQ(look().oldest->row, first.row());
  EXPECT_FALSE(first.take_back(claimed));
}

TEST_F(Line, GrantedIsNeitherTakenBackNorClaimed) {
  Waiter waiter = enter(pool_, *me_);
  const Candidate seen = *look().oldest_own;
  ASSERT_TRUE(grant(pool_, seen, 1));
  EXPECT_EQ(waiter.word().state(), WaiterState::kGranted);
  EXPECT_EQ(waiter.word().what(), pool_.global(1));
  EXPECT_FALSE(waiter.take_back(seen.word));
  EXPECT_FALSE(claim(pool_, seen, 2));
  EXPECT_TRUE(waiter.leave(waiter.word()));
  EXPECT_EQ(count_waiters(world_.segment()), 0u);
}

TEST_F(Line, IsLeftOnlyFromTheWordThatWasRead) {
  Waiter waiter = enter(pool_, *me_);
  const WaiterWord waiting = waiter.word();
  ASSERT_TRUE(claim(pool_, *look().oldest, 2));
  EXPECT_FALSE(waiter.leave(waiting));
  EXPECT_TRUE(waiter.leave(waiter.word()));
  EXPECT_EQ(count_waiters(world_.segment()), 0u);
}

TEST_F(Line, HasOneWinnerBetweenGrantAndLeave) {
  // Again and again one thread grants what the owner is about to leave: exactly one of them does.
  for (int round = 0; round < 300; ++round) {
    Waiter waiter = enter(pool_, *me_);
    const Candidate seen = *look().oldest_own;
    std::atomic<int> ready{0};
    bool granted = false, left = false;
    const auto together = [&] {
      ready.fetch_add(1);
      while (ready.load() < 2) std::this_thread::yield();
    };
    std::thread giver([&] {
      together();
      granted = grant(pool_, seen, 1);
    });
    together();
    left = waiter.leave(seen.word);
    giver.join();
    ASSERT_NE(granted, left);
    if (granted) {
      ASSERT_TRUE(waiter.leave(waiter.word()));
    }
    ASSERT_EQ(count_waiters(world_.segment()), 0u);
  }
}

TEST_F(Line, WakesAWaiterThatSleeps) {
  Waiter waiter = enter(pool_, *me_);
  waiter.clear_wake();
  std::thread waker([&] { wake_waiter(world_.segment(), waiter.row()); });
  const std::uint64_t before = monotonic_ns();
  waiter.wait(Deadline::after(20s));
  EXPECT_LT(monotonic_ns() - before, 10'000'000'000u);
  waker.join();
}

TEST_F(Line, DoesNotSleepOverAWakeUpThatCameBefore) {
  Waiter waiter = enter(pool_, *me_);
  waiter.clear_wake();
  wake_waiter(world_.segment(), waiter.row());
  wake_waiter(world_.segment(), waiter.row());
  const std::uint64_t before = monotonic_ns();
  waiter.wait(Deadline::after(20s));
  EXPECT_LT(monotonic_ns() - before, 10'000'000'000u);
}

TEST_F(Line, SleepsNoLongerThanAsked) {
  Waiter waiter = enter(pool_, *me_);
  waiter.clear_wake();
  waiter.wait(Deadline::after(1ms));
  waiter.wait(Deadline::after(-1s));
}

TEST_F(Line, WakesAllOfOneWorker) {
  Waiter mine = enter(pool_, *me_), others = enter(pool_, *other_);
  mine.clear_wake();
  others.clear_wake();
  wake_all_waiters(world_.segment(), me_->id());
  EXPECT_EQ(world_.segment().waiters()[mine.row()].futex.load(), 1u);
  EXPECT_EQ(world_.segment().waiters()[others.row()].futex.load(), 0u);
}

TEST_F(Line, ForAConnectionOfOnesOwnWorkerIsNotForRooms) {
  Waiter first = enter(pool_, *me_);
  const Waiter second = enter(pool_, *other_);
  first.set_local_only(true);
  LineView view = look();
  EXPECT_EQ(view.oldest->row, second.row());
  EXPECT_EQ(view.oldest_own->row, first.row());
  EXPECT_EQ(view.waiting, 1u);
  EXPECT_EQ(view.waiting_local, 1u);
  EXPECT_TRUE(view.anybody());
  first.set_local_only(false);
  view = look();
  EXPECT_EQ(view.oldest->row, first.row());
  EXPECT_EQ(view.waiting, 2u);
}

TEST_F(Line, KeepsDemandUpWhileAnybodyWaits) {
  Waiter waiter = enter(pool_, *me_);
  EXPECT_FALSE(lower_demand(pool_, me_->id()));
  EXPECT_EQ(pool_.row().demand.load(), 1u);
  ASSERT_TRUE(waiter.leave(waiter.word()));
  EXPECT_TRUE(lower_demand(pool_, me_->id()));
  EXPECT_EQ(pool_.row().demand.load(), 0u);
}

TEST_F(Line, TellsAWaiterThatItsRowIsNotItsOwnAnyMore) {
  Waiter waiter = enter(pool_, *me_);
  EXPECT_FALSE(waiter.is_lost(waiter.word()));
  ASSERT_TRUE(claim(pool_, *look().oldest, 2));
  EXPECT_FALSE(waiter.is_lost(waiter.word()));
  ASSERT_TRUE(waiter.take_back(waiter.word()));
  EXPECT_FALSE(waiter.is_lost(waiter.word()));
  // Settled for it, then somebody else's, even of the same worker.
  world_.segment().waiters()[waiter.row()].word.store(waiter.word().to_free().raw());
  EXPECT_TRUE(waiter.is_lost(waiter.word()));
  const Waiter next = enter(pool_, *me_);
  ASSERT_EQ(next.row(), waiter.row());
  EXPECT_TRUE(waiter.is_lost(waiter.word()));
  EXPECT_FALSE(next.is_lost(next.word()));
}

TEST_F(Line, DoesNotPublishARowThatASettlerFreedUnderIt) {
  // A worker that is taken for dead enters: its SETUP row is settled, and somebody else's, before
  // it can publish. It must find out, and leave the other's row alone.
  std::vector<Waiter> all;
  for (std::uint32_t i = 0; i + 1 < test::kSmallGeometry.waiters; ++i) {
    all.push_back(enter(pool_, *me_));
  }
  WaiterRow& last = world_.segment().waiters()[test::kSmallGeometry.waiters - 1];
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> theirs{0};
  std::thread settler([&] {
    while (!stop.load()) {
      std::uint64_t raw = last.word.load();
      const WaiterWord seen(raw);
      if (seen.state() != WaiterState::kSetup || seen.owner_row() != me_->id().row) continue;
      const WaiterWord other(WaiterState::kSetup, other_->id().row, 0, seen.inc() + 2);
      if (last.word.compare_exchange_strong(raw, other.raw())) {
        theirs.store(other.raw());
        return;
      }
    }
  });
  while (theirs.load() == 0) {
    if (auto waiter = Waiter::enter(pool_, me_->id(), Deadline::never(), "", 0)) {
      ASSERT_TRUE(waiter->leave(waiter->word()));
    }
  }
  settler.join();
  EXPECT_EQ(last.word.load(), theirs.load());
}

// ---- two pools on one quota ---------------------------------------------------------------------

class LineOfAQuota : public Line {
 protected:
  PoolRef shared(const char* name) {
    PoolDeclaration declaration;
    declaration.name = name;
    declaration.driver = "fake";
    declaration.max = 4;
    declaration.quota = quota_;
    return world_.pool(me_->id(), declaration);
  }
  std::uint32_t quota_ = world_.quota(me_->id(), 2);
  PoolRef a_ = shared("a"), b_ = shared("b");
};

TEST_F(LineOfAQuota, ShowsTheMatesApartFromThePool) {
  (void)enter(pool_, *me_);  // of no quota
  const Waiter mate = enter(b_, *me_);
  (void)enter(b_, *me_);
  const Waiter own = enter(a_, *me_);
  const LineView view = look_at_line(a_, me_->id());
  EXPECT_EQ(view.oldest->row, own.row());
  EXPECT_EQ(view.waiting, 1u);
  EXPECT_EQ(view.waiting_mates, 2u);
  EXPECT_EQ(view.oldest_mate->row, mate.row());
  EXPECT_EQ(view.oldest_mate->pool, b_.id());
}

TEST_F(LineOfAQuota, RaisesDemandInAllItsPoolsAndNoOther) {
  (void)enter(a_, *me_);
  EXPECT_EQ(a_.row().demand.load(), 1u);
  EXPECT_EQ(b_.row().demand.load(), 1u);
  EXPECT_EQ(pool_.row().demand.load(), 0u);
  EXPECT_FALSE(lower_demand(b_, me_->id()));  // somebody waits for the quota
  EXPECT_EQ(b_.row().demand.load(), 1u);
}

TEST_F(LineOfAQuota, DoesNotPreferAMateWhoNeedsNoPermit) {
  Waiter mate = enter(b_, *me_);
  mate.set_local_only(true);
  EXPECT_FALSE(look_at_line(a_, me_->id()).oldest_mate);
}

TEST_F(Line, TakesBackWhoWasClaimedForNothingAsIfHeHadNotBeen) {
  const Waiter first = enter(pool_, *other_), second = enter(pool_, *other_);
  const Candidate who = *look().oldest;
  ASSERT_EQ(who.row, first.row());
  ASSERT_TRUE(claim(pool_, who, 2));
  EXPECT_EQ(look().oldest->row, second.row());
  pool_.row().demand.store(0);
  ASSERT_TRUE(unclaim(pool_, who, 2));
  EXPECT_EQ(look().oldest->row, first.row());
  EXPECT_EQ(first.word(), who.word);
  EXPECT_EQ(pool_.row().demand.load(), 1u);
  EXPECT_EQ(world_.segment().waiters()[first.row()].futex.load(), 1u);
}

TEST_F(Line, LetsNobodyUnclaimWhatIsNotHisClaimAnyMore) {
  Waiter waiter = enter(pool_, *other_);
  const Candidate who = *look().oldest;
  ASSERT_TRUE(claim(pool_, who, 2));
  ASSERT_TRUE(waiter.take_back(waiter.word()));
  EXPECT_FALSE(unclaim(pool_, who, 2));
  ASSERT_TRUE(claim(pool_, *look().oldest, 3));
  EXPECT_FALSE(unclaim(pool_, who, 2));
  EXPECT_EQ(waiter.word().what(), pool_.global(3));
}

TEST_F(Line, TurnsAClaimForAPlaceIntoALeaseOfItInTheWaitersWorkerOnly) {
  const Waiter waiter = enter(pool_, *other_);
  ASSERT_TRUE(claim(pool_, *look().oldest, 2));
  EXPECT_FALSE(grant_claimed(pool_, me_->id(), 2));
  EXPECT_FALSE(grant_claimed(pool_, other_->id(), 1));
  EXPECT_TRUE(grant_claimed(pool_, other_->id(), 2));
  EXPECT_EQ(waiter.word().state(), WaiterState::kGranted);
  EXPECT_EQ(waiter.word().what(), pool_.global(2));
  EXPECT_FALSE(grant_claimed(pool_, other_->id(), 2)) << "once";
}

}  // namespace
}  // namespace weir::shm
