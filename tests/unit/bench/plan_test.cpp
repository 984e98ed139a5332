#include "bench/plan.h"

#include <gtest/gtest.h>

#include <sstream>

namespace weir::bench {
namespace {

/// Writes its name down when it is measured.
Variant noting(const std::string& name, std::string& order, double value) {
  return {name, [name, &order, value](std::size_t) {
            order += name;
            return std::vector<Figure>{{"time", "ns", value}};
          }};
}

TEST(Rounds, MeasureEveryVariantOnceAndBeginWithAnotherOneEachTime) {
  std::string order;
  const Plan plan{.cases = {{"", {noting("a", order, 1), noting("b", order, 2)}}}};
  std::ostringstream progress;
  const Sheet sheet = run_rounds(plan, 3, progress);
  EXPECT_EQ(order, "abbaab");
  EXPECT_EQ(sheet.rows().size(), 2U);
  EXPECT_NE(progress.str().find("round 3 of 3: b"), std::string::npos);
}

TEST(Rounds, KeepTheCasesApartByTheirNames) {
  std::string order;
  const Plan plan{.cases = {{"one", {noting("a", order, 1), noting("b", order, 2)}},
                            {"two", {noting("a", order, 3)}}},
                  .comparisons = {{"b", "a", "time"}}};
  std::ostringstream progress;
  const Sheet sheet = run_rounds(plan, 1, progress);
  const auto rows = sheet.rows();
  ASSERT_EQ(rows.size(), 3U);
  EXPECT_EQ(rows[0].metric, "one: time");
  EXPECT_EQ(rows[2].metric, "two: time");
  const auto ratios = ratios_of(plan, sheet);
  ASSERT_EQ(ratios.size(), 1U) << "case two has nothing to compare";
  EXPECT_EQ(ratios[0].metric, "one: time");
  EXPECT_EQ(ratios[0].spread.median, 2);
}

}  // namespace
}  // namespace weir::bench
