// What can be changed about the demo. Plain values.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>

#include "demo/report.h"
#include "demo/trace.h"

namespace weir::demo {

struct Options {
  std::uint32_t seconds =
      30;              // for everything; what is left after setting up goes to the two phases
  double load = 0.30;  // of what `quota` connections can serve
  std::uint32_t workers = 8;
  std::uint32_t threads = 10;  // per worker
  std::uint32_t quota = 20;    // connections
  std::uint64_t seed = 20;
  std::string driver = "postgres";              // of the database
  std::string json_file;                        // empty: none
  double least_success_pct = kLeastSuccessPct;  // below it the demo fails

  static constexpr std::uint64_t kDeadlineUs = 1'000'000;  // of a request, from its arrival

  /// The load of either phase. Starting a server, the census and stopping take about four seconds.
  [[nodiscard]] TraceShape shape() const {
    constexpr std::uint64_t kAroundUs = 4'000'000;
    const std::uint64_t whole_us = std::max<std::uint64_t>(seconds, 8) * 1'000'000;
    return {.workers = workers,
            .quota = quota,
            .load = load,
            .length_us = (whole_us - kAroundUs) / 2,
            .seed = seed};
  }
};

}  // namespace weir::demo
