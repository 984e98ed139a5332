// The main function that all benchmarks share: arguments, rounds, table, JSON.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>

#include "bench/plan.h"

namespace weir::bench {

struct Defaults {
  std::string name;
  std::string about;  // one sentence for --help
  std::size_t rounds;
  double seconds;  // how long one measurement takes
};

struct Settings {
  std::size_t rounds;
  std::chrono::nanoseconds length;  // of one measurement
};

/// Runs the plan and shows it: the table on stdout, progress on stderr, JSON where --json says.
/// Whatever the plan's functions own is gone before the machine's load is read, so that it counts
/// as the benchmark's. Returns main's exit status: 0, or 2 with a line on stderr.
int main_of(int argc, char** argv, const Defaults& defaults,
            const std::function<Plan(const Settings&)>& make_plan);

}  // namespace weir::bench
