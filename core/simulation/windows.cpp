#include "simulation/windows.h"

#include <algorithm>
#include <bit>
#include <numeric>

namespace weir::simulation {
namespace {

constexpr std::uint64_t kSecondUs = 1'000'000;

}  // namespace

// Bucket 0: below 1 us; then two for each doubling: [2^k, 1.5 * 2^k) and the rest of it.
std::size_t Histogram::bucket_of(std::uint64_t us) {
  if (us == 0) return 0;
  const auto power = static_cast<std::size_t>(std::bit_width(us)) - 1;
  const bool is_upper = power > 0 && (us >> (power - 1) & 1) != 0;
  return std::min(1 + 2 * power + (is_upper ? 1 : 0), kBuckets - 1);
}

double Histogram::lower_bound(std::size_t bucket) {
  if (bucket == 0) return 0;
  const auto power = static_cast<double>(std::uint64_t{1} << (bucket - 1) / 2);
  return (bucket - 1) % 2 == 0 ? power : 1.5 * power;
}

void Histogram::add(const Histogram& other) {
  for (std::size_t i = 0; i < kBuckets; ++i) counts_[i] += other.counts_[i];
}

double Histogram::at(double rank) const {
  double before = 0;
  for (std::size_t i = 0; i < kBuckets; ++i) {
    const double here = counts_[i];
    if (here > 0 && before + here >= rank) {
      const double from = lower_bound(i), to = i == 0 ? 0 : lower_bound(i + 1);
      return (from + (to - from) * (rank - before) / here) / 1000.0;
    }
    before += here;
  }
  return 0;
}

policy::Percentiles Histogram::percentiles() const {
  const double count = std::accumulate(counts_.begin(), counts_.end(), 0.0);
  if (count == 0) return {};
  return {count, at(0.50 * count), at(0.95 * count), at(0.99 * count)};
}

Windows::Slot& Windows::at(std::uint64_t now_us) {
  const std::uint64_t second = now_us / kSecondUs;
  Slot& slot = slots_[second % kSeconds];
  if (slot.second != second) {
    slot = Slot();
    slot.second = second;
  }
  return slot;
}

void Windows::note_used(std::uint64_t now_us, std::uint32_t used) {
  while (used_until_us_ < now_us) {
    const std::uint64_t end = std::min(now_us, (used_until_us_ / kSecondUs + 1) * kSecondUs);
    at(used_until_us_).used_us += (end - used_until_us_) * used;
    used_until_us_ = end;
  }
}

void Windows::sample_used(std::uint64_t now_us, std::uint32_t used) {
  Slot& slot = at(now_us);
  slot.used_most = std::max(slot.used_most, used);
}

policy::WindowView Windows::last(std::uint64_t now_us, std::uint64_t seconds) const {
  const std::uint64_t this_second = now_us / kSecondUs;
  const std::uint64_t first = this_second + 1 > seconds ? this_second + 1 - seconds : 0;
  Histogram wait, use, connect;
  std::array<double, static_cast<std::size_t>(Happened::kCount)> counts{};
  double used_us = 0;
  policy::WindowView view;
  for (const Slot& slot : slots_) {
    if (slot.second < first || slot.second > this_second) continue;
    wait.add(slot.wait);
    use.add(slot.use);
    connect.add(slot.connect);
    for (std::size_t i = 0; i < counts.size(); ++i) {
      counts[i] += static_cast<double>(slot.counts[i]);
    }
    used_us += static_cast<double>(slot.used_us);
    view.used_most = std::max(view.used_most, slot.used_most);
  }
  const std::uint64_t length_us = now_us - first * kSecondUs;
  view.length_ms = length_us / 1000;
  view.wait = wait.percentiles();
  view.use = use.percentiles();
  view.connect = connect.percentiles();
  if (length_us == 0) return view;
  const auto rate = [&](Happened what) {
    return counts[index(what)] * 1e6 / static_cast<double>(length_us);
  };
  view.acquires_per_s = rate(Happened::kAcquire);
  view.waited_per_s = rate(Happened::kWaited);
  view.timeouts_per_s = rate(Happened::kTimeout);
  view.connects_per_s = rate(Happened::kConnect);
  view.connect_failures_per_s = rate(Happened::kConnectFailure);
  view.closes_per_s = rate(Happened::kClose);
  view.handovers_per_s = rate(Happened::kHandover);
  view.used_mean = used_us / static_cast<double>(length_us);
  return view;
}

}  // namespace weir::simulation
