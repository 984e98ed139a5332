// Who is let in, as what, and what a server says that refuses.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <vector>

#include "conformance/redis_suite.h"

namespace weir::test {

INSTANTIATE_TEST_SUITE_P(Redis, DriverSuite, testing::Values(&RedisUnderTest::make));
INSTANTIATE_TEST_SUITE_P(RedisByTcp, DriverSuite, testing::Values(&RedisUnderTest::make_by_tcp));
INSTANTIATE_TEST_SUITE_P(RedisWithoutReset, DriverSuite,
                         testing::Values(&RedisUnderTest::make_without_reset));

class RedisConnect : public RedisSuite {
 protected:
  /// A DSN of our server as that user, or as the default one.
  std::string dsn_as(const std::string& user_info, const std::string& query = "") {
    const std::string who = user_info.empty() ? "" : user_info + "@";
    return "unix://" + who + server().socket_path() + query;
  }
  void set_user(const std::vector<std::string>& rules) {
    std::vector<std::string> words = {"ACL", "SETUSER"};
    words.insert(words.end(), rules.begin(), rules.end());
    server().ask(words);
  }
};

INSTANTIATE_TEST_SUITE_P(Redis, RedisConnect, testing::Values(&RedisUnderTest::make));

TEST_P(RedisConnect, ConnectsAsEachKindOfUser) {
  set_user({"open", "on", "nopass", "~*", "&*", "+@all"});
  set_user({"default", "on", ">default-secret", "~*", "&*", "+@all"});
  const std::pair<std::string, std::string> cases[] = {
      {dsn_as("open"), "open"},                                       // no password is needed
      {dsn_as("open:whatever"), "open"},                              // and any will do
      {dsn_as(":default-secret"), "default"},                         // before Redis 6 all had that
      {dsn_as("default:default-secret"), "default"},                  //
      {dsn_as("", "?password=default-secret"), "default"},            //
      {dsn_as("", "?username=open&db=2&client_name=named"), "open"},  //
  };
  for (const auto& [text, user] : cases) {
    const Dsn dsn = parse(text);
    Connection connection = connect_to(dsn);
    EXPECT_EQ(server().client_field(id_of(connection), "db").empty(), false);
    EXPECT_EQ(ask(connection, "ACL WHOAMI"), user) << dsn.display();
    run(connection, WEIR_OP_RESET);
    EXPECT_EQ(ask(connection, "ACL WHOAMI"), user) << dsn.display();
  }
}

TEST_P(RedisConnect, PrefersThePasswordThatTheHostGives) {
  const Dsn dsn = parse(subject().same_server_other_secret_dsn());
  weir_conn_options_t options = options_of(WEIR_RESET_TRACKED);
  options.password = "hunter2/hunter2:hunter2?hunter2@hunter2%";
  auto connection = Connection::open(dsn, options);
  ASSERT_TRUE(connection.ok());
  run(connection.value(), WEIR_OP_CONNECT);
  EXPECT_TRUE(subject().query(connection.value().native()));
  run(connection.value(), WEIR_OP_RESET);
  EXPECT_TRUE(subject().query(connection.value().native()));
}

TEST_P(RedisConnect, TakesTheClientNameOfTheDsnBeforeWeirs) {
  const Dsn dsn = parse(dsn_as("", "?client_name=billing"));
  Connection connection = connect_to(dsn);
  EXPECT_EQ(field(connection, "name"), "billing");
  Connection odd = connect(WEIR_RESET_TRACKED, "two words \xc3\xa4");
  EXPECT_EQ(field(odd, "name"), "two_words___");
}

TEST_P(RedisConnect, SaysThatAPasswordIsWantedOrWrong) {
  set_user({"default", "on", ">default-secret", "~*", "&*", "+@all"});
  Status status = refusal(dsn_as(""));
  EXPECT_EQ(status.code(), Code::kAuthFailed);
  EXPECT_EQ(status.native_text(), "NOAUTH");
  status = refusal(dsn_as("app:wrong"));
  EXPECT_EQ(status.code(), Code::kAuthFailed);
  EXPECT_EQ(status.native_text(), "WRONGPASS");
  EXPECT_NE(status.message().find("\"app\""), std::string::npos) << status.to_string();
  EXPECT_EQ(refusal(dsn_as("nobody:wrong")).native_text(), "WRONGPASS");
}

TEST_P(RedisConnect, SaysThatNoPasswordIsWanted) {
  const Status status = refusal(dsn_as(":needless"));
  EXPECT_EQ(status.code(), Code::kAuthFailed);
  EXPECT_EQ(status.message().find("needless"), std::string::npos) << status.to_string();
}

TEST_P(RedisConnect, SaysThatThereIsNoSuchDatabase) {
  const Status status = refusal(dsn_as("", "?db=999"));
  EXPECT_EQ(status.code(), Code::kDatabaseError);  // it is there, and said no
  EXPECT_EQ(status.native_text(), "ERR");
  EXPECT_NE(status.message().find("SELECT 999"), std::string::npos) << status.to_string();
}

TEST_P(RedisConnect, SaysThatTheServerIsBusyWithAScript) {
  server().ask({"CONFIG", "SET", "busy-reply-threshold", "1"});
  Connection connection = connect();
  send_only(connection, "EVAL local\ti=1\twhile(i>0)do\ti=2\tend 0");
  const Status status = refusal(subject().dsn());
  EXPECT_EQ(status.code(), Code::kConnectFailed) << status.to_string();
  EXPECT_EQ(status.native_text(), "BUSY");
  EXPECT_EQ(server().ask({"SCRIPT", "KILL"}), "OK");
}

TEST_P(RedisConnect, SaysWhatAUserMayNotDo) {
  set_user({"weak", "on", ">x", "~*", "+get"});
  const Status status = refusal(dsn_as("weak:x"));
  EXPECT_EQ(status.code(), Code::kAuthFailed);
  EXPECT_EQ(status.native_text(), "NOPERM");
  EXPECT_NE(status.message().find("PING"), std::string::npos) << status.to_string();
}

TEST_P(RedisConnect, MakesDoWithAUserWhoMayHardlyDoAnything) {
  set_user({"weak", "on", ">x", "~*", "+get", "+echo", "+ping", "+multi"});
  const Dsn dsn = parse(dsn_as("weak:x"));
  for (const weir_reset_mode mode : {WEIR_RESET_TRACKED, WEIR_RESET_ALWAYS}) {
    Connection connection = connect_to(dsn, mode);
    EXPECT_EQ(ask(connection, "MULTI"), "OK");
    run(connection, WEIR_OP_RESET);
    EXPECT_EQ(ask(connection, "ECHO mine"), "mine");
    run(connection, WEIR_OP_RESET);
    run(connection, WEIR_OP_PING);
    // It has no name that others could know it by.
    EXPECT_EQ(connection.session_token().size, 0U);
    EXPECT_EQ(heard(connection.cancel(soon())).code(), Code::kNotSupported);
    EXPECT_EQ(export_refusal(connection).code(), Code::kNotSupported);
    weir_server_limits_t limits{};
    limits.struct_size = sizeof limits;
    run(connection, WEIR_OP_LIMITS, &limits);
    EXPECT_EQ(limits.max_connections, -1);
    weir_server_activity_t activity{};
    activity.struct_size = sizeof activity;
    run(connection, WEIR_OP_ACTIVITY, &activity);
    EXPECT_EQ(activity.total, -1);
  }
}

TEST_P(RedisConnect, TellsHowManyClientsTheServerTakes) {
  Connection connection = connect();
  weir_server_limits_t limits{};
  limits.struct_size = sizeof limits;
  run(connection, WEIR_OP_LIMITS, &limits);
  EXPECT_EQ(limits.max_connections, 200);
  EXPECT_EQ(limits.reserved, 0);
  EXPECT_EQ(limits.role_limit, -1);
}

TEST_P(RedisConnect, CountsWhoWaitsAndWhoIsInATransaction) {
  Connection asking = connect();
  Connection waiting = connect();
  Connection in_transaction = connect();
  send_only(waiting, "BLPOP nothing 60");
  EXPECT_EQ(ask(in_transaction, "MULTI"), "OK");
  ASSERT_TRUE(eventually([&] { return subject().is_busy(id_of(waiting)); }));
  weir_server_activity_t activity{};
  activity.struct_size = sizeof activity;
  run(asking, WEIR_OP_ACTIVITY, &activity);
  EXPECT_EQ(activity.total, 4);  // the test's own among them
  EXPECT_EQ(activity.active, 2);
  EXPECT_EQ(activity.idle_in_transaction, 1);
  EXPECT_EQ(activity.idle, 1);
  EXPECT_GE(activity.longest_query_ms, 0);
}

TEST_P(RedisConnect, ExecutesACommandWithQuotedWords) {
  Connection connection = connect();
  EXPECT_TRUE(execute(connection, "  SET \"a key\" 'two \"words\"' ").ok());
  EXPECT_EQ(ask(connection, "STRLEN nothing"), "0");
  EXPECT_EQ(execute(connection, "SET a 'b").code(), Code::kBadArgument);
  EXPECT_EQ(execute(connection, "   ").code(), Code::kBadArgument);
  run(connection, WEIR_OP_RESET);
  const Dsn dsn = parse(redis().dsn_of_db(3));
  Connection reader = connect_to(dsn);
  auto* const reply = static_cast<redisReply*>(redisCommand(context(reader), "GET %s", "a key"));
  ASSERT_NE(reply, nullptr);
  EXPECT_STREQ(reply->str, "two \"words\"");
  freeReplyObject(reply);
}

TEST_P(RedisConnect, QuotesNothingOfAStatementThatTheServerDoesNotKnow) {
  Connection connection = connect();
  const Status status = execute(connection, "NONSENSE hunter2 hunter2");
  EXPECT_EQ(status.code(), Code::kDatabaseError);
  EXPECT_EQ(status.native_text(), "ERR");  // and TearDown() looks for the word
}

TEST_P(RedisConnect, KeepsNoSessionThatAStatementLeftInAnOddState) {
  for (const char* const statement : {"MULTI", "SUBSCRIBE news"}) {
    Connection connection = connect();
    EXPECT_EQ(execute(connection, statement).code(), Code::kConnectionBroken) << statement;
    EXPECT_TRUE(has(connection, WEIR_COND_BROKEN)) << statement;
  }
}

TEST_P(RedisConnect, PingFindsWhatALeaseLeft) {
  for (const char* const command : {"MULTI", "SUBSCRIBE news", "ECHO unread"}) {
    Connection connection = connect();
    send_only(connection, command);
    EXPECT_EQ(heard(connection.run(WEIR_OP_PING, nullptr, soon())).code(), Code::kConnectionBroken)
        << command;
    EXPECT_TRUE(has(connection, WEIR_COND_BROKEN)) << command;
  }
}

TEST_P(RedisConnect, IsConnectedUsedResetAndClosedAHundredTimes) {
  // What each of these takes is printed; how much it may be depends on the machine.
  const Dsn dsn = parse(subject().dsn());
  using Clock = std::chrono::steady_clock;
  std::vector<double> connect_us, reset_us, plain_us;
  for (int i = 0; i < 100; ++i) {
    Connection connection = make(dsn);
    const auto start = Clock::now();
    run(connection, WEIR_OP_CONNECT);
    const auto connected = Clock::now();
    ASSERT_TRUE(subject().query(connection.native()));
    const auto asked = Clock::now();
    run(connection, WEIR_OP_RESET);
    const auto done = Clock::now();
    connect_us.push_back(std::chrono::duration<double, std::micro>(connected - start).count());
    plain_us.push_back(std::chrono::duration<double, std::micro>(asked - connected).count());
    reset_us.push_back(std::chrono::duration<double, std::micro>(done - asked).count());
    run(connection, WEIR_OP_CLOSE);
  }
  const auto median = [](std::vector<double>& values) {
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
  };
  std::printf("connect p50 %.0f us; a lease's command p50 %.1f us; reset p50 %.1f us\n",
              median(connect_us), median(plain_us), median(reset_us));
}

// ---- a server that is full ----------------------------------------------------------------------

class RedisFull : public RedisSuite {
 public:
  static std::unique_ptr<DriverUnderTest> make_small() {
    RedisSettings settings = RedisUnderTest::default_settings();
    settings.max_clients = 3;
    return std::make_unique<RedisUnderTest>(std::move(settings));
  }
  static std::unique_ptr<DriverUnderTest> make_small_by_tcp() {
    RedisSettings settings = RedisUnderTest::default_settings();
    settings.max_clients = 3;
    return std::make_unique<RedisUnderTest>(std::move(settings), RedisUnderTest::Way::kTcp);
  }
};

INSTANTIATE_TEST_SUITE_P(Redis, RedisFull, testing::Values(&RedisFull::make_small));
INSTANTIATE_TEST_SUITE_P(RedisByTcp, RedisFull, testing::Values(&RedisFull::make_small_by_tcp));

TEST_P(RedisFull, SaysThatItIsAndLaterThatItIsNot) {
  Connection one = connect();
  Connection two = connect();
  for (int i = 0; i < 20; ++i) {  // the goodbye and our first words cross
    const Status status = refusal(subject().dsn());
    ASSERT_EQ(status.code(), Code::kServerFull) << status.to_string();
    EXPECT_EQ(status.native_text(), "ERR");
  }
  EXPECT_EQ(heard(one.cancel(soon())).code(), Code::kServerFull);  // it is one more, for a moment
  run(two, WEIR_OP_CLOSE);
  Connection three = connect();
  EXPECT_TRUE(subject().query(three.native()));
}

}  // namespace weir::test
