#include "simulation/load.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace weir::simulation {
namespace {

TEST(ANamedLoad, IsTheSameForTheSameSeedAndInOrderOfArrival) {
  for (const NamedLoad& named : named_loads()) {
    const std::optional<Load> load = load_named(named.name, {.seconds = 10, .seed = 3});
    const std::optional<Load> again = load_named(named.name, {.seconds = 10, .seed = 3});
    const std::optional<Load> other = load_named(named.name, {.seconds = 10, .seed = 4});
    ASSERT_TRUE(load && again && other) << named.name;
    EXPECT_EQ(load->name, named.name);
    ASSERT_FALSE(load->requests.empty()) << named.name;
    ASSERT_EQ(load->requests.size(), again->requests.size()) << named.name;
    std::uint64_t before_us = 0, differ = 0;
    for (std::uint32_t i = 0; i < load->requests.size(); ++i) {
      const Request& one = load->requests[i];
      EXPECT_EQ(one.hold_us, again->requests[i].hold_us);
      EXPECT_LT(one.worker, 8u);
      if (i < other->requests.size()) differ += one.hold_us != other->requests[i].hold_us ? 1 : 0;
      if (one.follows != kNobody) {
        EXPECT_LT(one.follows, i);
        continue;
      }
      EXPECT_GE(one.arrival_us, before_us);
      EXPECT_LT(one.arrival_us, load->length_us);
      before_us = one.arrival_us;
    }
    EXPECT_GT(differ, 0u) << named.name;
  }
}

TEST(ANamedLoad, OfANameThatThereIsNotIsNone) { EXPECT_FALSE(load_named("huge", {})); }

TEST(ABurst, IsManyUsersAtOnceEachOneRequestAfterAnother) {
  const std::optional<Load> peak = load_named("peak", {.seconds = 4});
  ASSERT_EQ(peak->requests.size(), 2u * 30 * 3);
  const auto at_once = [&](std::uint64_t at_us) {
    return std::count_if(peak->requests.begin(), peak->requests.end(), [&](const Request& one) {
      return one.follows == kNobody && one.arrival_us == at_us;
    });
  };
  EXPECT_EQ(at_once(0), 30);
  EXPECT_EQ(at_once(2'000'000), 30);
  EXPECT_EQ(peak->requests[30].follows, 0u);
  EXPECT_EQ(peak->requests[60].follows, 30u);
}

TEST(ADay, HasItsNoonInTheMiddle) {
  const std::optional<Load> day = load_named("diurnal", {.seconds = 30});
  const auto in_third = [&](std::uint64_t third) {
    return std::count_if(day->requests.begin(), day->requests.end(),
                         [&](const Request& one) { return one.arrival_us / 10'000'000 == third; });
  };
  EXPECT_GT(in_third(1), 2 * in_third(0));
  EXPECT_GT(in_third(1), 2 * in_third(2));
}

TEST(ARestart, LeavesTheServerAwayForATwelfthOfTheTime) {
  const std::optional<Load> restart = load_named("restart", {});
  ASSERT_EQ(restart->outages.size(), 1u);
  EXPECT_EQ(restart->outages[0].from_us, 20'000'000u);
  EXPECT_EQ(restart->outages[0].to_us, 25'000'000u);
}

}  // namespace
}  // namespace weir::simulation
