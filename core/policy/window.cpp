#include "policy/window.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace weir::policy {

namespace {

constexpr double kMs = 1e6;
constexpr double kSecond = 1e9;

// Where the one of that rank lies, if those of each bucket are spread evenly in it.
double at_rank(double rank, std::span<const double> counts, std::span<const std::uint64_t> ends_ns,
               double zeros) {
  double before = zeros;
  if (rank <= before) return 0;
  double begin_ns = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const double end_ns = i < ends_ns.size() ? static_cast<double>(ends_ns[i]) : begin_ns;
    if (counts[i] > 0 && rank <= before + counts[i]) {
      return (begin_ns + (end_ns - begin_ns) * (rank - before) / counts[i]) / kMs;
    }
    before += counts[i];
    begin_ns = end_ns;
  }
  return begin_ns / kMs;  // sums of fractions fall short of their total by a rounding
}

}  // namespace

Percentiles percentiles_of(std::span<const double> counts, std::span<const std::uint64_t> ends_ns,
                           double zeros) {
  Percentiles found;
  found.count = std::accumulate(counts.begin(), counts.end(), zeros);
  if (found.count <= 0) return {};
  found.p50 = at_rank(found.count * 0.50, counts, ends_ns, zeros);
  found.p95 = at_rank(found.count * 0.95, counts, ends_ns, zeros);
  found.p99 = at_rank(found.count * 0.99, counts, ends_ns, zeros);
  return found;
}

SlidingWindow::Sums SlidingWindow::sums_of(const Figures& figures) {
  Sums sums{figures.acquires,         figures.waited, figures.timeouts,  figures.connects,
            figures.connect_failures, figures.closes, figures.handovers, figures.use_ns};
  const auto put = [&](Sum at, const BucketSums& buckets) {
    std::copy(buckets.begin(), buckets.end(), sums.begin() + at);
  };
  put(kWait, figures.wait);
  put(kUse, figures.use);
  put(kConnect, figures.connect);
  return sums;
}

// By how much a sum grew since the last look. What went backwards says so at the next one again, or
// it was only being moved from one place to another meanwhile.
std::uint64_t SlidingWindow::grown(std::size_t sum, std::uint64_t now) {
  const std::uint64_t before = last_[sum];
  if (now >= before || went_back_[sum]) {
    went_back_[sum] = false;
    last_[sum] = now;
    return now >= before ? now - before : now;
  }
  went_back_[sum] = true;
  return 0;
}

void SlidingWindow::add(const Figures& figures) {
  const Sums sums = sums_of(figures);
  if (last_ns_ == 0) {
    last_ = sums;
    last_ns_ = std::max<std::uint64_t>(figures.at_ns, 1);
    return;
  }
  if (figures.at_ns < last_ns_ + kLeastNs) return;
  Step& step = steps_[std::exchange(next_, (next_ + 1) % kSteps)];
  step.from_ns = std::exchange(last_ns_, figures.at_ns);
  step.to_ns = figures.at_ns;
  step.used = figures.used;
  for (std::size_t i = 0; i < kCounters; ++i) step.counters[i] = grown(i, sums[i]);
  for (std::size_t i = kCounters; i < kSums; ++i) {
    step.buckets[i - kCounters] =
        static_cast<std::uint32_t>(std::min<std::uint64_t>(grown(i, sums[i]), UINT32_MAX));
  }
}

WindowView SlidingWindow::over(std::uint64_t now_ns, std::uint64_t length_ns) const {
  const std::uint64_t begin_ns = now_ns > length_ns ? now_ns - length_ns : 0;
  std::array<double, kSums> sums{};
  double seen_ns = 0;
  WindowView view;
  for (const Step& step : steps_) {
    const std::uint64_t from_ns = std::max(step.from_ns, begin_ns);
    const std::uint64_t to_ns = std::min(step.to_ns, now_ns);
    if (from_ns >= to_ns) continue;
    const auto part_ns = static_cast<double>(to_ns - from_ns);
    const double part = part_ns / static_cast<double>(step.to_ns - step.from_ns);
    seen_ns += part_ns;
    for (std::size_t i = 0; i < kCounters; ++i) {
      sums[i] += part * static_cast<double>(step.counters[i]);
    }
    for (std::size_t i = kCounters; i < kSums; ++i) {
      sums[i] += part * static_cast<double>(step.buckets[i - kCounters]);
    }
    if (step.to_ns <= now_ns) view.used_most = std::max(view.used_most, step.used);
  }
  if (seen_ns == 0) return view;
  view.length_ms = static_cast<std::uint64_t>(seen_ns / kMs);
  const auto buckets = [&](Sum at) { return std::span(sums).subspan(at, kWindowBuckets); };
  view.wait =
      percentiles_of(buckets(kWait), ends_ns_, std::max(sums[kAcquires] - sums[kWaited], 0.0));
  view.use = percentiles_of(buckets(kUse), ends_ns_);
  view.connect = percentiles_of(buckets(kConnect), ends_ns_);
  const auto per_second = [&](Sum sum) { return sums[sum] * kSecond / seen_ns; };
  view.acquires_per_s = per_second(kAcquires);
  view.waited_per_s = per_second(kWaited);
  view.timeouts_per_s = per_second(kTimeouts);
  view.connects_per_s = per_second(kConnects);
  view.connect_failures_per_s = per_second(kConnectFailures);
  view.closes_per_s = per_second(kCloses);
  view.handovers_per_s = per_second(kHandovers);
  view.used_mean = sums[kUseNs] / seen_ns;
  return view;
}

}  // namespace weir::policy
