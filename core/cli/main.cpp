// The `weir` command: reads its command line and hands over to one file per command.
//
// Exit status: 0 shown, 1 could not be shown (stderr says why and what to do), 2 wrong command
// line.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "base/duration.h"
#include "cli/activity_command.h"
#include "cli/blackbox_command.h"
#include "cli/config_command.h"
#include "cli/conformance_command.h"
#include "cli/doctor_command.h"
#include "cli/dsn_command.h"
#include "cli/holders_command.h"
#include "cli/policy_options.h"
#include "cli/pool_command.h"
#include "cli/quota_command.h"
#include "cli/reap_command.h"
#include "cli/record_command.h"
#include "cli/reload_command.h"
#include "cli/status_command.h"
#include "cli/workers_command.h"

namespace {

using weir::cli::ActivityOptions;
using weir::cli::BlackboxOptions;
using weir::cli::ConfigOptions;
using weir::cli::DoctorOptions;
using weir::cli::DsnOptions;
using weir::cli::HoldersOptions;
using weir::cli::PoolOptions;
using weir::cli::QuotaSetOptions;
using weir::cli::ReapOptions;
using weir::cli::RecordOptions;
using weir::cli::ReloadOptions;
using weir::cli::StatusOptions;
using weir::cli::Where;
using weir::cli::WorkersOptions;

constexpr double kLongestSeconds = 86'400;

/// Checks without a mention of its own in the help.
CLI::Validator seconds_range() { return CLI::Range(0.05, kLongestSeconds).description(""); }

CLI::Validator duration_form() {
  return CLI::Validator(
      [](const std::string& text) {
        return weir::parse_duration(text) ? std::string()
                                          : "expected " + std::string(weir::kDurationForm);
      },
      "");
}

weir::Nanos to_nanos(double seconds) {
  return std::chrono::duration_cast<weir::Nanos>(std::chrono::duration<double>(seconds));
}

CLI::Option* add_where(CLI::App& command, Where& where) {
  CLI::Option* config = command.add_option(
      "--config", where.config, "the weir.toml the workers use: names folder and segment");
  config->type_name("FILE");
  command
      .add_option("--folder", where.folder,
                  "where segments live (default: /run/weir, else /dev/shm/weir-<uid>)")
      ->type_name("DIR");
  command.add_option("--segment", where.segment, "which segment (default: \"default\")")
      ->type_name("NAME");
  return config;
}

// Whether what was typed may hold a password.
bool is_of_dsn(int argc, char** argv) {
  return std::find(argv, std::next(argv, argc), std::string_view("dsn")) != std::next(argv, argc);
}

// CLI11 repeats arguments that it does not expect: a DSN that was not quoted, say.
int refuse_dsn_arguments(const char* what) {
  std::fprintf(stderr, "weir dsn: %s\nRun with --help for more information.\n", what);
  return weir::cli::kUsage;
}
constexpr const char* kDsnForm =
    "expected check, --driver NAME and one DSN (in quotes), found other arguments (not shown: they "
    "may hold a password)";

int run(int argc, char** argv) {
  CLI::App app("weir: one connection pool for the whole machine", "weir");
  app.require_subcommand(1);
  app.footer(
      "Ends with 0 when shown or done, 1 when not (stderr says why and what to do), 2 for a wrong "
      "command "
      "line.");
  app.set_help_all_flag("--help-all", "Print the help of all commands and exit");
  app.set_version_flag("--version", "weir " WEIR_VERSION);

  StatusOptions status;
  double interval_s = 1;
  CLI::App* status_command = app.add_subcommand(
      "status", "quotas, pools, workers, the line and what lingers, from the segment alone");
  add_where(*status_command, status.where);
  status_command->add_flag("--json", status.json, "one JSON document; with --watch one a line");
  CLI::Option* watch =
      status_command->add_flag("--watch", status.watch.on, "again and again until interrupted");
  status_command->add_option("--interval", interval_s, "seconds between two looks (default: 1)")
      ->type_name("SECONDS")
      ->check(seconds_range())
      ->needs(watch);
  status_command->add_option("--count", status.watch.count, "end after so many looks")
      ->type_name("N")
      ->check(CLI::Range(std::uint64_t{1}, UINT64_MAX).description(""))
      ->needs(watch);

  WorkersOptions workers;
  CLI::App* workers_command = app.add_subcommand(
      "workers", "each worker, what its keeper last did, and what it holds in each pool");
  add_where(*workers_command, workers.where);
  workers_command->add_flag("--json", workers.json, "one JSON document");

  HoldersOptions holders;
  CLI::App* holders_command = app.add_subcommand(
      "holders", "every lease on the machine, oldest first, and who waits; from the segment alone");
  add_where(*holders_command, holders.where);
  holders_command->add_option("--pool", holders.pool, "only this pool (default: all)")
      ->type_name("NAME");
  holders_command
      ->add_option_function<std::string>(
          "--older-than",
          [&](const std::string& text) { holders.older_than = *weir::parse_duration(text); },
          "only leases that have been out for this long, such as 30s")
      ->type_name("DURATION")
      ->check(duration_form());
  holders_command->add_flag("--json", holders.json, "one JSON document");

  ActivityOptions activity;
  double timeout_s = 10;
  CLI::App* activity_command = app.add_subcommand(
      "activity",
      "what the server says of its sessions, joined with who holds which place.\n"
      "Connects one session of its own to each server, outside the quota");
  add_where(*activity_command, activity.where)->required();
  activity_command->add_option("--pool", activity.pool, "only this pool (default: all of the file)")
      ->type_name("NAME");
  activity_command->add_flag("--json", activity.json, "one JSON document");
  activity_command
      ->add_option("--timeout", timeout_s, "seconds for each server to answer (default: 10)")
      ->type_name("SECONDS")
      ->check(seconds_range());

  ConfigOptions config;
  CLI::App* config_command = app.add_subcommand("config", "what the workers are configured to do");
  config_command->require_subcommand(1);
  const auto add_file = [&](CLI::App* command) {
    command
        ->add_option("file", config.file,
                     "the weir.toml (default: what WEIR_CONFIG names, else ./weir.toml, else the "
                     "environment)")
        ->type_name("FILE");
  };
  CLI::App* check_command = config_command->add_subcommand(
      "check", "reads it as a worker would, with drivers, DSNs and password files; no network");
  add_file(check_command);
  CLI::App* show_command = config_command->add_subcommand(
      "show", "every value in effect and where it comes from, without secrets");
  add_file(show_command);
  show_command->add_flag("--json", config.json, "one JSON document");

  QuotaSetOptions quota;
  CLI::App* quota_command = app.add_subcommand("quota", "what the machine may take of a server");
  quota_command->require_subcommand(1);
  CLI::App* set_command = quota_command->add_subcommand(
      "set",
      "changes a limit while workers use it. Nothing in use is closed by force.\n"
      "Where no quota has that name, it is the max of the pool that has");
  add_where(*set_command, quota.where);
  set_command->add_option("name", quota.name, "the quota, or the pool")
      ->type_name("NAME")
      ->required();
  set_command->add_option("limit", quota.limit, "connections, machine-wide")
      ->type_name("LIMIT")
      ->check(CLI::Range(std::uint32_t{1}, std::uint32_t{10'000}).description(""))
      ->required();
  set_command->add_flag("--json", quota.json, "one JSON document");

  using weir::shm::Decision;
  PoolOptions pool;
  double wait_s = 60;
  bool interrupt = false;
  const auto add_decision = [&](const char* name, const char* what, Decision decision) {
    CLI::App* command = app.add_subcommand(name, what);
    add_where(*command, pool.where);
    command->add_option("pool", pool.pool, "the pool")->type_name("POOL")->required();
    command->add_flag("--json", pool.json, "one JSON document");
    command->callback([&pool, decision] { pool.decision = decision; });
    return command;
  };
  CLI::App* pause_command = add_decision(
      "pause", "no worker lends from the pool, and who waits is turned away, until it is resumed",
      Decision::kPause);
  CLI::App* resume_command =
      add_decision("resume", "a paused or cleared pool lends again", Decision::kResume);
  CLI::App* drain_command = add_decision(
      "drain",
      "replaces the pool's connections while it goes on lending: idle ones are closed at once,\n"
      "those in use when they come back",
      Decision::kDrain);
  CLI::Option* wait =
      drain_command->add_flag("--wait", pool.wait, "until no connection from before is left");
  drain_command
      ->add_option("--timeout", wait_s,
                   "seconds to wait at most (default: 60); then it ends with 1")
      ->type_name("SECONDS")
      ->check(seconds_range())
      ->needs(wait);
  CLI::App* clear_command = add_decision("clear", "pause and drain, in one step", Decision::kClear);
  clear_command->add_flag("--interrupt", interrupt,
                          "break off sessions in use, and connections being made");

  ReapOptions reap;
  CLI::App* reap_command =
      app.add_subcommand("reap", "settles what dead workers left, now, and says what");
  add_where(*reap_command, reap.where);
  reap_command->add_flag("--json", reap.json, "one JSON document");

  ReloadOptions reload;
  double reload_timeout_s = 10;
  CLI::App* reload_command =
      app.add_subcommand("reload",
                         "has every worker read its configuration again: limits, sizes, timeouts. "
                         "A file with one bad\n"
                         "value, or with a change that takes a restart, is refused whole");
  add_where(*reload_command, reload.where);
  reload_command->add_flag("--json", reload.json, "one JSON document");
  reload_command
      ->add_option("--timeout", reload_timeout_s, "seconds for the workers to answer (default: 10)")
      ->type_name("SECONDS")
      ->check(seconds_range());

  RecordOptions record;
  double record_s = 60;
  CLI::App* record_command = app.add_subcommand("record",
                                                "a pool's requests while it runs, as a trace for "
                                                "weir policy simulate --trace. Ends when the\n"
                                                "time is over or it is interrupted. Says on stderr "
                                                "how many there were, and how many were lost");
  add_where(*record_command, record.where);
  record_command->add_option("--pool", record.pool, "which pool (default: the only one)")
      ->type_name("NAME");
  record_command->add_option("--seconds", record_s, "for how long (default: 60)")
      ->type_name("SECONDS")
      ->check(seconds_range());
  record_command->add_option("--out", record.out, "where to (default: stdout)")->type_name("FILE");

  BlackboxOptions blackbox;
  CLI::App* blackbox_command =
      app.add_subcommand("blackbox",
                         "the last events of each worker, newest last; also of dead ones, until "
                         "their row is used anew");
  add_where(*blackbox_command, blackbox.where);
  blackbox_command
      ->add_option("--worker", blackbox.worker, "only the worker in this row (default: all)")
      ->type_name("ROW");
  blackbox_command->add_flag("--json", blackbox.json, "one JSON document");

  DsnOptions dsn;
  std::vector<std::string> dsn_texts;
  CLI::App* dsn_command = app.add_subcommand("dsn", "what a driver makes of a DSN");
  dsn_command->require_subcommand(1);
  CLI::App* dsn_check_command = dsn_command->add_subcommand(
      "check",
      "what the driver reads in it, or what is wrong; no network, no secrets shown.\n"
      "With - as DSN it reads a line of standard input: arguments are for all to see");
  dsn_check_command->add_option("dsn", dsn_texts, "the DSN, or -")->type_name("DSN")->required();
  dsn_check_command->add_option("--driver", dsn.driver, "the driver, such as postgres")
      ->type_name("NAME")
      ->required();
  dsn_check_command
      ->add_option("--plugin-path", dsn.plugins,
                   "where drivers are (default: weir's own); may be given again")
      ->type_name("DIR")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  dsn_check_command->add_flag("--json", dsn.json, "one JSON document, also of what is wrong");

  weir::cli::PolicyGroup policies(
      app, [](CLI::App& command, Where& where) { add_where(command, where); });

  DoctorOptions doctor;
  double doctor_timeout_s = 10;
  CLI::App* doctor_command = app.add_subcommand(
      "doctor",
      "what is wrong, or will be, and what to do. With --config it also connects one session of\n"
      "its own to each server, outside the quota. Ends with 0: fine, 1: warnings, 2: critical");
  add_where(*doctor_command, doctor.where);
  doctor_command->add_flag("--json", doctor.json, "one JSON document");
  doctor_command
      ->add_option("--timeout", doctor_timeout_s, "seconds for each server to answer (default: 10)")
      ->type_name("SECONDS")
      ->check(seconds_range());

  app.add_subcommand("conformance",
                     "tries a driver with the tests that every driver has to pass; see\n"
                     "weir conformance --help");

  // All that follows is the other program's, --help too.
  constexpr std::string_view kConformance = "conformance";
  if (argc > 1 && argv[1] == kConformance) return weir::cli::run_conformance(argv + 2);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (is_of_dsn(argc, argv) && error.get_exit_code() != 0) {
      // What is missing is named; what is too much is not repeated.
      const bool is_missing = error.get_name() == "RequiredError";
      return refuse_dsn_arguments(is_missing ? error.what() : kDsnForm);
    }
    // Help and version are "errors" that end with 0.
    return app.exit(error) == 0 ? weir::cli::kShown : weir::cli::kUsage;
  }
  if (check_command->parsed()) return run_config_check(config);
  if (show_command->parsed()) return run_config_show(config);
  if (workers_command->parsed()) return run_workers(workers);
  if (set_command->parsed()) return run_quota_set(quota);
  if (reap_command->parsed()) return run_reap(reap);
  if (reload_command->parsed()) {
    reload.timeout = to_nanos(reload_timeout_s);
    return run_reload(reload);
  }
  if (record_command->parsed()) {
    record.length = to_nanos(record_s);
    return run_record(record);
  }
  if (blackbox_command->parsed()) return run_blackbox(blackbox);
  if (holders_command->parsed()) return run_holders(holders);
  if (pause_command->parsed() || resume_command->parsed() || drain_command->parsed() ||
      clear_command->parsed()) {
    if (interrupt) pool.decision = Decision::kClearAndInterrupt;
    pool.wait_at_most = to_nanos(wait_s);
    return run_pool(pool);
  }
  if (dsn_check_command->parsed()) {
    if (dsn_texts.size() != 1) return refuse_dsn_arguments(kDsnForm);
    dsn.dsn = dsn_texts.front();
    return run_dsn_check(dsn);
  }
  if (const auto ended = policies.run()) return *ended;
  if (doctor_command->parsed()) {
    doctor.timeout = to_nanos(doctor_timeout_s);
    return run_doctor(doctor);
  }
  if (status_command->parsed()) {
    status.watch.interval = to_nanos(interval_s);
    return run_status(status);
  }
  activity.timeout = to_nanos(timeout_s);
  return run_activity(activity);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "weir: %s\n", error.what());
    return weir::cli::kFailed;
  }
}
