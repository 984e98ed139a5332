// Time as weir counts it: CLOCK_MONOTONIC, because every process of a machine shares it and nobody
// can set it. A Deadline is a point on it that one operation carries through all its layers.
// Threads: all plain values or free of state, ManualClock included (its time is atomic).
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace weir {

using Nanos = std::chrono::nanoseconds;

/// CLOCK_MONOTONIC now, in nanoseconds. About 25 ns.
[[nodiscard]] std::uint64_t monotonic_ns();
/// CLOCK_MONOTONIC as of the kernel's last tick (1 to 4 ms ago), in nanoseconds. About 6 ns.
[[nodiscard]] std::uint64_t coarse_ns();

/// Where code that decides by time gets it from; tests pass a ManualClock.
class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual std::uint64_t now_ns() const = 0;
  /// The machine's clock. Lives for ever.
  static const Clock& system();
};

class ManualClock final : public Clock {
 public:
  explicit ManualClock(std::uint64_t start_ns = 1'000'000'000) : now_ns_(start_ns) {}
  [[nodiscard]] std::uint64_t now_ns() const override { return now_ns_.load(); }
  void advance(Nanos by) { now_ns_.fetch_add(static_cast<std::uint64_t>(by.count())); }

 private:
  std::atomic<std::uint64_t> now_ns_;
};

/// A point in monotonic time, or never. Layers pass it on; none starts a timeout of its own.
class Deadline {
 public:
  static constexpr std::uint64_t kNever = UINT64_MAX;

  /// `timeout` from now; a negative one has already passed; saturates at never.
  static Deadline after(Nanos timeout);
  static Deadline never() { return Deadline(kNever); }
  /// An absolute monotonic time in nanoseconds; kNever for never.
  static Deadline at_ns(std::uint64_t ns) { return Deadline(ns); }

  [[nodiscard]] std::uint64_t ns() const { return ns_; }
  [[nodiscard]] bool is_never() const { return ns_ == kNever; }
  [[nodiscard]] bool passed(std::uint64_t now_ns) const { return now_ns >= ns_; }
  /// What is left at `now_ns`; zero once passed; Nanos::max() for never.
  [[nodiscard]] Nanos left(std::uint64_t now_ns) const;
  [[nodiscard]] Deadline earlier_of(Deadline other) const {
    return ns_ <= other.ns_ ? *this : other;
  }

 private:
  explicit Deadline(std::uint64_t ns) : ns_(ns) {}
  std::uint64_t ns_;
};

}  // namespace weir
