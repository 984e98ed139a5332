// The load of the demo: one list of requests, computed beforehand, that every variant has to serve.
//
// Poisson arrivals; most requests go to one or two hot workers, and which those are changes every
// few seconds. The same shape gives the same trace, so differences between variants are the
// variants'. Plain values, no threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace weir::demo {

struct Request {
  std::uint64_t arrival_us;  // since the start of the phase
  std::uint32_t hold_us;     // how long the server will work on it
  std::uint32_t worker;      // which worker it reaches
};

/// In order of arrival.
using Trace = std::vector<Request>;

struct TraceShape {
  std::uint32_t workers = 8;
  std::uint32_t quota = 20;  // connections, for what `load` means
  double load = 0.30;        // of what `quota` connections can serve
  std::uint64_t length_us = 12'000'000;
  std::uint32_t hold_min_us = 5'000;  // holds are uniform between the two
  std::uint32_t hold_max_us = 20'000;
  double hot_share = 0.80;  // of the requests go to the hot workers
  std::uint64_t hot_period_us = 3'000'000;
  std::uint64_t seed = 20;
};

/// The hot workers at that time: one in even periods, two in odd ones (as far as there are so
/// many); nobody is hot in two periods in a row while there are three workers or more. Sorted.
[[nodiscard]] std::vector<std::uint32_t> hot_workers(const TraceShape& shape, std::uint64_t at_us);

[[nodiscard]] Trace make_trace(const TraceShape& shape);

}  // namespace weir::demo
