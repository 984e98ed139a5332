#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "policy/policy.h"

namespace weir::policy {
namespace {

TEST(TheFixedPolicy, KeepsMinWarmAndGrowsToMax) {
  FixedPolicy policy;
  const SizeDecision decision =
      policy.size({.max = 8, .min = 2, .keep = 5, .max_per_worker = 3, .handover_after_ms = 10});
  EXPECT_EQ(policy.name(), "fixed");
  EXPECT_EQ(decision.target, 8u);
  EXPECT_EQ(decision.warm, 2u);
  EXPECT_EQ(decision.max, 8u);
  EXPECT_EQ(decision.max_per_worker, 3u);
  EXPECT_EQ(decision.handover_after_ms, 10u);
}

TEST(TheFixedPolicy, ClosesWhatIdledTooLong) {
  FixedPolicy policy;
  const PoolView view{.max = 8, .min = 1, .idle_timeout_ms = 100, .idle = 2};
  EXPECT_EQ(policy.evict({.idle_ms = 99}, view), Eviction::kKeep);
  EXPECT_EQ(policy.evict({.idle_ms = 100}, view), Eviction::kClose);
}

TEST(TheFixedPolicy, KeepsIdleConnectionsThatMinNeeds) {
  FixedPolicy policy;
  EXPECT_EQ(policy.evict({.idle_ms = 500}, {.min = 2, .idle_timeout_ms = 100, .idle = 2}),
            Eviction::kKeep);
  EXPECT_EQ(
      policy.evict({.idle_ms = 500}, {.min = 2, .idle_timeout_ms = 100, .idle = 1, .used = 2}),
      Eviction::kClose);
}

TEST(TheFixedPolicy, DoesNotCountWhatIsOnItsWayOutTowardsMin) {
  FixedPolicy policy;
  const PoolView view{.min = 2, .idle_timeout_ms = 100, .idle = 2, .closing = 5, .lingering = 5};
  EXPECT_EQ(policy.evict({.idle_ms = 500}, view), Eviction::kKeep);
}

TEST(TheFixedPolicy, WithoutAnIdleTimeoutClosesNothingForIdling) {
  FixedPolicy policy;
  EXPECT_EQ(policy.evict({.idle_ms = 1'000'000}, {.idle = 5}), Eviction::kKeep);
}

TEST(TheFixedPolicy, ClosesWhatOutlivedItsLifetimeEvenBelowMin) {
  FixedPolicy policy;
  const PoolView view{.min = 5, .idle = 1};
  EXPECT_EQ(policy.evict({.age_ms = 1'000, .lifetime_ms = 1'000}, view), Eviction::kClose);
  EXPECT_EQ(policy.evict({.age_ms = 999, .lifetime_ms = 1'000}, view), Eviction::kKeep);
  EXPECT_EQ(policy.evict({.age_ms = 1'000'000, .lifetime_ms = 0}, view), Eviction::kKeep);
}

PoolView failed(std::uint32_t failures, BreakerState breaker, double chance) {
  PoolView view;
  view.connect_failures_in_a_row = failures;
  view.breaker = breaker;
  view.attempt_failed = true;
  view.chance = chance;
  return view;
}

TEST(TheFixedPolicy, OpensTheBreakerAfterThreeFailuresInARow) {
  FixedPolicy policy;
  for (const std::uint32_t failures : {1u, 2u}) {
    EXPECT_EQ(policy.breaker(failed(failures, BreakerState::kClosed, 0.5)).state,
              BreakerState::kClosed);
  }
  EXPECT_EQ(policy.breaker(failed(3, BreakerState::kClosed, 0.5)).state, BreakerState::kOpen);
}

TEST(TheFixedPolicy, OpensAHalfOpenBreakerAgainWhateverTheCountSays) {
  FixedPolicy policy;
  EXPECT_EQ(policy.breaker(failed(1, BreakerState::kHalfOpen, 0.5)).state, BreakerState::kOpen);
}

TEST(TheFixedPolicy, DoublesTheLongestPauseFromATenthToASecond) {
  FixedPolicy policy;
  const auto most = [&](std::uint32_t failures) {
    return policy.breaker(failed(failures, BreakerState::kHalfOpen, 0.999'999)).retry_ms;
  };
  EXPECT_EQ(most(3), 100u);
  EXPECT_EQ(most(4), 200u);
  EXPECT_EQ(most(5), 400u);
  EXPECT_EQ(most(6), 800u);
  EXPECT_EQ(most(7), 1'000u);
  EXPECT_EQ(most(255), 1'000u);
  EXPECT_EQ(policy.breaker(failed(7, BreakerState::kHalfOpen, 0)).retry_ms, 0u) << "full jitter";
  EXPECT_EQ(policy.breaker(failed(7, BreakerState::kHalfOpen, 0.5)).retry_ms, 500u);
}

TEST(TheFixedPolicy, LeavesTheBreakerAsItIsAtATick) {
  FixedPolicy policy;
  for (const BreakerState state :
       {BreakerState::kClosed, BreakerState::kOpen, BreakerState::kHalfOpen}) {
    PoolView view = failed(9, state, 0.5);
    view.attempt_failed = false;
    view.breaker_retry_ms = 70;
    EXPECT_EQ(policy.breaker(view).state, state);
    EXPECT_EQ(policy.breaker(view).retry_ms, 70u);
  }
}

TEST(AClampedDecision, ThatWasWithinBoundsIsUnchanged) {
  const SizeDecision decision =
      clamp({.warm = 3, .max = 5, .max_per_worker = 2}, {.max = 8, .max_per_worker = 4});
  EXPECT_EQ(decision.warm, 3u);
  EXPECT_EQ(decision.max, 5u);
  EXPECT_EQ(decision.max_per_worker, 2u);
}

TEST(AClampedDecision, CannotLiftAConfiguredCapPerWorker) {
  const PoolView view{.max = 8, .max_per_worker = 4};
  EXPECT_EQ(clamp({.max = 8, .max_per_worker = 0}, view).max_per_worker, 4u);
  EXPECT_EQ(clamp({.max = 8, .max_per_worker = 7}, view).max_per_worker, 4u);
}

TEST(AClampedDecision, MayCapWorkersWhereNothingIsConfigured) {
  EXPECT_EQ(clamp({.max = 8, .max_per_worker = 3}, {.max = 8}).max_per_worker, 3u);
}

RC_GTEST_PROP(AClampedDecision, StaysWithinWhatIsConfiguredWhateverItWas, ()) {
  const PoolView view{.max = *rc::gen::inRange(1u, 10'001u),
                      .max_per_worker = *rc::gen::inRange(0u, 10'001u),
                      .handover_after_ms = *rc::gen::inRange(0u, 11u)};
  const SizeDecision decision = clamp({.target = *rc::gen::arbitrary<std::uint32_t>(),
                                       .warm = *rc::gen::arbitrary<std::uint32_t>(),
                                       .max = *rc::gen::arbitrary<std::uint32_t>(),
                                       .max_per_worker = *rc::gen::arbitrary<std::uint32_t>(),
                                       .handover_after_ms = *rc::gen::arbitrary<std::uint64_t>()},
                                      view);
  RC_ASSERT(decision.max >= 1u);
  RC_ASSERT(decision.max <= view.max);
  RC_ASSERT(decision.warm <= decision.max);
  RC_ASSERT(decision.warm <= decision.target);
  RC_ASSERT(decision.target <= decision.max);
  RC_ASSERT(decision.handover_after_ms <= view.handover_after_ms);
  if (view.max_per_worker != 0) {
    RC_ASSERT(decision.max_per_worker >= 1u);
    RC_ASSERT(decision.max_per_worker <= view.max_per_worker);
  }
}

}  // namespace
}  // namespace weir::policy
