#include <gtest/gtest.h>

#include "runs.h"

namespace weir::simulation {
namespace {

constexpr std::uint64_t kSecondUs = 1'000'000;

TEST(ARequest, PaysForTheConnectThatItNeeds) {
  MachineSettings settings{.threads = 0, .mechanics = kSteady};
  const Report report = simulate(load_of({{100, 5'000, 0}, {50'000, 5'000, 0}}), settings, fixed);
  EXPECT_EQ(report.outcomes[0].wait_us, settings.mechanics.connect_us);
  EXPECT_EQ(report.outcomes[1].wait_us, 0u) << "it found that one idle";
  EXPECT_EQ(report.opens, 1u);
}

TEST(ARequest, OfAnotherWorkerGetsAnIdleConnectionLive) {
  MachineSettings settings{.threads = 0, .mechanics = kSteady};
  settings.pool.max = 1;
  const Report report = simulate(load_of({{100, 5'000, 0}, {50'000, 5'000, 1}}), settings, fixed);
  const Mechanics& takes = settings.mechanics;
  EXPECT_EQ(report.handovers, 1u);
  EXPECT_EQ(report.outcomes[1].wait_us,
            takes.rouse_us + takes.give_us + takes.wake_us + takes.take_us)
      << "its keeper is roused, and sends it";
}

TEST(Steps, TakeDifferentlyLongAroundTheirMedian) {
  MachineSettings settings{.workers = 2, .threads = 0};
  settings.pool.max = 1;
  std::vector<Request> to_and_fro;
  for (std::uint32_t i = 0; i < 2'000; ++i) {
    to_and_fro.push_back({i * std::uint64_t{20'000}, 1'000, i % 2});
  }
  const Report report = simulate(load_of(to_and_fro), settings, fixed);
  const Mechanics& takes = settings.mechanics;
  const auto median_ms =
      static_cast<double>(takes.rouse_us + takes.give_us + takes.wake_us + takes.take_us) / 1000;
  EXPECT_NEAR(report.waits.p50_ms / median_ms, 1.05, 0.06)
      << "of a sum: a little above that of all";
  EXPECT_GT(report.waits.p95_ms, 1.3 * report.waits.p50_ms);
  EXPECT_LT(report.waits.p99_ms, 3 * report.waits.p50_ms);
  settings.mechanics.spread = 0;
  const Report always = simulate(load_of(to_and_fro), settings, fixed);
  EXPECT_DOUBLE_EQ(always.waits.p50_ms, median_ms);
  EXPECT_DOUBLE_EQ(always.waits.p95_ms, median_ms);
}

TEST(ARequest, OfAnotherWorkerGetsItByPermitWhereSessionsCannotMove) {
  MachineSettings settings{.threads = 0, .mechanics = kSteady};
  settings.pool.max = 1;
  settings.pool.handover = Handover::kPermit;
  const Report report = simulate(load_of({{100, 5'000, 0}, {200'000, 5'000, 1}}), settings, fixed);
  EXPECT_EQ(report.handovers, 0u);
  EXPECT_EQ(report.closes, 1u);
  EXPECT_EQ(report.opens, 2u);
  EXPECT_GE(report.outcomes[1].wait_us,
            settings.mechanics.close_us + settings.mechanics.connect_us);
}

TEST(ARequest, WaitsForAThreadBeforeItAsksThePool) {
  MachineSettings settings{.workers = 1, .threads = 1, .mechanics = kNoTime};
  const Report report = simulate(load_of({{0, 5'000}, {0, 5'000}, {0, 5'000}}), settings, fixed);
  EXPECT_EQ(report.waits.max_ms, 0) << "of those who asked nobody waited";
  EXPECT_EQ(report.outcomes[2].asked_us, 10'000u);
  EXPECT_EQ(report.opens, 1u);
}

TEST(ARequest, ThatNoThreadTookInTimeTimesOutWithoutAsking) {
  MachineSettings settings{.workers = 1, .threads = 1, .mechanics = kNoTime};
  Load load = load_of({{0, 50'000}, {0, 5'000}});
  load.patience_us = 10'000;
  const Report report = simulate(load, settings, fixed);
  EXPECT_EQ(report.timeouts, 1u);
  EXPECT_FALSE(report.outcomes[1].asked);
}

TEST(ARequest, TimesOutInLineAndWhatComesBackGoesToTheNext) {
  MachineSettings settings{.workers = 2, .threads = 0, .mechanics = kNoTime};
  settings.pool.max = 1;
  settings.pool.acquire_timeout_ms = 10;
  const Report report =
      simulate(load_of({{0, 15'000, 0}, {1'000, 5'000, 1}, {10'000, 5'000, 0}}), settings, fixed);
  EXPECT_EQ(report.outcomes[1].end, End::kTimedOut);
  EXPECT_EQ(report.outcomes[1].wait_us, 10'000u);
  EXPECT_EQ(report.outcomes[2].end, End::kServed);
  EXPECT_EQ(report.outcomes[2].wait_us, 5'000u);
}

TEST(ARequest, ThatFollowsAnotherArrivesWhenThatOneHasEnded) {
  MachineSettings settings{.workers = 1, .threads = 0, .mechanics = kNoTime};
  const Report report =
      simulate(load_of({{1'000, 5'000, 0}, {2'000, 5'000, 0, 0, 0}}), settings, fixed);
  EXPECT_EQ(report.outcomes[1].asked_us, 8'000u);
}

TEST(CallersOfAWorker, PassWhoWaitsElsewhereUntilHandoverAfter) {
  // Worker 0 always has somebody in line. Who waits in worker 1 is owed after 10 ms: who gives
  // has no more connections than the other could have, so not after half of it.
  MachineSettings settings{.workers = 2, .threads = 0, .mechanics = kNoTime};
  settings.pool.max = 1;
  std::vector<Request> requests{{0, 2'000, 0}, {100, 2'000, 1}};
  for (std::uint64_t i = 0; i < 10; ++i) requests.push_back({200, 2'000, 0});
  const Report late = simulate(load_of(requests), settings, fixed);
  settings.pool.handover_after_ms = 0;
  const Report strict = simulate(load_of(requests), settings, fixed);
  EXPECT_EQ(late.outcomes[1].wait_us, 11'900u);
  EXPECT_EQ(strict.outcomes[1].wait_us, 1'900u) << "the strict line";
}

TEST(ClassesBelowTheirFloor, GoBeforeAllOthers) {
  MachineSettings settings{.workers = 1, .threads = 0, .mechanics = kNoTime};
  settings.pool.max = 1;
  settings.pool.classes = {{"auth", 1}};
  const Report report =
      simulate(load_of({{0, 5'000, 0}, {1'000, 5'000, 0}, {2'000, 5'000, 0, 1}}), settings, fixed);
  EXPECT_EQ(report.outcomes[2].wait_us, 3'000u);
  EXPECT_EQ(report.outcomes[1].wait_us, 9'000u);
}

TEST(Connections, AreOpenedAFewAtATime) {
  std::vector<Request> requests;
  for (int i = 0; i < 8; ++i) requests.push_back({0, 100'000, 0});
  MachineSettings settings{.workers = 1, .threads = 0, .mechanics = kSteady};
  settings.mechanics.wake_us = 0;
  const Report report = simulate(load_of(requests), settings, fixed);
  EXPECT_EQ(report.opens, 8u);
  EXPECT_EQ(report.outcomes[7].wait_us, 4 * settings.mechanics.connect_us) << "two by two";
}

TEST(Connections, AreOpenedAheadUpToMinAndClosedWhenTheyIdle) {
  MachineSettings settings{.workers = 2, .threads = 0};
  settings.pool.min = 4;
  settings.pool.idle_timeout_ms = 2'000;
  std::vector<Request> requests;
  for (int i = 0; i < 10; ++i) requests.push_back({5 * kSecondUs, 100'000, 0});
  requests.push_back({12 * kSecondUs, 100, 0});
  const Report report = simulate(load_of(requests), settings, fixed);
  EXPECT_EQ(report.course[4].open, 4u);
  EXPECT_EQ(report.open_most, 10u);
  EXPECT_EQ(report.course[11].open, 4u);
  EXPECT_EQ(report.closes, 6u);
}

TEST(Connections, AboveKeepAreClosedOnReturn) {
  MachineSettings settings{.workers = 1, .threads = 0};
  settings.pool.keep = 3;
  std::vector<Request> requests;
  for (int i = 0; i < 10; ++i) requests.push_back({0, 100'000, 0});
  requests.push_back({kSecondUs, 100, 0});
  const Report report = simulate(load_of(requests), settings, fixed);
  EXPECT_EQ(report.open_most, 10u);
  EXPECT_EQ(report.closes, 7u);
}

/// A request every millisecond, and no server from 2 s to 3 s.
Load broken_for_a_second() {
  std::vector<Request> requests;
  for (std::uint64_t i = 0; i < 6'000; ++i) requests.push_back({i * 1'000, 4'000, 0});
  Load load = load_of(std::move(requests));
  load.outages = {{2 * kSecondUs, 3 * kSecondUs}};
  return load;
}

TEST(AnOutage, OpensTheBreakerAndOneProbeAtATimeFindsItsEnd) {
  const Report report = simulate(broken_for_a_second(), {.workers = 1, .threads = 0}, fixed);
  EXPECT_GT(report.refused, 500u) << "fast, by the breaker";
  EXPECT_LT(report.connect_failures, 30u) << "not one for each request";
  for (const std::size_t second : {0u, 1u, 4u, 5u}) {
    EXPECT_EQ(report.course[second].failures, 0u) << "second " << second;
  }
  EXPECT_LT(report.waits.max_ms, 100);
}

TEST(AnOutage, IsWaitedForWhereConnectsAreRetried) {
  MachineSettings settings{.workers = 1, .threads = 0};
  settings.pool.retries_connects = true;
  const Report report = simulate(broken_for_a_second(), settings, fixed);
  EXPECT_EQ(report.refused, 0u);
  EXPECT_LE(report.failed, 2u * settings.pool.max) << "who worked on a session, or got a dead one";
  EXPECT_GT(report.waits.max_ms, 900);
  EXPECT_LT(report.waits.max_ms, 2'500);
}

/// Keeps the breaker by itself: at every failure it opens it for 200 ms.
class OwnBreaker final : public policy::Policy {
 public:
  [[nodiscard]] std::string_view name() const override { return "own"; }
  policy::SizeDecision size(const policy::PoolView& view) override {
    return policy::FixedPolicy::size_for(view);
  }
  policy::Eviction evict(const policy::ConnectionView&, const policy::PoolView&) override {
    return policy::Eviction::kKeep;
  }
  policy::BreakerDecision breaker(const policy::PoolView& view) override {
    if (!view.attempt_failed) return {view.breaker, view.breaker_retry_ms};
    return {policy::BreakerState::kOpen, 200};
  }
  [[nodiscard]] bool has_own_breaker() const override { return true; }
};

TEST(APolicy, MayKeepTheBreakerByItself) {
  const Report report = simulate(broken_for_a_second(), {.workers = 1, .threads = 0},
                                 [] { return std::make_unique<OwnBreaker>(); });
  EXPECT_EQ(report.policy, "own");
  EXPECT_LE(report.connect_failures, 8u) << "one each 200 ms, and who came with the first";
  EXPECT_GT(report.refused, 500u);
  EXPECT_EQ(report.course[4].failures, 0u);
}

/// Halves the pool; says what it was told.
class Curious final : public policy::Policy {
 public:
  explicit Curious(policy::PoolView& last) : last_(last) {}
  [[nodiscard]] std::string_view name() const override { return "curious"; }
  policy::SizeDecision size(const policy::PoolView& view) override {
    last_ = view;
    return {.target = view.max / 2, .max = view.max / 2};
  }
  policy::Eviction evict(const policy::ConnectionView&, const policy::PoolView&) override {
    return policy::Eviction::kKeep;
  }
  policy::BreakerDecision breaker(const policy::PoolView& view) override {
    return {view.breaker, view.breaker_retry_ms};
  }

 private:
  policy::PoolView& last_;
};

TEST(APolicy, IsToldOfTheLastSecondsAndDecidesHowManyMayBeOpen) {
  std::vector<Request> requests;
  for (std::uint64_t i = 0; i < 60'000; ++i) requests.push_back({i * 333, 12'000, 0});
  policy::PoolView last;
  MachineSettings settings{.workers = 1, .threads = 0, .mechanics = kNoTime};
  settings.pool.max = 100;  // 36 of which are used at a time
  const Report report = simulate(load_of(std::move(requests)), settings,
                                 [&] { return std::make_unique<Curious>(last); });
  EXPECT_LE(report.open_most, 50u);
  EXPECT_NEAR(last.last.acquires_per_s, 3'000, 30);
  EXPECT_NEAR(last.last.used_mean, 36, 1);
  EXPECT_NEAR(last.last.use.p50, 12, 2);
  EXPECT_GE(last.last.length_ms, 9'000u);
  EXPECT_LE(last.last.length_ms, 10'000u);
  EXPECT_GE(last.minute.length_ms, 18'000u);
  EXPECT_EQ(last.quota_limit, 100u);
}

}  // namespace
}  // namespace weir::simulation
