#include "cli/simulate_options.h"

#include <cstdint>
#include <functional>
#include <string>

#include "base/duration.h"

namespace weir::cli {
namespace {

using simulation::Handover;

using simulation::MachineSettings;
using simulation::Mechanics;
using simulation::PoolSettings;

/// What is said on the command line goes before what the pool says, whichever is read first.
template <typename Value, typename Set>
CLI::Option* add_change(CLI::App& command, SimulateOptions& options, const char* name,
                        const std::string& what, Set set) {
  return command.add_option_function<Value>(
      name,
      [&options, set](const Value& value) {
        options.changes.emplace_back(
            [set, value](MachineSettings& machine) { set(machine, value); });
      },
      what);
}

CLI::Validator count_range(std::uint32_t least, std::uint32_t most) {
  return CLI::Range(least, most).description("");
}

/// A key of weir.toml that counts connections.
template <typename Count>
void add_count(CLI::App& command, SimulateOptions& options, const char* name,
               Count PoolSettings::*count, const char* what, std::uint32_t least,
               std::uint32_t most = 10'000) {
  add_change<std::uint32_t>(
      command, options, name, what,
      [count](MachineSettings& machine, std::uint32_t value) { machine.pool.*count = value; })
      ->type_name("N")
      ->check(count_range(least, most));
}

/// A key of weir.toml that is a time.
void add_duration(CLI::App& command, SimulateOptions& options, const char* name,
                  std::uint64_t PoolSettings::*ms, const char* what) {
  const auto check = [](const std::string& text) {
    return parse_duration(text) ? std::string() : "expected " + std::string(kDurationForm);
  };
  add_change<std::string>(command, options, name, what,
                          [ms](MachineSettings& machine, const std::string& text) {
                            machine.pool.*ms =
                                static_cast<std::uint64_t>(parse_duration(text)->count());
                          })
      ->type_name("DURATION")
      ->check(CLI::Validator(check, ""));
}

/// How long a step takes.
void add_step(CLI::App& command, SimulateOptions& options, const char* name,
              std::uint64_t Mechanics::*us, const std::string& what) {
  constexpr std::uint64_t kMostUs = 60'000'000;
  const std::string usual = std::to_string(Mechanics().*us);
  add_change<std::uint64_t>(
      command, options, name, what + " (default: " + usual + ")",
      [us](MachineSettings& machine, std::uint64_t value) { machine.mechanics.*us = value; })
      ->type_name("MICROSECONDS")
      ->check(CLI::Range(std::uint64_t{0}, kMostUs).description(""));
}

void add_machine(CLI::App& command, SimulateOptions& options) {
  add_change<std::uint32_t>(
      command, options, "--workers", "processes (default: the pool's, or the trace's, or 8)",
      [](MachineSettings& machine, std::uint32_t workers) { machine.workers = workers; })
      ->type_name("N")
      ->check(count_range(1, 1'000));
  add_change<std::uint32_t>(
      command, options, "--threads",
      "of each; 0: an event loop, any number of requests at once (default: as many as a worker\n"
      "of the trace had requests at once, or 10)",
      [](MachineSettings& machine, std::uint32_t threads) { machine.threads = threads; })
      ->type_name("N")
      ->check(count_range(0, 10'000));
  add_change<std::uint64_t>(
      command, options, "--seed", "of loads and chances (default: 20)",
      [](MachineSettings& machine, std::uint64_t seed) { machine.seed = seed; })
      ->type_name("N");
}

void add_pool(CLI::App& command, SimulateOptions& options) {
  add_count(command, options, "--max", &PoolSettings::max, "the pool's max (default: 20)", 1);
  add_count(command, options, "--min", &PoolSettings::min, "its min (default: 0)", 0);
  add_count(command, options, "--keep", &PoolSettings::keep, "its keep (default: max)", 0);
  add_count(command, options, "--max-per-worker", &PoolSettings::max_per_worker,
            "its cap (default: 0, none)", 0);
  add_count(command, options, "--quota", &PoolSettings::quota,
            "what the server allows (default: max)", 1);
  add_count(command, options, "--connect-concurrency", &PoolSettings::connect_concurrency,
            "handshakes at once (default: 2)", 1, 16);
  add_duration(command, options, "--acquire-timeout", &PoolSettings::acquire_timeout_ms,
               "how long a request waits (default: 30s; the demo's 1s, from its arrival)");
  add_duration(command, options, "--idle-timeout", &PoolSettings::idle_timeout_ms, "default: 10m");
  add_duration(command, options, "--handover-after", &PoolSettings::handover_after_ms,
               "default: 10ms");
  add_change<std::string>(command, options, "--handover", "live, permit or off (default: live)",
                          [](MachineSettings& machine, const std::string& how) {
                            machine.pool.handover = how == "live"     ? Handover::kLive
                                                    : how == "permit" ? Handover::kPermit
                                                                      : Handover::kOff;
                          })
      ->type_name("HOW")
      ->check(CLI::IsMember({"live", "permit", "off"}).description(""));
  command.add_flag_callback(
      "--retry-connects",
      [&options] {
        options.changes.emplace_back(
            [](MachineSettings& machine) { machine.pool.retries_connects = true; });
      },
      "as on_connect_error = \"retry_until_deadline\"");
}

void add_steps(CLI::App& command, SimulateOptions& options) {
  const auto add = [&](const char* name, std::uint64_t Mechanics::*us, const char* what) {
    add_step(command, options, name, us, what);
  };
  add("--connect-time", &Mechanics::connect_us, "to open a connection");
  add("--refuse-time", &Mechanics::refuse_us, "until a connect fails, server away");
  add("--close-time", &Mechanics::close_us, "until the server has let go");
  add("--wake-time", &Mechanics::wake_us, "until a sleeping thread runs");
  add("--rouse-time", &Mechanics::rouse_us, "until a keeper that slept long gives");
  add("--give-time", &Mechanics::give_us, "to send a connection elsewhere");
  add("--take-time", &Mechanics::take_us, "to take one in");
  add("--check-time", &Mechanics::check_us, "to ping one that idled");
  add("--reset-time", &Mechanics::reset_us, "to clean one that comes back");
  add("--round-trip", &Mechanics::round_trip_us,
      "what a query takes besides its work; of a trace 0");
  add_change<double>(
      command, options, "--spread",
      "of how long steps take: the sigma of the logarithm; 0: always the same\n(default: 0.4)",
      [](MachineSettings& machine, double spread) { machine.mechanics.spread = spread; })
      ->type_name("SIGMA")
      ->check(CLI::Range(0.0, simulation::kMostSpread).description(""));
}

}  // namespace

CLI::App* add_simulate(CLI::App& policy, SimulateOptions& options,
                       const std::function<void(CLI::App&, Where&)>& add_where) {
  CLI::App* command = policy.add_subcommand(
      "simulate",
      "tries a policy on a load in a model of the machine, beside the one that runs: waits,\n"
      "timeouts, connects, closes, utilisation. Needs neither a server nor workers");
  command
      ->add_option("policy", options.candidate,
                   "the one to try: a script's file, or fixed, the built-in one")
      ->type_name("POLICY");
  command->add_option("--params", options.params, "of the one to try; may be given again")
      ->type_name("NAME=VALUE");
  command
      ->add_option("--against-params", options.against_params,
                   "of the one to compare it with; may be given again")
      ->type_name("NAME=VALUE");
  command
      ->add_option("--against", options.against,
                   "the one to compare it with (default: the pool's, or fixed)")
      ->type_name("POLICY");
  add_where(*command, options.where);
  command
      ->add_option(
          "--pool", options.pool,
          "the pool to take settings and the running policy from (default: the only one of\n"
          "--config or --segment; without any of these: no pool's)")
      ->type_name("NAME");
  std::string loads;
  for (const simulation::NamedLoad& one : simulation::named_loads()) {
    loads += "\n" + std::string(one.name) + ": " + std::string(one.about);
  }
  CLI::Option* load =
      command->add_option("--load", options.load, "a load by name (default: steady):" + loads)
          ->type_name("NAME");
  command->add_option("--trace", options.trace, "a load that was recorded")
      ->type_name("FILE")
      ->excludes(load);
  command->add_option("--seconds", options.seconds, "how long a named load lasts")
      ->type_name("N")
      ->check(count_range(1, 10'000));
  add_machine(*command, options);
  add_pool(*command, options);
  add_steps(*command, options);
  command->add_flag("--json", options.json, "one JSON document, with each second's figures");
  command->add_option("--plot", options.plot, "draws both, second by second, as SVG")
      ->type_name("FILE");
  return command;
}

}  // namespace weir::cli
