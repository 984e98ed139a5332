// How a benchmark's figures are shown: JSON for programs, tables for people. No threads.
#pragma once

#include <cstddef>
#include <iosfwd>
#include <string>
#include <vector>

#include "bench/machine.h"
#include "bench/plan.h"
#include "bench/sheet.h"

namespace weir::bench {

struct Report {
  std::string name;
  std::size_t rounds = 0;
  std::vector<Row> rows;
  std::vector<Ratio> ratios;
  std::vector<Missing> missing;
  MachineLoad machine;
};

/// {"name", "rounds", "rows": [{"variant", "metric", "unit", "median", "min", "max"}],
///  "ratios": [{"of", "to", "metric", "median", "min", "max"}],
///  "missing": [{"variant", "why"}],
///  "machine": {"cpus", "seconds", "loadavg_before", "loadavg_after", "own_cpu_seconds",
///              "others_cpu_seconds"}}
[[nodiscard]] std::string to_json(const Report& report);

/// One block for each metric: a line for each variant, "median unit (min to max)"; then the ratios.
void print(const Report& report, std::ostream& out);

}  // namespace weir::bench
