// Where queueing theory has an exact answer, the simulation gives it.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <queue>
#include <random>
#include <vector>

#include "runs.h"

namespace weir::simulation {
namespace {

constexpr double kMeanHoldUs = 10'000;

/// Arrivals and holds of exponential lengths, so that `share` of `servers` is busy.
Load memoryless(std::uint32_t servers, double share, std::size_t count, std::uint32_t workers = 1) {
  std::mt19937_64 random(7);
  std::exponential_distribution<double> gap_us(share * servers / kMeanHoldUs);
  std::exponential_distribution<double> hold_us(1 / kMeanHoldUs);
  std::uniform_int_distribution<std::uint32_t> worker(0, workers - 1);
  std::vector<Request> requests;
  double at_us = 0;
  while (requests.size() < count) {
    at_us += gap_us(random);
    requests.push_back({static_cast<std::uint64_t>(at_us),
                        static_cast<std::uint32_t>(hold_us(random)), worker(random)});
  }
  return load_of(std::move(requests));
}

/// A. K. Erlang's C formula: how long one waits in an M/M/c queue on average.
double erlang_c_wait_ms(std::uint32_t servers, double share) {
  const double offered = share * servers;
  double term = 1, sum = 1;  // offered^k / k!
  for (std::uint32_t k = 1; k < servers; ++k) {
    term *= offered / k;
    sum += term;
  }
  const double full = term * offered / servers / (1 - share);
  const double chance_to_wait = full / (sum + full);
  return chance_to_wait * kMeanHoldUs / 1000 / (servers * (1 - share));
}

MachineSettings machine_of(std::uint32_t connections, std::uint32_t workers = 1) {
  MachineSettings settings{.workers = workers, .threads = 0, .mechanics = kNoTime};
  settings.pool.max = connections;
  return settings;
}

/// J. Kiefer and J. Wolfowitz's recursion: each one is served by who is free first.
double one_line_wait_ms(const Load& load, std::uint32_t servers) {
  std::priority_queue<std::uint64_t, std::vector<std::uint64_t>, std::greater<>> free_us;
  for (std::uint32_t i = 0; i < servers; ++i) free_us.push(0);
  double sum_us = 0;
  for (const Request& one : load.requests) {
    const std::uint64_t begins_us = std::max(one.arrival_us, free_us.top());
    free_us.pop();
    free_us.push(begins_us + one.hold_us);
    sum_us += static_cast<double>(begins_us - one.arrival_us);
  }
  return sum_us / 1000 / static_cast<double>(load.requests.size());
}

class AMemorylessQueue : public testing::TestWithParam<std::uint32_t> {};

TEST_P(AMemorylessQueue, WaitsOnAverageAsErlangComputed) {
  const double share = 0.7;
  const Load load = memoryless(GetParam(), share, 100'000);
  const Report report = simulate(load, machine_of(GetParam()), fixed);
  const double expected = erlang_c_wait_ms(GetParam(), share);
  EXPECT_NEAR(mean_wait_ms(report), expected, 0.1 * expected);
  EXPECT_NEAR(mean_wait_ms(report), one_line_wait_ms(load, GetParam()), 1e-3)
      << "of this very list";
  EXPECT_NEAR(report.utilisation(), share, 0.02);
}

TEST_P(AMemorylessQueue, OverManyWorkersIsOneLineWhenMovingTakesNoTime) {
  constexpr std::uint32_t kWorkers = 6;
  MachineSettings settings = machine_of(GetParam(), kWorkers);
  settings.pool.handover_after_ms = 0;
  settings.pool.validate_after_ms = 60'000;
  const Load load = memoryless(GetParam(), 0.8, 20'000, kWorkers);
  const Report report = simulate(load, settings, fixed);
  const double expected = one_line_wait_ms(load, GetParam());
  EXPECT_NEAR(mean_wait_ms(report), expected, 0.01 * expected);
}

INSTANTIATE_TEST_SUITE_P(OfServers, AMemorylessQueue, testing::Values(1u, 3u, 8u));

TEST(AQueueOfEqualSteps, NeverWaitsWhenTheServerIsDoneInTime) {
  std::vector<Request> requests;
  for (std::uint64_t i = 0; i < 1'000; ++i) requests.push_back({i * 10'000, 10'000});
  const Report report = simulate(load_of(std::move(requests)), machine_of(1), fixed);
  EXPECT_EQ(report.waits.max_ms, 0);
  EXPECT_EQ(report.opens, 1u);
  EXPECT_NEAR(report.utilisation(), 1.0, 0.01);
}

TEST(AQueueOfEqualSteps, WaitsAStepLongerEachTimeWhenTwoComeAtOnce) {
  std::vector<Request> requests;
  for (std::uint64_t i = 0; i < 100; ++i) requests.push_back({0, 10'000});
  const Report report = simulate(load_of(std::move(requests)), machine_of(1), fixed);
  for (std::uint64_t i = 0; i < 100; ++i) EXPECT_EQ(report.outcomes[i].wait_us, i * 10'000);
}

TEST(AMachine, WithAConnectionForEachThreadLetsNobodyWaitOnceTheyAreOpen) {
  MachineSettings settings{.workers = 4, .threads = 5, .mechanics = kNoTime};
  settings.pool.max = 20;
  settings.pool.handover_after_ms = 0;
  const Report report = simulate(memoryless(20, 0.9, 50'000, 4), settings, fixed);
  EXPECT_EQ(report.waits.max_ms, 0);
  EXPECT_EQ(report.served, 50'000u);
}

}  // namespace
}  // namespace weir::simulation
