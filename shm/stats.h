// Counters and histograms in the segment: for people and policies, never for decisions that count.
// Each worker adds to rows of its own (StatsBook); a pool's total is the sum of the rows of those
// who are here and of what earlier ones left, folded in by the next to use their row. A kill in the
// middle of folding may lose or double that worker's figures and nothing else. Threads: relaxed
// atomics, any thread. Fork: a child gets rows of its own.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "shm/pool_ref.h"
#include "shm/words.h"

namespace weir::shm {

/// Adds to the pool's totals: for protocol steps, which are rare.
inline void count(const PoolRef& pool, Counter counter, std::uint64_t by = 1) {
  pool.totals().counters[static_cast<std::size_t>(counter)].fetch_add(by,
                                                                      std::memory_order_relaxed);
}

/// The upper ends of the buckets for durations: 10, 15, 20, 30, 40, 60 us ...; the last bucket
/// takes the rest (above 83 s).
inline constexpr std::array<std::uint64_t, kHistogramBuckets - 1> kHistogramEndsNs = [] {
  std::array<std::uint64_t, kHistogramBuckets - 1> ends{};
  std::uint64_t end = 10'000;
  for (std::size_t bucket = 0; bucket < ends.size(); ++bucket) {
    ends[bucket] = end;
    end += bucket % 2 == 0 ? end / 2 : end / 3;  // doubling in two steps
  }
  return ends;
}();

/// The bucket for a duration: the first whose end is above it.
inline std::size_t histogram_bucket(std::uint64_t ns) {
  std::size_t bucket = 0;
  while (bucket < kHistogramEndsNs.size() && ns >= kHistogramEndsNs[bucket]) ++bucket;
  return bucket;
}

/// The bucket for a handover's duration.
inline std::size_t handover_bucket(std::uint64_t ns) {
  std::size_t bucket = 0;
  while (bucket + 1 < kHandoverBuckets && ns >= handover_bucket_end_ns(bucket)) ++bucket;
  return bucket;
}
/// Adds a live handover that took `ns` to the pool's totals.
inline void record_handover(const PoolRef& pool, std::uint64_t ns) {
  count(pool, Counter::kHandedLive);
  pool.totals().handovers[handover_bucket(ns)].fetch_add(1, std::memory_order_relaxed);
}

/// What decides for a worker's pool, and what it decided last: for people.
struct PolicyNote {
  std::string name{}, hash{};   // at most 31 bytes each
  std::string error{};          // at most 95; empty: all is well
  std::uint64_t bad_ticks = 0;  // how often it was asked in vain
  bool fallen_back = false;     // another decides in its place
  std::uint32_t reloaded = 0;   // the last of Header::policy_reloads that was seen to
  std::uint32_t target = 0, warm = 0, max = 0, max_per_worker = 0;  // of connections
  std::uint64_t handover_after_ms = 0;
  bool operator==(const PolicyNote&) const = default;
};

/// One worker's figures in one pool.
class StatsBook {
 public:
  /// Claims a row of worker `self` for `pool`, folding in what its last user left; the pool's
  /// totals serve where a worker has more pools than rows. REQUIRES: `self` is joined.
  StatsBook(const PoolRef& pool, WorkerId self);

  void add(Counter counter, std::uint64_t by = 1) {
    row_->counters[static_cast<std::size_t>(counter)].fetch_add(by, std::memory_order_relaxed);
  }
  /// `times`: how many it stands for, where one in so many is timed.
  void record(Histogram histogram, std::uint64_t ns, std::uint64_t times = 1) {
    row_->histograms[static_cast<std::size_t>(histogram)][histogram_bucket(ns)].fetch_add(
        times, std::memory_order_relaxed);
  }
  /// Shown from now on as what decides here. Nothing where the totals serve: these are everybody's.
  void note_policy(const PolicyNote& note);

 private:
  StatsRow* row_;
  bool is_own_ = false;
};

/// What the living worker in `row` noted of its policy for `pool`; nullopt: nothing.
[[nodiscard]] std::optional<PolicyNote> policy_of(const Segment& segment, std::uint32_t row,
                                                  std::uint32_t pool);

/// Whether the living worker in `row` may be using pool `pool`: it has figures of it, or more pools
/// than rows to keep figures in.
[[nodiscard]] bool may_use_pool(const Segment& segment, std::uint32_t row, std::uint32_t pool);

/// All of a pool's figures: its totals and everybody's rows, in one pass. While somebody's are
/// folded in, they may be missing from the sum; none counts twice.
struct PoolFigures {
  std::array<std::uint64_t, kCounters> counters{};
  std::array<std::array<std::uint64_t, kHistogramBuckets>, kHistograms> histograms{};

  [[nodiscard]] std::uint64_t counter(Counter c) const {
    return counters[static_cast<std::size_t>(c)];
  }
  [[nodiscard]] const auto& histogram(Histogram h) const {
    return histograms[static_cast<std::size_t>(h)];
  }
};
/// REQUIRES: row `pool` is one of the segment's.
[[nodiscard]] PoolFigures look_at_figures(const Segment& segment, std::uint32_t pool);

/// Sum of one counter over a pool's totals and everybody's rows.
[[nodiscard]] std::uint64_t sum_counter(const PoolRef& pool, Counter counter);
/// The same, and from now on it counts from zero: each count is in one answer.
[[nodiscard]] std::uint64_t pop_counter(const PoolRef& pool, Counter counter);

}  // namespace weir::shm
