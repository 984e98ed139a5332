#include "demo/trace.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

namespace weir::demo {
namespace {

constexpr TraceShape kShape{.length_us = 60'000'000};

bool same(const Trace& a, const Trace& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Request& x, const Request& y) {
    return x.arrival_us == y.arrival_us && x.hold_us == y.hold_us && x.worker == y.worker;
  });
}

TEST(DemoTrace, IsTheSameForTheSameShapeAndAnotherForAnotherSeed) {
  TraceShape other = kShape;
  other.seed = kShape.seed + 1;
  EXPECT_TRUE(same(make_trace(kShape), make_trace(kShape)));
  EXPECT_FALSE(same(make_trace(kShape), make_trace(other)));
}

TEST(DemoTrace, ArrivesInOrderWithinTheLengthAndHoldsWithinTheLimits) {
  std::uint64_t last_us = 0;
  for (const Request& request : make_trace(kShape)) {
    EXPECT_LE(last_us, request.arrival_us);
    EXPECT_LT(request.arrival_us, kShape.length_us);
    EXPECT_GE(request.hold_us, kShape.hold_min_us);
    EXPECT_LE(request.hold_us, kShape.hold_max_us);
    EXPECT_LT(request.worker, kShape.workers);
    last_us = request.arrival_us;
  }
}

TEST(DemoTrace, AsksForTheLoadThatItWasTold) {
  double work_us = 0;
  for (const Request& request : make_trace(kShape)) work_us += request.hold_us;
  const double capacity_us = static_cast<double>(kShape.length_us) * kShape.quota;
  EXPECT_NEAR(work_us / capacity_us, kShape.load, 0.02);
}

TEST(DemoTrace, GapsAreThoseOfAPoissonProcess) {
  const Trace trace = make_trace(kShape);
  double sum = 0;
  double squares = 0;
  for (std::size_t i = 1; i < trace.size(); ++i) {
    const auto gap = static_cast<double>(trace[i].arrival_us - trace[i - 1].arrival_us);
    sum += gap;
    squares += gap * gap;
  }
  const auto n = static_cast<double>(trace.size() - 1);
  const double mean = sum / n;
  const double deviation = std::sqrt(squares / n - mean * mean);
  EXPECT_NEAR(deviation / mean, 1.0, 0.05);  // exponential: both are equal
}

TEST(DemoTrace, MostRequestsReachTheHotWorkers) {
  const Trace trace = make_trace(kShape);
  const auto hot = std::count_if(trace.begin(), trace.end(), [](const Request& request) {
    const auto workers = hot_workers(kShape, request.arrival_us);
    return std::binary_search(workers.begin(), workers.end(), request.worker);
  });
  EXPECT_NEAR(static_cast<double>(hot) / static_cast<double>(trace.size()), kShape.hot_share, 0.02);
}

TEST(DemoTrace, OneOrTwoAreHotAndMoveEveryPeriodUntilEverybodyWas) {
  std::map<std::uint32_t, int> times_hot;
  std::vector<std::uint32_t> before;
  for (std::uint64_t period = 0; period < 20; ++period) {
    const auto hot = hot_workers(kShape, period * kShape.hot_period_us);
    EXPECT_EQ(hot, hot_workers(kShape, (period + 1) * kShape.hot_period_us - 1));
    EXPECT_EQ(hot.size(), 1 + period % 2);
    std::vector<std::uint32_t> again;
    std::set_intersection(hot.begin(), hot.end(), before.begin(), before.end(),
                          std::back_inserter(again));
    EXPECT_TRUE(again.empty());
    for (const std::uint32_t worker : hot) ++times_hot[worker];
    before = hot;
  }
  EXPECT_EQ(times_hot.size(), kShape.workers);
}

TEST(DemoTrace, WorksWithASingleWorker) {
  const TraceShape shape{.workers = 1, .length_us = 4'000'000};
  EXPECT_EQ(hot_workers(shape, 3'500'000), std::vector<std::uint32_t>{0});
  for (const Request& request : make_trace(shape)) EXPECT_EQ(request.worker, 0U);
}

}  // namespace
}  // namespace weir::demo
