// How long leases are out, as the segment has it, beside what their holders know.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "shm/snapshot.h"
#include "shm/stats.h"
#include "support/pool_on_null.h"

namespace weir::test {
namespace {

using std::chrono::microseconds;
using std::chrono::seconds;
using Buckets = std::array<std::uint64_t, shm::kHistogramBuckets>;

class NullTiming : public PoolOnNull {
 protected:
  [[nodiscard]] Buckets use() const {
    shm::SegmentOptions options;
    options.folder = segments_folder();
    const auto segment = shm::Segment::open_read_only(options);
    if (!segment.ok()) throw std::runtime_error(segment.status().to_string());
    return shm::take_snapshot(*segment.value())
        .pool("main")
        ->histograms[static_cast<std::size_t>(shm::Histogram::kUse)];
  }
  static std::uint64_t total(const Buckets& buckets) {
    return std::accumulate(buckets.begin(), buckets.end(), std::uint64_t{0});
  }
  static void hold(microseconds time) {
    const Deadline until = Deadline::after(time);
    while (!until.passed(monotonic_ns())) continue;
  }
};

// Which end of a lease it is that closes the time.
enum class End { kRelease, kDiscard, kDetach };

TEST_F(NullTiming, EachLeaseOfAWorkerThatLendsSeldomIsInTheBucketOfItsTime) {
  Runtime runtime = open(server_.dsn(), 2, "reset = \"always\"\n");
  weir::Pool pool = runtime.pool("main");
  std::size_t least = 0, most = 0, ended = 0;
  Buckets before{};
  for (const End end : {End::kRelease, End::kDiscard, End::kDetach}) {
    for (const int time_us : {50, 700, 9'000}) {
      const std::uint64_t asked_ns = monotonic_ns();
      Lease lease = pool.acquire();
      const std::uint64_t had_ns = monotonic_ns();
      hold(microseconds(time_us));
      if (end == End::kDetach) lease.detach();
      least = shm::histogram_bucket(monotonic_ns() - had_ns);
      end == End::kDiscard ? lease.discard() : lease.release();
      most = shm::histogram_bucket(monotonic_ns() - asked_ns);
      const Buckets after = use();
      ASSERT_EQ(total(after), ++ended);
      std::uint64_t within = 0;
      for (std::size_t i = least; i <= most; ++i) within += after[i] - before[i];
      EXPECT_EQ(within, 1u) << "held for " << time_us << " us";
      before = after;
    }
  }
  runtime.close();
}

TEST_F(NullTiming, AWorkerThatLendsOftenTimesOneInSoManyForAll) {
  constexpr std::uint64_t kLeases = 200'000;
  Runtime runtime = open(server_.dsn(), 1);
  weir::Pool pool = runtime.pool("main");
  for (std::uint64_t i = 0; i < kLeases; ++i) pool.acquire().release();
  const std::uint64_t counted = total(use());
  EXPECT_NEAR(static_cast<double>(counted), static_cast<double>(kLeases), 0.02 * kLeases);
  runtime.close();
}

TEST_F(NullTiming, WhatOneInSoManyTookIsSpreadAsAllOfThemAre) {
  constexpr int kLeases = 12'800;
  Runtime runtime = open(server_.dsn(), 1);
  weir::Pool pool = runtime.pool("main");
  for (int i = 0; i < 2'000; ++i) pool.acquire().release();
  const Buckets before = use();
  // Every other one is held for at least 200 us; none of the others for as long, but by bad luck.
  std::uint64_t held_long = 0;
  for (int i = 0; i < kLeases; ++i) {
    Lease lease = pool.acquire();
    const std::uint64_t had_ns = monotonic_ns();
    if (i % 2 == 0) hold(microseconds(200));
    held_long += monotonic_ns() - had_ns >= 200'000 ? 1 : 0;
    lease.release();
  }
  const Buckets after = use();
  std::uint64_t seen_long = 0;
  for (std::size_t i = shm::histogram_bucket(160'000); i < after.size(); ++i) {
    seen_long += after[i] - before[i];
  }
  EXPECT_NEAR(static_cast<double>(total(after) - total(before)), kLeases, 0.1 * kLeases);
  EXPECT_NEAR(static_cast<double>(seen_long), static_cast<double>(held_long), kLeases * 0.06);
  runtime.close();
}

}  // namespace
}  // namespace weir::test
