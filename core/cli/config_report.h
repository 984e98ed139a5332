// What `weir config` prints: a configuration as it is in effect, for people and as JSON.
//
// The text for people is itself a weir.toml, with a remark behind each value that says where it
// comes from. Secrets appear in neither: of a DSN only what its driver shows. Threads: pure
// functions.
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "config/load.h"

namespace weir::cli {

/// More than the configuration itself knows, by section and key: under "pool.main.dsn" the DSN as
/// its driver shows it, under a key that is not set what that comes to. Any may be missing.
using Displays = std::map<std::string, std::string>;

[[nodiscard]] std::string config_text(const config::Loaded& loaded, const Displays& displays);
[[nodiscard]] nlohmann::ordered_json config_json(const config::Loaded& loaded,
                                                 const Displays& displays);
/// "weir.toml: good: 1 quota, 2 pools", and the notes.
[[nodiscard]] std::string config_summary(const config::Loaded& loaded, bool is_good);

}  // namespace weir::cli
