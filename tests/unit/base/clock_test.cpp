#include "base/clock.h"

#include <gtest/gtest.h>

namespace weir {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(MonotonicTime, NeverGoesBack) {
  const std::uint64_t before = monotonic_ns();
  EXPECT_LE(before, monotonic_ns());
  EXPECT_LE(before, Clock::system().now_ns());
}

TEST(CoarseTime, IsTheSameClockAFewTicksBehind) {
  const std::uint64_t coarse = coarse_ns();
  const std::uint64_t precise = monotonic_ns();
  EXPECT_LE(coarse, precise);
  EXPECT_LT(precise - coarse, 1'000'000'000u);  // a tick is at most 10 ms; the rest is scheduling
}

TEST(AManualClock, MovesOnlyWhenItIsAdvanced) {
  ManualClock clock(5);
  EXPECT_EQ(clock.now_ns(), 5u);
  clock.advance(milliseconds(1));
  EXPECT_EQ(clock.now_ns(), 1'000'005u);
}

TEST(ADeadline, PassesAtItsTimeAndNotBefore) {
  const Deadline deadline = Deadline::at_ns(1'000);
  EXPECT_FALSE(deadline.passed(999));
  EXPECT_TRUE(deadline.passed(1'000));
  EXPECT_EQ(deadline.left(400), Nanos(600));
  EXPECT_EQ(deadline.left(1'000), Nanos(0));
  EXPECT_EQ(deadline.left(5'000), Nanos(0));
}

TEST(ADeadline, LiesItsTimeoutAheadOfNow) {
  const std::uint64_t before = monotonic_ns();
  const Deadline deadline = Deadline::after(seconds(1));
  const std::uint64_t after = monotonic_ns();
  EXPECT_GE(deadline.ns(), before + 1'000'000'000);
  EXPECT_LE(deadline.ns(), after + 1'000'000'000);
}

TEST(ADeadline, OfANegativeTimeoutHasAlreadyPassed) {
  EXPECT_TRUE(Deadline::after(milliseconds(-1)).passed(monotonic_ns()));
  EXPECT_EQ(Deadline::after(Nanos::min()).ns(), 0u);
}

TEST(ADeadline, ThatIsNeverDoesNotPass) {
  EXPECT_TRUE(Deadline::after(Nanos::max()).is_never());
  EXPECT_EQ(Deadline::never().left(monotonic_ns()), Nanos::max());
  EXPECT_FALSE(Deadline::never().passed(Deadline::kNever - 1));
}

TEST(ADeadline, LeavesAtMostWhatADurationCanHold) {
  EXPECT_EQ(Deadline::at_ns(Deadline::kNever - 1).left(0), Nanos::max());
}

TEST(TheEarlierOfTwoDeadlines, IsTheSameWhicheverIsAsked) {
  const Deadline early = Deadline::at_ns(1);
  EXPECT_EQ(early.earlier_of(Deadline::never()).ns(), 1u);
  EXPECT_EQ(Deadline::never().earlier_of(early).ns(), 1u);
}

}  // namespace
}  // namespace weir
