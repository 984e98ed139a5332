// What the watch of the storms takes notes of, and what it excuses: words put into a segment by
// hand, and workers that live, stand still, or are kept waiting.

#include "support/segment_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "shm/line.h"
#include "shm/permits.h"
#include "support/shm_world.h"

namespace weir::test {
namespace {

using namespace std::chrono_literals;
using shm::PlaceState;
using shm::PlaceWord;
using shm::WaiterState;
using shm::WaiterWord;
using testing::HasSubstr;

constexpr Nanos kLimit = 100ms;

class Watch : public testing::Test {
 protected:
  /// A worker in line that does nothing more, and how its waiter reads then.
  void be_in_line(WaiterState state) {
    sleeper_ = std::make_unique<WorkerProcess>([&]() -> int {
      const auto self = world_.join("sleeper");
      const auto waiter = shm::Waiter::enter(pool_, self->id(), Deadline::never(), "", 0);
      WEIR_CHECK(waiter.has_value());
      shm::Word& cell = world_.segment().waiters()[waiter->row()].word;
      cell.store(waiter->word().to(state, pool_.global(0)).raw());
      row_.add(waiter->row() + 1);
      while (true) pause();
    });
    ASSERT_TRUE(row_.await(1));
  }

  void offer_to_it() const {
    const std::uint32_t row = row_.value() - 1;
    const WaiterWord to(world_.segment().waiters()[row].word.load());
    pool_.places()[0].store(PlaceWord(PlaceState::kOffered, row, to.inc(), 1).raw());
  }

  /// What a watch finds, however long that takes on a busy machine.
  [[nodiscard]] std::string found() const {
    SegmentWatch watch(world_.options(), {.limit = kLimit, .servers = {}});
    EXPECT_TRUE(poll_until([&] { return watch.findings() > 0; })) << watch.summary();
    return watch.stop();
  }

  /// What one finds that looks for some times as long as it need.
  [[nodiscard]] std::string found_in_a_while() const {
    SegmentWatch watch(world_.options(), {.limit = kLimit, .servers = {}});
    EXPECT_TRUE(poll_until([&] { return watch.looks() > 80; })) << watch.summary();
    return watch.stop();
  }

  ShmWorld world_;
  std::unique_ptr<shm::Membership> me_ = world_.join("me");
  shm::PoolRef pool_ = world_.pool(me_->id(), 2);
  SharedCounter row_;
  std::unique_ptr<WorkerProcess> sleeper_;
};

TEST_F(Watch, FindsNothingWhereNothingIsLeftHalfDone) {
  be_in_line(WaiterState::kWaiting);
  EXPECT_EQ(found_in_a_while(), "");
}

TEST_F(Watch, NotesAClaimThatItsOwnerDoesNotTakeBack) {
  be_in_line(WaiterState::kClaimed);
  EXPECT_THAT(found(), HasSubstr("stale claim: waiter 0 of worker row"));
}

TEST_F(Watch, NotesAGrantThatItsOwnerDoesNotUse) {
  be_in_line(WaiterState::kGranted);
  EXPECT_THAT(found(), HasSubstr("stale grant"));
}

TEST_F(Watch, ExcusesAClaimWhoseOwnerStandsStill) {
  be_in_line(WaiterState::kClaimed);
  sleeper_->stop();
  EXPECT_EQ(found_in_a_while(), "");
}

TEST_F(Watch, NotesAnOfferToAStoppedOneThatAnotherWaiterDoesNotRevoke) {
  be_in_line(WaiterState::kClaimed);
  offer_to_it();
  sleeper_->stop();
  EXPECT_EQ(found_in_a_while(), "") << "nobody else wants it";
  const auto other = shm::Waiter::enter(pool_, me_->id(), Deadline::never(), "", 0);
  ASSERT_TRUE(other);
  EXPECT_THAT(found(), HasSubstr("stale offer: place 0 of pool"));
}

TEST_F(Watch, NotesAGiftThatNobodyTakesOutOfTheMail) {
  pool_.places()[1].store(PlaceWord(PlaceState::kParked, me_->id().row, me_->id().gen, 1).raw());
  EXPECT_THAT(found(), HasSubstr("stale gift: place 1 of pool"));
}

TEST_F(Watch, NotesWhatDoesNotAddUp) {
  const std::uint32_t quota = world_.quota(me_->id(), 3);
  world_.segment().permits()[world_.segment().quotas()[quota].first_permit.load()].store(
      shm::PermitWord(shm::PermitState::kRetired, 0, 0).raw());
  EXPECT_THAT(found(), HasSubstr("quota shared: 0 held and 2 free permits, limit 3"));
}

}  // namespace
}  // namespace weir::test
