#include "demo/outcome.h"

#include <gtest/gtest.h>

#include <vector>

namespace weir::demo {
namespace {

TEST(DemoSummary, PercentilesAreNearestRank) {
  std::vector<Outcome> outcomes;
  for (std::uint64_t ms = 100; ms >= 1; --ms) outcomes.push_back({End::kServed, ms * 1000});
  const Summary summary = summarize(outcomes);
  EXPECT_DOUBLE_EQ(summary.p50_ms, 50.0);
  EXPECT_DOUBLE_EQ(summary.p95_ms, 95.0);
  EXPECT_DOUBLE_EQ(summary.p99_ms, 99.0);
  EXPECT_DOUBLE_EQ(summary.success_pct, 100.0);
}

TEST(DemoSummary, TimeoutsAndErrorsCountAgainstSuccessAndInTheLatencies) {
  const std::vector<Outcome> outcomes{
      {End::kServed, 1000}, {End::kServed, 2000}, {End::kTimedOut, 1'000'000}, {End::kFailed, 500}};
  const Summary summary = summarize(outcomes);
  EXPECT_DOUBLE_EQ(summary.success_pct, 50.0);
  EXPECT_EQ(summary.timeouts, 1U);
  EXPECT_EQ(summary.errors, 1U);
  EXPECT_DOUBLE_EQ(summary.p99_ms, 1000.0);
}

TEST(DemoSummary, WhatDiedWithItsWorkerIsLeftOut) {
  const std::vector<Outcome> outcomes{{End::kServed, 1000}, {End::kDied, 0}};
  const Summary summary = summarize(outcomes);
  EXPECT_EQ(summary.died, 1U);
  EXPECT_EQ(summary.requests, 1U);
  EXPECT_DOUBLE_EQ(summary.success_pct, 100.0);
  EXPECT_DOUBLE_EQ(summary.p50_ms, 1.0);
}

TEST(DemoSummary, ARequestThatNobodyFinishedIsAnError) {
  const std::vector<Outcome> outcomes{{End::kServed, 1000}, {}};
  EXPECT_EQ(summarize(outcomes).errors, 1U);
  EXPECT_DOUBLE_EQ(summarize(outcomes).success_pct, 50.0);
}

TEST(DemoSummary, OfNothingIsAllZero) {
  const Summary summary = summarize({});
  EXPECT_EQ(summary.requests, 0U);
  EXPECT_DOUBLE_EQ(summary.success_pct, 0.0);
  EXPECT_DOUBLE_EQ(summary.p99_ms, 0.0);
}

}  // namespace
}  // namespace weir::demo
