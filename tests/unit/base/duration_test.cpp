#include "base/duration.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cstdint>

namespace weir {
namespace {

using std::chrono::milliseconds;

TEST(ADuration, IsReadWithItsUnits) {
  EXPECT_EQ(parse_duration("250ms"), milliseconds(250));
  EXPECT_EQ(parse_duration("30s"), milliseconds(30'000));
  EXPECT_EQ(parse_duration("10m"), milliseconds(600'000));
  EXPECT_EQ(parse_duration("1h"), milliseconds(3'600'000));
  EXPECT_EQ(parse_duration("1h30m"), milliseconds(5'400'000));
  EXPECT_EQ(parse_duration("1h2m3s4ms"), milliseconds(3'723'004));
  EXPECT_EQ(parse_duration("1h4ms"), milliseconds(3'600'004));
  EXPECT_EQ(parse_duration("0s"), milliseconds(0));
  EXPECT_EQ(parse_duration("90s"), milliseconds(90'000));
}

TEST(ADuration, InAnyOtherFormIsRefused) {
  for (const char* bad : {"",
                          "30",
                          "s",
                          "30 s",
                          " 30s",
                          "30s ",
                          "-1s",
                          "+1s",
                          "1.5s",
                          "30S",
                          "1d",
                          "30s10m",
                          "1s1s",
                          "1m1m",
                          "10msec",
                          "1h30",
                          "ms",
                          "h1",
                          "1hm",
                          "0x1s",
                          "99999999999999999999s",
                          "9223372036854775807s",
                          "2562047788015h13m"}) {
    EXPECT_EQ(parse_duration(bad), std::nullopt) << bad;
  }
}

TEST(ADuration, IsShownAsShortAsItCanBeRead) {
  EXPECT_EQ(duration_text(milliseconds(0)), "0s");
  EXPECT_EQ(duration_text(milliseconds(90'500)), "1m30s500ms");
  EXPECT_EQ(duration_text(std::chrono::hours(8760)), "8760h");
}

RC_GTEST_PROP(ADuration, ThatIsShownIsReadAsTheSame, ()) {
  const milliseconds duration(*rc::gen::inRange<std::int64_t>(0, INT64_MAX));
  RC_ASSERT(parse_duration(duration_text(duration)) == duration);
}

}  // namespace
}  // namespace weir
