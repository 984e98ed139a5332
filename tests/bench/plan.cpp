#include "bench/plan.h"

#include <algorithm>
#include <ostream>
#include <stdexcept>

#include "support/interrupt.h"

namespace weir::bench {

std::string full_metric(const Case& its_case, const std::string& metric) {
  return its_case.name.empty() ? metric : its_case.name + ": " + metric;
}

Sheet run_rounds(const Plan& plan, std::size_t rounds, std::ostream& progress) {
  Sheet sheet;
  for (std::size_t round = 0; round < rounds; ++round) {
    for (const Case& its_case : plan.cases) {
      const std::size_t count = its_case.variants.size();
      for (std::size_t i = 0; i < count; ++i) {
        const Variant& variant = its_case.variants[(round + i) % count];
        progress << "round " << round + 1 << " of " << rounds << ": " << its_case.name
                 << (its_case.name.empty() ? "" : ": ") << variant.name << std::endl;
        for (const Figure& figure : variant.measure(round)) {
          sheet.add(round, variant.name,
                    {full_metric(its_case, figure.metric), figure.unit, figure.value});
        }
        if (test::is_interrupted()) throw std::runtime_error("interrupted");
      }
    }
  }
  return sheet;
}

std::vector<Ratio> ratios_of(const Plan& plan, const Sheet& sheet) {
  std::vector<Ratio> ratios;
  for (const Case& its_case : plan.cases) {
    for (const Comparison& comparison : plan.comparisons) {
      const auto ratio =
          sheet.ratio(comparison.of, comparison.to, full_metric(its_case, comparison.metric));
      if (ratio) ratios.push_back(*ratio);
    }
  }
  return ratios;
}

}  // namespace weir::bench
