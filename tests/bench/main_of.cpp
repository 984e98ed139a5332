#include "bench/main_of.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <exception>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "bench/report.h"
#include "support/interrupt.h"

namespace weir::bench {
namespace {

constexpr int kCouldNotRun = 2;

/// Keeps the cases whose names contain `text`.
void keep_cases(Plan& plan, const std::string& text) {
  std::erase_if(plan.cases,
                [&](const Case& one) { return one.name.find(text) == std::string::npos; });
  if (plan.cases.empty()) throw std::runtime_error("no case has \"" + text + "\" in its name");
}

/// Whether `text` means the variant `name` of `all`: that of this very name if there is one, else
/// all that contain it.
bool is_meant(const std::string& text, const std::string& name, const std::vector<Variant>& all) {
  const bool is_whole_name =
      std::any_of(all.begin(), all.end(), [&](const Variant& each) { return each.name == text; });
  return is_whole_name ? name == text : name.find(text) != std::string::npos;
}

/// Keeps the variants that one of `texts` means; all if there is none.
void keep_variants(Plan& plan, const std::vector<std::string>& texts) {
  if (texts.empty()) return;
  for (Case& one : plan.cases) {
    std::vector<Variant> kept;
    for (const Variant& each : one.variants) {
      const bool any = std::any_of(texts.begin(), texts.end(), [&](const std::string& text) {
        return is_meant(text, each.name, one.variants);
      });
      if (any) kept.push_back(each);
    }
    one.variants = std::move(kept);
  }
}

void write(const std::string& path, const std::string& text) {
  std::ofstream file(path);
  if (!(file << text << std::flush)) throw std::runtime_error("cannot write " + path);
}

}  // namespace

int main_of(int argc, char** argv, const Defaults& defaults,
            const std::function<Plan(const Settings&)>& make_plan) {
  Report report;
  report.name = defaults.name;
  report.rounds = defaults.rounds;
  double seconds = defaults.seconds;
  std::string json_file, only_case;
  std::vector<std::string> only_variants;
  CLI::App app(defaults.about, "scripts/bench " + defaults.name);
  app.option_defaults()->always_capture_default();
  app.add_option("--rounds", report.rounds, "every variant is measured once in each")
      ->check(CLI::Range(1U, 10000U));
  app.add_option("--seconds", seconds, "length of one measurement")
      ->check(CLI::Range(0.001, 600.0));
  app.add_option("--json", json_file, "write the figures to this file, too");
  app.add_option("--case", only_case, "only cases with this text in their names");
  app.add_option("--variant", only_variants,
                 "only the variant of this name, else those with this text in it; several times");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kCouldNotRun;
  }
  try {
    test::note_interrupts();
    const MachineWatch watch;
    {
      Plan plan = make_plan(
          {report.rounds, std::chrono::nanoseconds(static_cast<std::int64_t>(seconds * 1e9))});
      keep_cases(plan, only_case);
      keep_variants(plan, only_variants);
      const Sheet sheet = run_rounds(plan, report.rounds, std::cerr);
      report.rows = sheet.rows();
      report.ratios = ratios_of(plan, sheet);
      report.missing = plan.missing;
    }
    report.machine = watch.look();
    print(report, std::cout);
    if (!json_file.empty()) write(json_file, to_json(report));
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench %s: %s\n", defaults.name.c_str(), error.what());
    return kCouldNotRun;
  }
}

}  // namespace weir::bench
