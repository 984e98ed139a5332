#include "cli/simulate_options.h"

#include <cstdint>
#include <string>

#include "base/duration.h"

namespace weir::cli {
namespace {

using simulation::Handover;

CLI::Validator count_range(std::uint32_t least, std::uint32_t most) {
  return CLI::Range(least, most).description("");
}

void add_count(CLI::App& command, const char* name, std::uint32_t& value, const char* what,
               std::uint32_t least) {
  constexpr std::uint32_t kMost = 10'000;
  command.add_option(name, value, what)->type_name("N")->check(count_range(least, kMost));
}

/// A key of weir.toml that is a time.
void add_duration(CLI::App& command, const char* name, std::uint64_t& ms, const char* what) {
  command
      .add_option_function<std::string>(
          name,
          [&ms](const std::string& text) {
            ms = static_cast<std::uint64_t>(parse_duration(text)->count());
          },
          what)
      ->type_name("DURATION")
      ->check(CLI::Validator(
          [](const std::string& text) {
            return parse_duration(text) ? std::string() : "expected " + std::string(kDurationForm);
          },
          ""));
}

/// How long a step takes.
void add_step(CLI::App& command, const char* name, std::uint64_t& us, const std::string& what) {
  constexpr std::uint64_t kMostUs = 60'000'000;
  command.add_option(name, us, what + " (default: " + std::to_string(us) + ")")
      ->type_name("MICROSECONDS")
      ->check(CLI::Range(std::uint64_t{0}, kMostUs).description(""));
}

}  // namespace

CLI::App* add_simulate(CLI::App& policy, SimulateOptions& options) {
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
  command->add_option("--against", options.against, "the one to compare it with (default: fixed)")
      ->type_name("POLICY");
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
  add_count(*command, "--seconds", options.seconds, "how long a named load lasts", 1);
  simulation::MachineSettings& machine = options.machine;
  command
      ->add_option_function<std::uint32_t>(
          "--workers",
          [&options](std::uint32_t workers) {
            options.machine.workers = workers;
            options.has_workers = true;
          },
          "processes (default: 8, or the trace's)")
      ->type_name("N")
      ->check(count_range(1, 1'000));
  add_count(*command, "--threads", machine.threads,
            "of each; 0: an event loop, any number of requests at once (default: 10)", 0);
  simulation::PoolSettings& pool = machine.pool;
  add_count(*command, "--max", pool.max, "the pool's max (default: 20)", 1);
  add_count(*command, "--min", pool.min, "its min (default: 0)", 0);
  command
      ->add_option_function<std::uint32_t>(
          "--keep", [&pool](std::uint32_t keep) { pool.keep = keep; }, "its keep (default: max)")
      ->type_name("N")
      ->check(count_range(0, 10'000));
  add_count(*command, "--max-per-worker", pool.max_per_worker, "its cap (default: 0, none)", 0);
  add_count(*command, "--quota", pool.quota, "what the server allows (default: max)", 1);
  command
      ->add_option("--connect-concurrency", pool.connect_concurrency,
                   "handshakes at once (default: 2)")
      ->type_name("N")
      ->check(count_range(1, 16));
  add_duration(*command, "--acquire-timeout", pool.acquire_timeout_ms,
               "how long a request waits (default: 30s; the demo's 1s, from its arrival)");
  add_duration(*command, "--idle-timeout", pool.idle_timeout_ms, "default: 10m");
  add_duration(*command, "--handover-after", pool.handover_after_ms, "default: 10ms");
  command
      ->add_option_function<std::string>(
          "--handover",
          [&pool](const std::string& how) {
            pool.handover = how == "live"     ? Handover::kLive
                            : how == "permit" ? Handover::kPermit
                                              : Handover::kOff;
          },
          "live, permit or off (default: live)")
      ->type_name("HOW")
      ->check(CLI::IsMember({"live", "permit", "off"}).description(""));
  command->add_flag("--retry-connects", pool.retries_connects,
                    "as on_connect_error = \"retry_until_deadline\"");
  simulation::Mechanics& takes = machine.mechanics;
  add_step(*command, "--connect-time", takes.connect_us, "to open a connection");
  add_step(*command, "--refuse-time", takes.refuse_us, "until a connect fails, server away");
  add_step(*command, "--close-time", takes.close_us, "until the server has let go");
  add_step(*command, "--wake-time", takes.wake_us, "until a sleeping thread runs");
  add_step(*command, "--rouse-time", takes.rouse_us, "until a keeper that slept long gives");
  add_step(*command, "--give-time", takes.give_us, "to send a connection elsewhere");
  add_step(*command, "--take-time", takes.take_us, "to take one in");
  add_step(*command, "--check-time", takes.check_us, "to ping one that idled");
  add_step(*command, "--reset-time", takes.reset_us, "to clean one that comes back");
  add_step(*command, "--round-trip", takes.round_trip_us, "what a query takes besides its work");
  command
      ->add_option("--spread", takes.spread,
                   "of how long steps take: the sigma of the logarithm; 0: always the same\n"
                   "(default: 0.4)")
      ->type_name("SIGMA")
      ->check(CLI::Range(0.0, simulation::kMostSpread).description(""));
  command->add_option("--seed", machine.seed, "of loads and chances (default: 20)")->type_name("N");
  command->add_flag("--json", options.json, "one JSON document, with each second's figures");
  command->add_option("--plot", options.plot, "draws both, second by second, as SVG")
      ->type_name("FILE");
  return command;
}

}  // namespace weir::cli
