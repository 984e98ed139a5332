// Environment overrides: WEIR_POOL_<NAME>_<KEY>, WEIR_QUOTA_<NAME>_<KEY>, WEIR_RUNTIME_<KEY>.
//
// Each stands for one key and goes before all else that sets it. A value is what would stand in the
// file, but texts need no quotes: 20, 30s, always, true, postgresql://..., ["SET a = 1"]. Nothing
// is filled into it: "${" means itself. Variables that begin otherwise are none of ours.
// Threads: plain functions.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"
#include "config/environment.h"
#include "config/tree.h"

namespace weir::config {

/// Puts what the environment says into `root`. Sections that `root` does not have are an error,
/// unless `may_add_sections`: there is no file that could have them.
/// kBadConfig names the variable, and the nearest valid one where its name is wrong.
[[nodiscard]] Status apply_overrides(const Environment& environment, bool may_add_sections,
                                     ConfigNode& root);

/// "WEIR_POOL_MAIN_MAX" for the section "pool.main" and the key "max".
[[nodiscard]] std::string override_name(std::string_view section, std::string_view key);

}  // namespace weir::config
