// Events: what happens to a pool and its connections, told to whoever listens, as it happens.
//
// Each process tells of its own part: of what its callers and its keeper do. A listener is called
// on the thread on which the thing happens, outside every lock, and may call weir (but not wait in
// it for what the same thread holds). What it throws is caught and counts as no answer.
// Threads: any. Fork: a child has the same listener.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "base/mutex.h"
#include "base/status.h"

namespace weir::pool {

/// The numbers are those of weir/weir.h, and so is the order of Counter::kClosedIdle and what
/// follows it.
enum class CloseReason : std::uint8_t {
  kIdle = 0,
  kLifetime = 1,
  kStale = 2,  // of an older generation, or its server is not what it was
  kError = 3,
  kInvalid = 4,  // failed a check
  kInvalidated = 5,
  kResetFailed = 6,
  kOverflow = 7,
  kPoolClosed = 8,
  kInterrupted = 9,
  kQuotaReclaim = 10,  // for others of the quota, or because a limit shrank
  kFork = 11,
  kCancelled = 12,
  kDetached = 13,
};
inline constexpr std::size_t kCloseReasons = 14;

enum class EventKind : std::uint8_t {
  kPoolCreated = 1,
  kPoolReady = 2,
  kPoolPaused = 3,
  kPoolCleared = 4,
  kPoolDrained = 5,
  kPoolResized = 6,
  kPoolClosed = 7,
  kCheckoutStarted = 8,
  kCheckedOut = 9,
  kCheckoutFailed = 10,
  kCheckedIn = 11,
  kConnCreated = 12,  // before anything is sent
  kConnReady = 13,
  kConnClosed = 14,
  kConnDetached = 15,
  kConnReset = 16,
  kConnValidated = 17,
  kConnSent = 18,      // live, to another worker
  kConnReceived = 19,  // live, from another worker
  kLeakSuspected = 20,
  kBreakerOpen = 21,
  kBreakerHalfOpen = 22,
  kBreakerClosed = 23,
  kPolicyError = 24,
  kQuotaDenied = 25,
  kQuotaReclaimed = 26,
};

struct Event {
  EventKind kind = EventKind::kPoolCreated;
  std::string_view pool{};
  std::uint64_t connection = 0;             // its number in the pool; 0: of none in particular
  CloseReason reason = CloseReason::kIdle;  // kConnClosed
  Code code = Code::kOk;  // kCheckoutFailed, kConnReset, kConnValidated: why, or kOk
  std::uint64_t duration_ns = 0;
  std::uint64_t count = 0;  // kQuotaReclaimed: places; kPoolCleared: 1 with interrupt; kPoolResized
  std::string_view label{};
  std::string_view text{};  // more, for people; no secrets
};

/// Who listens, for all pools of a runtime.
class EventSink {
 public:
  /// Other than kOk refuses what is told, where it can be refused: kCheckedOut and kConnReady.
  using Listener = std::function<Code(const Event&)>;

  /// From now on `listener` alone is told; null: nobody. One call of the one before may still be
  /// under way, so none is ever freed (some bytes each).
  void listen(Listener listener) {
    const MutexLock lock(mutex_);
    if (!listener) return now_.store(nullptr, std::memory_order_release);
    all_.push_back(std::make_unique<Listener>(std::move(listener)));
    now_.store(all_.back().get(), std::memory_order_release);
  }
  [[nodiscard]] bool is_heard() const { return now_.load(std::memory_order_relaxed) != nullptr; }
  /// What the listener answers; kOk without one.
  Code tell(const Event& event) const noexcept {
    const Listener* const listener = now_.load(std::memory_order_acquire);
    if (listener == nullptr) return Code::kOk;
    try {
      return (*listener)(event);
    } catch (...) {
      return Code::kOk;
    }
  }

 private:
  Mutex mutex_;
  std::vector<std::unique_ptr<Listener>> all_ WEIR_GUARDED_BY(mutex_);
  std::atomic<const Listener*> now_{nullptr};
};

}  // namespace weir::pool
