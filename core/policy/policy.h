// Policy: what decides a pool's size, what happens to idle connections, and when to stop trying.
//
// Plain values in, plain values out: a policy sees no shared memory, no driver, no clock but the
// view's. Every decision is clamped by the pool to what is configured and to the quota, so a policy
// can be wrong without doing harm. FixedPolicy is the built-in one.
// Threads: one call at a time, by the keeper of one worker. Never a caller's thread, but for the
// built-in breaker, which any thread asks that saw an attempt fail: an outage is not to wait.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "base/status.h"

namespace weir::policy {

enum class BreakerState : std::uint8_t { kClosed = 0, kOpen = 1, kHalfOpen = 2 };

/// How long something took, in milliseconds, within a window; interpolated within the buckets of a
/// histogram whose bounds double in two steps. `count` 0: it did not happen, and all is 0.
struct Percentiles {
  double count = 0;  // where one in so many is timed, that many each
  double p50 = 0, p95 = 0, p99 = 0;
};

/// What happened on the whole machine within a window that ends now. Rates are per second.
struct WindowView {
  std::uint64_t length_ms = 0;  // how much of the window has been seen: less in the beginning
  Percentiles wait{};           // from asking to having a connection; 0 for who found one idle
  Percentiles use{};            // from having it to giving it back
  Percentiles connect{};        // of the connects that succeeded
  double acquires_per_s = 0, waited_per_s = 0, timeouts_per_s = 0, connects_per_s = 0,
         connect_failures_per_s = 0, closes_per_s = 0, handovers_per_s = 0;
  double used_mean = 0;         // connections lent at a time, on average
  std::uint32_t used_most = 0;  // ... and at most, as seen once a second
};

/// One of the pools that draw on the same quota; this one is among them.
struct PoolShare {
  std::string_view name{};
  std::uint32_t max = 0, idle = 0, used = 0, waiting = 0;
};

/// One of the workers that use this pool; this one is among them.
struct WorkerShare {
  std::uint32_t idle = 0, used = 0, waiting = 0;
  bool is_here = false;
};

/// One of the pool's priority classes.
struct ClassShare {
  std::string_view name{};
  std::uint32_t floor = 0, used = 0, waiting = 0;
};

/// What a policy is told. Times in milliseconds, counts of connections unless said otherwise.
struct PoolView {
  std::uint64_t now_ms = 0;  // monotonic
  // configured
  std::string_view name{};
  std::uint32_t max = 0, min = 0, keep = 0, max_per_worker = 0;
  std::uint64_t idle_timeout_ms = 0;  // 0: never
  std::uint64_t handover_after_ms = 0;
  // the machine, now
  std::uint32_t idle = 0, used = 0, connecting = 0, closing = 0, lingering = 0, waiting = 0;
  std::uint64_t oldest_wait_ms = 0;
  std::uint32_t workers = 0;
  std::uint32_t quota_limit = 0, quota_in_use = 0;  // of all pools on the quota
  // the machine, lately
  WindowView last{};    // 10 seconds
  WindowView minute{};  // 60 seconds
  // this worker, now
  std::uint32_t worker_idle = 0, worker_used = 0;
  // attempts to connect, and pings, that got no answer since the last one that did; 255: or more
  std::uint32_t connect_failures_in_a_row = 0;
  // the breaker, now
  BreakerState breaker = BreakerState::kClosed;
  std::uint64_t breaker_retry_ms = 0;  // while open: how long nobody tries yet
  bool attempt_failed = false;         // breaker() is asked because one has just failed so
  double chance = 0;                   // anything from 0 to below 1, new in each view: for jitter
  // who shares; valid during the call
  std::span<const PoolShare> pools{};
  std::span<const WorkerShare> worker_shares{};
  std::span<const ClassShare> classes{};

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

/// Counts of connections, machine-wide unless said otherwise.
struct SizeDecision {
  std::uint32_t target = 0;          // above so many, what comes back unwanted or idles is closed
  std::uint32_t warm = 0;            // opened ahead of demand up to this many
  std::uint32_t max = 0;             // opened on demand up to this many
  std::uint32_t max_per_worker = 0;  // 0: no cap
  std::uint64_t handover_after_ms = 0;  // how long callers here may pass who waits elsewhere
  bool operator==(const SizeDecision&) const = default;
};

enum class Eviction : std::uint8_t { kKeep, kClose, kCheck };

struct BreakerDecision {
  BreakerState state = BreakerState::kClosed;
  std::uint64_t retry_ms = 0;  // while open: when to try again, from now
  bool operator==(const BreakerDecision&) const = default;
};

/// Values for a script's own parameters, by their names.
using ParamValue = std::variant<bool, double, std::string>;
using Params = std::map<std::string, ParamValue, std::less<>>;

/// What people want to know of a policy.
struct PolicyStatus {
  std::string_view name;      // the script's; "fixed" if there is none. Valid until the next load
  std::string_view hash{};    // empty if there is none
  Status last_error{};        // of a call or a load; ok: none since the last good load
  std::uint64_t errors = 0;   // calls and loads that failed, since the beginning
  std::uint64_t changes = 0;  // how often last_error became another one: what is worth a line
  bool fallen_back = false;   // there is a script, and the built-in policy decides
};

class Policy {
 public:
  virtual ~Policy() = default;
  [[nodiscard]] virtual std::string_view name() const = 0;
  virtual SizeDecision size(const PoolView& view) = 0;
  virtual Eviction evict(const ConnectionView& connection, const PoolView& view) = 0;
  /// Asked at each tick, and after an attempt got no answer (view.attempt_failed). What says the
  /// same state as the view at a tick changes nothing. When the time of an open one is over, the
  /// pool makes it half open by itself, and one attempt finds out.
  virtual BreakerDecision breaker(const PoolView& view) = 0;
  /// False: the built-in breaker decides, at once, in the thread that saw an attempt fail. True:
  /// the keeper is rung and asks breaker().
  [[nodiscard]] virtual bool has_own_breaker() const { return false; }

