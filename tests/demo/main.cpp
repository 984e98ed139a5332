// weir-demo: the same skewed load on the same database twice, first with the connections divided
// among the workers, then with weir, where a worker is killed on the way. Exit status 0 only if
// weir kept its word.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "demo/database.h"
#include "demo/databases.h"
#include "demo/ideal.h"
#include "demo/options.h"
#include "demo/phase.h"
#include "demo/report.h"
#include "demo/static_pool.h"
#include "demo/trace.h"
#include "demo/weir_side.h"
#include "demo/weir_source.h"
#include "support/interrupt.h"
#include "support/temp_folder.h"

namespace weir::demo {
namespace {

constexpr int kBroken = 1;
constexpr int kCouldNotRun = 2;

/// Where the build leaves plugins, seen from the program: <build>/bin/weir-demo.
std::string plugin_folder() {
  const auto program = std::filesystem::canonical("/proc/self/exe");
  return program.parent_path().parent_path() / "lib" / "weir" / "plugins";
}

PhaseResult run_static(const Options& options, const Trace& trace, Database& database,
                       std::ostream& out, bool live) {
  return run_phase({.title = "static split: every worker has its own part of the connections",
                    .options = options,
                    .trace = trace,
                    .database = database,
                    .make_source =
                        [&](std::uint32_t worker, Board& board, Gauge& gauge) {
                          const auto size = static_share(options.quota, options.workers, worker);
                          return std::make_unique<StaticPool>(database.client(), size, board,
                                                              gauge);
                        }},
                   out, live);
}

PhaseResult run_weir(const Options& options, const Trace& trace, Database& database,
                     std::ostream& out, bool live) {
  const test::TempFolder folder("weir-demo-");
  WeirSide weir({.folder = folder.path().string(),
                 .plugins = plugin_folder(),
                 .driver = database.facts().driver,
                 .dsn = database.dsn(),
                 .quota = options.quota,
                 .keys = database.facts().keys});
  return run_phase({.title = "weir: all workers share all connections",
                    .options = options,
                    .trace = trace,
                    .database = database,
                    .make_source =
                        [&](std::uint32_t, Board& board, Gauge& gauge) {
                          return std::make_unique<WeirSource>(weir.runtime(), database.client(),
                                                              board, gauge);
                        },
                    .weir = &weir},
                   out, live);
}

int run(const Options& options) {
  std::ostream& out = std::cout;
  const bool live = isatty(STDOUT_FILENO) != 0;
  out << options.workers << " worker processes of " << options.threads << " threads, "
      << options.quota << " connections, " << options.load * 100
      << " % of what these can do, most of it for one or two workers at a time.\n"
      << "Making a database of our own (" << options.driver << ") ..." << std::endl;

  const std::unique_ptr<Database> database = make_database(options.driver, options.quota);
  const Trace trace = make_trace(options.shape());
  PhaseResult split = run_static(options, trace, *database, out, live);
  PhaseResult weir = run_weir(options, trace, *database, out, live);

  Report report;
  report.quota = options.quota;
  report.wording = database->facts().wording;
  report.split = std::move(split.figures);
  report.weir = std::move(weir.figures);
  report.after_kill = weir.after_kill;
  report.ideal = figures_of(serve_from_one_line(trace, options.quota, Options::kDeadlineUs));
  print_comparison(report, out);

  if (!options.json_file.empty()) {
    std::ofstream file(options.json_file);
    if (!(file << to_json(report) << std::flush)) {
      throw std::runtime_error("cannot write " + options.json_file);
    }
  }
  const std::string broken = broken_promises(report, options.least_success_pct);
  out << (broken.empty() ? "\nweir kept its word.\n" : "\nweir broke its word:\n" + broken);
  return broken.empty() ? 0 : kBroken;
}

/// Those that this build has, for people.
std::string driver_names() {
  std::string names;
  for (const std::string& name : database_drivers()) names += (names.empty() ? "" : ", ") + name;
  return names;
}

int parse_and_run(int argc, char** argv) {
  Options options;
  CLI::App app(
      "The same skewed load on the same database twice: first with the connections divided among "
      "the workers, then with weir, where a worker is killed halfway. Makes a database of its own "
      "in a temporary folder and leaves nothing behind. Exit status: 0 weir kept its word, 1 it "
      "did not, 2 the demo could not run.",
      "weir-demo");
  app.option_defaults()->always_capture_default();
  app.add_option("--driver", options.driver, "of the database: " + driver_names())
      ->check(CLI::Validator(
          [](const std::string& name) {
            const auto known = database_drivers();
            if (std::find(known.begin(), known.end(), name) != known.end()) return std::string();
            return "expected one of " + driver_names() + ", found '" + name + "'";
          },
          ""));
  app.add_option("--seconds", options.seconds, "how long it may take, all in all")
      ->check(CLI::Range(8U, 3600U));
  app.add_option("--load", options.load, "share of what the connections can serve")
      ->check(CLI::Range(0.01, 2.0));
  app.add_option("--workers", options.workers, "worker processes")->check(CLI::Range(1U, 64U));
  app.add_option("--threads", options.threads, "threads of each worker")
      ->check(CLI::Range(1U, 256U));
  app.add_option("--quota", options.quota, "connections, for all of them together")
      ->check(CLI::Range(1U, 1000U));
  app.add_option("--seed", options.seed, "of the arrivals");
  app.add_option("--least-success", options.least_success_pct,
                 "share of requests, in percent, below which it fails: lower on a busy machine")
      ->check(CLI::Range(0.0, 100.0));
  app.add_option("--json", options.json_file, "write the comparison to this file, too");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kCouldNotRun;  // asking for help is no failure
  }
  test::note_interrupts();
  return run(options);
}

}  // namespace
}  // namespace weir::demo

int main(int argc, char** argv) {
  try {
    return weir::demo::parse_and_run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "weir-demo: %s\n", error.what());
    return weir::demo::kCouldNotRun;
  }
}
