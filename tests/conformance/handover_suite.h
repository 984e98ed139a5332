// Moving sessions of the postgres driver, within a process and between two.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <string>
#include <utility>

#include "conformance/postgres_suite.h"

namespace weir::test {

class PostgresHandover : public PostgresSuite {
 protected:
  /// By TCP. REQUIRES: the server listens there.
  std::string tcp_dsn() {
    const std::string local = subject().dsn();
    return server().tcp_dsn_as("app") + local.substr(local.find(" password="));
  }

  static weir_conn_options_t options_of(weir_reset_mode mode) {
    weir_conn_options_t options{};
    options.struct_size = sizeof options;
    options.client_name = "conformance";
    options.reset_mode = mode;
    return options;
  }

  /// A connected one to `dsn`, which has to outlive it.
  Connection connect_to(const Dsn& dsn, weir_reset_mode mode = WEIR_RESET_TRACKED) {
    Connection connection = make(dsn, mode);
    run(connection, WEIR_OP_CONNECT);
    return connection;
  }

  /// The description of `connection`'s session; the test fails if it has none.
  std::string exported(Connection& connection) {
    Result<std::string> blob = connection.export_session();
    EXPECT_TRUE(blob.ok()) << heard(blob.status()).to_string();
    if (!blob.ok()) return {};
    hear(blob.value());  // no secret may be in it either
    return std::move(blob).value();
  }

  /// Moves the session of `connection` to a new object of `dsn`, whose spares are another process's
  /// in effect if it is another one than the connection's.
  Connection moved(Connection connection, const Dsn& dsn,
                   weir_reset_mode mode = WEIR_RESET_TRACKED) {
    const std::string blob = exported(connection);
    const int copy = dup(connection.fd());
    connection.abandon();
    Result<Connection> arrived = Connection::import_session(dsn, options_of(mode), copy, blob);
    EXPECT_TRUE(arrived.ok()) << heard(arrived.status()).to_string();
    if (arrived.ok()) return std::move(arrived).value();
    close(copy);
    return {};
  }

  /// As moved(), but fails: why. The descriptor has to stay the caller's.
  Status import_refusal(const Dsn& dsn, int descriptor, const std::string& blob,
                        weir_reset_mode mode = WEIR_RESET_TRACKED) {
    const bool was_open = fcntl(descriptor, F_GETFD) >= 0;
    const Result<Connection> arrived =
        Connection::import_session(dsn, options_of(mode), descriptor, blob);
    EXPECT_FALSE(arrived.ok());
    EXPECT_EQ(fcntl(descriptor, F_GETFD) >= 0, was_open) << "the descriptor stays the caller's";
    return heard(arrived.status());
  }

  /// Why `connection` cannot move now.
  Status export_refusal(Connection& connection) {
    const Result<std::string> blob = connection.export_session();
    EXPECT_FALSE(blob.ok());
    return heard(blob.status());
  }
};

}  // namespace weir::test
