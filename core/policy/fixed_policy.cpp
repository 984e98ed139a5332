#include <algorithm>

#include "policy/policy.h"

namespace weir::policy {

SizeDecision FixedPolicy::size_for(const PoolView& view) {
  return {.target = view.max,
          .warm = view.min,
          .max = view.max,
          .max_per_worker = view.max_per_worker,
          .handover_after_ms = view.handover_after_ms};
}

Eviction FixedPolicy::eviction_for(const ConnectionView& connection, const PoolView& view,
                                   std::uint32_t kept) {
  const bool too_old = connection.lifetime_ms != 0 && connection.age_ms >= connection.lifetime_ms;
  if (too_old) return Eviction::kClose;

  // Those that are closing or lingering are on their way out: counting them would let a burst of
  // closes go below what is kept, only for as many to be opened again.
  const std::uint32_t staying = view.idle + view.used + view.connecting;
  const bool idle_too_long =
      view.idle_timeout_ms != 0 && connection.idle_ms >= view.idle_timeout_ms;
  return idle_too_long && staying > kept ? Eviction::kClose : Eviction::kKeep;
}

// Exponential with full jitter (M. Brooker, "Exponential Backoff And Jitter", AWS Architecture
// Blog, 2015).
BreakerDecision FixedPolicy::breaker_for(const PoolView& view) {
  if (!view.attempt_failed) return {view.breaker, view.breaker_retry_ms};
  const std::uint32_t failures = view.connect_failures_in_a_row;
  if (view.breaker == BreakerState::kClosed && failures < kFailuresToOpen) return {};
  const std::uint32_t tries = failures > kFailuresToOpen ? failures - kFailuresToOpen : 0;
  const std::uint64_t most = std::min(kFirstRetryMs << std::min(tries, 10u), kLongestRetryMs);
  return {BreakerState::kOpen,
          static_cast<std::uint64_t>(view.chance * static_cast<double>(most + 1))};
}

SizeDecision clamp(SizeDecision decision, const PoolView& view) {
  decision.max = std::clamp(decision.max, 1u, std::max(view.max, 1u));
  decision.warm = std::min(decision.warm, decision.max);
  decision.target = std::clamp(decision.target, decision.warm, decision.max);
  decision.handover_after_ms = std::min(decision.handover_after_ms, view.handover_after_ms);
  if (view.max_per_worker != 0) {
    decision.max_per_worker = decision.max_per_worker == 0
                                  ? view.max_per_worker
                                  : std::min(decision.max_per_worker, view.max_per_worker);
  }
  return decision;
}

}  // namespace weir::policy
