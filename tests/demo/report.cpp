#include "demo/report.h"

#include <array>
#include <cstdio>
#include <functional>
#include <iomanip>
#include <nlohmann/json.hpp>
#include <ostream>
#include <sstream>

namespace weir::demo {
namespace {

std::string fixed(double value, int digits, const char* unit) {
  std::ostringstream text;
  text << std::fixed << std::setprecision(digits) << value << unit;
  return text.str();
}

using Cell = std::function<std::string(const Figures&)>;

void print_row(const Report& report, std::ostream& out, const std::string& what, const Cell& cell) {
  out << "  " << std::left << std::setw(30) << what << std::right;
  for (const Figures* figures : {&report.split, &report.weir, &report.ideal}) {
    out << std::setw(14) << cell(*figures);
  }
  out << '\n';
}

nlohmann::ordered_json json_of(const Figures& figures) {
  return {{"success_pct", figures.summary.success_pct}, {"timeouts", figures.summary.timeouts},
          {"errors", figures.summary.errors},           {"p50_ms", figures.summary.p50_ms},
          {"p95_ms", figures.summary.p95_ms},           {"p99_ms", figures.summary.p99_ms},
          {"server_max", figures.server_max},           {"connects", figures.connects}};
}

}  // namespace

Figures figures_of(const Ideal& ideal) {
  Figures figures;
  figures.summary = summarize(ideal.outcomes);
  figures.server_max = ideal.most_in_use;
  figures.connects = ideal.most_in_use;
  return figures;
}

void print_comparison(const Report& report, std::ostream& out) {
  out << "\n  " << std::left << std::setw(30) << "" << std::right << std::setw(14) << "static split"
      << std::setw(14) << "weir" << std::setw(14) << "ideal" << '\n';
  print_row(report, out, "requests served",
            [](const Figures& f) { return fixed(f.summary.success_pct, 2, " %"); });
  print_row(report, out, "timeouts",
            [](const Figures& f) { return std::to_string(f.summary.timeouts); });
  print_row(report, out, "errors",
            [](const Figures& f) { return std::to_string(f.summary.errors); });
  print_row(report, out, "total latency p50",
            [](const Figures& f) { return fixed(f.summary.p50_ms, 1, " ms"); });
  print_row(report, out, "              p95",
            [](const Figures& f) { return fixed(f.summary.p95_ms, 1, " ms"); });
  print_row(report, out, "              p99",
            [](const Figures& f) { return fixed(f.summary.p99_ms, 1, " ms"); });
  const Wording& wording = report.wording;
  print_row(report, out, "most " + wording.sessions + ", of " + std::to_string(report.quota),
            [](const Figures& f) { return std::to_string(f.server_max); });
  print_row(report, out, "connects", [](const Figures& f) { return std::to_string(f.connects); });
  if (!wording.refusals.empty()) {
    print_row(report, out, wording.refusals,
              [](const Figures& f) { return std::to_string(f.refused); });
  }
  print_row(report, out, "times " + wording.counter + " was asked", [](const Figures& f) {
    return f.samples == 0 ? "computed" : std::to_string(f.samples);
  });

  const AfterKill& kill = report.after_kill;
  out << "\n  weir: " << kill.killed << " worker killed (" << report.weir.summary.died
      << " requests died in it and count nowhere); its places "
      << (kill.permits_back_ms ? "were back after " + fixed(*kill.permits_back_ms, 1, " ms")
                               : "never came back")
      << ", " << kill.permits_missing << " of " << report.quota << " missing at the end.\n"
      << "  Latency is from a request's arrival to its answer; who timed out counts with its "
         "wait.\n"
      << "  Ideal: the same requests in one line for everybody, connecting and handing over for "
         "free.\n"
      << wording.note;
  for (const auto& [name, figures] :
       {std::pair{"static split", &report.split}, std::pair{"weir", &report.weir}}) {
    if (!figures->first_error.empty()) {
      out << "  first error, " << name << ": " << figures->first_error << '\n';
    }
  }
}

std::string to_json(const Report& report) {
  nlohmann::ordered_json weir = json_of(report.weir);
  weir["killed"] = report.after_kill.killed;
  weir["permits_missing"] = report.after_kill.permits_missing;
  weir["permits_back_ms"] = nullptr;
  if (report.after_kill.permits_back_ms)
    weir["permits_back_ms"] = *report.after_kill.permits_back_ms;
  const nlohmann::ordered_json all{{"quota", report.quota},
                                   {"static", json_of(report.split)},
                                   {"weir", weir},
                                   {"ideal", json_of(report.ideal)}};
  return all.dump(2) + "\n";
}

std::string broken_promises(const Report& report, double least_success_pct) {
  std::ostringstream text;
  const auto unless = [&text](bool kept, const std::string& line) {
    if (!kept) text << line << '\n';
  };
  const Figures& weir = report.weir;
  const Wording& wording = report.wording;
  unless(weir.server_max <= report.quota,
         wording.counter + " saw " + std::to_string(weir.server_max) + " " + wording.sessions +
             " with a quota of " + std::to_string(report.quota));
  unless(weir.refused == 0, "the server refused " + std::to_string(weir.refused) + " connections");
  unless(weir.samples > 0,
         wording.counter + " was never asked how many " + wording.sessions + " there are");
  unless(weir.summary.errors == 0,
         std::to_string(weir.summary.errors) + " requests failed, and not for want of time");
  unless(weir.summary.success_pct >= least_success_pct,
         "only " + fixed(weir.summary.success_pct, 3, " %") + " of the requests were served");
  unless(report.after_kill.killed > 0, "no worker was killed");
  unless(report.after_kill.permits_back_ms.has_value(),
         "the killed worker's places did not come back");
  unless(report.after_kill.permits_missing == 0,
         std::to_string(report.after_kill.permits_missing) + " places are missing at the end");
  return text.str();
}

}  // namespace weir::demo
