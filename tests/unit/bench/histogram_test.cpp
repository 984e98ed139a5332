#include "bench/histogram.h"

#include <gtest/gtest.h>

namespace weir::bench {
namespace {

TEST(Histogram, IsExactForSmallDurationsAndWithinTwoPercentForAnyOther) {
  for (const std::uint64_t ns : {0UL, 1UL, 63UL, 64UL, 127UL, 128UL, 1'000UL, 123'456UL,
                                 1'000'000'007UL, 3'600'000'000'000UL}) {
    Histogram histogram;
    histogram.add(ns);
    const auto exact = static_cast<double>(ns);
    EXPECT_NEAR(histogram.percentile_ns(0.5), exact, ns < 64 ? 0 : exact * 0.016) << ns;
  }
}

TEST(Histogram, TakesTheLargestDurationThereIs) {
  Histogram histogram;
  histogram.add(UINT64_MAX);
  EXPECT_EQ(histogram.count(), 1U);
  EXPECT_GT(histogram.percentile_ns(1.0), 1.8e19);
}

TEST(Histogram, PercentilesAreNearestRanks) {
  Histogram histogram;
  for (std::uint64_t ns = 1; ns <= 50; ++ns) histogram.add(ns);
  EXPECT_EQ(histogram.percentile_ns(0.50), 25);
  EXPECT_EQ(histogram.percentile_ns(0.99), 50);
  EXPECT_EQ(histogram.percentile_ns(0.0), 1);
}

TEST(Histogram, OfNothingSaysZero) { EXPECT_EQ(Histogram().percentile_ns(0.99), 0); }

}  // namespace
}  // namespace weir::bench
