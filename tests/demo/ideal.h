// The bound nobody can beat: the trace served by `servers` connections behind one line for
// everybody, first come first served, where connecting and handing over cost nothing and no worker
// runs out of threads. Computed, not measured. No threads.
#pragma once

#include <cstdint>
#include <vector>

#include "demo/outcome.h"
#include "demo/trace.h"

namespace weir::demo {

struct Ideal {
  std::vector<Outcome> outcomes;  // one per request of the trace
  std::uint32_t most_in_use = 0;  // servers busy at one time, at most
};

/// A request that has waited for `deadline_us` without being begun leaves, and costs no server
/// anything. REQUIRES: servers > 0.
[[nodiscard]] Ideal serve_from_one_line(const Trace& trace, std::uint32_t servers,
                                        std::uint64_t deadline_us);

}  // namespace weir::demo
