// A configuration as typed values: a weir.toml ([runtime], [quota.NAME], [pool.NAME]) and what the
// environment says instead.
//
// Refuses unknown keys (with the nearest valid one), wrong types, out-of-range values and
// contradictions; each message names file and line (or the variable) and key, what was expected and
// what was found. Strings of a file may hold ${VAR} and ${VAR:-default}; no message ever shows a
// value of the key `dsn`. What goes before what: docs/configuration.md.
// Threads: any. Reads the environment, so nobody may change it at the same time.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "config/runtime_config.h"
#include "config/source.h"

namespace weir::config {

/// One key of one section as it is in effect.
struct Setting {
  std::string section;  // "runtime", "quota.pg", "pool.main"
  std::string key;
  std::string value;  // as TOML; empty: nothing is set. No secrets
  bool is_secret = false;
  Source source;
};

struct Loaded {
  std::string origin;  // the file; empty: the environment alone
  RuntimeConfig config;
  std::vector<Setting> settings;   // every key of every section, in the order of the sections
  std::vector<std::string> notes;  // what people should know although nothing is wrong
};

/// Reads and checks a file. kBadConfig as above; kNotFound if there is no such file. Relative paths
/// in it are meant from the folder it is in; in the result they are absolute.
[[nodiscard]] Result<Loaded> load_config_file(const std::string& path);
/// Reads and checks a text; `origin` stands for the file's name in messages, the working folder for
/// its folder.
[[nodiscard]] Result<Loaded> load_config_text(const std::string& text, const std::string& origin);
/// The same by the environment alone; kNotFound if it says nothing that makes a pool.
[[nodiscard]] Result<Loaded> load_config_environment();

/// Which file counts when none is named: the one that WEIR_CONFIG names, else weir.toml in the
/// working folder if there is one; empty: neither, and the environment has to do.
[[nodiscard]] std::string default_config_path();
/// load_config_file of `path`, or of the one that counts when it is empty, or the environment.
[[nodiscard]] Result<Loaded> load_config(const std::string& path);

/// The values alone.
[[nodiscard]] Result<RuntimeConfig> parse_config(const std::string& text,
                                                 const std::string& origin);

}  // namespace weir::config
