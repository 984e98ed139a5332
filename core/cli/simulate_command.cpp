#include "cli/simulate_command.h"

#include <array>
#include <cstdio>
#include <fstream>
#include <functional>
#include <iterator>
#include <nlohmann/json.hpp>
#include <vector>

#include "cli/json_text.h"
#include "cli/policy_named.h"
#include "cli/render.h"
#include "cli/simulate_pool.h"
#include "simulation/simulate.h"
#include "simulation/trace.h"

namespace weir::cli {
namespace {

using simulation::Report;

std::string fixed_text(double value, int digits) {
  std::array<char, 48> text{};
  std::snprintf(text.data(), text.size(), "%.*f", digits, value);
  return text.data();
}

std::string ms_text(double ms) { return fixed_text(ms, ms < 10 ? 2 : 1) + " ms"; }
std::string part_text(double part) { return fixed_text(100 * part, 1) + " %"; }
std::string share_text(std::uint64_t count, std::uint64_t of) {
  return count_text(count) + " (" +
         part_text(of == 0 ? 0 : static_cast<double>(count) / static_cast<double>(of)) + ")";
}

/// A line of the table: what, and how it is said of a report.
struct Row {
  const char* what;
  std::function<std::string(const Report&)> text;
};

const std::vector<Row>& rows() {
  static const std::vector<Row> all{
      {"requests served", [](const Report& of) { return share_text(of.served, of.requests); }},
      {"timed out", [](const Report& of) { return share_text(of.timeouts, of.requests); }},
      {"refused by the breaker",
       [](const Report& of) { return share_text(of.refused, of.requests); }},
      {"failed", [](const Report& of) { return share_text(of.failed, of.requests); }},
      {"wait p50", [](const Report& of) { return ms_text(of.waits.p50_ms); }},
      {"wait p95", [](const Report& of) { return ms_text(of.waits.p95_ms); }},
      {"wait p99", [](const Report& of) { return ms_text(of.waits.p99_ms); }},
      {"wait max", [](const Report& of) { return ms_text(of.waits.max_ms); }},
      {"had to wait", [](const Report& of) { return share_text(of.waited, of.requests); }},
      {"of those p50", [](const Report& of) { return ms_text(of.waits_waited.p50_ms); }},
      {"of those p95", [](const Report& of) { return ms_text(of.waits_waited.p95_ms); }},
      {"connects", [](const Report& of) { return count_text(of.opens); }},
      {"connects that failed", [](const Report& of) { return count_text(of.connect_failures); }},
      {"closes", [](const Report& of) { return count_text(of.closes); }},
      {"handovers", [](const Report& of) { return count_text(of.handovers); }},
      {"open, mean", [](const Report& of) { return fixed_text(of.open_mean, 1); }},
      {"open, most", [](const Report& of) { return std::to_string(of.open_most); }},
      {"utilisation, mean", [](const Report& of) { return part_text(of.utilisation()); }},
      {"utilisation, peak", [](const Report& of) { return part_text(of.utilisation_peak()); }},
  };
  return all;
}

nlohmann::ordered_json waits_json(const simulation::Waits& waits) {
  return {{"p50_ms", waits.p50_ms},
          {"p95_ms", waits.p95_ms},
          {"p99_ms", waits.p99_ms},
          {"max_ms", waits.max_ms}};
}

nlohmann::ordered_json report_json(const Report& of) {
  nlohmann::ordered_json course = nlohmann::ordered_json::array();
  for (const simulation::Second& one : of.course) {
    course.push_back({{"wait_p95_ms", one.wait_p95_ms},
                      {"waiting", one.waiting},
                      {"open", one.open},
                      {"used", one.used},
                      {"timeouts", one.timeouts},
                      {"failures", one.failures}});
  }
  return {{"policy", of.policy},
          {"served", of.served},
          {"timeouts", of.timeouts},
          {"refused", of.refused},
          {"failed", of.failed},
          {"wait", waits_json(of.waits)},
          {"waited", of.waited},
          {"wait_of_those", waits_json(of.waits_waited)},
          {"connects", of.opens},
          {"connect_failures", of.connect_failures},
          {"closes", of.closes},
          {"handovers", of.handovers},
          {"open_mean", of.open_mean},
          {"open_most", of.open_most},
          {"utilisation", of.utilisation()},
          {"utilisation_peak", of.utilisation_peak()},
          {"seconds", std::move(course)}};
}

Result<std::string> content_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(file), {}};
  if (!file.is_open() || file.bad()) {
    return Status(Code::kBadArgument, "\"" + printable(path) + "\" cannot be read");
  }
  return text;
}

