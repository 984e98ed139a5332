// A weir.toml as typed values: [runtime], [quota.NAME], [pool.NAME].
//
// Refuses unknown keys (with the nearest valid one), wrong types, out-of-range values and
// contradictions; each message names file, line and key, what was expected and what was found.
// Strings may hold ${VAR} and ${VAR:-default}; no message ever shows a value of the key `dsn`.
// Threads: any. Reads the environment (getenv), so nobody may change it at the same time.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "config/pool_config.h"

namespace weir::config {

struct RuntimeConfig {
  std::string service = "weir";          // a label: part of application_name; at most 31 bytes
  std::string segment = "default";       // which segment; [a-z][a-z0-9_-]*, at most 31 bytes
  std::string folder;                    // where segments live; empty: the machine's usual place
  std::vector<std::string> plugin_path;  // empty: where weir was installed
  std::vector<QuotaConfig> quotas;       // in file order
  std::vector<PoolConfig> pools;         // in file order; at least one
};

/// Reads and checks a file. kBadConfig as above; kNotFound if there is no such file. Relative paths
/// in it are meant from the folder it is in; in the result they are absolute.
[[nodiscard]] Result<RuntimeConfig> load_config_file(const std::string& path);
/// Reads and checks a text; `origin` stands for the file's name in messages, the working folder for
/// its folder.
[[nodiscard]] Result<RuntimeConfig> parse_config(const std::string& text,
                                                 const std::string& origin);

}  // namespace weir::config
