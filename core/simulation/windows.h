// Windows: what happened in the last seconds, as a policy is told of it: in histograms whose bounds
// double in two steps, one for each second of the last minute. Threads: one.
#pragma once

#include <array>
#include <cstdint>

#include "policy/policy.h"

namespace weir::simulation {

/// How often something took how long.
class Histogram {
 public:
  void add(std::uint64_t us) { ++counts_[bucket_of(us)]; }
  void add(const Histogram& other);
  [[nodiscard]] policy::Percentiles percentiles() const;

 private:
  static constexpr std::size_t kBuckets = 80;  // up to 2^40 us
  static std::size_t bucket_of(std::uint64_t us);
  static double lower_bound(std::size_t bucket);  // us
  [[nodiscard]] double at(double rank) const;     // ms

  std::array<std::uint32_t, kBuckets> counts_{};
};

enum class Happened : std::uint8_t {
  kAcquire,
  kWaited,
  kTimeout,
  kConnect,
  kConnectFailure,
  kClose,
  kHandover,
  kCount
};

class Windows {
 public:
  void note(std::uint64_t now_us, Happened what) { ++at(now_us).counts[index(what)]; }
  void note_wait(std::uint64_t now_us, std::uint64_t us) { at(now_us).wait.add(us); }
  void note_use(std::uint64_t now_us, std::uint64_t us) { at(now_us).use.add(us); }
  void note_connect(std::uint64_t now_us, std::uint64_t us) { at(now_us).connect.add(us); }
  /// `used` connections were lent since the last call, until now.
  void note_used(std::uint64_t now_us, std::uint32_t used);
  /// ... and that many are as one looks at it, once a second.
  void sample_used(std::uint64_t now_us, std::uint32_t used);

  /// REQUIRES: seconds is at most kSeconds.
  [[nodiscard]] policy::WindowView last(std::uint64_t now_us, std::uint64_t seconds) const;

  static constexpr std::uint64_t kSeconds = 60;

 private:
  struct Slot {
    std::uint64_t second = 0;  // which one it is of
    Histogram wait{}, use{}, connect{};
    std::array<std::uint64_t, static_cast<std::size_t>(Happened::kCount)> counts{};
    std::uint64_t used_us = 0;  // connections times microseconds
    std::uint32_t used_most = 0;
  };
  static std::size_t index(Happened what) { return static_cast<std::size_t>(what); }
  Slot& at(std::uint64_t now_us);

  std::array<Slot, kSeconds> slots_{};
  std::uint64_t used_until_us_ = 0;
};

}  // namespace weir::simulation
