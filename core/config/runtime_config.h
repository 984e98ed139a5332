// RuntimeConfig: everything that is configured for one runtime, as typed values with defaults.
// Plain values, no threads, no forks to mind.
#pragma once

#include <string>
#include <vector>

#include "config/pool_config.h"

namespace weir::config {

struct RuntimeConfig {
  std::string service = "weir";          // a label: part of application_name; at most 31 bytes
  std::string segment = "default";       // which segment; [a-z][a-z0-9_-]*, at most 31 bytes
  std::string folder;                    // where segments live; empty: the machine's usual place
  std::vector<std::string> plugin_path;  // empty: where weir was installed
  bool aliases = true;                   // whether variables such as DATABASE_URL count
  std::vector<QuotaConfig> quotas;       // in file order
  std::vector<PoolConfig> pools;         // in file order; at least one
};

}  // namespace weir::config
