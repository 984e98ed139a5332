// What the postgres driver promises of sessions that move.
#pragma once

#include <string>

#include "conformance/postgres_suite.h"

namespace weir::test {

class PostgresHandover : public PostgresSuite {
 protected:
  /// By TCP. REQUIRES: the server listens there.
  std::string tcp_dsn() {
    const std::string local = subject().dsn();
    return server().tcp_dsn_as("app") + local.substr(local.find(" password="));
  }
};

}  // namespace weir::test
