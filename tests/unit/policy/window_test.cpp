#include "policy/window.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace weir::policy {
namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;

// 1, 2, 4 ms ... as long as there are buckets: seven years.
constexpr auto kEnds = [] {
  std::array<std::uint64_t, kWindowBuckets - 1> ends{};
  for (std::size_t i = 0; i < ends.size(); ++i)
    ends[i] = std::uint64_t{1'000'000} << std::min<std::size_t>(i, 40);
  for (std::size_t i = 41; i < ends.size(); ++i) ends[i] = ends[i - 1] + kSecond;
  return ends;
}();

std::size_t bucket_of(std::uint64_t ns) {
  return static_cast<std::size_t>(std::upper_bound(kEnds.begin(), kEnds.end(), ns) - kEnds.begin());
}

class AWindow : public testing::Test {
 protected:
  /// A second later, somebody looks at the figures.
  void look() {
    sums_.at_ns += kSecond;
    window_.add(sums_);
  }
  [[nodiscard]] WindowView last() const { return window_.over(sums_.at_ns, 10 * kSecond); }

  Figures sums_{.at_ns = 100 * kSecond, .acquires = 5'000, .use_ns = 77};
  SlidingWindow window_{kEnds};
};

TEST_F(AWindow, KnowsNothingBeforeItsSecondLook) {
  look();
  EXPECT_EQ(last().length_ms, 0u);
  EXPECT_EQ(last().acquires_per_s, 0);
  EXPECT_EQ(last().wait.count, 0);
}

TEST_F(AWindow, SaysHowMuchOfItWasSeen) {
  look();
  for (std::uint64_t second = 1; second <= 12; ++second) {
    look();
    EXPECT_EQ(last().length_ms, std::min<std::uint64_t>(second, 10) * 1'000);
  }
}

TEST_F(AWindow, HasRatesOfWhatCameBetweenTheLooksInIt) {
  look();
  for (int second = 0; second < 20; ++second) {
    sums_.acquires += second < 10 ? 1'000 : 40;
    sums_.connects += 2;
    sums_.use_ns += 3 * kSecond;
    sums_.used = second == 14 ? 8 : 3;
    look();
  }
  EXPECT_DOUBLE_EQ(last().acquires_per_s, 40);
  EXPECT_DOUBLE_EQ(last().connects_per_s, 2);
  EXPECT_DOUBLE_EQ(last().used_mean, 3);
  EXPECT_EQ(last().used_most, 8u);
  const WindowView minute = window_.over(sums_.at_ns, 60 * kSecond);
  EXPECT_EQ(minute.length_ms, 20'000u);
  EXPECT_DOUBLE_EQ(minute.acquires_per_s, 520);
}

TEST_F(AWindow, CountsThoseWhoDidNotWaitAmongTheWaits) {
  look();
  sums_.acquires += 99;
  sums_.waited += 1;
  sums_.wait[bucket_of(6'000'000)] += 1;
  look();
  EXPECT_DOUBLE_EQ(last().wait.count, 99);
  EXPECT_EQ(last().wait.p95, 0);
  EXPECT_GT(last().wait.p99, 4);
  EXPECT_LE(last().wait.p99, 8);
}

TEST_F(AWindow, CountsWhoWaitedInVainAsWell) {
  look();
  sums_.timeouts += 2;
  sums_.wait[bucket_of(6'000'000)] += 2;
  look();
  EXPECT_DOUBLE_EQ(last().wait.count, 2);
  EXPECT_GE(last().wait.p50, 4);
}

TEST_F(AWindow, BeginsAnewWithASumThatWasSetToZero) {
  look();
  sums_.acquires += 500;
  look();
  sums_.acquires = 30;  // popped, and thirty since
  look();
  EXPECT_DOUBLE_EQ(last().acquires_per_s, 500 / 2.0) << "not yet sure";
  sums_.acquires += 10;
  look();
  EXPECT_DOUBLE_EQ(last().acquires_per_s, 540 / 3.0);
  sums_.acquires += 20;
  look();
  EXPECT_DOUBLE_EQ(last().acquires_per_s, 560 / 4.0);
}

TEST_F(AWindow, TakesASumThatIsBackAgainForOneThatWasReadWhileItWasMoved) {
  look();
  sums_.acquires -= 4'000;
  look();
  sums_.acquires += 4'000 + 60;
  look();
  EXPECT_DOUBLE_EQ(last().acquires_per_s, 30);
}

TEST_F(AWindow, SpreadsWhatAStoppedKeeperSeesAfterwardsOverTheTimeItSlept) {
  look();
  sums_.acquires += 3'000;
  sums_.at_ns += 29 * kSecond;
  look();
  EXPECT_EQ(last().length_ms, 10'000u);
  EXPECT_DOUBLE_EQ(last().acquires_per_s, 100);
  sums_.acquires += 700;
  look();
  EXPECT_DOUBLE_EQ(last().acquires_per_s, (9 * 100 + 700) / 10.0);
}

TEST_F(AWindow, NeedsNoLookThatComesTooSoon) {
  look();
  for (int i = 0; i < 10'000; ++i) {
    ++sums_.acquires;
    sums_.at_ns += kSecond / 100;
    window_.add(sums_);
  }
  const WindowView minute = window_.over(sums_.at_ns, 60 * kSecond);
  EXPECT_GE(minute.length_ms, 59'000u);
  EXPECT_NEAR(minute.acquires_per_s, 100, 1);
}

TEST_F(AWindow, OfTheOpenBucketSaysWhereItBegins) {
  look();
  sums_.use.back() += 1;
  look();
  EXPECT_DOUBLE_EQ(last().use.p50, static_cast<double>(kEnds.back()) / 1e6);
}

TEST(Percentiles, AreSpreadEvenlyWithinABucket) {
  const std::vector<std::uint64_t> ends{10'000'000, 20'000'000};
  const std::vector<double> counts{0, 100, 0};
  const Percentiles found = percentiles_of(counts, ends);
  EXPECT_DOUBLE_EQ(found.p50, 15);
  EXPECT_DOUBLE_EQ(found.p95, 19.5);
  EXPECT_DOUBLE_EQ(found.p99, 19.9);
}

// What a percentile is, exactly: of the sorted values, the first with as many at or below it.
std::uint64_t exact(const std::vector<std::uint64_t>& sorted, double p) {
  const auto rank = std::ceil(p * static_cast<double>(sorted.size()) - 1e-9);
  return sorted[static_cast<std::size_t>(std::max(rank, 1.0)) - 1];
}

RC_GTEST_PROP(AWindowOfAnySeconds, HasEachPercentileInTheBucketOfTheExactOne, ()) {
  const auto times = rc::gen::container<std::vector<std::uint64_t>>(
      rc::gen::inRange<std::uint64_t>(0, 40'000'000'000));
  SlidingWindow window(kEnds);
  Figures sums{.at_ns = kSecond};
  window.add(sums);
  std::vector<std::vector<std::uint64_t>> seconds;
  std::uint64_t zeros = 0;
  const int count = *rc::gen::inRange(1, 25);
  for (int second = 0; second < count; ++second) {
    seconds.push_back(*times);
    for (const std::uint64_t ns : seconds.back()) ++sums.wait[bucket_of(ns)];
    sums.waited += seconds.back().size();
    const auto unwaited = *rc::gen::inRange<std::uint64_t>(0, 20);
    sums.acquires += seconds.back().size() + unwaited;
    if (count - second <= 10) zeros += unwaited;
    sums.at_ns += kSecond;
    window.add(sums);
  }
  std::vector<std::uint64_t> all(zeros, 0);
  for (std::size_t i = seconds.size() > 10 ? seconds.size() - 10 : 0; i < seconds.size(); ++i) {
    all.insert(all.end(), seconds[i].begin(), seconds[i].end());
  }
  std::sort(all.begin(), all.end());

  const Percentiles found = window.over(sums.at_ns, 10 * kSecond).wait;
  RC_ASSERT(found.count == static_cast<double>(all.size()));
  if (all.empty()) return;
  const auto in_bucket_of = [](double ms, std::uint64_t ns) {
    const std::size_t bucket = bucket_of(ns);
    const double begin = bucket == 0 ? 0 : static_cast<double>(kEnds[bucket - 1]) / 1e6;
    return ms >= begin - 1e-6 && ms <= static_cast<double>(kEnds[bucket]) / 1e6 + 1e-6;
  };
  RC_ASSERT(in_bucket_of(found.p50, exact(all, 0.50)));
  RC_ASSERT(in_bucket_of(found.p95, exact(all, 0.95)));
  RC_ASSERT(in_bucket_of(found.p99, exact(all, 0.99)));
}

}  // namespace
}  // namespace weir::policy
