// Sessions that move to another process, as far as all drivers that can do it promise the same.
// Here they move to another DSN object of the same process.
#include <unistd.h>

#include "conformance/suite.h"

#define SKIP_UNLESS_SESSIONS_MOVE() \
  if (!driver().can_move_sessions()) GTEST_SKIP() << subject().name() << "'s sessions do not move"

namespace weir::test {

TEST_P(DriverSuite, MovesASessionThereAndBack) {
  SKIP_UNLESS_SESSIONS_MOVE();
  WEIR_NEEDS(Means::kSessionNumber, Means::kClientName);
  const Dsn here = parse(subject().dsn());
  const Dsn there = parse(subject().dsn());
  Connection connection = connect_to(here);
  const std::int64_t session = subject().session_of(connection.native());
  for (const Dsn* const next : {&there, &here, &there}) {
    connection = moved(std::move(connection), *next);
    ASSERT_TRUE(connection.is_open());
    EXPECT_EQ(subject().session_of(connection.native()), session);
    EXPECT_EQ(subject().client_name_of(session), "conformance");
    EXPECT_EQ(connection.condition(WEIR_LOOK_AT_SOCKET), 0U);
    EXPECT_TRUE(works(connection));
    settle(connection);
    run(connection, WEIR_OP_PING);
    expect_sessions(1);
  }
  run(connection, WEIR_OP_CLOSE);
  expect_sessions(0);
}

TEST_P(DriverSuite, MovesWhatTheResetLeavesInASession) {
  SKIP_UNLESS_SESSIONS_MOVE();
  WEIR_NEEDS(Means::kState);
  const Dsn here = parse(subject().dsn());
  const Dsn there = parse(subject().dsn());
  Connection connection = connect_to(here, WEIR_RESET_TRANSACTION);
  subject().leave_state(connection.native());
  run(connection, WEIR_OP_RESET);
  connection = moved(std::move(connection), there, WEIR_RESET_TRANSACTION);
  EXPECT_TRUE(subject().has_state(connection.native()));
}

TEST_P(DriverSuite, CleansASessionThatMoved) {
  SKIP_UNLESS_SESSIONS_MOVE();
  WEIR_NEEDS(Means::kState);
  const Dsn here = parse(subject().dsn());
  const Dsn there = parse(subject().dsn());
  for (const weir_reset_mode mode : {WEIR_RESET_TRACKED, WEIR_RESET_ALWAYS}) {
    Connection connection = moved(connect_to(here, mode), there, mode);
    subject().leave_state(connection.native());
    EXPECT_NE(connection.condition(WEIR_LOOK_LOCAL) & WEIR_COND_DIRTY, 0U) << mode;
    run(connection, WEIR_OP_RESET);
    EXPECT_EQ(connection.condition(WEIR_LOOK_LOCAL), 0U) << mode;
    EXPECT_FALSE(subject().has_state(connection.native())) << mode;
  }
}

TEST_P(DriverSuite, GoesOnAsBeforeAfterAnExportThatNobodyUsed) {
  SKIP_UNLESS_SESSIONS_MOVE();
  Connection connection = connect();
  for (int i = 0; i < 3; ++i) {
    exported(connection);
    EXPECT_EQ(connection.condition(WEIR_LOOK_AT_SOCKET), 0U);
    EXPECT_TRUE(works(connection));
    settle(connection);
    run(connection, WEIR_OP_PING);
  }
  exported(connection);
  run(connection, WEIR_OP_CLOSE);
  expect_sessions(0);
}

TEST_P(DriverSuite, ExportsOnlyWhatIsIdleAndClean) {
  SKIP_UNLESS_SESSIONS_MOVE();
  WEIR_NEEDS(Means::kTransaction, Means::kState, Means::kUnread, Means::kTerminate,
             Means::kSessionNumber);
  const Dsn dsn = parse(subject().dsn());
  Connection never = make(dsn);
  EXPECT_EQ(export_refusal(never).code(), Code::kNotOpen);

  Connection connection = connect_to(dsn);
  subject().leave_transaction(connection.native());
  EXPECT_EQ(export_refusal(connection).code(), Code::kBadArgument);
  run(connection, WEIR_OP_RESET);
  subject().leave_state(connection.native());
  EXPECT_EQ(export_refusal(connection).code(), Code::kBadArgument);
  run(connection, WEIR_OP_RESET);
  exported(connection);  // both times the session was as before

  ASSERT_TRUE(connection.start(WEIR_OP_PING, nullptr, soon()).ok());
  EXPECT_EQ(export_refusal(connection).code(), Code::kBadArgument);
  run(connection, WEIR_OP_CLOSE);

  Connection unread = connect_to(dsn);
  subject().leave_unread(unread.native());
  EXPECT_EQ(export_refusal(unread).code(), Code::kBadArgument);

  Connection lost = connect_to(dsn);
  subject().terminate(subject().session_of(lost.native()));
  EXPECT_TRUE(
      eventually([&] { return (lost.condition(WEIR_LOOK_AT_SOCKET) & WEIR_COND_BROKEN) != 0; }));
  EXPECT_EQ(export_refusal(lost).code(), Code::kConnectionBroken);
}

TEST_P(DriverSuite, BelievesNoDamagedDescription) {
  SKIP_UNLESS_SESSIONS_MOVE();
  const Dsn dsn = parse(subject().dsn());
  Connection connection = connect_to(dsn);
  const std::string blob = exported(connection);
  EXPECT_LE(blob.size(), static_cast<std::size_t>(WEIR_BLOB_MAX));
  const int copy = dup(connection.fd());
  for (std::size_t size = 0; size < blob.size(); ++size) {
    ASSERT_FALSE(import_refusal(dsn, copy, blob.substr(0, size)).message().empty()) << size;
  }
  ASSERT_FALSE(import_refusal(dsn, copy, blob + '\0').message().empty());
  for (std::size_t at = 0; at < blob.size(); ++at) {
    for (const char flip : {'\x01', '\x80', '\xff'}) {
      std::string other = blob;
      other[at] = static_cast<char>(other[at] ^ flip);
      ASSERT_FALSE(import_refusal(dsn, copy, other).message().empty()) << at;
    }
  }
  // All of this has cost nothing: the session goes on here, and could go on there.
  EXPECT_TRUE(works(connection));
  settle(connection);
  exported(connection);
  connection.abandon();
  auto arrived = Connection::import_session(dsn, options_of(WEIR_RESET_TRACKED), copy, blob);
  ASSERT_TRUE(arrived.ok()) << heard(arrived.status()).to_string();
  EXPECT_TRUE(works(arrived.value()));
}

TEST_P(DriverSuite, TakesNoSessionThatIsNotAsItsOwn) {
  SKIP_UNLESS_SESSIONS_MOVE();
  WEIR_NEEDS(Means::kOtherSessionDsn);
  const Dsn dsn = parse(subject().dsn());
  Connection connection = connect_to(dsn);
  const std::string blob = exported(connection);
  const int copy = dup(connection.fd());
  const Dsn other = parse(subject().same_server_other_session_dsn());
  EXPECT_EQ(import_refusal(other, copy, blob).code(), Code::kBadArgument);
  EXPECT_EQ(import_refusal(dsn, copy, blob, WEIR_RESET_ALWAYS).code(), Code::kBadArgument);
  EXPECT_EQ(import_refusal(dsn, -1, blob).code(), Code::kBadArgument);
  close(copy);
  EXPECT_TRUE(works(connection));
}

}  // namespace weir::test
