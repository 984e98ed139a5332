#include "runtime/ask_limit.h"

#include <algorithm>

#include "driver/connection.h"

namespace weir::runtime {
namespace {

Result<driver::Connection> open(const config::PoolConfig& pool, const driver::Dsn& dsn,
                                const std::string& service) {
  const std::string name = "weir:" + service + " limits";
  weir_conn_options_t options{};
  options.struct_size = sizeof options;
  options.client_name = name.c_str();
  options.reset_mode = WEIR_RESET_TRANSACTION;
  return driver::Connection::open(dsn, options, pool.password_file);
}

}  // namespace

std::optional<std::uint32_t> limit_from(const weir_server_limits_t& limits, std::uint32_t leave) {
  if (limits.max_connections < 0) return std::nullopt;
  std::int64_t allowed = std::int64_t{limits.max_connections} - std::max(limits.reserved, 0);
  if (limits.role_limit >= 0) allowed = std::min<std::int64_t>(allowed, limits.role_limit);
  if (limits.database_limit >= 0) allowed = std::min<std::int64_t>(allowed, limits.database_limit);
  return static_cast<std::uint32_t>(
      std::clamp<std::int64_t>(allowed - leave, config::kMaxRange.least, config::kMaxRange.most));
}

Result<std::uint32_t> ask_limit(const config::PoolConfig& pool, const driver::Dsn& dsn,
                                const std::string& service, std::uint32_t leave,
                                Deadline deadline) {
  const Deadline patience = deadline.earlier_of(Deadline::after(pool.connect_timeout));
  Result<driver::Connection> connection = open(pool, dsn, service);
  if (!connection.ok()) return connection.status();
  WEIR_TRY(connection.value().run(WEIR_OP_CONNECT, nullptr, patience));
  weir_server_limits_t limits{};
  limits.struct_size = sizeof limits;
  limits.max_connections = limits.reserved = limits.role_limit = limits.database_limit = -1;
  const Status asked = connection.value().run(WEIR_OP_LIMITS, &limits, patience);
  // Until the server has let go: the first connection of a pool may need the room.
  const Status closed =
      connection.value().run(WEIR_OP_CLOSE, nullptr, Deadline::after(pool.close_timeout));
  if (asked.code() == Code::kNotSupported) {
    return Status(
        Code::kNotSupported,
        "the driver " + pool.driver + " cannot tell what its server allows; expected a number");
  }
  WEIR_TRY(asked);
  WEIR_TRY(closed);
  if (const auto limit = limit_from(limits, leave)) return *limit;
  return Status(Code::kNotSupported,
                "the server does not tell how many connections it allows; expected a number");
}

}  // namespace weir::runtime
