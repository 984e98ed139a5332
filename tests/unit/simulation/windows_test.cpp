#include "simulation/windows.h"

#include <gtest/gtest.h>

namespace weir::simulation {
namespace {

constexpr std::uint64_t kSecondUs = 1'000'000;

TEST(AWindow, ForgetsWhatIsOlder) {
  Windows windows;
  windows.note(500'000, Happened::kConnect);
  windows.note_wait(500'000, 3'000);
  windows.note(30 * kSecondUs, Happened::kConnect);
  const policy::WindowView minute = windows.last(30 * kSecondUs + 500'000, 60);
  EXPECT_EQ(minute.length_ms, 30'500u);
  EXPECT_NEAR(minute.connects_per_s, 2 / 30.5, 1e-9);
  EXPECT_EQ(minute.wait.count, 1);
  const policy::WindowView last = windows.last(30 * kSecondUs + 500'000, 10);
  EXPECT_EQ(last.length_ms, 9'500u);
  EXPECT_NEAR(last.connects_per_s, 1 / 9.5, 1e-9);
  EXPECT_EQ(last.wait.count, 0);
  EXPECT_EQ(windows.last(100 * kSecondUs, 60).connects_per_s, 0);
}

TEST(AWindow, KnowsHowManyWereLentOnAverageAndAtMost) {
  Windows windows;
  windows.note_used(kSecondUs, 0);
  windows.note_used(3 * kSecondUs, 4);
  windows.sample_used(3 * kSecondUs, 6);
  const policy::WindowView view = windows.last(4 * kSecondUs, 10);
  EXPECT_NEAR(view.used_mean, 2.0, 1e-9);
  EXPECT_EQ(view.used_most, 6u);
}

TEST(AHistogram, IsRightToHalfADoubling) {
  Histogram histogram;
  for (std::uint64_t us = 1; us <= 10'000; ++us) histogram.add(us);
  const policy::Percentiles found = histogram.percentiles();
  EXPECT_EQ(found.count, 10'000);
  EXPECT_NEAR(found.p50, 5.0, 0.2);
  EXPECT_NEAR(found.p95, 9.5, 2.0) << "the last bucket goes on to 12.3";
  Histogram zeros;
  zeros.add(0);
  EXPECT_EQ(zeros.percentiles().p99, 0);
}

}  // namespace
}  // namespace weir::simulation
