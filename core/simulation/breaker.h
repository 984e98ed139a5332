// Breaker: what keeps a simulated machine's callers from a server that does not answer, and its one
// probe. The steps are those of shm/breaker.h and shm/turns.h. Threads: one.
#pragma once

#include <cstdint>

#include "policy/policy.h"

namespace weir::simulation {

class Breaker {
 public:
  [[nodiscard]] policy::BreakerState state() const { return state_; }
  [[nodiscard]] bool is_closed() const { return state_ == policy::BreakerState::kClosed; }
  [[nodiscard]] std::uint32_t failures() const { return failures_; }
  [[nodiscard]] std::uint64_t retry_ms(std::uint64_t now_us) const {
    return now_us < retry_at_us_ ? (retry_at_us_ - now_us + 999) / 1000 : 0;
  }
  /// Whether an attempt may begin: any while it is closed, the probe when its time is over.
  [[nodiscard]] bool lets_try(std::uint64_t now_us) const {
    return is_closed() || (!probe_out_ && now_us >= retry_at_us_);
  }
  /// An attempt begins; answers whether it is the probe. REQUIRES: lets_try().
  bool begin() {
    if (is_closed()) return false;
    probe_out_ = true;
    if (state_ == policy::BreakerState::kOpen) state_ = policy::BreakerState::kHalfOpen;
    return true;
  }
  void end(bool was_probe) {
    if (was_probe) probe_out_ = false;
  }
  void note_answer() {
    state_ = policy::BreakerState::kClosed;
    failures_ = 0;
    retry_at_us_ = 0;
  }
  /// An attempt got no answer; false: it is one of those that say nothing new, with no decision
  /// due.
  bool note_no_answer(bool by_probe) {
    if (!is_closed() && !by_probe) return false;
    failures_ += failures_ < 255 ? 1 : 0;
    return true;
  }
  void decide(const policy::BreakerDecision& decision, std::uint64_t now_us) {
    constexpr std::uint64_t kLongestMs = 86'400'000;
    state_ = decision.state;
    retry_at_us_ =
        decision.state == policy::BreakerState::kOpen
            ? now_us + (decision.retry_ms < kLongestMs ? decision.retry_ms : kLongestMs) * 1000
            : 0;
  }

 private:
  policy::BreakerState state_ = policy::BreakerState::kClosed;
  std::uint32_t failures_ = 0;
  std::uint64_t retry_at_us_ = 0;
  bool probe_out_ = false;
};

}  // namespace weir::simulation