Result<simulation::Trace> recorded(const std::string& path) {
  const Result<std::string> text = content_of(path);
  if (!text.ok()) return text.status();
  Result<simulation::Trace> trace = simulation::read_trace(text.value());
  if (!trace.ok()) {
    return Status(trace.status().code(),
                  printable(path) + ": " + std::string(trace.status().message()));
  }
  if (trace.value().requests.empty()) {
    return Status(Code::kBadArgument, printable(path) + ": expected requests, found none");
  }
  return trace;
}

// What a trace says of the machine that it was recorded on. Round trips are in its holds.
void take_from(const simulation::Trace& trace, simulation::MachineSettings& machine) {
  machine.workers = simulation::workers_of(trace);
  machine.threads = simulation::threads_of(trace).value_or(machine.threads);
  machine.mechanics.round_trip_us = 0;
}

simulation::Load load_from(const simulation::Trace& trace, const std::string& path,
                           const simulation::MachineSettings& machine) {
  std::vector<std::string> classes;
  for (const simulation::PriorityClass& one : machine.pool.classes) classes.push_back(one.name);
  simulation::Load load = simulation::load_of(trace, classes);
  load.name = printable(path);
  return load;
}

Result<simulation::Load> load_named(const SimulateOptions& options,
                                    const simulation::MachineSettings& machine) {
  std::optional<simulation::Load> load =
      simulation::load_named(options.load, {.workers = machine.workers,
                                            .connections = machine.pool.max,
                                            .seconds = options.seconds,
                                            .seed = machine.seed});
  if (load) return *std::move(load);
  std::string names;
  for (const simulation::NamedLoad& one : simulation::named_loads()) {
    names += (names.empty() ? "" : ", ") + std::string(one.name);
  }
  return Status(Code::kBadArgument,
                "load: expected one of " + names + ", found \"" + printable(options.load) + "\"");
}

Status write_plot(const std::string& path, const Simulated& simulated) {
  std::ofstream file(path, std::ios::binary);
  file << svg_of(simulated_plot(simulated));
  file.close();
  if (file) return Status();
  return Status(Code::kBadArgument, "the plot \"" + printable(path) + "\" cannot be written");
}

/// One line for each of the two policies, of the same figure.
PlotChart chart_of(
    const std::string& title, const std::string& unit, const Simulated& simulated,
    const std::vector<std::pair<std::string, std::function<double(const simulation::Second&)>>>&
        of) {
  PlotChart chart{title, unit, {}};
  for (const auto& [report, who] :
       {std::pair{&simulated.candidate, "candidate"}, std::pair{&simulated.running, "running"}}) {
    std::vector<PlotLine> lines;
    for (const auto& [name, value] : of) {
      PlotLine line{std::string(who) + (name.empty() ? "" : ", " + name), {}, !lines.empty()};
      for (const simulation::Second& one : report->course) line.values.push_back(value(one));
      lines.push_back(std::move(line));
    }
    chart.policies.push_back(std::move(lines));
  }
  return chart;
}

Result<simulation::MakePolicy> made(const std::string& spec,
                                    const std::vector<std::string>& params) {
  const Result<policy::Params> read = params_of(params);
  return read.ok() ? policy_named(spec, read.value()) : read.status();
}

void tell_notes(const std::vector<std::string>& notes) {
  for (const std::string& note : notes) {
    std::fprintf(stderr, "weir policy simulate: note: %s\n", note.c_str());
  }
}

}  // namespace