  /// At the beginning of a tick: from now on the script in the file `path` decides (empty: none),
  /// with these parameters; it is read again if it changed, or if somebody `asked` for that.
  virtual void follow(const std::string& path, const Params& params, bool asked) {
    static_cast<void>(path);
    static_cast<void>(params);
    static_cast<void>(asked);
  }
  /// A script may take some time. `meanwhile` is called again and again while it runs, in the same
  /// thread: whoever asked has other things to see to. Before the first tick. It must not throw,
  /// nor ask this policy.
  // NOLINTNEXTLINE(performance-unnecessary-value-param): who overrides it keeps it
  virtual void see_to(std::function<void()> meanwhile) { static_cast<void>(meanwhile); }
  [[nodiscard]] virtual PolicyStatus status() const { return {.name = name()}; }
};

/// A pool of the configured size: warm up to min, grow on demand to max, close what idled longer
/// than idle_timeout (while more than min are open), and what outlived its lifetime. Its breaker
/// opens after kFailuresToOpen attempts in a row without an answer, and tries again after a random
/// time of up to 100 ms, twice as much after each try, at most a second (docs/decisions/0009).
class FixedPolicy final : public Policy {
 public:
  [[nodiscard]] std::string_view name() const override { return "fixed"; }
  SizeDecision size(const PoolView& view) override { return size_for(view); }
  Eviction evict(const ConnectionView& connection, const PoolView& view) override {
    return eviction_for(connection, view);
  }
  BreakerDecision breaker(const PoolView& view) override { return breaker_for(view); }

  // The same without an object, from any thread.
  [[nodiscard]] static SizeDecision size_for(const PoolView& view);
  [[nodiscard]] static Eviction eviction_for(const ConnectionView& connection,
                                             const PoolView& view) {
    return eviction_for(connection, view, view.min);
  }
  /// ... where `kept` are kept warm: what is opened ahead is not to be closed for being idle.
  [[nodiscard]] static Eviction eviction_for(const ConnectionView& connection, const PoolView& view,
                                             std::uint32_t kept);
  [[nodiscard]] static BreakerDecision breaker_for(const PoolView& view);

  static constexpr std::uint32_t kFailuresToOpen = 3;
  static constexpr std::uint64_t kFirstRetryMs = 100;
  static constexpr std::uint64_t kLongestRetryMs = 1'000;
};

/// `decision` within what `view` says is configured: max from 1 to view.max, warm and target at
/// most max, target at least warm, a per-worker cap and a handover_after that are never looser than
/// the configured ones.
[[nodiscard]] SizeDecision clamp(SizeDecision decision, const PoolView& view);

}  // namespace weir::policy
