// What a server allows: the number behind limit = "auto".
//
// Asked over one connection, which is closed again before the answer is given: it never comes on
// top of a pool's. Threads: any, one connection each. Fork: the caller keeps forks out meanwhile
// (Runtime's lock), so that no child inherits the connection.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/status.h"
#include "config/pool_config.h"
#include "driver/plugin.h"
#include "weir/driver.h"

namespace weir::runtime {

/// The server's connections that are not reserved, or the role's or database's limit where that is
/// smaller, less `leave`; from 1 to what a quota may have. nullopt if the server has not told.
[[nodiscard]] std::optional<std::uint32_t> limit_from(const weir_server_limits_t& limits,
                                                      std::uint32_t leave);

/// Connects as `pool` does, asks, and closes. Blocks until the deadline, at most the pool's
/// connect_timeout, and for the goodbye its close_timeout. The driver's codes; kNotSupported if it
/// cannot tell.
Result<std::uint32_t> ask_limit(const config::PoolConfig& pool, const driver::Dsn& dsn,
                                const std::string& service, std::uint32_t leave, Deadline deadline);

}  // namespace weir::runtime