ExitCode run_simulate(const SimulateOptions& options) {
  const auto fail = [](const Status& status) { return tell_failure("policy simulate", status); };
  const Result<simulation::MakePolicy> candidate = made(options.candidate, options.params);
  if (!candidate.ok()) return fail(candidate.status());
  Result<PoolToSimulate> pool = pool_to_simulate(options.where, options.pool);
  if (!pool.ok()) return fail(pool.status());
  const Result<simulation::MakePolicy> running =
      options.against.empty() && options.against_params.empty()
          ? std::move(pool.value().running)
          : made(options.against.empty() ? "fixed" : options.against, options.against_params);
  if (!running.ok()) return fail(running.status());
  if (options.against.empty()) tell_notes(pool.value().notes);

  Simulated simulated;
  simulated.pool = pool.value().name;
  simulated.machine = pool.value().machine;
  Result<simulation::Trace> trace = simulation::Trace{};
  if (!options.trace.empty()) {
    trace = recorded(options.trace);
    if (!trace.ok()) return fail(trace.status());
    take_from(trace.value(), simulated.machine);
  }
  for (const auto& change : options.changes) change(simulated.machine);
  Result<simulation::Load> load = options.trace.empty()
                                      ? load_named(options, simulated.machine)
                                      : load_from(trace.value(), options.trace, simulated.machine);
  if (!load.ok()) return fail(load.status());
  simulated.load = std::move(load).value();
  simulated.candidate = simulate(simulated.load, simulated.machine, candidate.value());
  simulated.running = simulate(simulated.load, simulated.machine, running.value());
  if (!options.plot.empty()) {
    const Status written = write_plot(options.plot, simulated);
    if (!written.ok()) return fail(written);
  }
  return show_once(options.json ? json_text(simulated_json(simulated), false)
                                : simulated_text(simulated));
}

std::string simulated_text(const Simulated& simulated) {
  const simulation::MachineSettings& machine = simulated.machine;
  std::string text =
      (simulated.pool.empty() ? "" : "pool " + printable(simulated.pool) + ", ") + "load " +
      simulated.load.name + ": " + std::to_string(simulated.load.requests.size()) +
      " requests in " + fixed_text(static_cast<double>(simulated.load.length_us) / 1e6, 1) +
      " s; " + std::to_string(machine.workers) + " workers" +
      (machine.threads == 0 ? "" : " of " + std::to_string(machine.threads) + " threads") + ", " +
      std::to_string(simulated.candidate.max) + " connections\n\n";
  Table table({{"", Table::Align::kText}, {"candidate"}, {"running"}});
  table.add({"policy", simulated.candidate.policy, simulated.running.policy});
  for (const Row& row : rows()) {
    table.add({row.what, row.text(simulated.candidate), row.text(simulated.running)});
  }
  return text + table.text();
}

nlohmann::ordered_json simulated_json(const Simulated& simulated) {
  return {{"format", 1},
          {"pool", simulated.pool},
          {"load", simulated.load.name},
          {"requests", simulated.load.requests.size()},
          {"length_s", static_cast<double>(simulated.load.length_us) / 1e6},
          {"workers", simulated.machine.workers},
          {"threads", simulated.machine.threads},
          {"max", simulated.candidate.max},
          {"seed", simulated.machine.seed},
          {"candidate", report_json(simulated.candidate)},
          {"running", report_json(simulated.running)}};
}

Plot simulated_plot(const Simulated& simulated) {
  using simulation::Second;
  Plot plot{"load " + simulated.load.name + ": " + simulated.candidate.policy +
                " (candidate) and " + simulated.running.policy + " (running)",
            {}};
  plot.charts.push_back(chart_of("wait p95", "ms", simulated,
                                 {{"", [](const Second& one) { return one.wait_p95_ms; }}}));
  plot.charts.push_back(chart_of("open and used", "of " + std::to_string(simulated.candidate.max),
                                 simulated,
                                 {{"open", [](const Second& one) { return one.open; }},
                                  {"used", [](const Second& one) { return one.used; }}}));
  plot.charts.push_back(chart_of("timeouts and failures", "a second", simulated,
                                 {{"timeouts", [](const Second& one) { return one.timeouts; }},
                                  {"failures", [](const Second& one) { return one.failures; }}}));
  return plot;
}

}  // namespace weir::cli
