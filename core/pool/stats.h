// Stats: one look at a pool, as a value. Machine-wide figures are counted from one pass over the
// place words, so that total == idle + used + connecting + closing + lingering always holds.
#pragma once

#include <array>
#include <cstdint>

#include "pool/events.h"
#include "shm/stats.h"
#include "shm/words.h"

namespace weir::pool {

struct Stats {
  std::uint32_t max = 0, min = 0, keep = 0;
  // the machine, now
  std::uint32_t idle = 0, used = 0, connecting = 0, closing = 0, lingering = 0, waiting = 0;
  // this worker, now
  std::uint32_t worker_idle = 0, worker_used = 0;
  // the machine, since the pool was declared
  std::uint64_t acquires = 0, acquires_waited = 0, timeouts = 0, connects = 0, connect_failures = 0,
                closes = 0, handed_on = 0, handed_live = 0, handover_failures = 0, resets = 0,
                reset_failures = 0, pings = 0, ping_failures = 0, too_many_waiters = 0;
  std::uint64_t wait_ns = 0, connect_ns = 0, use_ns = 0;
  std::uint64_t cancelled = 0, connect_refusals = 0, refused = 0, detached = 0, forks = 0,
                policy_errors = 0, reclaimed = 0, leaks = 0;
  std::array<std::uint64_t, kCloseReasons> closed{};  // by CloseReason
  // how all workers have it
  bool paused = false;
  std::uint32_t generation = 0;

  [[nodiscard]] std::uint32_t total() const {
    return idle + used + connecting + closing + lingering;
  }
};

/// Why connections were closed: one counter each.
[[nodiscard]] constexpr shm::Counter closed_counter(CloseReason why) {
  return static_cast<shm::Counter>(static_cast<std::size_t>(shm::Counter::kClosedIdle) +
                                   static_cast<std::size_t>(why));
}

/// Counts `places` places that are in `state`.
void add_places(Stats& stats, shm::PlaceState state, std::uint32_t places);

/// Takes over what `value_of` says of each shm::Counter.
template <typename ValueOf>
void take_counters(Stats& stats, ValueOf value_of) {
  using shm::Counter;
  stats.acquires_waited = value_of(Counter::kAcquiresWaited);
  stats.wait_ns = value_of(Counter::kWaitNs);
  stats.timeouts = value_of(Counter::kTimeouts);
  stats.too_many_waiters = value_of(Counter::kTooManyWaiters);
  stats.connects = value_of(Counter::kConnects);
  stats.connect_failures = value_of(Counter::kConnectFailures);
  stats.closes = value_of(Counter::kCloses);
  stats.handed_on = value_of(Counter::kHandedOn);
  stats.handed_live = value_of(Counter::kHandedLive);
  stats.handover_failures = value_of(Counter::kHandoverFailures);
  stats.resets = value_of(Counter::kResets);
  stats.reset_failures = value_of(Counter::kResetFailures);
  stats.pings = value_of(Counter::kPings);
  stats.ping_failures = value_of(Counter::kPingFailures);
  stats.connect_ns = value_of(Counter::kConnectNs);
  stats.use_ns = value_of(Counter::kUseNs);
  stats.cancelled = value_of(Counter::kCancelled);
  stats.connect_refusals = value_of(Counter::kConnectRefusals);
  stats.refused = value_of(Counter::kRefused);
  stats.detached = value_of(Counter::kDetached);
  stats.forks = value_of(Counter::kForks);
  stats.policy_errors = value_of(Counter::kPolicyErrors);
  stats.reclaimed = value_of(Counter::kReclaimed);
  stats.leaks = value_of(Counter::kLeaks);
  for (std::size_t why = 0; why < kCloseReasons; ++why) {
    stats.closed[why] = value_of(closed_counter(static_cast<CloseReason>(why)));
  }
}

}  // namespace weir::pool
