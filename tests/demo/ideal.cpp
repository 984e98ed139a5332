#include "demo/ideal.h"

#include <algorithm>
#include <functional>
#include <queue>

namespace weir::demo {

Ideal serve_from_one_line(const Trace& trace, std::uint32_t servers, std::uint64_t deadline_us) {
  Ideal ideal;
  ideal.outcomes.reserve(trace.size());
  // When each busy server will be free, soonest on top. Requests are taken in order of arrival, so
  // the soonest free server is the one that the head of the line gets.
  std::priority_queue<std::uint64_t, std::vector<std::uint64_t>, std::greater<>> free_at_us;
  for (const Request& request : trace) {
    while (!free_at_us.empty() && free_at_us.top() <= request.arrival_us) free_at_us.pop();
    std::uint64_t begin_us = request.arrival_us;
    if (free_at_us.size() == servers) {
      begin_us = free_at_us.top();
      if (begin_us - request.arrival_us > deadline_us) {
        ideal.outcomes.push_back({End::kTimedOut, deadline_us});
        continue;
      }
      free_at_us.pop();
    }
    const std::uint64_t end_us = begin_us + request.hold_us;
    free_at_us.push(end_us);
    ideal.outcomes.push_back({End::kServed, end_us - request.arrival_us});
    ideal.most_in_use = std::max(ideal.most_in_use, static_cast<std::uint32_t>(free_at_us.size()));
  }
  return ideal;
}

}  // namespace weir::demo
