// What others can do about a session: name it, cancel it, confirm its end, leave it alone after a
// fork.
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <thread>

#include "conformance/suite.h"

#define SKIP_UNLESS_SESSIONS_HAVE_NAMES() \
  if (!subject().names_sessions()) GTEST_SKIP() << subject().name() << " gives sessions no names"

namespace weir::test {
namespace {

/// Forks a child that runs `body` and ends; true if it ended as it should.
bool in_child(const std::function<void()>& body) {
  const pid_t child = fork();
  if (child == 0) {
    alarm(20);
    body();
    _exit(0);
  }
  int status = -1;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace

TEST_P(DriverSuite, NamesEachSessionByAnotherToken) {
  Connection one = connect();
  Connection other = connect();
  const weir_token_t token = one.session_token();
  const weir_token_t other_token = other.session_token();
  if (!subject().names_sessions()) {
    EXPECT_EQ(token.size + other_token.size, 0U);
    return;
  }
  ASSERT_GT(token.size, 0U);
  ASSERT_LE(token.size, static_cast<std::uint32_t>(WEIR_TOKEN_MAX));
  EXPECT_FALSE(token.size == other_token.size &&
               std::memcmp(token.bytes, other_token.bytes, token.size) == 0);
  hear(std::string(reinterpret_cast<const char*>(token.bytes), token.size));
}

TEST_P(DriverSuite, ConfirmsThatASessionIsGoneOnlyOnceItIs) {
  SKIP_UNLESS_SESSIONS_HAVE_NAMES();
  Connection spare = connect();
  Connection connection = connect();
  const weir_token_t token = connection.session_token();
  weir_confirm_gone_t question{sizeof question, &token, -1};
  run(spare, WEIR_OP_CONFIRM_GONE, &question);
  EXPECT_EQ(question.gone, 0);
  run(connection, WEIR_OP_CLOSE);
  run(spare, WEIR_OP_CONFIRM_GONE, &question);
  EXPECT_EQ(question.gone, 1);
  EXPECT_EQ(spare.condition(WEIR_LOOK_AT_SOCKET), 0U);
}

TEST_P(DriverSuite, MakesASessionStopThatItKnowsByTokenOnly) {
  SKIP_UNLESS_SESSIONS_HAVE_NAMES();
  WEIR_NEEDS(Means::kSleep, Means::kSeeBusy, Means::kSessionNumber);
  Connection connection = connect();
  const std::int64_t session = subject().session_of(connection.native());
  const weir_token_t token = connection.session_token();
  bool slept_through = true;
  std::thread lease([&] { slept_through = subject().sleep_long(connection.native()); });
  EXPECT_TRUE(eventually([&] { return subject().is_busy(session); }));
  const Dsn dsn = parse(subject().dsn());
  Connection unconnected = make(dsn);
  weir_cancel_token_t request{sizeof request, &token};
  run(unconnected, WEIR_OP_CANCEL_TOKEN, &request);
  lease.join();
  EXPECT_FALSE(slept_through);
}

TEST_P(DriverSuite, CancelsWhatAnotherThreadRuns) {
  WEIR_NEEDS(Means::kSleep, Means::kSeeBusy, Means::kSessionNumber);
  Connection connection = connect();
  const std::int64_t session = subject().session_of(connection.native());
  bool slept_through = true;
  std::thread lease([&] { slept_through = subject().sleep_long(connection.native()); });
  EXPECT_TRUE(eventually([&] { return subject().is_busy(session); }));
  EXPECT_TRUE(heard(connection.cancel(soon())).ok());
  lease.join();
  EXPECT_FALSE(slept_through);
  EXPECT_TRUE(works(connection));
}

TEST_P(DriverSuite, CancelKeepsItsDeadlineWhenTheServerStops) {
  WEIR_NEEDS(Means::kFreeze);
  Connection connection = connect();
  subject().freeze();
  const Deadline deadline = Deadline::after(milliseconds(100));
  const Status status = heard(connection.cancel(deadline));
  if (subject().cancel_asks_server()) {
    EXPECT_EQ(status.code(), Code::kTimeout);
    EXPECT_TRUE(deadline.passed(monotonic_ns()));
  } else {
    EXPECT_TRUE(status.ok()) << status.to_string();
  }
  subject().thaw();
}

TEST_P(DriverSuite, RefusesATokenThatIsNone) {
  Connection spare = connect();
  const Dsn dsn = parse(subject().dsn());
  Connection unconnected = make(dsn);
  const weir_token_t good = spare.session_token();
  weir_token_t huge = good;
  huge.size = 1000;
  weir_token_t cut = good;
  if (cut.size > 0) cut.size -= 1;
  weir_token_t foreign = good;
  std::memset(foreign.bytes, 0xa5, sizeof foreign.bytes);
  const Code refusal = subject().names_sessions() ? Code::kBadArgument : Code::kNotSupported;
  for (const weir_token_t& token : {weir_token_t{}, huge, cut, foreign}) {
    weir_confirm_gone_t question{sizeof question, &token, -1};
    EXPECT_EQ(heard(spare.run(WEIR_OP_CONFIRM_GONE, &question, soon())).code(), refusal);
    EXPECT_EQ(question.gone, -1);
    weir_cancel_token_t request{sizeof request, &token};
    EXPECT_EQ(heard(unconnected.run(WEIR_OP_CANCEL_TOKEN, &request, soon())).code(), refusal);
  }
  EXPECT_EQ(spare.condition(WEIR_LOOK_AT_SOCKET), 0U);
}

TEST_P(DriverSuite, LeavesTheParentsSessionAloneWhenAChildAbandonsIt) {
  WEIR_NEEDS(Means::kTransaction);
  Connection connection = connect();
  subject().leave_transaction(connection.native());
  EXPECT_TRUE(in_child([&] { connection.abandon(); }));
  EXPECT_TRUE(works(connection));
  EXPECT_NE(connection.condition(WEIR_LOOK_AT_SOCKET) & WEIR_COND_IN_TRANSACTION, 0U);
  run(connection, WEIR_OP_CLOSE);
  expect_sessions(0);
}

TEST_P(DriverSuite, LeavesTheParentsSessionAloneWhenAChildOnlyClosesItsDescriptor) {
  Connection connection = connect();
  EXPECT_TRUE(in_child([&] { close(connection.fd()); }));
  EXPECT_TRUE(works(connection));
  settle(connection);
  EXPECT_EQ(connection.condition(WEIR_LOOK_AT_SOCKET), 0U);
}

TEST_P(DriverSuite, ConfirmsACloseAlsoWhileAChildHoldsACopyOfTheSocket) {
  Connection connection = connect();
  int until_closed[2];
  ASSERT_EQ(pipe(until_closed), 0);
  const pid_t child = fork();
  if (child == 0) {
    close(until_closed[1]);
    char byte = 0;
    static_cast<void>(read(until_closed[0], &byte, 1));  // until the parent is done
    _exit(0);
  }
  run(connection, WEIR_OP_CLOSE);
  expect_sessions(0);
  close(until_closed[0]);
  close(until_closed[1]);
  int status = -1;
  EXPECT_EQ(waitpid(child, &status, 0), child);
}

}  // namespace weir::test
