// What a reset takes back, one by one, on a server with RESET and on one without.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "conformance/redis_suite.h"

namespace weir::test {

class RedisReset : public RedisSuite {};

INSTANTIATE_TEST_SUITE_P(Redis, RedisReset, testing::Values(&RedisUnderTest::make));
INSTANTIATE_TEST_SUITE_P(RedisWithoutReset, RedisReset,
                         testing::Values(&RedisUnderTest::make_without_reset));

// ---- state on the server ------------------------------------------------------------------------

TEST_P(RedisReset, TakesBackTheDatabase) {
  Connection connection = connect();
  EXPECT_EQ(field(connection, "db"), "3");
  EXPECT_EQ(ask(connection, "SELECT 9"), "OK");
  EXPECT_EQ(field(connection, "db"), "9");
  reset(connection);
  EXPECT_EQ(field(connection, "db"), "3");
}

TEST_P(RedisReset, TakesBackTheDatabaseOfASessionThatUsesTheFirst) {
  const Dsn dsn = parse(redis().dsn_of_db(0));
  Connection connection = connect_to(dsn);
  EXPECT_EQ(ask(connection, "SELECT 9"), "OK");
  reset(connection);
  EXPECT_EQ(field(connection, "db"), "0");
}

TEST_P(RedisReset, RunsNothingOfAnOpenTransaction) {
  Connection connection = connect();
  EXPECT_EQ(ask(connection, "MULTI"), "OK");
  EXPECT_EQ(ask(connection, "SET counter 1"), "QUEUED");
  EXPECT_EQ(field(connection, "multi"), "1");
  reset(connection);
  EXPECT_EQ(field(connection, "multi"), "-1");
  EXPECT_EQ(ask(connection, "EXISTS counter"), "0");
}

TEST_P(RedisReset, TakesBackAWatch) {
  for (const weir_reset_mode mode : {WEIR_RESET_TRACKED, WEIR_RESET_TRANSACTION}) {
    Connection connection = connect(mode);
    EXPECT_EQ(ask(connection, "WATCH guarded"), "OK");
    reset(connection);
    Connection other = connect();
    EXPECT_EQ(ask(other, "SET guarded changed"), "OK");
    EXPECT_EQ(ask(connection, "MULTI"), "OK");
    EXPECT_EQ(ask(connection, "SET ran yes"), "QUEUED");
    ask(connection, "EXEC");
    EXPECT_EQ(ask(other, "GETDEL ran"), "yes") << mode;
  }
}

TEST_P(RedisReset, TakesBackSubscriptions) {
  Connection connection = connect();
  ask(connection, "SUBSCRIBE news");
  ask(connection, "PSUBSCRIBE old*");
  EXPECT_EQ(field(connection, "sub"), "1");
  EXPECT_EQ(field(connection, "psub"), "1");
  server().ask({"PUBLISH", "news", "nobody reads this"});
  reset(connection);
  EXPECT_EQ(field(connection, "sub"), "0");
  EXPECT_EQ(field(connection, "psub"), "0");
  server().ask({"PUBLISH", "news", "nobody hears this"});
  EXPECT_EQ(ask(connection, "ECHO still"), "still");
}

TEST_P(RedisReset, TakesBackASubscriptionInItsShardOrClosesTheSession) {
  Connection connection = connect();
  ask(connection, "SSUBSCRIBE news");
  if (knows_reset()) return reset(connection);
  EXPECT_NE(reset_refusal(connection).message().find("subscribed"), std::string::npos);
}

TEST_P(RedisReset, EndsMonitorOrClosesTheSession) {
  Connection connection = connect();
  EXPECT_EQ(ask(connection, "MONITOR"), "OK");
  server().ask({"ECHO", "seen by the monitor"});
  if (!knows_reset()) {
    expect_no_reset(connection);
    return;
  }
  reset(connection);
  server().ask({"ECHO", "not seen any more"});
  EXPECT_EQ(ask(connection, "ECHO mine"), "mine");
}

TEST_P(RedisReset, HearsAnswersAgainAfterReplyOff) {
  for (const weir_reset_mode mode : {WEIR_RESET_TRACKED, WEIR_RESET_TRANSACTION}) {
    Connection connection = connect(mode);
    send_only(connection, "CLIENT REPLY OFF");
    send_only(connection, "ECHO silence");
    EXPECT_TRUE(has(connection, WEIR_COND_DIRTY));
    reset(connection);
    EXPECT_EQ(ask(connection, "ECHO mine"), "mine");
  }
}

TEST_P(RedisReset, LosesNoAnswerToAReplySkip) {
  for (const weir_reset_mode mode : {WEIR_RESET_TRACKED, WEIR_RESET_TRANSACTION}) {
    Connection connection = connect(mode);
    send_only(connection, "CLIENT REPLY SKIP");
    reset(connection);
    EXPECT_EQ(ask(connection, "ECHO mine"), "mine");
  }
}

TEST_P(RedisReset, TakesBackNoEvict) {
  Connection connection = connect();
  EXPECT_EQ(ask(connection, "CLIENT NO-EVICT ON"), "OK");
  EXPECT_NE(field(connection, "flags").find('e'), std::string::npos);
  reset(connection);
  EXPECT_EQ(field(connection, "flags").find('e'), std::string::npos);
}

TEST_P(RedisReset, TakesBackTracking) {
  Connection connection = connect();
  Connection other = connect();
  const std::string to = std::to_string(id_of(other));
  EXPECT_EQ(ask(connection, "CLIENT TRACKING ON REDIRECT " + to), "OK");
  EXPECT_EQ(field(connection, "redir"), to);
  reset(connection);
  EXPECT_EQ(field(connection, "redir"), "-1");
  EXPECT_EQ(field(connection, "flags").find('t'), std::string::npos);
}

TEST_P(RedisReset, LogsInAsItselfAgain) {
  server().ask({"ACL", "SETUSER", "other", "on", ">secret", "~*", "&*", "+@all"});
  Connection connection = connect();
  EXPECT_EQ(ask(connection, "AUTH other secret"), "OK");
  EXPECT_EQ(field(connection, "user"), "other");
  reset(connection);
  EXPECT_EQ(field(connection, "user"), "app");
}

TEST_P(RedisReset, IsTheDefaultUserAgainOrClosesTheSession) {
  server().ask({"ACL", "SETUSER", "other", "on", ">secret", "~*", "&*", "+@all"});
  const Dsn dsn = parse(server().dsn());
  Connection connection = connect_to(dsn);
  EXPECT_EQ(ask(connection, "ECHO mine"), "mine");
  reset(connection);
  EXPECT_EQ(ask(connection, "AUTH other secret"), "OK");
  if (!knows_reset()) {
    expect_no_reset(connection);
    return;
  }
  reset(connection);
  EXPECT_EQ(field(connection, "user"), "default");
}

TEST_P(RedisReset, TakesBackTheClientsName) {
  Connection connection = connect(WEIR_RESET_TRACKED, "weir:cache");
  EXPECT_EQ(ask(connection, "CLIENT SETNAME impostor"), "OK");
  reset(connection);
  EXPECT_EQ(field(connection, "name"), "weir:cache");
  Connection nameless = connect(WEIR_RESET_TRACKED, "");
  EXPECT_EQ(ask(nameless, "CLIENT SETNAME impostor"), "OK");
  reset(nameless);
  EXPECT_EQ(field(nameless, "name"), "");
}

TEST_P(RedisReset, LeavesASessionInNoOtherProtocol) {
  Connection connection = connect();
  send_only(connection, "HELLO 3");  // whose answer hiredis 0.14 cannot read
  expect_no_reset(connection);
}

// ---- answers that nobody read -------------------------------------------------------------------

TEST_P(RedisReset, DropsAnswersThatALeaseLeftOnTheirWay) {
  for (const weir_reset_mode mode :
       {WEIR_RESET_TRACKED, WEIR_RESET_ALWAYS, WEIR_RESET_TRANSACTION}) {
    Connection connection = connect(mode);
    for (int i = 0; i < 20; ++i) {
      // Neither of them may be what the next lease reads; nor may an error end the search.
      send_only(connection, "ECHO old");
      send_only(connection, "NONSENSE");
      EXPECT_TRUE(has(connection, WEIR_COND_DIRTY));
      EXPECT_FALSE(has(connection, WEIR_COND_UNREAD));
      run(connection, WEIR_OP_RESET);
      ASSERT_EQ(ask(connection, "ECHO new"), "new") << "mode " << mode << ", round " << i;
    }
  }
}

TEST_P(RedisReset, SeesAnUnreadAnswerOnceItIsThere) {
  Connection connection = connect();
  send_only(connection, "ECHO old");
  EXPECT_TRUE(eventually(
      [&] { return (connection.condition(WEIR_LOOK_AT_SOCKET) & WEIR_COND_UNREAD) != 0; }));
}

TEST_P(RedisReset, NeverReusesASessionWithAnUnsentCommand) {
  Connection connection = connect(WEIR_RESET_TRANSACTION);
  EXPECT_EQ(redisAppendCommand(context(connection), "SET a b"), REDIS_OK);
  EXPECT_TRUE(has(connection, WEIR_COND_UNREAD));
  expect_no_reset(connection);
  EXPECT_EQ(server().ask({"DBSIZE"}), "0");
}

TEST_P(RedisReset, NeverReusesASessionWithHalfAnAnswer) {
  Connection connection = connect(WEIR_RESET_TRANSACTION);
  ask(connection, "SET long " + std::string(200'000, 'x'));
  reset(connection);
  send_only(connection, "GET long");
  EXPECT_EQ(redisBufferRead(context(connection)), REDIS_OK);  // one piece of it
  EXPECT_TRUE(has(connection, WEIR_COND_UNREAD));
  expect_no_reset(connection);
}

TEST_P(RedisReset, DoesNotWaitLongerThanItMayForACommandThatStillRuns) {
  Connection connection = connect();
  send_only(connection, "BLPOP nothing 60");
  const Deadline deadline = Deadline::after(milliseconds(100));
  EXPECT_EQ(heard(connection.run(WEIR_OP_RESET, nullptr, deadline)).code(), Code::kTimeout);
  EXPECT_TRUE(has(connection, WEIR_COND_BROKEN));
  run(connection, WEIR_OP_CLOSE);
}

// ---- hiredis' own state -------------------------------------------------------------------------

TEST_P(RedisReset, TakesBackWhatALeaseSetInHiredis) {
  Connection connection = connect();
  redisContext* const lease = context(connection);
  const redisReplyObjectFunctions* const functions = lease->reader->fn;
  const size_t limit = lease->reader->maxbuf;
  redisReplyObjectFunctions others = *functions;
  EXPECT_EQ(redisSetTimeout(lease, {1, 0}), REDIS_OK);
  EXPECT_EQ(ask(connection, "ECHO mine"), "mine");
  lease->reader->fn = &others;
  lease->reader->maxbuf = 0;
  lease->reader->privdata = this;
  lease->flags &= ~REDIS_BLOCK;
  fcntl(lease->fd, F_SETFL, fcntl(lease->fd, F_GETFL) | O_NONBLOCK);
  reset(connection);
  EXPECT_EQ(lease->reader->fn, functions);
  EXPECT_EQ(lease->reader->maxbuf, limit);
  EXPECT_EQ(lease->reader->privdata, nullptr);
  EXPECT_NE(lease->flags & REDIS_BLOCK, 0);
  EXPECT_EQ(fcntl(lease->fd, F_GETFL) & O_NONBLOCK, 0);
  timeval timeout{9, 9};
  socklen_t size = sizeof timeout;
  EXPECT_EQ(getsockopt(lease->fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, &size), 0);
  EXPECT_EQ(timeout.tv_sec, 0);
  EXPECT_EQ(timeout.tv_usec, 0);
}

TEST_P(RedisReset, NeverReusesASessionWhoseLeaseTimedOut) {
  Connection connection = connect();
  EXPECT_EQ(redisSetTimeout(context(connection), {0, 20'000}), REDIS_OK);
  EXPECT_TRUE(ask(connection, "BLPOP nothing 60").starts_with("lost"));
  expect_no_reset(connection);
}

TEST_P(RedisReset, NoticesThatALeaseMadeItAnotherSession) {
  for (const weir_reset_mode mode : {WEIR_RESET_TRACKED, WEIR_RESET_TRANSACTION}) {
    Connection connection = connect(mode);
    EXPECT_EQ(redisReconnect(context(connection)), REDIS_OK);
    if (mode == WEIR_RESET_TRANSACTION) {
      EXPECT_EQ(ask(connection, "AUTH app hunter2/hunter2:hunter2?hunter2@hunter2%"), "OK");
    }
    expect_no_reset(connection);
  }
}

// ---- modes --------------------------------------------------------------------------------------

TEST_P(RedisReset, ClosesASubscribedSessionWhereOnlyTransactionsAreReset) {
  Connection connection = connect(WEIR_RESET_TRANSACTION);
  ask(connection, "SUBSCRIBE news");
  EXPECT_NE(reset_refusal(connection).message().find("subscribed"), std::string::npos);
}

TEST_P(RedisReset, FindsOutThatThePasswordChanged) {
  Connection connection = connect();
  EXPECT_EQ(ask(connection, "ECHO mine"), "mine");
  server().ask({"ACL", "SETUSER", "app", "resetpass", ">another"});
  const Status status = reset_refusal(connection);
  EXPECT_EQ(status.native_text(), "WRONGPASS");
}

TEST_P(RedisReset, FindsOutThatNobodyMayComeInAnyMore) {
  Connection connection = connect();
  EXPECT_EQ(ask(connection, "ECHO mine"), "mine");
  server().ask({"ACL", "SETUSER", "app", "resetpass", ">another"});
  // Then a session that was logged out may not even PING.
  server().ask({"ACL", "SETUSER", "default", "resetpass", ">closed"});
  expect_no_reset(connection);
}

TEST_P(RedisReset, TakesBackNothingButTransactionsIfToldSo) {
  Connection connection = connect(WEIR_RESET_TRANSACTION);
  EXPECT_EQ(ask(connection, "SELECT 9"), "OK");
  EXPECT_EQ(ask(connection, "CLIENT SETNAME kept"), "OK");
  EXPECT_EQ(ask(connection, "MULTI"), "OK");
  reset(connection);
  EXPECT_EQ(field(connection, "db"), "9");
  EXPECT_EQ(field(connection, "name"), "kept");
  EXPECT_EQ(field(connection, "multi"), "-1");
}

// ---- a server in a cluster ----------------------------------------------------------------------

class RedisClusterReset : public RedisSuite {
 public:
  static std::unique_ptr<DriverUnderTest> make_cluster() {
    RedisSettings settings = RedisUnderTest::default_settings();
    settings.cluster = true;
    return std::make_unique<RedisUnderTest>(std::move(settings));
  }
};

INSTANTIATE_TEST_SUITE_P(Redis, RedisClusterReset,
                         testing::Values(&RedisClusterReset::make_cluster));

TEST_P(RedisClusterReset, TakesBackReadonly) {
  const Dsn dsn = parse(redis().dsn_of_db(0));
  Connection connection = connect_to(dsn);
  EXPECT_EQ(ask(connection, "READONLY"), "OK");
  EXPECT_NE(field(connection, "flags").find('r'), std::string::npos);
  EXPECT_EQ(ask(connection, "ASKING"), "OK");
  reset(connection);
  EXPECT_EQ(field(connection, "flags").find('r'), std::string::npos);
}

}  // namespace weir::test
