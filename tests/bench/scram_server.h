// A PostgreSQL that is reached by TCP and asks for SCRAM, so that a connect costs.
#pragma once

#include <memory>
#include <string>

#include "demo/postgres.h"
#include "support/postgres_server.h"

namespace weir::bench {

class ScramServer {
 public:
  ScramServer() { server_.ask(std::string("ALTER ROLE app PASSWORD '") + kPassword + "'"); }
  [[nodiscard]] std::string dsn() const {
    return server_.tcp_dsn_as("app") + " password='" + kPassword + "'";
  }
  /// The same, at another port: what stands there leads to it.
  [[nodiscard]] std::string dsn_at(std::uint16_t port) const {
    return dsn() + " port=" + std::to_string(port);
  }
  [[nodiscard]] std::uint16_t port() const { return server_.tcp_port(); }
  /// Of the sessions that dsn() leads to.
  [[nodiscard]] std::unique_ptr<demo::SessionCounter> make_counter() const {
    return std::make_unique<demo::PostgresCounter>(server_.superuser_dsn(), "app");
  }

 private:
  static constexpr const char* kPassword = "a password of this benchmark";
  test::PostgresServer server_{{.auth = "scram-sha-256", .tcp = true}};
};

}  // namespace weir::bench
