// DriverSuite: the fixture of the conformance suite. Each test has a server of its own and speaks
// to the driver through core/driver, as the pool does.
//
// Whatever the driver says, in a Status or to the log, is kept; no test passes if a secret is in
// it.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <initializer_list>
#include <memory>
#include <mutex>
#include <string>

#include "base/clock.h"
#include "base/log.h"
#include "base/status.h"
#include "conformance/driver_under_test.h"
#include "driver/connection.h"
#include "driver/plugin.h"

/// Skips the test unless the subject has all of these Means; the reason says what is missing.
#define WEIR_NEEDS(...)                                     \
  do {                                                      \
    const std::string why_without = lacking({__VA_ARGS__}); \
    if (!why_without.empty()) GTEST_SKIP() << why_without;  \
  } while (false)

namespace weir::test {

using driver::Connection;
using driver::Dsn;
using std::chrono::milliseconds;
using std::chrono::seconds;

/// Long enough for anything that works, on a loaded machine.
inline Deadline soon() { return Deadline::after(seconds(20)); }

class DriverSuite : public testing::TestWithParam<MakeDriverUnderTest> {
 protected:
  void SetUp() override;
  void TearDown() override;

  [[nodiscard]] DriverUnderTest& subject() { return *subject_; }
  [[nodiscard]] const driver::Driver& driver() const { return *driver_; }
  /// Why the subject is without one of `needed`; empty: it has them all.
  [[nodiscard]] std::string lacking(std::initializer_list<Means> needed) const;
  [[nodiscard]] bool has(Means means) const { return lacking({means}).empty(); }

  /// Whether the session does what it is for: a plain query of a lease's, or where the suite does
  /// not know the client library, a round trip of the driver's.
  bool works(Connection& connection);
  /// Expects that many sessions on the server. Where nobody can count them, that is noted.
  void expect_sessions(int expected);
  /// Runs `op`: it works if the driver promises an answer, else it is WEIR_NOT_SUPPORTED. Whether
  /// it is answered.
  bool is_answered(Connection& connection, weir_op op, void* argument);

  /// The parsed DSN; the test fails if it is refused.
  Dsn parse(const std::string& text);
  /// An unconnected object.
  Connection make(const Dsn& dsn, weir_reset_mode mode = WEIR_RESET_TRACKED,
                  const char* client_name = "conformance");
  /// A connected one to subject().dsn().
  Connection connect(weir_reset_mode mode = WEIR_RESET_TRACKED,
                     const char* client_name = "conformance");

  /// A connected one to `dsn`, which has to outlive it.
  Connection connect_to(const Dsn& dsn, weir_reset_mode mode = WEIR_RESET_TRACKED);
  static weir_conn_options_t options_of(weir_reset_mode mode);

  // Moving a session, within this process: to another Dsn it is as if to another process.
  /// The description of `connection`'s session; the test fails if it has none.
  std::string exported(Connection& connection);
  /// The session of `connection` in a new object of `dsn`; without an object the test has failed.
  Connection moved(Connection connection, const Dsn& dsn,
                   weir_reset_mode mode = WEIR_RESET_TRACKED);
  /// Why `connection` cannot move now.
  Status export_refusal(Connection& connection);
  /// Why a session cannot come here. The descriptor has to stay the caller's.
  Status import_refusal(const Dsn& dsn, int descriptor, const std::string& blob,
                        weir_reset_mode mode = WEIR_RESET_TRACKED);

  /// Keeps what `status` says for the search for secrets, and passes it on.
  Status heard(Status status);
  void hear(const std::string& text);

  /// Whether `condition` becomes true within the time that soon() allows.
  static bool eventually(const std::function<bool()>& condition);

  /// Runs `op`; the test fails unless it works.
  void run(Connection& connection, weir_op op, void* argument = nullptr);
  /// After plain queries: the session is clean, or is made so if the driver cannot see what they
  /// were.
  void settle(Connection& connection);
  Status execute(Connection& connection, const std::string& statement, Deadline deadline = soon());

 private:
  static void sink(void* self, std::int32_t level, const char* line);

  std::unique_ptr<DriverUnderTest> subject_;
  const driver::Driver* driver_ = nullptr;
  std::unique_ptr<Dsn> dsn_;
  std::mutex mutex_;
  std::string said_;  // guarded by mutex_
};

}  // namespace weir::test
