#include "demo/ideal.h"

#include <gtest/gtest.h>

namespace weir::demo {
namespace {

TEST(DemoIdeal, WithoutALineEverybodyTakesAsLongAsItsHold) {
  const Ideal ideal = serve_from_one_line({{0, 10, 0}, {5, 10, 1}, {100, 7, 0}}, 2, 1000);
  ASSERT_EQ(ideal.outcomes.size(), 3U);
  EXPECT_EQ(ideal.outcomes[0].latency_us, 10U);
  EXPECT_EQ(ideal.outcomes[1].latency_us, 10U);
  EXPECT_EQ(ideal.outcomes[2].latency_us, 7U);
  EXPECT_EQ(ideal.most_in_use, 2U);
}

TEST(DemoIdeal, TheLineIsServedOldestFirstBySoonestFree) {
  // Two servers until 100 and 40; the third request waits for 40, the fourth then for 60.
  const Ideal ideal =
      serve_from_one_line({{0, 100, 0}, {0, 40, 0}, {10, 20, 0}, {11, 5, 0}}, 2, 1000);
  EXPECT_EQ(ideal.outcomes[2].latency_us, 40U - 10U + 20U);
  EXPECT_EQ(ideal.outcomes[3].latency_us, 60U - 11U + 5U);
  EXPECT_EQ(ideal.most_in_use, 2U);
}

TEST(DemoIdeal, WhoWaitedUntilItsDeadlineLeavesAndCostsNothing) {
  const Ideal ideal = serve_from_one_line({{0, 100, 0}, {0, 50, 0}, {60, 10, 0}}, 1, 80);
  EXPECT_EQ(ideal.outcomes[1].end, End::kTimedOut);
  EXPECT_EQ(ideal.outcomes[1].latency_us, 80U);
  EXPECT_EQ(ideal.outcomes[2].end, End::kServed);
  EXPECT_EQ(ideal.outcomes[2].latency_us, 100U - 60U + 10U);
}

TEST(DemoIdeal, AServerThatIsFreeAtTheDeadlineStillServes) {
  const Ideal ideal = serve_from_one_line({{0, 80, 0}, {0, 10, 0}}, 1, 80);
  EXPECT_EQ(ideal.outcomes[1].end, End::kServed);
  EXPECT_EQ(ideal.outcomes[1].latency_us, 90U);
}

TEST(DemoIdeal, NeverUsesMoreServersThanThereAre) {
  const Trace trace = make_trace({.quota = 5, .load = 1.5, .length_us = 5'000'000});
  const Ideal ideal = serve_from_one_line(trace, 5, 1'000'000);
  EXPECT_EQ(ideal.outcomes.size(), trace.size());
  EXPECT_EQ(ideal.most_in_use, 5U);
  EXPECT_GT(summarize(ideal.outcomes).timeouts, 0U);  // more comes in than five can do
}

}  // namespace
}  // namespace weir::demo
