// A load that wanders between workers: the demo's and the skew benchmark's.
//
// Poisson arrivals; most requests go to one or two hot workers, and which those are changes every
// few seconds. The same shape gives the same list. Plain values, no threads.
#pragma once

#include <cstdint>
#include <vector>

#include "simulation/load.h"

namespace weir::simulation {

struct WanderingShape {
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
[[nodiscard]] std::vector<std::uint32_t> hot_workers(const WanderingShape& shape,
                                                     std::uint64_t at_us);

/// In order of arrival.
[[nodiscard]] std::vector<Request> wandering_requests(const WanderingShape& shape);

/// How long pg_sleep(hold) takes a server: it sleeps in whole milliseconds, rounded up
/// (PostgreSQL, src/backend/utils/adt/misc.c, pg_sleep).
[[nodiscard]] constexpr std::uint32_t slept_us(std::uint32_t hold_us) {
  return (hold_us + 999) / 1000 * 1000;
}

}  // namespace weir::simulation
