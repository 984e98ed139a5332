#include "demo/outcome.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace weir::demo {
namespace {

/// Nearest rank: the smallest value that at least `share` of all values do not exceed.
double percentile_ms(const std::vector<std::uint64_t>& sorted_us, double share) {
  if (sorted_us.empty()) return 0.0;
  const double rank = std::ceil(share * static_cast<double>(sorted_us.size()));
  const auto index = static_cast<std::size_t>(std::max(rank, 1.0)) - 1;
  return static_cast<double>(sorted_us[index]) / 1000.0;
}

}  // namespace

Summary summarize(std::span<const Outcome> outcomes) {
  Summary summary;
  std::vector<std::uint64_t> latencies_us;
  latencies_us.reserve(outcomes.size());
  std::size_t served = 0;
  for (const Outcome& outcome : outcomes) {
    switch (outcome.end) {
      case End::kDied:
        ++summary.died;
        continue;
      case End::kNone:
        ++summary.errors;
        continue;
      case End::kServed:
        ++served;
        break;
      case End::kTimedOut:
        ++summary.timeouts;
        break;
      case End::kFailed:
        ++summary.errors;
        break;
    }
    latencies_us.push_back(outcome.latency_us);
  }
  summary.requests = outcomes.size() - summary.died;
  if (summary.requests > 0) {
    summary.success_pct =
        100.0 * static_cast<double>(served) / static_cast<double>(summary.requests);
  }
  std::sort(latencies_us.begin(), latencies_us.end());
  summary.p50_ms = percentile_ms(latencies_us, 0.50);
  summary.p95_ms = percentile_ms(latencies_us, 0.95);
  summary.p99_ms = percentile_ms(latencies_us, 0.99);
  return summary;
}

}  // namespace weir::demo
