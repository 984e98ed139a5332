// Policy: what decides a pool's size, what happens to idle connections, and when to stop trying.
//
// Plain values in, plain values out: a policy sees no shared memory, no driver, no clock but the
// view's. Every decision is clamped by the pool to what is configured and to the quota, so a policy
// can be wrong without doing harm. FixedPolicy is the built-in one.
// Threads: size and evict are called by the keeper of one worker, one call at a time; breaker by
// whichever thread saw an attempt fail, several at once, for an outage is not to wait for a keeper.
#pragma once

#include <cstdint>
#include <string_view>

namespace weir::policy {

enum class BreakerState : std::uint8_t { kClosed = 0, kOpen = 1, kHalfOpen = 2 };

/// What a policy is told. Times in milliseconds, counts of connections unless said otherwise.
struct PoolView {
  std::uint64_t now_ms = 0;  // monotonic
  // configured
  std::uint32_t max = 0, min = 0, keep = 0, max_per_worker = 0;
  std::uint64_t idle_timeout_ms = 0;  // 0: never
  // the machine, now
  std::uint32_t idle = 0, used = 0, connecting = 0, closing = 0, lingering = 0, waiting = 0;
  std::uint64_t oldest_wait_ms = 0;
  std::uint32_t workers = 0;
  // this worker, now
  std::uint32_t worker_idle = 0, worker_used = 0;
  // attempts to connect, and pings, that got no answer since the last one that did; 255: or more
  std::uint32_t connect_failures_in_a_row = 0;
  // the breaker, now
  BreakerState breaker = BreakerState::kClosed;
  std::uint64_t breaker_retry_ms = 0;  // while open: how long nobody tries yet
  bool attempt_failed = false;         // breaker() is asked because one has just failed so
  double chance = 0;                   // anything from 0 to below 1, new in each view: for jitter

  [[nodiscard]] std::uint32_t open() const {
    return idle + used + connecting + closing + lingering;
  }
};

/// One idle connection of this worker.
struct ConnectionView {
  std::uint64_t age_ms = 0;       // since it was opened
  std::uint64_t idle_ms = 0;      // since it was last given back
  std::uint64_t lifetime_ms = 0;  // its own limit, jitter included; 0: none
  std::uint64_t checked_ms = 0;   // since it last answered
  std::uint64_t leases = 0;       // how often it was lent
};

struct SizeDecision {
  std::uint32_t warm = 0;            // opened ahead of demand up to this many, machine-wide
  std::uint32_t max = 0;             // opened on demand up to this many, machine-wide
  std::uint32_t max_per_worker = 0;  // 0: no cap
};

enum class Eviction { kKeep, kClose, kCheck };

struct BreakerDecision {
  BreakerState state = BreakerState::kClosed;
  std::uint64_t retry_ms = 0;  // while open: when to try again, from now
};

class Policy {
 public:
  virtual ~Policy() = default;
  [[nodiscard]] virtual std::string_view name() const = 0;
  virtual SizeDecision size(const PoolView& view) = 0;
  virtual Eviction evict(const ConnectionView& connection, const PoolView& view) = 0;
  /// Asked at each tick, and when an attempt got no answer (view.attempt_failed). What says the
  /// same state as the view at a tick changes nothing. Half open is the pool's to say: when the
  /// time of an open one is over, one attempt finds out.
  [[nodiscard]] virtual BreakerDecision breaker(const PoolView& view) const = 0;
};

/// A pool of the configured size: warm up to min, grow on demand to max, close what idled longer
/// than idle_timeout (while more than min are open) or outlived its lifetime. Its breaker opens
/// after kFailuresToOpen attempts in a row without an answer, and tries again after a random time
/// of up to 100 ms, twice as much after each try, at most a second (docs/decisions/0009).
class FixedPolicy final : public Policy {
 public:
  [[nodiscard]] std::string_view name() const override { return "fixed"; }
  SizeDecision size(const PoolView& view) override;
  Eviction evict(const ConnectionView& connection, const PoolView& view) override;
  [[nodiscard]] BreakerDecision breaker(const PoolView& view) const override;

  static constexpr std::uint32_t kFailuresToOpen = 3;
  static constexpr std::uint64_t kFirstRetryMs = 100;
  static constexpr std::uint64_t kLongestRetryMs = 1'000;
};

/// `decision` within what `view` says is configured: warm and max at most view.max, max at least 1,
/// a per-worker cap that is never looser than the configured one.
[[nodiscard]] SizeDecision clamp(SizeDecision decision, const PoolView& view);

}  // namespace weir::policy
