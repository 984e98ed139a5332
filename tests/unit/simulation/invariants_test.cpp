// What holds of every run, whatever the load, the machine and the policy.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <random>

#include "runs.h"

namespace weir::simulation {
namespace {

Load any_load() {
  const auto count = *rc::gen::inRange<std::size_t>(1, 400);
  std::mt19937_64 random(*rc::gen::arbitrary<std::uint64_t>());
  const auto below = [&](std::uint64_t most) { return random() % most; };
  const std::uint64_t gap_us = 1 + below(5'000);
  std::vector<Request> requests;
  std::uint64_t at_us = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    const bool follows = i > 0 && below(8) == 0;
    if (!follows) at_us += below(gap_us);
    requests.push_back({follows ? below(1'000) : at_us, static_cast<std::uint32_t>(below(20'000)),
                        static_cast<std::uint32_t>(below(12)), static_cast<std::uint32_t>(below(3)),
                        follows ? i - 1 : kNobody});
  }
  Load load{.name = "any", .requests = std::move(requests), .length_us = at_us};
  if (below(2) == 0) load.outages.push_back({at_us / 3, at_us / 2 + 1});
  if (below(2) == 0) load.patience_us = 1 + below(50'000);
  return load;
}

MachineSettings any_machine() {
  MachineSettings settings;
  settings.workers = *rc::gen::inRange(1u, 9u);
  settings.threads = *rc::gen::inRange(0u, 6u);
  settings.seed = *rc::gen::arbitrary<std::uint64_t>();
  PoolSettings& pool = settings.pool;
  pool.max = *rc::gen::inRange(1u, 12u);
  pool.min = *rc::gen::inRange(0u, 14u);
  pool.quota = *rc::gen::inRange(0u, 12u);
  pool.max_per_worker = *rc::gen::inRange(0u, 4u);
  pool.acquire_timeout_ms = *rc::gen::inRange(1u, 200u);
  pool.idle_timeout_ms = *rc::gen::inRange(0u, 3'000u);
  pool.max_lifetime_ms = *rc::gen::inRange(0u, 1'000u);
  pool.validate_after_ms = *rc::gen::inRange(0u, 50u);
  pool.handover_after_ms = *rc::gen::inRange(0u, 12u);
  pool.handover = *rc::gen::element(Handover::kLive, Handover::kPermit, Handover::kOff);
  pool.retries_connects = *rc::gen::arbitrary<bool>();
  pool.classes = {{"auth", 2}, {"batch", 0}};
  settings.mechanics.reset_us = *rc::gen::inRange(0u, 300u);
  return settings;
}

/// Says anything at all.
class Hostile final : public policy::Policy {
 public:
  explicit Hostile(std::uint64_t seed) : random_(seed) {}
  [[nodiscard]] std::string_view name() const override { return "hostile"; }
  policy::SizeDecision size(const policy::PoolView&) override {
    return {count(), count(), count(), count(), random_() % 3 == 0 ? UINT64_MAX : random_() % 20};
  }
  policy::Eviction evict(const policy::ConnectionView&, const policy::PoolView&) override {
    return static_cast<policy::Eviction>(random_() % 3);
  }
  policy::BreakerDecision breaker(const policy::PoolView&) override {
    return {static_cast<policy::BreakerState>(random_() % 3),
            random_() % 2 == 0 ? UINT64_MAX : random_() % 50};
  }
  [[nodiscard]] bool has_own_breaker() const override { return true; }

 private:
  std::uint32_t count() {
    return random_() % 2 == 0 ? static_cast<std::uint32_t>(random_() % 4)
                              : static_cast<std::uint32_t>(UINT32_MAX - random_() % 4);
  }
  std::mt19937_64 random_;
};

void check(const Load& load, const MachineSettings& settings, const Report& report) {
  const PoolSettings& pool = settings.pool;
  RC_ASSERT(report.open_most <= pool.max);
  if (pool.quota != 0) RC_ASSERT(report.open_most <= pool.quota);
  RC_ASSERT(report.used_most <= report.open_most);
  RC_ASSERT(report.outcomes.size() == load.requests.size());
  for (const Outcome& one : report.outcomes) {
    RC_ASSERT(one.ends == 1u);
    RC_ASSERT(one.end != End::kNone);
    if (one.end == End::kServed) RC_ASSERT(one.had_one);
  }
  RC_ASSERT(report.served + report.timeouts + report.refused + report.failed == report.requests);
  RC_ASSERT(report.closes <= report.opens);
}

RC_GTEST_PROP(EveryRun, EndsEachRequestOnceAndNeverOpensMoreThanItMay, ()) {
  const Load load = any_load();
  const MachineSettings settings = any_machine();
  check(load, settings, simulate(load, settings, fixed));
}

RC_GTEST_PROP(EveryRun, HoldsThatWhateverItsPolicySays, ()) {
  const Load load = any_load();
  const MachineSettings settings = any_machine();
  const auto seed = *rc::gen::arbitrary<std::uint64_t>();
  check(load, settings, simulate(load, settings, [&] { return std::make_unique<Hostile>(seed); }));
}

RC_GTEST_PROP(EveryRun, OfTheSameSeedComesToTheSame, ()) {
  const Load load = any_load();
  const MachineSettings settings = any_machine();
  const Report one = simulate(load, settings, fixed), other = simulate(load, settings, fixed);
  RC_ASSERT(one.opens == other.opens && one.closes == other.closes);
  RC_ASSERT(one.handovers == other.handovers && one.length_us == other.length_us);
  for (std::size_t i = 0; i < one.outcomes.size(); ++i) {
    RC_ASSERT(one.outcomes[i].end == other.outcomes[i].end);
    RC_ASSERT(one.outcomes[i].wait_us == other.outcomes[i].wait_us);
  }
}

RC_GTEST_PROP(AStrictLine, ServesTheOldestFirst, ()) {
  Load load = any_load();
  load.outages.clear();
  for (Request& request : load.requests) request.klass = 0;
  MachineSettings settings = any_machine();
  settings.mechanics = kNoTime;
  settings.pool.max_per_worker = 0;  // else who waits for one of its own worker's is passed
  settings.pool.handover = Handover::kLive;
  settings.pool.handover_after_ms = 0;
  settings.pool.max_lifetime_ms = 0;
  const Report report = simulate(load, settings, fixed);
  std::vector<std::pair<std::uint64_t, std::uint64_t>> waited;  // from when to when
  for (const Outcome& one : report.outcomes) {
    if (one.had_one) waited.emplace_back(one.asked_us, one.asked_us + one.wait_us);
  }
  std::sort(waited.begin(), waited.end());
  for (std::size_t i = 1; i < waited.size(); ++i) {
    RC_ASSERT(waited[i].first == waited[i - 1].first || waited[i].second >= waited[i - 1].second);
  }
}

}  // namespace
}  // namespace weir::simulation
