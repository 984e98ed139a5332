// How the postgres driver connects: names, settings, several hosts, services, and what it says when
// the server refuses.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "conformance/postgres_suite.h"

namespace weir::test {
namespace {

/// Sets an environment variable for one test.
class Environment {
 public:
  Environment(const char* name, const std::string& value) : name_(name) {
    setenv(name, value.c_str(), 1);  // NOLINT(concurrency-mt-unsafe): no other thread is there yet
  }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;
  ~Environment() { unsetenv(name_); }  // NOLINT(concurrency-mt-unsafe): nor now

 private:
  const char* name_;
};

std::unique_ptr<DriverUnderTest> make_small() {
  PostgresSettings settings = PostgresUnderTest::default_settings();
  settings.max_connections = 6;
  settings.superuser_reserved_connections = 3;
  return std::make_unique<PostgresUnderTest>(settings);
}

std::unique_ptr<DriverUnderTest> make_with_tcp() {
  PostgresSettings settings = PostgresUnderTest::default_settings();
  settings.tcp = true;
  return std::make_unique<PostgresUnderTest>(settings);
}

}  // namespace

class PostgresSuiteSmall : public PostgresSuite {};
class PostgresSuiteTcp : public PostgresSuite {};

// ---- refusals -----------------------------------------------------------------------------------

TEST_P(PostgresSuite, TellsTheReasonsOfARefusalApart) {
  server().ask(
      "CREATE ROLE nobody_yet NOLOGIN PASSWORD 'x'; CREATE ROLE one LOGIN PASSWORD 'x'"
      " CONNECTION LIMIT 0");
  struct Case {
    std::string dsn;
    Code code;
    std::string sqlstate;
    std::string says;
  };
  const std::string folder = "host=" + server().socket_folder() + " ";
  for (const Case& expected : {
           Case{subject().same_server_other_secret_dsn(), Code::kAuthFailed, "28P01", "app"},
           Case{server().dsn(), Code::kAuthFailed, "", "no password supplied"},
           Case{folder + "user=nobody_yet password=x dbname=app", Code::kAuthFailed, "28000",
                "not permitted to log in"},
           Case{folder + "user=one password=x dbname=app", Code::kServerFull, "53300",
                "too many connections"},
           Case{subject().dsn() + " dbname=nowhere", Code::kDatabaseError, "3D000", "nowhere"},
           Case{"host=/nonexistent user=app", Code::kConnectFailed, "", "/nonexistent"},
       }) {
    const Status status = refusal(expected.dsn);
    EXPECT_EQ(status.code(), expected.code) << status.to_string();
    EXPECT_EQ(status.native_text(), expected.sqlstate) << status.to_string();
    EXPECT_NE(status.message().find(expected.says), std::string::npos) << status.to_string();
    // No trace of the verbose form that the SQLSTATE was found in.
    EXPECT_EQ(status.message().find(".c:"), std::string::npos) << status.to_string();
    EXPECT_EQ(status.message().find('\n'), std::string::npos) << status.to_string();
    if (!expected.sqlstate.empty()) {
      EXPECT_EQ(status.message().find(expected.sqlstate), std::string::npos) << status.to_string();
    }
  }
}

TEST_P(PostgresSuiteSmall, SaysThatTheServerIsFull) {
  std::vector<Connection> open;
  for (int i = 0; i < 2; ++i) open.push_back(connect());  // the third is ask()'s, three are kept
  const Status status = refusal(subject().dsn());
  EXPECT_EQ(status.code(), Code::kServerFull) << status.to_string();
  EXPECT_EQ(status.native_text(), "53300");
}

TEST_P(PostgresSuite, UsesTheSecondHostWhenTheFirstIsDead) {
  const std::string good = subject().dsn();
  const Dsn dsn = parse("host=/nonexistent," + server().socket_folder() + " " +
                        good.substr(good.find("dbname=")));
  Connection connection = make(dsn);
  run(connection, WEIR_OP_CONNECT);
  EXPECT_TRUE(subject().query(connection.native()));
}

TEST_P(PostgresSuite, CountsTheLastHostsReasonWhenAllRefuse) {
  const Status status = refusal("host=/nonexistent," + server().socket_folder() +
                                " dbname=app user=app password=wrong");
  EXPECT_EQ(status.code(), Code::kAuthFailed) << status.to_string();
}

TEST_P(PostgresSuite, TakesThePasswordOfTheHostBeforeTheDsns) {
  server().ask("CREATE ROLE late LOGIN PASSWORD 'of the host'");
  for (const char* said : {"", " password=wrong"}) {
    const Dsn dsn = parse(server().dsn_as("late") + said);
    weir_conn_options_t options{};
    options.struct_size = sizeof options;
    options.password = "of the host";
    auto connection = Connection::open(dsn, options);
    ASSERT_TRUE(connection.ok());
    run(connection.value(), WEIR_OP_CONNECT);
    EXPECT_EQ(ask(connection.value(), "SELECT current_user"), "late");
  }
}

TEST_P(PostgresSuite, IsContentWithTheOptionsOfTheFirstAbi) {
  weir_conn_options_t options{};
  options.struct_size = offsetof(weir_conn_options_t, password);
  options.password = "must not be looked at";
  const Dsn dsn = parse(subject().dsn());
  auto connection = Connection::open(dsn, options);
  ASSERT_TRUE(connection.ok()) << connection.status().to_string();
  run(connection.value(), WEIR_OP_CONNECT);
}

TEST_P(PostgresSuite, DoubtsAServerThatRefusesToWriteAndFindsOut) {
  const auto make_read_only = [&](bool read_only) {
    server().ask(std::string("ALTER SYSTEM SET default_transaction_read_only = ") +
                 (read_only ? "on" : "off"));
    server().ask("SELECT pg_reload_conf()");
  };
  const auto is_doubtful = [](Connection& connection) {
    return (connection.condition(WEIR_LOOK_LOCAL) & WEIR_COND_DOUBTFUL) != 0;
  };
  for (const weir_reset_mode mode : {WEIR_RESET_TRACKED, WEIR_RESET_TRANSACTION}) {
    const Dsn dsn = parse(subject().dsn() + " target_session_attrs=read-write");
    Connection writer = make(dsn, mode);
    run(writer, WEIR_OP_CONNECT);
    Connection pinged = make(dsn, mode);
    run(pinged, WEIR_OP_CONNECT);
    Connection anywhere = connect(mode);  // its DSN asks for nothing

    // A read-only transaction of the lease's own: nothing is wrong with the server.
    ask(writer, "BEGIN READ ONLY; CREATE TABLE nowhere (n int)");
    EXPECT_TRUE(is_doubtful(writer));
    run(writer, WEIR_OP_RESET);
    EXPECT_EQ(writer.condition(WEIR_LOOK_LOCAL), 0U);
    run(pinged, WEIR_OP_PING);

    make_read_only(true);
    EXPECT_TRUE(eventually([&] {
      return ask(writer, "CREATE TEMP TABLE t (n int); CREATE TABLE nowhere (n int)") ==
             "SQLSTATE 25006";
    }));
    EXPECT_TRUE(is_doubtful(writer));
    Status status = heard(writer.run(WEIR_OP_RESET, nullptr, soon()));
    EXPECT_EQ(status.code(), Code::kConnectionBroken) << status.to_string();
    EXPECT_EQ(status.native_text(), "25006");
    EXPECT_NE(writer.condition(WEIR_LOOK_LOCAL) & WEIR_COND_BROKEN, 0U);
    EXPECT_TRUE(is_doubtful(writer)) << "the others are to be replaced as well";

    status = heard(pinged.run(WEIR_OP_PING, nullptr, soon()));
    EXPECT_EQ(status.code(), Code::kConnectionBroken) << status.to_string();
    EXPECT_TRUE(is_doubtful(pinged));

    ask(anywhere, "CREATE TABLE nowhere (n int)");
    EXPECT_FALSE(is_doubtful(anywhere));
    run(anywhere, WEIR_OP_PING);

    make_read_only(false);
    EXPECT_TRUE(
        eventually([&] { return server().ask("SHOW default_transaction_read_only") == "off"; }));
    for (Connection* connection : {&writer, &pinged, &anywhere}) run(*connection, WEIR_OP_CLOSE);
  }
}

// ---- settings -----------------------------------------------------------------------------------

TEST_P(PostgresSuite, LetsDsnAndEnvironmentNameTheClient) {
  const auto name_with = [&](const std::string& dsn, const char* client_name) {
    const Dsn parsed = parse(dsn);
    Connection connection = make(parsed, WEIR_RESET_TRACKED, client_name);
    run(connection, WEIR_OP_CONNECT);
    return ask(connection, "SHOW application_name");
  };
  EXPECT_EQ(name_with(subject().dsn(), "weir:a/b#1"), "weir:a/b#1");
  EXPECT_EQ(name_with(subject().dsn() + " application_name=mine", "weir:a/b#1"), "mine");
  EXPECT_EQ(name_with(subject().dsn(), std::string(100, 'x').c_str()), std::string(63, 'x'));
  const Environment environment("PGAPPNAME", "theirs");
  EXPECT_EQ(name_with(subject().dsn(), "weir:a/b#1"), "theirs");
}

TEST_P(PostgresSuite, KeepsItsStatementTimeoutBesideOtherOptionsAndThroughResets) {
  const Environment environment("PGOPTIONS", "-c work_mem=1MB");
  for (const std::string& more : {std::string(), std::string(" options='-c work_mem=2MB'")}) {
    const Dsn dsn = parse(subject().dsn() + more);
    weir_conn_options_t options{};
    options.struct_size = sizeof options;
    options.statement_timeout_ms = 12'345;
    options.reset_mode = WEIR_RESET_ALWAYS;
    auto connection = Connection::open(dsn, options);
    ASSERT_TRUE(connection.ok());
    run(connection.value(), WEIR_OP_CONNECT);
    ask(connection.value(), "SET statement_timeout = 0");
    run(connection.value(), WEIR_OP_RESET);
    EXPECT_EQ(ask(connection.value(), "SHOW statement_timeout"), "12345ms");
    EXPECT_EQ(ask(connection.value(), "SHOW work_mem"), more.empty() ? "1MB" : "2MB");
  }
}

TEST_P(PostgresSuite, UnderstandsServicesAndUrisAsLibpqDoes) {
  const TempFolder folder;
  const std::string file = (folder.path() / "services").string();
  std::ofstream(file) << "[ours]\nhost=" << server().socket_folder()
                      << "\nport=5432\ndbname=app\nuser=app\noptions=-c work_mem=3MB\n";
  const Environment environment("PGSERVICEFILE", file);
  const std::string password = subject().dsn().substr(subject().dsn().find("password="));
  const Dsn by_service = parse("service=ours " + password);
  const Dsn direct = parse(subject().dsn());
  EXPECT_EQ(by_service.server_identity(), direct.server_identity());
  weir_conn_options_t options{};
  options.struct_size = sizeof options;
  options.statement_timeout_ms = 1'000;
  auto connection = Connection::open(by_service, options);
  ASSERT_TRUE(connection.ok());
  run(connection.value(), WEIR_OP_CONNECT);
  EXPECT_EQ(ask(connection.value(), "SHOW work_mem"), "3MB");

  std::string escaped = server().socket_folder();
  for (std::size_t at = 0; (at = escaped.find('/', at)) != std::string::npos;) {
    escaped.replace(at, 1, "%2F");
  }
  const Dsn uri = parse("postgresql://app@" + escaped + ":5432/app");
  EXPECT_EQ(uri.server_identity(), direct.server_identity());
  EXPECT_EQ(uri.fingerprint(), direct.fingerprint());
}

TEST_P(PostgresSuite, NamesOneServerTheSameHoweverItIsWritten) {
  const auto identity = [&](const std::string& dsn) { return parse(dsn).server_identity(); };
  EXPECT_EQ(identity("host=DB.example.org"), "postgres:db.example.org:5432");
  EXPECT_EQ(identity("host=a,b port=1"), identity("host=b,a port=1"));
  EXPECT_EQ(identity("host=name hostaddr=10.0.0.1"), "postgres:10.0.0.1:5432");
  EXPECT_EQ(identity("host=/nonexistent/x/../y/"), "postgres:/nonexistent/y:5432");
  const std::string many_a = "host=" + std::string(400, 'a') + "1";
  const std::string many_b = "host=" + std::string(400, 'a') + "2";
  EXPECT_NE(identity(many_a), identity(many_b));
}

// ---- seen from the server -----------------------------------------------------------------------

TEST_P(PostgresSuite, TellsLimitsExactly) {
  server().ask("ALTER ROLE app CONNECTION LIMIT 17; ALTER DATABASE app CONNECTION LIMIT 18");
  Connection connection = connect();
  weir_server_limits_t limits{};
  limits.struct_size = sizeof limits;
  run(connection, WEIR_OP_LIMITS, &limits);
  EXPECT_EQ(limits.max_connections, 100);
  EXPECT_EQ(limits.reserved, 3);
  EXPECT_EQ(limits.role_limit, 17);
  EXPECT_EQ(limits.database_limit, 18);
  EXPECT_EQ(limits.client_check_ms, 0) << "PostgreSQL's default";
}

TEST_P(PostgresSuite, TellsAHostOfAnOlderAbiNoMoreThanItHasRoomFor) {
  Connection connection = connect();
  weir_server_limits_t limits{};
  limits.struct_size = offsetof(weir_server_limits_t, client_check_ms);
  limits.client_check_ms = 77;
  run(connection, WEIR_OP_LIMITS, &limits);
  EXPECT_EQ(limits.max_connections, 100);
  EXPECT_EQ(limits.client_check_ms, 77);
}

TEST_P(PostgresSuite, TellsActivityExactlyOrNotAtAll) {
  Connection asking = connect();
  Connection idle = connect();
  Connection in_transaction = connect();
  subject().leave_transaction(in_transaction.native());
  server().ask(
      "SELECT 1");  // a session of the superuser's, of which "app" sees only that it is there
  weir_server_activity_t activity{};
  activity.struct_size = sizeof activity;
  run(asking, WEIR_OP_ACTIVITY, &activity);
  EXPECT_EQ(activity.total, 4);
  EXPECT_EQ(activity.active, -1);
  EXPECT_EQ(activity.idle, -1);
  EXPECT_EQ(activity.longest_query_ms, -1);
  server().ask("GRANT pg_read_all_stats TO app");
  run(asking, WEIR_OP_ACTIVITY, &activity);
  EXPECT_EQ(activity.total, 4);
  EXPECT_EQ(activity.active, 1);
  EXPECT_EQ(activity.idle, 2);
  EXPECT_EQ(activity.idle_in_transaction, 1);
  EXPECT_GE(activity.longest_query_ms, 0);
}

TEST_P(PostgresSuite, ShowsOfForeignSessionsWhatItMay) {
  Connection asking = connect();
  const std::string foreign = server().ask("SELECT pg_backend_pid()");
  std::vector<weir_session_t> found;
  weir_sessions_t request{};
  request.struct_size = sizeof request;
  request.context = &found;
  request.each = [](void* context, const weir_session_t* session) {
    static_cast<std::vector<weir_session_t>*>(context)->push_back(*session);
  };
  run(asking, WEIR_OP_SESSIONS, &request);
  ASSERT_EQ(found.size(), 2U);
  for (const weir_session_t& session : found) {
    const bool is_own = std::to_string(session.server_pid) != foreign;
    EXPECT_STREQ(session.client_name, is_own ? "conformance" : "weir_test_asker");
    EXPECT_STREQ(session.state, is_own ? "active" : "");
    EXPECT_EQ(session.state_ms >= 0, is_own);
  }
}

// Process ids are given anew, and soon where a container has just begun. Bytes 4 and 14 of a token:
// the pid, and when it was connected.
TEST_P(PostgresSuite, ASessionIsGoneAlthoughItsPidIsSomebodyElses) {
  Connection spare = connect();
  Connection connection = connect();
  const weir_token_t token = connection.session_token();
  const auto is_gone = [&](const weir_token_t& name) {
    weir_confirm_gone_t question{sizeof question, &name, -1};
    run(spare, WEIR_OP_CONFIRM_GONE, &question);
    return question.gone;
  };
  EXPECT_EQ(is_gone(token), 0);

  weir_token_t checkpointers = token;
  const std::int32_t pid = std::stoi(
      server().ask("SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'"));
  std::memcpy(checkpointers.bytes + 4, &pid, sizeof pid);
  EXPECT_EQ(is_gone(checkpointers), 1);

  weir_token_t of_an_hour_ago = token;
  std::uint64_t connected_ns = 0;
  std::memcpy(&connected_ns, token.bytes + 14, sizeof connected_ns);
  connected_ns -= std::min<std::uint64_t>(connected_ns, 3'600'000'000'000);
  std::memcpy(of_an_hour_ago.bytes + 14, &connected_ns, sizeof connected_ns);
  EXPECT_EQ(is_gone(of_an_hour_ago), 1) << "the one with its pid began long after it";
}

TEST_P(PostgresSuiteTcp, CancelsAndConfirmsOverTcpToo) {
  const std::string by_socket = subject().dsn();
  const std::string password = by_socket.substr(by_socket.find("password="));
  const Dsn dsn = parse(server().tcp_dsn_as("app") + " " + password);
  Connection connection = make(dsn);
  run(connection, WEIR_OP_CONNECT);
  const std::int64_t session = subject().session_of(connection.native());
  bool slept_through = true;
  std::thread lease([&] { slept_through = subject().sleep_long(connection.native()); });
  EXPECT_TRUE(eventually([&] { return subject().is_busy(session); }));
  EXPECT_TRUE(heard(connection.cancel(soon())).ok());
  lease.join();
  EXPECT_FALSE(slept_through);

  const weir_token_t token = connection.session_token();
  weir_confirm_gone_t question{sizeof question, &token, -1};
  Connection spare = make(dsn);
  run(spare, WEIR_OP_CONNECT);
  run(connection, WEIR_OP_CLOSE);
  run(spare, WEIR_OP_CONFIRM_GONE, &question);
  EXPECT_EQ(question.gone, 1);
  // For all a session by another address knows, that may have been another server.
  Connection elsewhere = connect();
  EXPECT_EQ(heard(elsewhere.run(WEIR_OP_CONFIRM_GONE, &question, soon())).code(),
            Code::kNotSupported);
}

INSTANTIATE_TEST_SUITE_P(Postgres, PostgresSuite, testing::Values(&PostgresUnderTest::make));
INSTANTIATE_TEST_SUITE_P(Postgres, PostgresSuiteSmall, testing::Values(&make_small));
INSTANTIATE_TEST_SUITE_P(Postgres, PostgresSuiteTcp, testing::Values(&make_with_tcp));

}  // namespace weir::test
