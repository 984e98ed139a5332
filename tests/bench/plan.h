// The plan of a benchmark: cases, in each of them variants that do the same work, and what is
// compared; and the rounds in which they are measured.
#pragma once

#include <cstddef>
#include <functional>
#include <iosfwd>
#include <string>
#include <vector>

#include "bench/sheet.h"

namespace weir::bench {

struct Variant {
  std::string name;
  /// Measures once. Called once in every round, never two at a time.
  std::function<std::vector<Figure>(std::size_t round)> measure;
};

/// The same work for all variants. Its name stands before the metrics: "4 threads: time".
struct Case {
  std::string name;
  std::vector<Variant> variants;
};

/// In every case that has both variants.
struct Comparison {
  std::string of, to, metric;
};

/// A variant that could not be measured here.
struct Missing {
  std::string variant, why;
};

struct Plan {
  std::vector<Case> cases;
  std::vector<Comparison> comparisons = {};
  std::vector<Missing> missing = {};
};

/// The metric as it stands in the sheet.
[[nodiscard]] std::string full_metric(const Case& its_case, const std::string& metric);

/// Every round measures all variants of all cases; with which variant a case begins changes from
/// round to round. Each step is told on `progress`. Throws what a variant throws, and
/// std::runtime_error when the process was interrupted (support/interrupt.h).
[[nodiscard]] Sheet run_rounds(const Plan& plan, std::size_t rounds, std::ostream& progress);

/// In the order of the cases; comparisons that were not measured are left out.
[[nodiscard]] std::vector<Ratio> ratios_of(const Plan& plan, const Sheet& sheet);

}  // namespace weir::bench
