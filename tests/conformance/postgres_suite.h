// PostgresSuite: what the postgres driver promises beyond the suite for all drivers.
#pragma once

#include <libpq-fe.h>

#include "conformance/postgres_under_test.h"
#include "conformance/suite.h"

namespace weir::test {

class PostgresSuite : public DriverSuite {
 protected:
  [[nodiscard]] PostgresServer& server() {
    return static_cast<PostgresUnderTest&>(subject()).server();
  }
  static PGconn* pg(Connection& connection) { return static_cast<PGconn*>(connection.native()); }
  static std::string ask(Connection& connection, const std::string& statement) {
    return answer_of(connection.native(), statement);
  }
  static bool is_dirty(Connection& connection) {
    return (connection.condition(WEIR_LOOK_LOCAL) & WEIR_COND_DIRTY) != 0;
  }
  /// Tries to connect as `dsn` says and expects that it fails.
  Status refusal(const std::string& dsn) {
    const Dsn parsed = parse(dsn);
    Connection connection = make(parsed);
    Status status = heard(connection.run(WEIR_OP_CONNECT, nullptr, soon()));
    EXPECT_FALSE(status.ok());
    run(connection, WEIR_OP_CLOSE);
    return status;
  }
};

}  // namespace weir::test
