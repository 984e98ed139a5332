#include "cli/config_command.h"

#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "base/duration.h"
#include "cli/config_report.h"
#include "cli/drivers.h"
#include "cli/json_text.h"
#include "config/load.h"
#include "driver/password_file.h"
#include "driver/plugin_path.h"
#include "policy/script_source.h"
#include "policy/scripted_policy.h"
#include "shm/segment.h"

namespace weir::cli {
namespace {

/// Whether a worker would take the pool's script.
Status check_policy(const config::PoolConfig& pool) {
  if (pool.policy.empty()) return Status();
  const Result<std::string> source = policy::read_script(pool.policy);
  if (!source.ok()) return source.status();
  return policy::ScriptedPolicy().load(source.value(), pool.policy, pool.policy_params);
}

/// What is wrong with a pool beyond its values: driver, DSN, script, password file.
std::vector<Status> faults_of(const config::PoolConfig& pool,
                              const std::vector<std::string>& plugins) {
  std::vector<Status> faults;
  const Result<driver::Dsn> dsn = parse_dsn(pool, plugins);
  if (!dsn.ok()) faults.push_back(dsn.status());
  if (Status policy = check_policy(pool); !policy.ok()) {
    faults.push_back(std::move(policy).in("pool " + pool.name + ": policy"));
  }
  if (pool.password_file.empty()) return faults;
  if (dsn.ok() && !dsn.value().driver().takes_password()) {
    faults.emplace_back(Code::kNotSupported, "pool " + pool.name + ": password_file: the driver " +
                                                 pool.driver + " takes no password from a file");
  }
  Result<std::string> password = driver::read_password_file(pool.password_file);
  if (password.ok()) {
    driver::wipe(password.value());
  } else {
    faults.push_back(Status(password.status()).in("pool " + pool.name));
  }
  return faults;
}

/// What an unset linger_max comes to (docs/configuration.md).
std::string linger_text(const config::PoolConfig& pool) {
  return duration_text(pool.linger_idle()) + " after an idle session, " +
         duration_text(pool.linger_used()) + " after a used one, " +
         duration_text(pool.linger_told()) + " once it was told to end";
}

}  // namespace

ExitCode run_config_check(const ConfigOptions& options) {
  const Result<config::Loaded> loaded = config::load_config(options.file);
  if (!loaded.ok()) return tell_failure("config check", loaded.status());
  const config::RuntimeConfig& config = loaded.value().config;
  ExitCode outcome = kShown;
  for (const config::PoolConfig& pool : config.pools) {
    for (const Status& fault : faults_of(pool, plugin_path_of(config))) {
      outcome = tell_failure("config check", fault);
    }
  }
  const ExitCode written = show_once(config_summary(loaded.value(), outcome == kShown));
  return written == kShown ? outcome : written;
}

ExitCode run_config_show(const ConfigOptions& options) {
  const Result<config::Loaded> loaded = config::load_config(options.file);
  if (!loaded.ok()) return tell_failure("config show", loaded.status());
  const config::RuntimeConfig& config = loaded.value().config;
  Displays displays;
  displays.emplace("runtime.folder", shm::default_folder());
  for (const std::string& folder : driver::default_plugin_path()) {
    std::string& folders = displays["runtime.plugin_path"];
    folders += (folders.empty() ? "" : ", ") + folder;
  }
  for (const config::PoolConfig& pool : config.pools) {
    // Without its driver nobody can tell which part of a DSN is secret.
    const Result<driver::Dsn> dsn = parse_dsn(pool, plugin_path_of(config));
    const std::string section = "pool." + pool.name;
    if (dsn.ok()) displays.emplace(section + ".dsn", dsn.value().display());
    displays.emplace(section + ".linger_max", linger_text(pool));
  }
  if (options.json) return show_once(json_text(config_json(loaded.value(), displays), false));
  return show_once(config_text(loaded.value(), displays));
}

}  // namespace weir::cli
