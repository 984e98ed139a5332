// The null driver's server: room, lingering sessions, statements, forks.
#include <sys/wait.h>
#include <unistd.h>

#include <array>

#include "conformance/null_suite.h"

namespace weir::test {
namespace {

class NullServer : public NullSuite {};

int wait_for(pid_t child) {
  int status = -1;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace

TEST_P(NullServer, LetsInAsManyAsItHasRoomFor) {
  const Dsn& dsn = scripted("limit=3&reserved=1");
  Connection one = connect_to(dsn);
  {
    Connection other = connect_to(dsn);
    Connection third = make(dsn);
    EXPECT_EQ(outcome(third, WEIR_OP_CONNECT), Code::kServerFull);
    run(other, WEIR_OP_CLOSE);
  }
  Connection later = connect_to(dsn);
  weir_server_limits_t limits{};
  limits.struct_size = sizeof limits;
  run(later, WEIR_OP_LIMITS, &limits);
  EXPECT_EQ(limits.max_connections, 3);
  EXPECT_EQ(limits.reserved, 1);
}

TEST_P(NullServer, KeepsACutSessionForAsLongAsTheDsnSays) {
  const Dsn& dsn = scripted("linger=60ms");
  Connection spare = connect_to(dsn);
  weir_token_t token{};
  std::uint64_t cut_ns = 0;
  {
    Connection connection = connect_to(dsn);
    token = connection.session_token();
    cut_ns = monotonic_ns();
  }
  weir_confirm_gone_t question{sizeof question, &token, -1};
  run(spare, WEIR_OP_CONFIRM_GONE, &question);
  // On a machine that stood still for that long the session may rightly be gone.
  if (Nanos(monotonic_ns() - cut_ns) < milliseconds(60)) {
    EXPECT_EQ(question.gone, 0);
  }
  EXPECT_TRUE(eventually([&] {
    run(spare, WEIR_OP_CONFIRM_GONE, &question);
    return question.gone == 1;
  }));
  EXPECT_GE(Nanos(monotonic_ns() - cut_ns), milliseconds(60));
  EXPECT_EQ(subject().count_sessions(), 1);
}

TEST_P(NullServer, ConfirmsAlsoForAnUnconnectedOne) {
  Connection connection = connect();
  const weir_token_t token = connection.session_token();
  const Dsn dsn = parse(subject().dsn());
  Connection unconnected = make(dsn);
  weir_confirm_gone_t question{sizeof question, &token, -1};
  run(unconnected, WEIR_OP_CONFIRM_GONE, &question);
  EXPECT_EQ(question.gone, 0);
  EXPECT_EQ(subject().count_sessions(), 1) << "a question is no session";
}

TEST_P(NullServer, DoesNotJudgeAnotherServersSessions) {
  Connection connection = connect();
  const weir_token_t token = connection.session_token();
  const Dsn elsewhere = parse("null://elsewhere");
  Connection asking = make(elsewhere);
  weir_confirm_gone_t question{sizeof question, &token, -1};
  EXPECT_EQ(heard(asking.run(WEIR_OP_CONFIRM_GONE, &question, soon())).code(), Code::kNotSupported);
  EXPECT_EQ(question.gone, -1);
}

TEST_P(NullServer, ConfirmsThatADeadProcessesSessionsAreGone) {
  Connection spare = connect();
  std::array<int, 2> token_pipe{}, end_pipe{};
  ASSERT_EQ(pipe(token_pipe.data()), 0);
  ASSERT_EQ(pipe(end_pipe.data()), 0);
  const pid_t child = fork();
  if (child == 0) {
    close(end_pipe[1]);
    Connection own = connect();
    const weir_token_t token = own.session_token();
    bool is_good = subject().count_sessions() == 1;  // the parent's are not in a child's tables
    is_good &= write(token_pipe[1], &token, sizeof token) == sizeof token;
    char byte = 0;
    static_cast<void>(read(end_pipe[0], &byte, 1));
    _exit(is_good ? 0 : 1);
  }
  weir_token_t token{};
  ASSERT_EQ(read(token_pipe[0], &token, sizeof token), static_cast<ssize_t>(sizeof token));
  weir_confirm_gone_t question{sizeof question, &token, -1};
  run(spare, WEIR_OP_CONFIRM_GONE, &question);
  EXPECT_EQ(question.gone, 0);
  for (const int end : end_pipe) close(end);
  EXPECT_EQ(wait_for(child), 0);
  run(spare, WEIR_OP_CONFIRM_GONE, &question);
  EXPECT_EQ(question.gone, 1);
  for (const int end : token_pipe) close(end);
}

TEST_P(NullServer, RefusesAParentsConnectionInAChild) {
  Connection connection = connect();
  const pid_t child = fork();
  if (child == 0) {
    const bool is_refused =
        connection.run(WEIR_OP_PING, nullptr, soon()).code() == Code::kForked &&
        connection.run(WEIR_OP_CLOSE, nullptr, soon()).code() == Code::kForked &&
        connection.cancel(soon()).code() == Code::kForked;
    _exit(is_refused ? 0 : 1);
  }
  EXPECT_EQ(wait_for(child), 0);
  run(connection, WEIR_OP_PING);
}

TEST_P(NullServer, NoticesWhatNobodyAskedFor) {
  Connection connection = connect();
  const std::int64_t session = subject().session_of(connection.native());
  ASSERT_EQ(NullUnderTest::client().send_unasked(null().server().c_str(), session), WEIR_OK);
  EXPECT_NE(connection.condition(WEIR_LOOK_AT_SOCKET) & WEIR_COND_UNEXPECTED, 0U);
}

TEST_P(NullServer, EndsAStatementThatRunsLongerThanItsTimeout) {
  weir_conn_options_t options{};
  options.struct_size = sizeof options;
  options.statement_timeout_ms = 20;
  const Dsn dsn = parse(subject().dsn());
  auto opened = Connection::open(dsn, options);
  ASSERT_TRUE(opened.ok());
  Connection connection = std::move(opened).value();
  run(connection, WEIR_OP_CONNECT);
  const Status status = execute(connection, "SLEEP 1m");
  EXPECT_EQ(status.code(), Code::kDatabaseError);
  EXPECT_EQ(status.native_text(), "timeout");
  EXPECT_EQ(connection.condition(WEIR_LOOK_AT_SOCKET), 0U);
}

TEST_P(NullServer, CountsWhatItDid) {
  {
    Connection connection = connect(WEIR_RESET_ALWAYS);
    EXPECT_TRUE(subject().query(connection.native()));
    EXPECT_TRUE(execute(connection, "SELECT 1").ok());
    run(connection, WEIR_OP_PING);
    run(connection, WEIR_OP_RESET);
    Connection refused = make(scripted("limit=1"));
    EXPECT_EQ(outcome(refused, WEIR_OP_CONNECT), Code::kServerFull);
    run(connection, WEIR_OP_CLOSE);
  }
  const weir_null_counts_t counts = null().counts();
  EXPECT_EQ(counts.sessions, 0);
  EXPECT_EQ(counts.most_sessions, 1);
  EXPECT_EQ(counts.connects, 1U);
  EXPECT_EQ(counts.refusals, 1U);
  EXPECT_EQ(counts.pings, 1U);
  EXPECT_EQ(counts.resets, 1U);
  EXPECT_EQ(counts.closes, 1U);
  EXPECT_EQ(counts.executes, 1U);
  EXPECT_EQ(counts.statements, 1U);
}

INSTANTIATE_TEST_SUITE_P(Null, NullServer, testing::Values(&NullUnderTest::make));

}  // namespace weir::test
