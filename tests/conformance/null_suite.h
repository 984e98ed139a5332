// NullSuite: what the null driver promises beyond the suite for all drivers.
#pragma once

#include "conformance/null_under_test.h"
#include "conformance/suite.h"

namespace weir::test {

class NullSuite : public DriverSuite {
 protected:
  [[nodiscard]] NullUnderTest& null() { return static_cast<NullUnderTest&>(subject()); }

  /// A DSN of this server with `more` in its query. Lives as long as the test.
  const Dsn& scripted(const std::string& more) {
    dsns_.push_back(std::make_unique<Dsn>(parse(null().dsn_with(more))));
    return *dsns_.back();
  }
  /// What comes of one more `op` on `connection`.
  Code outcome(Connection& connection, weir_op op) {
    return heard(connection.run(op, nullptr, soon())).code();
  }

 private:
  std::vector<std::unique_ptr<Dsn>> dsns_;
};

}  // namespace weir::test
