#include "cli/servers.h"

#include <algorithm>
#include <utility>

#include "cli/drivers.h"

namespace weir::cli {

using config::PoolConfig;
using config::RuntimeConfig;

Result<std::vector<const PoolConfig*>> pools_of(const RuntimeConfig& config,
                                                const std::string& name) {
  std::vector<const PoolConfig*> pools;
  std::string known;
  for (const PoolConfig& pool : config.pools) {
    if (name.empty() || pool.name == name) pools.push_back(&pool);
    known += (known.empty() ? "" : ", ") + pool.name;
  }
  if (!pools.empty()) return pools;
  return Status(Code::kNotFound, "pool " + name + ": not in the file, which has " + known);
}

Result<std::vector<Server>> servers_of(const RuntimeConfig& config,
                                       const std::vector<const PoolConfig*>& pools) {
  const std::vector<std::string> plugins = plugin_path_of(config);
  std::vector<Server> servers;
  for (const PoolConfig* pool : pools) {
    Result<driver::Dsn> dsn = parse_dsn(*pool, plugins);
    if (!dsn.ok()) return dsn.status();
    const auto same = std::find_if(servers.begin(), servers.end(), [&](const Server& server) {
      return &server.dsn.driver() == &dsn.value().driver() &&
             server.dsn.server_identity() == dsn.value().server_identity();
    });
    if (same != servers.end()) {
      same->pools.push_back(pool->name);
    } else {
      servers.push_back({std::move(dsn).value(), pool->password_file, {pool->name}});
    }
  }
  return servers;
}

Result<driver::Connection> connect(const Server& server, const std::string& client_name,
                                   Deadline deadline) {
  weir_conn_options_t options{};
  options.struct_size = sizeof options;
  options.client_name = client_name.c_str();
  options.reset_mode = WEIR_RESET_TRANSACTION;
  Result<driver::Connection> connection =
      driver::Connection::open(server.dsn, options, server.password_file);
  if (!connection.ok()) return connection.status();
  WEIR_TRY(connection.value().run(WEIR_OP_CONNECT, nullptr, deadline));
  return connection;
}

}  // namespace weir::cli
