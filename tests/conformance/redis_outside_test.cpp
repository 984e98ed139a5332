// What others can do about a session, and what they must not believe: servers that restarted, and
// others behind the same address.
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <thread>

#include "conformance/redis_suite.h"

namespace weir::test {

class RedisOutside : public RedisSuite {
 protected:
  /// `token` as if its session had connected so many seconds ago.
  static weir_token_t aged(weir_token_t token, std::uint64_t age_s) {
    const std::uint64_t connected_ns = monotonic_ns() - age_s * 1'000'000'000;
    std::memcpy(token.bytes + 52, &connected_ns, sizeof connected_ns);  // plugins/redis/token.h
    return token;
  }
  /// `token` as if another run of the server had made it.
  static weir_token_t of_another_run(weir_token_t token) {
    token.bytes[4] = token.bytes[4] == 'a' ? 'b' : 'a';
    return token;
  }
  Status confirm(Connection& connection, const weir_token_t& token, std::int32_t* gone) {
    weir_confirm_gone_t question{sizeof question, &token, -1};
    Status status = heard(connection.run(WEIR_OP_CONFIRM_GONE, &question, soon()));
    *gone = question.gone;
    return status;
  }
  Status cancel_token(const weir_token_t& token) {
    const Dsn dsn = parse(subject().dsn());
    Connection unconnected = make(dsn);
    weir_cancel_token_t request{sizeof request, &token};
    return heard(unconnected.run(WEIR_OP_CANCEL_TOKEN, &request, soon()));
  }
};

INSTANTIATE_TEST_SUITE_P(Redis, RedisOutside, testing::Values(&RedisUnderTest::make));
INSTANTIATE_TEST_SUITE_P(RedisByTcp, RedisOutside, testing::Values(&RedisUnderTest::make_by_tcp));

TEST_P(RedisOutside, ConfirmsOnAConnectionOfItsOwnThatASessionIsGone) {
  const Dsn dsn = parse(subject().dsn());
  Connection connection = connect();
  const weir_token_t token = connection.session_token();
  Connection unconnected = make(dsn);
  std::int32_t gone = -1;
  EXPECT_TRUE(confirm(unconnected, token, &gone).ok());
  EXPECT_EQ(gone, 0);
  EXPECT_EQ(subject().count_sessions(), 1);  // that of the question is not left behind
  run(connection, WEIR_OP_CLOSE);
  EXPECT_TRUE(confirm(unconnected, token, &gone).ok());
  EXPECT_EQ(gone, 1);
  EXPECT_EQ(subject().count_sessions(), 0);
}

TEST_P(RedisOutside, ConfirmsThatARestartedServerHasNoSessionOfBefore) {
  const Dsn dsn = parse(subject().dsn());
  Connection connection = connect();
  const weir_token_t token = connection.session_token();
  server().kill();
  server().start();
  Connection spare = connect();
  Connection unconnected = make(dsn);
  for (Connection* const asking : {&spare, &unconnected}) {
    std::int32_t gone = -1;
    EXPECT_TRUE(confirm(*asking, aged(token, 60), &gone).ok());
    EXPECT_EQ(gone, 1);
  }
}

TEST_P(RedisOutside, ConfirmsNothingWhereAnotherServerAnswers) {
  // One that may have been up before the session was connected: that session's server may live on.
  const Dsn dsn = parse(subject().dsn());
  Connection connection = connect();
  const weir_token_t token = of_another_run(connection.session_token());
  Connection spare = connect();
  Connection unconnected = make(dsn);
  for (Connection* const asking : {&spare, &unconnected}) {
    std::int32_t gone = -1;
    EXPECT_EQ(confirm(*asking, token, &gone).code(), Code::kNotSupported);
    EXPECT_EQ(gone, -1);
  }
  EXPECT_EQ(cancel_token(token).code(), Code::kNotSupported);
  EXPECT_TRUE(subject().query(connection.native()));
}

TEST_P(RedisOutside, ConfirmsNothingAboutAServerThatTheDsnDoesNotName) {
  Connection spare = connect();
  weir_token_t token = spare.session_token();
  token.bytes[token.size - 1] ^= 1;  // the end of the server's identity
  std::int32_t gone = -1;
  EXPECT_EQ(confirm(spare, token, &gone).code(), Code::kNotSupported);
  EXPECT_EQ(gone, -1);
  EXPECT_EQ(cancel_token(token).code(), Code::kNotSupported);
}

TEST_P(RedisOutside, EndsNobodyElsesSessionAfterARestart) {
  Connection connection = connect();
  const weir_token_t token = connection.session_token();
  server().kill();
  server().start();
  Connection later = connect();
  while (id_of(later) < 40) later = connect();  // numbers begin anew
  EXPECT_TRUE(cancel_token(aged(token, 60)).ok());
  EXPECT_TRUE(subject().query(later.native()));
}

TEST_P(RedisOutside, CancelLeavesASessionAloneThatWaitsForNothing) {
  Connection connection = connect();
  EXPECT_TRUE(heard(connection.cancel(soon())).ok());
  EXPECT_EQ(subject().count_sessions(), 1);
  EXPECT_EQ(ask(connection, "RPUSH list a"), "1");
  EXPECT_TRUE(subject().query(connection.native()));
}

TEST_P(RedisOutside, SaysThatTheServerIsGoneInCancelToo) {
  Connection connection = connect();
  server().kill();
  EXPECT_EQ(heard(connection.cancel(soon())).code(), Code::kConnectFailed);
}

TEST_P(RedisOutside, LeavesTheParentsSessionAloneWhenAChildFreesHiredisContext) {
  Connection connection = connect();
  const pid_t child = fork();
  if (child == 0) {
    redisFree(context(connection));
    _exit(0);
  }
  int status = -1;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(subject().query(connection.native()));
}

}  // namespace weir::test
