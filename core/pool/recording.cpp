// What goes into the flight recorder: requests that were timed or got nothing, and what seldom
// happens. Nothing that an untimed lease or release comes by.
#include <algorithm>
#include <charconv>

#include "pool/pool.h"

namespace weir::pool {

namespace {

using shm::Happening;

// Of what is told to listeners; nullopt: too frequent, or written down elsewhere.
std::optional<Happening> happening_of(const Event& event) {
  switch (event.kind) {
    case EventKind::kPoolPaused:
      return Happening::kPaused;
    case EventKind::kPoolReady:
      return Happening::kResumed;
    case EventKind::kPoolCleared:
      return Happening::kCleared;
    case EventKind::kPoolDrained:
      return Happening::kDrained;
    case EventKind::kPoolResized:
      return Happening::kResized;
    case EventKind::kPoolClosed:
      return Happening::kPoolClosed;
    case EventKind::kConnReady:
      return Happening::kConnected;
    case EventKind::kConnClosed:
      return Happening::kClosed;
    case EventKind::kConnDetached:
      return Happening::kDetached;
    case EventKind::kConnReset:
      return event.code == Code::kOk ? std::nullopt : std::optional(Happening::kResetFailed);
    case EventKind::kConnValidated:
      return event.code == Code::kOk ? std::nullopt : std::optional(Happening::kCheckFailed);
    case EventKind::kLeakSuspected:
      return Happening::kLeakSuspected;
    case EventKind::kBreakerOpen:
      return Happening::kBreakerOpened;
    case EventKind::kBreakerHalfOpen:
      return Happening::kBreakerTries;
    case EventKind::kBreakerClosed:
      return Happening::kBreakerClosed;
    case EventKind::kPolicyError:
      return Happening::kPolicyFailed;
    case EventKind::kQuotaReclaimed:
      return Happening::kReclaimed;
    default:
      return std::nullopt;
  }
}

std::uint32_t number_in(const Event& event) {
  switch (event.kind) {
    case EventKind::kConnClosed:
      return static_cast<std::uint32_t>(event.reason);
    case EventKind::kConnReset:
    case EventKind::kConnValidated:
      return static_cast<std::uint32_t>(event.code);
    default:
      return static_cast<std::uint32_t>(std::min<std::uint64_t>(event.count, UINT32_MAX));
  }
}

}  // namespace

// Not in a forked child, nor of a worker whose row may be another's by now.
void Pool::record(shm::RecordedEvent event) const {
  if (!is_valid()) return;
  event.pool = ref().id();
  recorder_.record(event);
}

void Pool::record(const Event& event) const {
  const std::optional<Happening> kind = happening_of(event);
  if (!kind) return;
  record({.kind = *kind,
          .connection = static_cast<std::uint32_t>(event.connection),
          .number = number_in(event),
          .took_us = shm::recorded_us(event.duration_ns)});
}

void Pool::record_failure(std::uint64_t started_ns, std::uint32_t klass, Code code) const {
  const std::uint64_t now = monotonic_ns();
  record({.kind = Happening::kNoLease,
          .klass = klass,
          .when_ns = now,
          .number = static_cast<std::uint32_t>(code),
          .wait_us = shm::recorded_us(now - started_ns)});
}

// Once a second: what decides from now on.
void Pool::record_policy() {
  const std::string_view hash = parts_.policy->status().hash;
  if (hash == recorded_policy_) return;
  recorded_policy_ = hash;
  constexpr std::size_t kHalf = 8;
  std::uint32_t half = 0;
  std::from_chars(hash.data(), hash.data() + std::min(hash.size(), kHalf), half, 16);
  record({.kind = Happening::kPolicyInCharge, .number = half});
}

}  // namespace weir::pool
