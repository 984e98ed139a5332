// The drivers of a configuration, for the commands: loaded as the workers load them.
// Threads: plain functions; they read files.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "config/runtime_config.h"
#include "driver/plugin.h"

namespace weir::cli {

/// Where the configuration looks for drivers.
[[nodiscard]] std::vector<std::string> plugin_path_of(const config::RuntimeConfig& config);

/// Loads the driver of that name and has it read the DSN. kNotFound, kBadDriver, kBadConfig and
/// others, as Driver::load() and Dsn::parse() say them; no secrets.
[[nodiscard]] Result<driver::Dsn> parse_dsn(const std::string& driver_name, const std::string& dsn,
                                            const std::vector<std::string>& plugins);

/// Loads the pool's driver and has it read the pool's DSN. What is wrong names the pool; no
/// secrets.
[[nodiscard]] Result<driver::Dsn> parse_dsn(const config::PoolConfig& pool,
                                            const std::vector<std::string>& plugins);

}  // namespace weir::cli
