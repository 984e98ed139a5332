#include "bench/report.h"

#include <algorithm>
#include <cmath>
#include <iomanip>
#include <nlohmann/json.hpp>
#include <ostream>
#include <sstream>

namespace weir::bench {
namespace {

nlohmann::ordered_json& with(nlohmann::ordered_json& json, const Spread& spread) {
  json["median"] = spread.median;
  json["min"] = spread.min;
  json["max"] = spread.max;
  return json;
}

/// Three digits that say something, never an exponent.
std::string number(double value) {
  const double size = std::abs(value);
  std::ostringstream text;
  text << std::fixed
       << std::setprecision(size >= 100  ? 0
                            : size >= 10 ? 1
                            : size >= 1  ? 2
                                         : 3)
       << value;
  return text.str();
}

void print_line(std::ostream& out, std::size_t width, const std::string& name, const Spread& spread,
                const std::string& unit) {
  out << "  " << std::left << std::setw(static_cast<int>(width) + 2) << name << std::right
      << std::setw(10) << number(spread.median) << ' ' << unit << "  (" << number(spread.min)
      << " to " << number(spread.max) << ")\n";
}

}  // namespace

std::string to_json(const Report& report) {
  using nlohmann::ordered_json;
  ordered_json all{{"name", report.name}, {"rounds", report.rounds}};
  all["rows"] = ordered_json::array();
  for (const Row& row : report.rows) {
    ordered_json json{{"variant", row.variant}, {"metric", row.metric}, {"unit", row.unit}};
    all["rows"].push_back(with(json, row.spread));
  }
  all["ratios"] = ordered_json::array();
  for (const Ratio& ratio : report.ratios) {
    ordered_json json{{"of", ratio.of}, {"to", ratio.to}, {"metric", ratio.metric}};
    all["ratios"].push_back(with(json, ratio.spread));
  }
  all["missing"] = ordered_json::array();
  for (const Missing& missing : report.missing) {
    all["missing"].push_back(ordered_json{{"variant", missing.variant}, {"why", missing.why}});
  }
  all["machine"] = ordered_json{{"cpus", report.machine.cpus},
                                {"seconds", report.machine.seconds},
                                {"loadavg_before", report.machine.loadavg_before},
                                {"loadavg_after", report.machine.loadavg_after},
                                {"own_cpu_seconds", report.machine.own_cpu_seconds},
                                {"others_cpu_seconds", report.machine.others_cpu_seconds}};
  return all.dump(2) + "\n";
}

void print(const Report& report, std::ostream& out) {
  std::size_t width = 0;
  for (const Row& row : report.rows) width = std::max(width, row.variant.size());
  for (const Ratio& ratio : report.ratios) {
    width = std::max(width, ratio.of.size() + ratio.to.size() + 3);
  }

  out << report.name << ", " << report.rounds << " rounds: median (min to max)\n";
  std::vector<std::string> metrics;  // in order of appearance
  for (const Row& row : report.rows) {
    if (std::find(metrics.begin(), metrics.end(), row.metric) == metrics.end()) {
      metrics.push_back(row.metric);
    }
  }
  for (const std::string& metric : metrics) {
    out << '\n' << metric << '\n';
    for (const Row& row : report.rows) {
      if (row.metric == metric) print_line(out, width, row.variant, row.spread, row.unit);
    }
    for (const Ratio& ratio : report.ratios) {
      if (ratio.metric == metric) {
        print_line(out, width, ratio.of + " / " + ratio.to, ratio.spread, "x");
      }
    }
  }
  for (const Missing& missing : report.missing) {
    out << "\nmissing: " << missing.variant << ": " << missing.why << '\n';
  }
  const MachineLoad& machine = report.machine;
  out << "\nmachine: " << machine.cpus << " processors, " << number(machine.seconds)
      << " s; loadavg " << number(machine.loadavg_before) << " before and "
      << number(machine.loadavg_after) << " after; processor time "
      << number(machine.own_cpu_seconds) << " s ours, " << number(machine.others_cpu_seconds)
      << " s of others\n";
}

}  // namespace weir::bench
