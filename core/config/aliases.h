// Aliases: the variables that people already have (DATABASE_URL, DB_POOL_SIZE, ...), in the units
// they have there. docs/configuration.md lists them; decision 0005 says why they go before the
// file.
//
// Each speaks to the only pool of its kind of driver, of several to [pool.main], else to none.
// Sizes that were per worker are multiplied by WEB_CONCURRENCY, and cut to the quota: that a
// product would be above it is why people use weir. Threads: plain functions.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "config/environment.h"
#include "config/tree.h"

namespace weir::config {

/// Puts what the variables say into `root`, except where a WEIR_ override has spoken. DATABASE_URL
/// makes [pool.main] where there is no pool at all. What people should know goes to `notes`.
/// kBadConfig names the variable; shows nothing of DATABASE_URL.
[[nodiscard]] Status apply_aliases(const Environment& environment, ConfigNode& root,
                                   std::vector<std::string>& notes);

}  // namespace weir::config
