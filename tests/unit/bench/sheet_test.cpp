#include "bench/sheet.h"

#include <gtest/gtest.h>

namespace weir::bench {
namespace {

TEST(Spread, OfAnOddNumberOfValuesHasTheMiddleOneAsMedian) {
  const Spread spread = spread_of({3, 1, 2});
  EXPECT_EQ(spread.median, 2);
  EXPECT_EQ(spread.min, 1);
  EXPECT_EQ(spread.max, 3);
}

TEST(Spread, OfAnEvenNumberOfValuesHasTheMeanOfTheMiddleTwoAsMedian) {
  EXPECT_EQ(spread_of({4, 1, 100, 2}).median, 3);
}

TEST(Sheet, RatiosArePairedInsideARound) {
  // The second round met a machine at half speed: that must not show in the ratio.
  Sheet sheet;
  for (const auto& [round, speed] : {std::pair{0, 1.0}, {1, 0.5}, {2, 4.0}}) {
    sheet.add(static_cast<std::size_t>(round), "weir", {"time", "ns", 30 / speed});
    sheet.add(static_cast<std::size_t>(round), "mutex", {"time", "ns", 60 / speed});
  }
  const auto ratio = sheet.ratio("weir", "mutex", "time");
  ASSERT_TRUE(ratio.has_value());
  EXPECT_EQ(ratio->spread.median, 0.5);
  EXPECT_EQ(ratio->spread.min, 0.5);
  EXPECT_EQ(ratio->spread.max, 0.5);
}

TEST(Sheet, RoundsThatLackOneOfBothAreLeftOutOfTheirRatio) {
  Sheet sheet;
  sheet.add(0, "weir", {"time", "ns", 1});
  sheet.add(1, "weir", {"time", "ns", 2});
  sheet.add(1, "mutex", {"time", "ns", 4});
  sheet.add(2, "mutex", {"time", "ns", 1});
  const auto ratio = sheet.ratio("weir", "mutex", "time");
  ASSERT_TRUE(ratio.has_value());
  EXPECT_EQ(ratio->spread.min, 0.5);
  EXPECT_EQ(ratio->spread.max, 0.5);
}

TEST(Sheet, NothingIsDividedByZeroNorByWhatWasNotMeasured) {
  Sheet sheet;
  sheet.add(0, "weir", {"failed calls", "calls", 3});
  EXPECT_FALSE(sheet.ratio("weir", "pgbouncer", "failed calls").has_value());
  sheet.add(0, "pgbouncer", {"failed calls", "calls", 0});
  EXPECT_FALSE(sheet.ratio("weir", "pgbouncer", "failed calls").has_value());
}

TEST(Sheet, RowsStandInTheOrderInWhichTheyWereFirstMeasured) {
  Sheet sheet;
  sheet.add(0, "b", {"time", "ns", 1});
  sheet.add(0, "a", {"time", "ns", 2});
  sheet.add(1, "a", {"time", "ns", 4});
  sheet.add(1, "b", {"time", "ns", 3});
  const auto rows = sheet.rows();
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0].variant, "b");
  EXPECT_EQ(rows[0].spread.median, 2);
  EXPECT_EQ(rows[1].variant, "a");
  EXPECT_EQ(rows[1].spread.max, 4);
}

}  // namespace
}  // namespace weir::bench
