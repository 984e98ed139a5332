// What the tests of the simulation run: the built-in policy, and a machine whose steps take no
// time.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>

#include "simulation/simulate.h"

namespace weir::simulation {

inline std::unique_ptr<policy::Policy> fixed() { return std::make_unique<policy::FixedPolicy>(); }

inline constexpr Mechanics kNoTime{.connect_us = 0,
                                   .refuse_us = 0,
                                   .close_us = 0,
                                   .wake_us = 0,
                                   .rouse_us = 0,
                                   .give_us = 0,
                                   .take_us = 0,
                                   .check_us = 0,
                                   .reset_us = 0,
                                   .round_trip_us = 0,
                                   .again_us = 0,
                                   .spread = 0};

inline constexpr Mechanics kSteady{.spread = 0};  // each step takes what it mostly takes

inline Load load_of(std::vector<Request> requests) {
  Load load{.name = "test", .requests = std::move(requests)};
  if (!load.requests.empty()) load.length_us = load.requests.back().arrival_us;
  return load;
}

inline double mean_wait_ms(const Report& report) {
  double sum_us = 0;
  for (const Outcome& one : report.outcomes) sum_us += static_cast<double>(one.wait_us);
  return sum_us / 1000 / static_cast<double>(report.outcomes.size());
}

}  // namespace weir::simulation
