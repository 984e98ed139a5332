// Durations counted in buckets that are at most 1.6 % wide. Lives in memory that processes share.
// Threads, processes: any may add.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace weir::bench {

class Histogram {
 public:
  void add(std::uint64_t ns) { counts_[bucket_of(ns)].fetch_add(1, std::memory_order_relaxed); }

  [[nodiscard]] std::uint64_t count() const {
    std::uint64_t all = 0;
    for (const auto& each : counts_) all += each.load(std::memory_order_relaxed);
    return all;
  }

  /// Nearest rank: the middle of the bucket that holds the smallest duration which at least `share`
  /// of all do not exceed. 0 when there is none.
  [[nodiscard]] double percentile_ns(double share) const {
    const auto rank = static_cast<std::uint64_t>(std::ceil(share * static_cast<double>(count())));
    std::uint64_t seen = 0;
    for (std::size_t bucket = 0; bucket < counts_.size(); ++bucket) {
      seen += counts_[bucket].load(std::memory_order_relaxed);
      if (seen > 0 && seen >= rank) return middle_of(bucket);
    }
    return 0;
  }

 private:
  // The topmost bit and the six below it: 64 buckets for each power of two.
  static constexpr unsigned kBits = 6;
  static constexpr std::size_t kBuckets = (64 - kBits + 1) << kBits;

  static std::size_t bucket_of(std::uint64_t ns) {
    if (ns >> kBits == 0) return ns;
    const auto shift = static_cast<unsigned>(std::bit_width(ns)) - kBits - 1;
    return ((std::size_t{shift} + 1) << kBits) + ((ns >> shift) & ((1U << kBits) - 1));
  }
  static double middle_of(std::size_t bucket) {
    if (bucket >> kBits == 0) return static_cast<double>(bucket);
    const std::size_t shift = (bucket >> kBits) - 1;
    const std::size_t top = (std::size_t{1} << kBits) + (bucket & ((1U << kBits) - 1));
    return std::ldexp(static_cast<double>(top) + 0.5, static_cast<int>(shift));
  }

  std::array<std::atomic<std::uint64_t>, kBuckets> counts_{};
};

}  // namespace weir::bench
