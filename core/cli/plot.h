// Line charts as SVG: stacked, over one axis of time, one line for each policy in each chart.
//
// Readable on light and on dark ground; no scripts, nothing from outside. Threads: a pure function.
#pragma once

#include <string>
#include <vector>

namespace weir::cli {

struct PlotLine {
  std::string name;            // of the policy: for the legend; any text
  std::vector<double> values;  // one for each second; what is not finite is drawn as 0
  bool is_dashed = false;      // a limit, or the second of two that belong together
};

struct PlotChart {
  std::string title, unit;
  // Lines of the same number have the same colour in all charts: who is first is the candidate.
  std::vector<std::vector<PlotLine>> policies;
};

struct Plot {
  std::string title;
  std::vector<PlotChart> charts;
};

[[nodiscard]] std::string svg_of(const Plot& plot);

}  // namespace weir::cli
