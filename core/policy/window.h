// Windows: what happened on the machine in the last seconds, from sums that only ever grow. Whoever
// has such sums looks at them about once a second and adds what it read; over() then says what came
// between, for policies and for people.
//
// Plain numbers: nothing here knows where the sums come from, nor what time it is. A sum that went
// backwards was set to zero, or was read while somebody moved it: it is looked at once more before
// it counts from zero. A gap between two looks is taken as if what came in it had come evenly.
// Threads: one at a time.
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <span>

#include "policy/policy.h"

namespace weir::policy {

inline constexpr std::size_t kWindowBuckets = 48;
using BucketSums = std::array<std::uint64_t, kWindowBuckets>;

/// One look: sums since some beginning, and how many connections are lent now.
struct Figures {
  std::uint64_t at_ns = 0;
  std::uint64_t acquires = 0, waited = 0, timeouts = 0, connects = 0, connect_failures = 0,
                closes = 0, handovers = 0;
  std::uint64_t use_ns = 0;  // connections times the time they were lent
  BucketSums wait{};         // of those who waited, in vain or not
  BucketSums use{}, connect{};
  std::uint32_t used = 0;
};

/// How long things took that are counted in buckets: `zeros` of them no time at all, and
/// `counts[i]` less than ends_ns[i] and no less than the end before. What is in the last bucket,
/// which has no end, took as long as where it begins.
/// REQUIRES: as many ends as buckets, less one, each above the one before.
[[nodiscard]] Percentiles percentiles_of(std::span<const double> counts,
                                         std::span<const std::uint64_t> ends_ns, double zeros = 0);

/// The last minute. 44 KB.
class SlidingWindow {
 public:
  /// `ends_ns`: of the buckets of all figures, as percentiles_of() has it; they outlive this.
  explicit SlidingWindow(std::span<const std::uint64_t> ends_ns) : ends_ns_(ends_ns) {}

  /// The first look is where it begins; one that comes sooner than kLeastNs after the last is not
  /// needed.
  void add(const Figures& figures);
  /// What happened in the `length_ns` until `now_ns`, as far as it was seen.
  [[nodiscard]] WindowView over(std::uint64_t now_ns, std::uint64_t length_ns) const;

  static constexpr std::uint64_t kLeastNs = 950'000'000;
  static constexpr std::uint64_t kLongestNs = 60'000'000'000;

 private:
  enum Sum : std::size_t {
    kAcquires,
    kWaited,
    kTimeouts,
    kConnects,
    kConnectFailures,
    kCloses,
    kHandovers,
    kUseNs,
    kCounters,
    kWait = kCounters,
    kUse = kWait + kWindowBuckets,
    kConnect = kUse + kWindowBuckets,
    kSums = kConnect + kWindowBuckets
  };
  using Sums = std::array<std::uint64_t, kSums>;
  // What came between two looks.
  struct Step {
    std::uint64_t from_ns = 0, to_ns = 0;  // equal: none
    std::array<std::uint64_t, kCounters> counters{};
    std::array<std::uint32_t, kSums - kCounters> buckets{};
    std::uint32_t used = 0;  // at its end
  };
  static Sums sums_of(const Figures& figures);
  std::uint64_t grown(std::size_t sum, std::uint64_t now);

  static constexpr std::size_t kSteps = kLongestNs / kLeastNs + 2;
  std::span<const std::uint64_t> ends_ns_;
  std::array<Step, kSteps> steps_{};
  std::size_t next_ = 0;       // of steps_, the oldest
  std::uint64_t last_ns_ = 0;  // when it was looked at last; 0: never
  Sums last_{};
  std::bitset<kSums> went_back_;  // at the last look
};

}  // namespace weir::policy
