// Trace: requests as a pool saw them, recorded, in a text format that `weir record` writes and
// `weir policy simulate --trace` reads.
//
//   weir-trace 1 pool main of segment default, 2026-01-31 12:00:03 UTC
//   1250 0 8130 0 1 -
//   1391 2210 5021 3 16 auth
//   1402 1000000 - 3 1 -
//
// The first line: the format and its version, then what it was recorded from, in words. After that
// one line for each request, in order of arrival, of six fields with a space between them:
//   arrival_us  when it asked the pool, since the beginning
//   wait_us     from asking to having a connection, or to giving up
//   hold_us     from having it to giving it back; "-": it got none
//   worker      which worker it was in, from 0
//   weight      how many requests it stands for, where only one in so many is recorded
//   class       its priority class; "-": none
// Lines end with a newline, numbers are decimal, nothing else is allowed. Plain values, no threads.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "simulation/load.h"

namespace weir::simulation {

struct TraceRequest {
  std::uint64_t arrival_us = 0, wait_us = 0;  // each at most kLongestTraceUs
  std::optional<std::uint32_t> hold_us{};     // 71 minutes at most: what took longer says that
  std::uint32_t worker = 0;                   // below 10,000
  std::uint32_t weight = 1;                   // from 1
  std::string klass{};                        // [a-z][a-z0-9]*, at most 15 bytes; empty: none
  bool operator==(const TraceRequest&) const = default;
};

struct Trace {
  std::string source{};  // one line
  std::vector<TraceRequest> requests{};
  bool operator==(const Trace&) const = default;
};

inline constexpr std::uint64_t kLongestTraceUs = 31ULL * 86'400 * 1'000'000;

/// kBadArgument: which line, what was expected there and what was found; also where the weights
/// come to more than kMostRequests.
[[nodiscard]] Result<Trace> read_trace(std::string_view text);
/// What read_trace reads. A line break in `source` becomes a space. REQUIRES: values in their
/// ranges, in order of arrival.
[[nodiscard]] std::string trace_text(const Trace& trace);

/// The load that was recorded. A request of weight n becomes n, spread evenly until the next one of
/// its worker was recorded; one that got none would have held as long as half of the others did at
/// most. `classes`: names in the order of configuration; other names count as none.
[[nodiscard]] Load load_of(const Trace& trace, const std::vector<std::string>& classes);
/// How many workers it was recorded from; at least 1.
[[nodiscard]] std::uint32_t workers_of(const Trace& trace);
/// How many threads a worker of it must have had: the most requests that one had at once. nullopt:
/// only one in so many was recorded, which does not tell.
[[nodiscard]] std::optional<std::uint32_t> threads_of(const Trace& trace);

}  // namespace weir::simulation
