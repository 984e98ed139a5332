// The life of a connection: open, used, made clean, closed.
#include <array>
#include <tuple>

#include "conformance/suite.h"

namespace weir::test {
namespace {

constexpr std::array kAllModes = {WEIR_RESET_TRACKED, WEIR_RESET_ALWAYS, WEIR_RESET_TRANSACTION};

}  // namespace

TEST_P(DriverSuite, ConnectsAUsableSession) {
  Connection connection = connect();
  EXPECT_EQ(connection.condition(WEIR_LOOK_LOCAL), 0U);
  EXPECT_EQ(connection.condition(WEIR_LOOK_AT_SOCKET), 0U);
  EXPECT_EQ(connection.fd() >= 0, subject().has_descriptor()) << connection.fd();
  EXPECT_TRUE(works(connection));
  expect_sessions(1);
}

TEST_P(DriverSuite, OpensNothingBeforeConnect) {
  const Dsn dsn = parse(subject().dsn());
  Connection connection = make(dsn);
  expect_sessions(0);
  EXPECT_EQ(connection.session_token().size, 0U);
  EXPECT_NE(connection.condition(WEIR_LOOK_LOCAL) & WEIR_COND_BROKEN, 0U);
  EXPECT_FALSE(heard(connection.run(WEIR_OP_PING, nullptr, soon())).ok());
}

TEST_P(DriverSuite, ShowsTheClientNameToTheServer) {
  WEIR_NEEDS(Means::kClientName, Means::kSessionNumber);
  Connection connection = connect(WEIR_RESET_TRACKED, "weir:auth/main#7");
  EXPECT_EQ(subject().client_name_of(subject().session_of(connection.native())),
            "weir:auth/main#7");
}

TEST_P(DriverSuite, PingsAHealthySession) {
  Connection connection = connect();
  run(connection, WEIR_OP_PING);
  EXPECT_EQ(connection.condition(WEIR_LOOK_AT_SOCKET), 0U);
  EXPECT_TRUE(works(connection));
}

TEST_P(DriverSuite, RollsBackAnOpenTransactionInEveryResetMode) {
  WEIR_NEEDS(Means::kTransaction);
  for (const weir_reset_mode mode : kAllModes) {
    Connection connection = connect(mode);
    subject().leave_transaction(connection.native());
    EXPECT_NE(connection.condition(WEIR_LOOK_LOCAL) & WEIR_COND_IN_TRANSACTION, 0U) << mode;
    run(connection, WEIR_OP_RESET);
    EXPECT_EQ(connection.condition(WEIR_LOOK_AT_SOCKET), 0U) << mode;
    EXPECT_TRUE(works(connection)) << mode;
  }
}

TEST_P(DriverSuite, TakesAwayWhatALeaseLeftInTheSession) {
  WEIR_NEEDS(Means::kState);
  for (const weir_reset_mode mode : {WEIR_RESET_TRACKED, WEIR_RESET_ALWAYS}) {
    Connection connection = connect(mode);
    subject().leave_state(connection.native());
    ASSERT_TRUE(subject().has_state(connection.native())) << mode;
    EXPECT_NE(connection.condition(WEIR_LOOK_LOCAL) & WEIR_COND_DIRTY, 0U) << mode;
    run(connection, WEIR_OP_RESET);
    EXPECT_EQ(connection.condition(WEIR_LOOK_AT_SOCKET), 0U) << mode;
    EXPECT_FALSE(subject().has_state(connection.native())) << mode;
  }
}

TEST_P(DriverSuite, KeepsSessionStateWhereOnlyTransactionsAreReset) {
  WEIR_NEEDS(Means::kState);
  Connection connection = connect(WEIR_RESET_TRANSACTION);
  subject().leave_state(connection.native());
  run(connection, WEIR_OP_RESET);
  EXPECT_EQ(connection.condition(WEIR_LOOK_AT_SOCKET), 0U);
  EXPECT_TRUE(subject().has_state(connection.native()));
}

TEST_P(DriverSuite, ResetsStateLeftInsideAnOpenTransaction) {
  WEIR_NEEDS(Means::kTransaction, Means::kState);
  Connection connection = connect();
  subject().leave_transaction(connection.native());
  subject().leave_state(connection.native());
  run(connection, WEIR_OP_RESET);
  EXPECT_EQ(connection.condition(WEIR_LOOK_AT_SOCKET), 0U);
  EXPECT_FALSE(subject().has_state(connection.native()));
}

TEST_P(DriverSuite, HasNothingToResetAfterALeaseThatSaidNothing) {
  for (const weir_reset_mode mode : {WEIR_RESET_TRACKED, WEIR_RESET_TRANSACTION}) {
    Connection connection = connect(mode);
    run(connection, WEIR_OP_PING);
    ASSERT_TRUE(heard(connection.start(WEIR_OP_RESET, nullptr, soon())).ok());
    Status failure;
    EXPECT_EQ(connection.step(&failure), driver::Step::kDone) << mode;  // nobody was asked
  }
}

TEST_P(DriverSuite, HasNothingToResetAfterPlainQueriesIfItSeesThatTheyWere) {
  WEIR_NEEDS(Means::kQuery);
  Connection connection = connect();
  ASSERT_TRUE(subject().query(connection.native()));
  if (!subject().sees_statements()) {
    EXPECT_NE(connection.condition(WEIR_LOOK_LOCAL) & WEIR_COND_DIRTY, 0U);
    run(connection, WEIR_OP_RESET);
  }
  EXPECT_EQ(connection.condition(WEIR_LOOK_LOCAL), 0U);
  ASSERT_TRUE(heard(connection.start(WEIR_OP_RESET, nullptr, soon())).ok());
  Status failure;
  EXPECT_EQ(connection.step(&failure), driver::Step::kDone);  // in one step: nobody was asked
}

TEST_P(DriverSuite, IsNotUsableWhileAnAnswerIsUnread) {
  WEIR_NEEDS(Means::kUnread);
  Connection connection = connect();
  subject().leave_unread(connection.native());
  EXPECT_NE(connection.condition(WEIR_LOOK_LOCAL) & WEIR_COND_UNREAD, 0U);
  EXPECT_EQ(heard(connection.run(WEIR_OP_RESET, nullptr, soon())).code(), Code::kConnectionBroken);
  run(connection, WEIR_OP_CLOSE);
  expect_sessions(0);
}

TEST_P(DriverSuite, ExecutesAStatementThatIsNotALeases) {
  WEIR_NEEDS(Means::kStatement);
  Connection connection = connect();
  EXPECT_TRUE(execute(connection, subject().statement()).ok());
  EXPECT_EQ(connection.condition(WEIR_LOOK_AT_SOCKET), 0U);
}

TEST_P(DriverSuite, StaysUsableAfterTheServerRefusedAStatement) {
  WEIR_NEEDS(Means::kRefusedStatement);
  Connection connection = connect();
  const Status status = execute(connection, subject().refused_statement());
  EXPECT_EQ(status.code(), Code::kDatabaseError);
  EXPECT_EQ(status.native_text(), subject().native_text_of_refusal());
  EXPECT_FALSE(status.message().empty());
  EXPECT_EQ(connection.condition(WEIR_LOOK_AT_SOCKET), 0U);
  EXPECT_TRUE(works(connection));
}

TEST_P(DriverSuite, HasClosedOnlyWhenTheServerCountsOneLess) {
  WEIR_NEEDS(Means::kCountSessions);
  // Many times, because the server could be quick by chance.
  Connection other = connect();
  for (int i = 0; i < 30; ++i) {
    Connection connection = connect();
    ASSERT_EQ(subject().count_sessions(), 2);
    run(connection, WEIR_OP_CLOSE);
    ASSERT_EQ(subject().count_sessions(), 1) << "round " << i;
  }
}

TEST_P(DriverSuite, ClosesWhatWasNeverConnectedAtOnce) {
  const Dsn dsn = parse(subject().dsn());
  Connection connection = make(dsn);
  run(connection, WEIR_OP_CLOSE);
}

TEST_P(DriverSuite, CutsASessionThatIsFreedWithoutClosing) {
  WEIR_NEEDS(Means::kCountSessions);
  { Connection connection = connect(); }
  EXPECT_TRUE(eventually([&] { return subject().count_sessions() == 0; }));
}

TEST_P(DriverSuite, RunsOneOperationAtATime) {
  Connection connection = connect();
  ASSERT_TRUE(heard(connection.start(WEIR_OP_PING, nullptr, soon())).ok());
  EXPECT_EQ(heard(connection.start(WEIR_OP_PING, nullptr, soon())).code(), Code::kBadArgument);
}

TEST_P(DriverSuite, RefusesAnOperationItDoesNotKnow) {
  Connection connection = connect();
  EXPECT_EQ(heard(connection.run(static_cast<weir_op>(15), nullptr, soon())).code(),
            Code::kNotSupported);
  EXPECT_TRUE(works(connection));
}

}  // namespace weir::test
