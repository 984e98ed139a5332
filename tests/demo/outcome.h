// How a request of the demo ended, and what many such ends come to. Plain values, no threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace weir::demo {

enum class End : std::uint8_t {
  kNone,      // not yet
  kServed,    // got a connection in time, and its answer
  kTimedOut,  // no connection before its deadline
  kFailed,    // anything else
  kDied,      // its worker was killed while it was there
};

struct Outcome {
  End end = End::kNone;
  std::uint64_t latency_us = 0;  // from arrival to the end; counts for all but kDied
};

/// The figures that variants are compared by. Requests that died with their worker are left out of
/// everything but `died`; a request that timed out counts in the latencies with the time it waited,
/// so that giving up does not make a variant look fast.
struct Summary {
  std::size_t requests = 0;  // without `died`
  std::size_t timeouts = 0;
  std::size_t errors = 0;  // kFailed, and requests nobody ever finished
  std::size_t died = 0;
  double success_pct = 0.0;
  double p50_ms = 0.0, p95_ms = 0.0, p99_ms = 0.0;
};

[[nodiscard]] Summary summarize(std::span<const Outcome> outcomes);

}  // namespace weir::demo
