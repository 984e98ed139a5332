// The scripts in policies/: what each promises in its header and in docs/policies.md, over views
// that nobody thought of.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "policy/lua_policy.h"
#include "policy/scripted_policy.h"

namespace weir::policy {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

const std::filesystem::path kFolder = std::filesystem::path(WEIR_SOURCE_FOLDER) / "policies";
const char* const kNames[] = {"adaptive", "breaker", "burst", "fair_share", "fixed", "priority"};
const char* const kPoolNames[] = {"main", "a", "b", "c", "d", "e"};
const char* const kClassNames[] = {"web", "batch", "reports"};

std::string text_of(const std::string& name) {
  std::ifstream file(kFolder / (name + ".lua"));
  return {std::istreambuf_iterator<char>(file), {}};
}

std::unique_ptr<LuaPolicy> load(const std::string& name, const Params& params = {}) {
  auto loaded = LuaPolicy::load(text_of(name), name, params);
  if (!loaded.ok()) throw std::runtime_error(loaded.status().message());
  return std::move(loaded).value();
}

/// A view with the lists that it shows.
struct World {
  PoolView view{};
  std::vector<PoolShare> pools{};
  std::vector<WorkerShare> workers{};
  std::vector<ClassShare> classes{};

  /// With its lists, wherever the World has come to lie.
  [[nodiscard]] PoolView look() const {
    PoolView now = view;
    now.pools = pools;
    now.worker_shares = workers;
    now.classes = classes;
    return now;
  }
};

std::uint32_t up_to(std::uint32_t most) { return *rc::gen::inRange(0u, most + 1); }
double real_up_to(std::uint32_t most) { return up_to(most * 8) / 8.0; }

Percentiles draw_percentiles() {
  Percentiles times{.count = real_up_to(1'000)};
  times.p50 = real_up_to(100);
  times.p95 = times.p50 + real_up_to(1'000);
  times.p99 = times.p95 + real_up_to(1'000);
  return times;
}

WindowView draw_window(std::uint64_t length_ms) {
  return {.length_ms = *rc::gen::inRange<std::uint64_t>(0, length_ms + 1),
          .wait = draw_percentiles(),
          .use = draw_percentiles(),
          .connect = draw_percentiles(),
          .acquires_per_s = real_up_to(1'000),
          .waited_per_s = real_up_to(20),
          .timeouts_per_s = real_up_to(20),
          .connects_per_s = real_up_to(20),
          .connect_failures_per_s = real_up_to(20),
          .closes_per_s = real_up_to(20),
          .used_mean = real_up_to(50),
          .used_most = up_to(50)};
}

World draw_world() {
  World world;
  PoolView& view = world.view;
  view.now_ms = up_to(10'000'000);
  view.name = "main";
  view.max = 1 + up_to(60);
  view.min = up_to(view.max);
  view.keep = up_to(view.max);
  view.max_per_worker = up_to(10);
  view.idle_timeout_ms = up_to(600'000);
  view.handover_after_ms = up_to(50);
  view.idle = up_to(30);
  view.used = up_to(30);
  view.connecting = up_to(4);
  view.closing = up_to(4);
  view.waiting = up_to(100);
  view.workers = 1 + up_to(8);
  view.quota_limit = up_to(100);
  view.last = draw_window(10'000);
  view.minute = draw_window(60'000);
  view.connect_failures_in_a_row = up_to(255);
  view.breaker = static_cast<BreakerState>(up_to(2));
  view.breaker_retry_ms = up_to(5'000);
  view.chance = up_to(999) / 1'000.0;
  for (std::uint32_t i = 0, count = up_to(6); i < count; ++i) {
    world.pools.push_back({.name = kPoolNames[i],
                           .max = i == 0 ? view.max : 1 + up_to(60),
                           .used = up_to(30),
                           .waiting = up_to(40)});
  }
  for (std::uint32_t i = 0, count = up_to(8); i < count; ++i) {
    world.workers.push_back({.used = up_to(10), .waiting = up_to(10), .is_here = i == 0});
  }
  for (std::uint32_t i = 0, count = up_to(3); i < count; ++i) {
    world.classes.push_back(
        {.name = kClassNames[i], .floor = up_to(20), .used = up_to(10), .waiting = up_to(3)});
  }
  return world;
}

/// What a policy that remembers has seen before.
std::vector<World> draw_history() {
  std::vector<World> history;
  std::uint64_t now_ms = 0;
  for (std::uint32_t i = 0, count = up_to(2); i < count; ++i) {
    history.push_back(draw_world());
    history.back().view.now_ms = now_ms += 1'000 * up_to(100);
  }
  return history;
}

/// Of a policy of its own that has seen `history`.
SizeDecision size_after(const std::string& name, const std::vector<World>& history,
                        const World& last) {
  const std::unique_ptr<LuaPolicy> policy = load(name);
  for (const World& before : history) RC_ASSERT(policy->size(before.look()).ok());
  const Result<SizeDecision> decision = policy->size(last.look());
  RC_ASSERT(decision.ok());
  return clamp(decision.value(), last.look());
}

TEST(TheShippedPolicies, AreTheseAndBearTheNamesOfTheirFiles) {
  std::vector<std::string> found;
  for (const auto& entry : std::filesystem::directory_iterator(kFolder)) {
    found.push_back(entry.path().filename().string());
  }
  std::sort(found.begin(), found.end());
  std::vector<std::string> expected;
  for (const char* const name : kNames) {
    expected.push_back(std::string(name) + ".lua");
    EXPECT_EQ(load(name)->name(), name);
  }
  EXPECT_EQ(found, expected);
}

TEST(TheShippedPolicies, PassTheirOwnChecksOfWhichThereAreSeveral) {
  for (const char* const name : kNames) {
    const auto loaded = LuaPolicy::load(text_of(name), name);
    ASSERT_TRUE(loaded.ok()) << loaded.status().message();
    EXPECT_GE(loaded.value()->samples(), 5u) << name;
  }
}

TEST(TheShippedPolicies, OpenWithWhatTheyAreForTheirParamsAndWhenNotToUseThem) {
  for (const char* const name : kNames) {
    const std::string text = text_of(name);
    EXPECT_THAT(text, StartsWith("-- " + std::string(name) + ": "));
    EXPECT_THAT(text, HasSubstr("-- What for: "));
    EXPECT_THAT(text, HasSubstr("-- When not to use it: "));
    const std::string header = text.substr(0, text.find("return {"));
    EXPECT_THAT(header, HasSubstr("-- Params:\n"));
    const std::unique_ptr<LuaPolicy> policy = load(name);
    for (const auto& [param, value] : policy->params()) {
      EXPECT_THAT(header, HasSubstr("\n--   " + param + " ")) << name;
    }
  }
}

RC_GTEST_PROP(TheShippedPolicies, DecideWithinTheLimitsWhateverTheySee, ()) {
  const std::string name = kNames[up_to(std::size(kNames) - 1)];
  const std::unique_ptr<LuaPolicy> policy = load(name);
  std::vector<World> worlds = draw_history();
  worlds.push_back(draw_world());
  for (const World& world : worlds) {
    PoolView view = world.look();
    const Result<SizeDecision> size = policy->size(view);
    if (!size.ok()) RC_FAIL(name + ": " + size.status().message());
    const SizeDecision decision = clamp(size.value(), view);
    RC_ASSERT(decision.max >= 1u && decision.max <= view.max);
    RC_ASSERT(decision.warm <= decision.target && decision.target <= decision.max);
    const Result<Eviction> eviction = policy->evict({.idle_ms = up_to(700'000)}, view);
    if (!eviction.ok()) RC_FAIL(name + ": " + eviction.status().message());
    for (const bool failed : {false, true}) {
      view.attempt_failed = failed;
      const Result<BreakerDecision> breaker = policy->breaker(view);
      if (!breaker.ok()) RC_FAIL(name + ": " + breaker.status().message());
      if (!failed && view.breaker != BreakerState::kClosed) {
        RC_ASSERT(breaker.value() == (BreakerDecision{view.breaker, view.breaker_retry_ms}));
      }
    }
  }
}

RC_GTEST_PROP(TheShippedPolicies, NeverDecideLessWhenMoreIsUsedOrWaitedFor, ()) {
  const std::string name = *rc::gen::element("adaptive", "burst", "fixed", "priority");
  const std::vector<World> history = draw_history();
  World less = draw_world();
  less.view.now_ms = 500'000;
  World more = less;
  more.view.used += up_to(5);
  more.view.waiting += up_to(5);
  const SizeDecision of_less = size_after(name, history, less);
  const SizeDecision of_more = size_after(name, history, more);
  RC_ASSERT(of_more.target >= of_less.target);
  RC_ASSERT(of_more.warm >= of_less.warm);
  RC_ASSERT(of_more.max >= of_less.max);
}

/// What each pool of the quota decides for itself, all with the same view.
std::vector<std::uint32_t> shares_of(const World& world) {
  const std::unique_ptr<LuaPolicy> policy = load("fair_share");
  std::vector<std::uint32_t> shares;
  for (const PoolShare& pool : world.pools) {
    PoolView view = world.look();
    view.name = pool.name;
    view.max = pool.max;
    const Result<SizeDecision> decision = policy->size(view);
    RC_ASSERT(decision.ok());
    shares.push_back(decision.value().max);
  }
  return shares;
}

RC_GTEST_PROP(AFairShare, NeverAddsUpToMoreThanTheQuota, ()) {
  const World world = draw_world();
  std::uint32_t sum = 0;
  for (const std::uint32_t share : shares_of(world)) sum += share;
  RC_ASSERT(sum <= world.view.quota_limit);
}

RC_GTEST_PROP(AFairShare, IsLessThanWantedOnlyWhereNobodyHasMore, ()) {
  const World world = draw_world();
  const std::vector<std::uint32_t> shares = shares_of(world);
  for (std::size_t i = 0; i < shares.size(); ++i) {
    const PoolShare& pool = world.pools[i];
    const std::uint32_t wanted = std::min(std::max(pool.used + pool.waiting, 1u), pool.max);
    if (shares[i] >= wanted) continue;
    // But for one, where the quota cannot be divided.
    for (const std::uint32_t other : shares) RC_ASSERT(other <= shares[i] + 1);
  }
}

RC_GTEST_PROP(AFairShare, CapsWorkersIfAskedToOnlyWhenTheyWantMoreThanTwiceWhatThereIs, ()) {
  const World world = draw_world();
  const Result<SizeDecision> decision = load("fair_share", {{"workers", true}})->size(world.look());
  RC_ASSERT(decision.ok());
  const std::uint32_t cap = decision.value().max_per_worker, share = decision.value().max;
  std::uint32_t wanted = 0, capped = 0;
  for (const WorkerShare& worker : world.workers) {
    wanted += worker.used + worker.waiting;
    capped += std::min(worker.used + worker.waiting, cap);
  }
  RC_ASSERT((cap == 0) == (wanted <= 2 * share));
  // But for one each, where the share cannot be divided.
  const auto workers = static_cast<std::uint32_t>(world.workers.size());
  if (cap != 0) RC_ASSERT(capped <= share + workers && capped + workers >= share);
}

/// A pool of 20 whose idle connections close after a second, a second after another.
PoolView pause_of(std::uint64_t now_ms, std::uint32_t idle) {
  return {.now_ms = now_ms, .name = "main", .max = 20, .idle_timeout_ms = 1'000, .idle = idle};
}

TEST(Burst, KeepsWhatABurstOpenedThroughThePauseAndForgetsItSlowly) {
  ScriptedPolicy policy;
  ASSERT_TRUE(policy.load(text_of("burst"), "burst").ok());
  PoolView after = pause_of(1'000, 12);
  after.last.waited_per_s = 1;
  EXPECT_EQ(policy.size(after).warm, 12u) << "no tick saw anything used";
  EXPECT_EQ(policy.evict({.idle_ms = 5'000}, after), Eviction::kKeep);
  EXPECT_EQ(policy.size(pause_of(10'000, 12)).warm, 12u);
  EXPECT_EQ(policy.size(pause_of(301'000, 12)).warm, 6u) << "the half-life is 300 s";
  EXPECT_EQ(policy.evict({.idle_ms = 5'000}, pause_of(301'000, 12)), Eviction::kClose);
}

TEST(Burst, DoesNotTakeWhatAnotherWorkerOpenedAheadForABurst) {
  ScriptedPolicy policy;
  ASSERT_TRUE(policy.load(text_of("burst"), "burst").ok());
  EXPECT_EQ(policy.size(pause_of(1'000, 2)).warm, 0u);
  EXPECT_EQ(policy.size(pause_of(2'000, 12)).warm, 0u);
}

TEST(ABreaker, ThatOpenedOnSlowConnectsLooksAtNewOnesBeforeItDoesSoAgain) {
  ScriptedPolicy policy;
  ASSERT_TRUE(policy.load(text_of("breaker"), "breaker", {{"slow_ms", 1'000.0}}).ok());
  PoolView view{.now_ms = 100'000, .max = 10};
  view.last = {.length_ms = 10'000, .connect = {.count = 5, .p95 = 3'000}};
  const auto decide = [&](std::uint64_t now_ms) {
    view.now_ms = now_ms;
    policy.size(view);
    return policy.breaker(view).state;
  };
  EXPECT_EQ(decide(100'000), BreakerState::kOpen);
  EXPECT_EQ(decide(105'000), BreakerState::kClosed)
      << "the pool has closed it, a probe got through";
  EXPECT_EQ(decide(111'000), BreakerState::kOpen);
}

TEST(ATick, OfEachShippedPolicyOnAThousandIdleConnectionsStaysWithinTheLimits) {
  for (const char* const name : kNames) {
    ScriptedPolicy policy;
    ASSERT_TRUE(policy.load(text_of(name), name).ok());
    const std::vector<PoolShare> pools(6, {.name = "main", .max = 2'000});
    const std::vector<WorkerShare> workers(64, {.used = 100, .waiting = 10});
    PoolView view = pause_of(1'000, 1'000);
    view.max = 2'000;
    view.quota_limit = 2'000;
    view.pools = pools;
    view.worker_shares = workers;
    policy.size(view);
    for (int i = 0; i < 1'000; ++i) policy.evict({.idle_ms = 700'000}, view);
    policy.breaker(view);
    EXPECT_EQ(policy.status().errors, 0u) << name << ": " << policy.status().last_error.message();
  }
}

}  // namespace
}  // namespace weir::policy
