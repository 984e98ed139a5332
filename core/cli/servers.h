// The servers that a configuration's pools go to, and a session of a command's own on one of them:
// outside the quota, with the driver, DSN and password of the first pool there.
//
// Threads: plain functions; they read files and connect.
#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "config/runtime_config.h"
#include "driver/connection.h"
#include "driver/plugin.h"

namespace weir::cli {

/// The pools of one server, and the DSN of the first to get there with.
struct Server {
  driver::Dsn dsn;
  std::string password_file;
  std::vector<std::string> pools;
};

/// The pool of that name; all of them if it is empty. kNotFound names those there are.
[[nodiscard]] Result<std::vector<const config::PoolConfig*>> pools_of(
    const config::RuntimeConfig& config, const std::string& name);

/// Each server once. What is wrong with a driver or DSN names the pool; no secrets.
[[nodiscard]] Result<std::vector<Server>> servers_of(
    const config::RuntimeConfig& config, const std::vector<const config::PoolConfig*>& pools);

/// A session there, named `client_name`. Blocks until the deadline.
[[nodiscard]] Result<driver::Connection> connect(const Server& server,
                                                 const std::string& client_name, Deadline deadline);

}  // namespace weir::cli
