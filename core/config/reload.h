// Reload: what a configuration that was read again changes, and whether that can be while workers
// run.
// Threads: any. No state.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "config/runtime_config.h"

namespace weir::config {

/// One key whose value is another one. Both as TOML.
struct Change {
  std::string section;  // "quota.pg", "pool.main"
  std::string key;
  std::string was, is;
};

/// Whether a pool's or quota's key takes effect in workers that run.
[[nodiscard]] bool is_reloadable(std::string_view family, std::string_view key);

/// What `next` changes, in the order of the sections. kBadConfig, naming section and key, if it
/// changes what cannot be changed, or has other pools or quotas. Shows no secrets.
[[nodiscard]] Result<std::vector<Change>> changes_between(const RuntimeConfig& now,
                                                          const RuntimeConfig& next);

}  // namespace weir::config
