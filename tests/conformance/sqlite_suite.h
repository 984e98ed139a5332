// SqliteSuite: what the sqlite driver promises beyond the suite for all drivers.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "conformance/sqlite_under_test.h"
#include "conformance/suite.h"

namespace weir::test {

class SqliteSuite : public DriverSuite {
 protected:
  [[nodiscard]] SqliteUnderTest& sqlite() { return static_cast<SqliteUnderTest&>(subject()); }

  /// The file's DSN with options: "mode=ro". Lives as long as the test.
  const Dsn& with(const std::string& options) { return dsn(sqlite().dsn() + "?" + options); }
  const Dsn& dsn(const std::string& text) {
    dsns_.push_back(std::make_unique<Dsn>(parse(text)));
    return *dsns_.back();
  }
  static std::string ask(Connection& connection, const std::string& statements) {
    return sqlite_answer(connection.native(), statements);
  }
  static std::uint32_t local(Connection& connection) {
    return connection.condition(WEIR_LOOK_LOCAL);
  }
  static sqlite3* handle(Connection& connection) {
    return static_cast<sqlite3*>(connection.native());
  }
  /// Tries to connect and expects that it fails.
  Status refusal(const Dsn& dsn) {
    Connection connection = make(dsn);
    Status status = heard(connection.run(WEIR_OP_CONNECT, nullptr, soon()));
    EXPECT_FALSE(status.ok());
    run(connection, WEIR_OP_CLOSE);
    return status;
  }

 private:
  std::vector<std::unique_ptr<Dsn>> dsns_;
};

}  // namespace weir::test
