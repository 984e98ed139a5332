#include "demo/server.h"

namespace weir::demo {
namespace {

constexpr const char* kRole = "app";
// The server keeps kReserved connections free of ordinary roles, beside those that superusers have.
constexpr int kReserved = 2;
constexpr int kSampler = 1;

test::PostgresSettings settings(std::uint32_t quota) {
  test::PostgresSettings settings;
  settings.max_connections = static_cast<int>(quota) + kReserved + kSampler;
  settings.superuser_reserved_connections = kReserved;
  settings.extra = {{"log_connections", "on"}, {"log_line_prefix", "%m [%p] SQLSTATE=%e "}};
  return settings;
}

}  // namespace

DemoServer::DemoServer(std::uint32_t quota) : server_(settings(quota)) {}

std::string DemoServer::dsn() const { return server_.dsn_as(kRole); }

ServerAccess DemoServer::access() const {
  return {.superuser_dsn = server_.superuser_dsn(), .role = kRole, .read_log = [this] {
            return server_.log();
          }};
}

}  // namespace weir::demo
