// Sessions that move: what they are afterwards.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <thread>
#include <vector>

#include "conformance/handover_suite.h"
#include "support/pgbouncer.h"

namespace weir::test {
namespace {

namespace fs = std::filesystem;

// GUC_REPORT of PostgreSQL 15.
constexpr std::array kReported = {"server_version",
                                  "server_encoding",
                                  "client_encoding",
                                  "is_superuser",
                                  "session_authorization",
                                  "DateStyle",
                                  "IntervalStyle",
                                  "TimeZone",
                                  "integer_datetimes",
                                  "standard_conforming_strings",
                                  "application_name",
                                  "in_hot_standby",
                                  "default_transaction_read_only"};

std::string text_of(const char* text) { return text != nullptr ? text : "(none)"; }

/// All that PQ functions say of a session.
std::vector<std::string> sights(const PGconn* conn) {
  std::vector<std::string> seen;
  for (const char* const name : kReported) {
    seen.push_back(name + ("=" + text_of(PQparameterStatus(conn, name))));
  }
  for (const int number :
       {PQserverVersion(conn), PQprotocolVersion(conn), PQbackendPID(conn), PQclientEncoding(conn),
        static_cast<int>(PQtransactionStatus(conn)), static_cast<int>(PQpipelineStatus(conn)),
        PQisnonblocking(conn), static_cast<int>(PQstatus(conn))}) {
    seen.push_back(std::to_string(number));
  }
  for (const char* const text :
       {PQhost(conn), PQhostaddr(conn), PQport(conn), PQdb(conn), PQuser(conn), PQpass(conn)}) {
    seen.push_back(text_of(text));
  }
  return seen;
}

/// Interrupts what runs by libpq's own means; whether libpq says that the server took it.
bool cancel_natively(PGconn* conn) {
  PGcancel* const cancel = PQgetCancel(conn);
  std::array<char, 256> why{};
  const bool is_sent = PQcancel(cancel, why.data(), why.size()) == 1;
  PQfreeCancel(cancel);
  return is_sent;
}

/// This process's descriptors of the socket behind `descriptor`.
int count_copies(int descriptor) {
  struct stat wanted {};
  EXPECT_EQ(fstat(descriptor, &wanted), 0);
  int copies = 0;
  for (const auto& entry : fs::directory_iterator("/proc/self/fd")) {
    struct stat found {};
    const int open = std::stoi(entry.path().filename());
    copies +=
        fstat(open, &found) == 0 && found.st_ino == wanted.st_ino && found.st_dev == wanted.st_dev;
  }
  return copies;
}

/// Environment variables, taken back at the end.
class Environment {
 public:
  Environment() = default;
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;
  ~Environment() {
    // NOLINTNEXTLINE(concurrency-mt-unsafe): this test has no other thread
    for (const std::string& name : names_) unsetenv(name.c_str());
  }
  void set(const std::string& name, const std::string& value) {
    setenv(name.c_str(), value.c_str(), 1);  // NOLINT(concurrency-mt-unsafe): as above
    names_.insert(name);
  }

 private:
  std::set<std::string> names_;
};

std::unique_ptr<DriverUnderTest> with_tcp() {
  PostgresSettings settings = PostgresUnderTest::default_settings();
  settings.tcp = true;
  return std::make_unique<PostgresUnderTest>(settings);
}

std::unique_ptr<DriverUnderTest> with_logged_connections() {
  PostgresSettings settings = PostgresUnderTest::default_settings();
  settings.extra["log_connections"] = "on";
  return std::make_unique<PostgresUnderTest>(settings);
}

class PostgresTcpHandover : public PostgresHandover {};
class PostgresLoggedHandover : public PostgresHandover {};

}  // namespace

TEST_P(PostgresHandover, LooksToLibpqAsIfItHadConnectedItself) {
  for (const char* const more :
       {"", " client_encoding=LATIN1", " options='-c TimeZone=Asia/Kolkata -c DateStyle=German'",
        " application_name='with a name'", " options='-c default_transaction_read_only=on'"}) {
    const Dsn here = parse(subject().dsn() + more);
    const Dsn there = parse(subject().dsn() + more);
    Connection connection = connect_to(here);
    const auto before = sights(pg(connection));
    Connection arrived = moved(std::move(connection), there);  // into a new shell
    EXPECT_EQ(sights(pg(arrived)), before) << more;
    EXPECT_EQ(arrived.condition(WEIR_LOOK_AT_SOCKET), 0U);
    EXPECT_EQ(ask(arrived, "SELECT pg_backend_pid()"), std::to_string(PQbackendPID(pg(arrived))));
    Connection back = moved(std::move(arrived), here);  // into the shell that it left
    EXPECT_EQ(sights(pg(back)), before) << more;
    EXPECT_TRUE(subject().query(back.native()));
    run(back, WEIR_OP_CLOSE);
  }
  EXPECT_EQ(subject().count_sessions(), 0);
}

TEST_P(PostgresHandover, TellsAShellThatServedAnotherSessionAnew) {
  const Dsn here = parse(subject().dsn());
  const Dsn there = parse(subject().dsn());
  Connection first = connect_to(here, WEIR_RESET_TRANSACTION);
  Connection second = connect_to(here, WEIR_RESET_TRANSACTION);
  ask(second, "SET TimeZone = 'Asia/Kolkata'; SET client_encoding = 'LATIN1'");
  const auto before = sights(pg(second));
  ASSERT_NE(sights(pg(first)), before);
  // The first one leaves its shell here, and the second comes back into it.
  first = moved(std::move(first), there, WEIR_RESET_TRANSACTION);
  const std::string blob = exported(second);
  const int copy = dup(second.fd());
  auto arrived = Connection::import_session(here, options_of(WEIR_RESET_TRANSACTION), copy, blob);
  ASSERT_TRUE(arrived.ok()) << heard(arrived.status()).to_string();
  second.abandon();
  EXPECT_EQ(sights(pg(arrived.value())), before);
  EXPECT_EQ(ask(arrived.value(), "SHOW TimeZone"), "Asia/Kolkata");
  EXPECT_EQ(ask(first, "SELECT pg_backend_pid()"), std::to_string(PQbackendPID(pg(first))));
}

TEST_P(PostgresHandover, ComesBackIntoTheShellThatItLeft) {
  const Dsn here = parse(subject().dsn());
  const Dsn there = parse(subject().dsn());
  Connection first = connect_to(here, WEIR_RESET_TRANSACTION);
  Connection second = connect_to(here, WEIR_RESET_TRANSACTION);
  const PGconn* const left = pg(first);
  second = moved(std::move(second), there, WEIR_RESET_TRANSACTION);
  first = moved(std::move(first), there, WEIR_RESET_TRANSACTION);
  for (const char* const zone : {"", "Asia/Kolkata"}) {
    if (*zone != 0) ask(first, std::string("SET TimeZone = '") + zone + "'");
    const auto before = sights(pg(first));
    first = moved(std::move(first), here, WEIR_RESET_TRANSACTION);
    EXPECT_EQ(pg(first), left) << "not into the one that was left first";
    EXPECT_EQ(sights(pg(first)), before) << "also where the session changed meanwhile: " << zone;
    EXPECT_EQ(ask(first, "SELECT pg_backend_pid()"), std::to_string(PQbackendPID(pg(first))));
    first = moved(std::move(first), there, WEIR_RESET_TRANSACTION);
  }
}

TEST_P(PostgresHandover, CancelsNativelyAfterAnyNumberOfMoves) {
  const Dsn here = parse(subject().dsn());
  const Dsn there = parse(subject().dsn());
  Connection connection = connect_to(here);
  int moves = 0;
  for (const int until : {1, 2, 10}) {
    for (; moves < until; ++moves) {
      connection = moved(std::move(connection), moves % 2 == 0 ? there : here);
    }
    const std::int64_t session = subject().session_of(connection.native());
    std::jthread canceller([&, conn = pg(connection)] {
      EXPECT_TRUE(eventually([&] { return subject().is_busy(session); }));
      EXPECT_TRUE(cancel_natively(conn));
    });
    EXPECT_EQ(ask(connection, "SELECT pg_sleep(20)"), "SQLSTATE 57014") << moves << " moves";
    canceller.join();
    EXPECT_TRUE(subject().query(connection.native())) << moves << " moves";
    run(connection, WEIR_OP_RESET);  // as a pool does before a move; an error counts as a trace
  }
}

TEST_P(PostgresTcpHandover, CancelsNativelyByTcpToo) {
  const Dsn here = parse(tcp_dsn() + " sslmode=disable");
  const Dsn there = parse(tcp_dsn() + " sslmode=disable");
  Connection connection = connect_to(here);
  const auto before = sights(pg(connection));
  for (const Dsn* const next : {&there, &here}) {
    connection = moved(std::move(connection), *next);
    EXPECT_EQ(sights(pg(connection)), before);
    const std::int64_t session = subject().session_of(connection.native());
    std::jthread canceller([&, conn = pg(connection)] {
      EXPECT_TRUE(eventually([&] { return subject().is_busy(session); }));
      EXPECT_TRUE(cancel_natively(conn));
    });
    EXPECT_EQ(ask(connection, "SELECT pg_sleep(20)"), "SQLSTATE 57014");
    canceller.join();
    run(connection, WEIR_OP_RESET);
  }
}

TEST_P(PostgresHandover, CancelsNativelyThroughAProxyToo) {
  if (!Pgbouncer::is_installed()) GTEST_SKIP() << "there is no pgbouncer";
  PostgresServer behind;
  const Pgbouncer proxy(behind);
  const Dsn here = parse(proxy.dsn());
  const Dsn there = parse(proxy.dsn());
  Connection connection = connect_to(here, WEIR_RESET_TRANSACTION);
  for (const Dsn* const next : {&there, &here}) {
    connection = moved(std::move(connection), *next, WEIR_RESET_TRANSACTION);
    ASSERT_TRUE(connection.is_open());
    std::jthread canceller([&, conn = pg(connection)] {
      EXPECT_TRUE(eventually([&] {
        return behind.ask(
                   "SELECT count(*) FROM pg_stat_activity"
                   " WHERE query = 'SELECT pg_sleep(20)' AND state = 'active'") == "1";
      }));
      EXPECT_TRUE(cancel_natively(conn));
    });
    EXPECT_EQ(ask(connection, "SELECT pg_sleep(20)"), "SQLSTATE 57014");
    canceller.join();
    EXPECT_TRUE(subject().query(connection.native()));
    run(connection, WEIR_OP_RESET);
  }
}

TEST_P(PostgresTcpHandover, KeepsAHostsName) {
  const std::string dsn = "host=localhost hostaddr=127.0.0.1" +
                          tcp_dsn().substr(tcp_dsn().find(" port=")) + " sslmode=disable";
  const Dsn here = parse(dsn);
  const Dsn there = parse(dsn);
  Connection connection = moved(connect_to(here), there);
  EXPECT_STREQ(PQhost(pg(connection)), "localhost");
  EXPECT_STREQ(PQhostaddr(pg(connection)), "127.0.0.1");
}

TEST_P(PostgresHandover, IsCancelledAndNamedByTheDriverAfterAMove) {
  const Dsn here = parse(subject().dsn());
  const Dsn there = parse(subject().dsn());
  Connection connection = connect_to(here);
  const weir_token_t token = connection.session_token();
  connection = moved(std::move(connection), there);
  const weir_token_t same = connection.session_token();
  EXPECT_EQ(std::string(same.bytes, same.bytes + same.size),
            std::string(token.bytes, token.bytes + token.size));
  const std::int64_t session = subject().session_of(connection.native());
  for (const bool by_token : {false, true}) {
    std::jthread canceller([&, by_token] {
      EXPECT_TRUE(eventually([&] { return subject().is_busy(session); }));
      if (!by_token) {
        EXPECT_TRUE(heard(connection.cancel(soon())).ok());
        return;
      }
      Connection nobody = make(there);
      weir_cancel_token_t argument{sizeof argument, &same};
      run(nobody, WEIR_OP_CANCEL_TOKEN, &argument);
    });
    EXPECT_FALSE(subject().sleep_long(connection.native()));
  }
  Connection spare = connect_to(here);
  weir_confirm_gone_t question{sizeof question, &same, -1};
  run(spare, WEIR_OP_CONFIRM_GONE, &question);
  EXPECT_EQ(question.gone, 0);
  run(connection, WEIR_OP_CLOSE);
  run(spare, WEIR_OP_CONFIRM_GONE, &question);
  EXPECT_EQ(question.gone, 1);
}

TEST_P(PostgresHandover, KeepsNamedStatementsWhereTheResetDoes) {
  const Dsn here = parse(subject().dsn());
  const Dsn there = parse(subject().dsn());
  Connection connection = connect_to(here, WEIR_RESET_TRANSACTION);
  PQclear(PQprepare(pg(connection), "answer", "SELECT $1::int + 1", 1, nullptr));
  connection = moved(std::move(connection), there, WEIR_RESET_TRANSACTION);
  const char* const value = "41";
  PGresult* const result = PQexecPrepared(pg(connection), "answer", 1, &value, nullptr, nullptr, 0);
  ASSERT_EQ(PQresultStatus(result), PGRES_TUPLES_OK) << PQresultErrorMessage(result);
  EXPECT_STREQ(PQgetvalue(result, 0, 0), "42");
  PQclear(result);
}

TEST_P(PostgresHandover, WatchesAndCleansASessionThatMoved) {
  const Dsn here = parse(subject().dsn());
  const Dsn there = parse(subject().dsn());
  for (const weir_reset_mode mode : {WEIR_RESET_TRACKED, WEIR_RESET_ALWAYS}) {
    Connection connection = connect_to(here, mode);
    for (const Dsn* const next : {&there, &here}) {
      connection = moved(std::move(connection), *next, mode);
      EXPECT_FALSE(is_dirty(connection));
      subject().leave_state(connection.native());
      EXPECT_TRUE(is_dirty(connection)) << mode;
      run(connection, WEIR_OP_RESET);
      EXPECT_FALSE(subject().has_state(connection.native())) << mode;
      run(connection, WEIR_OP_RESET);
      run(connection, WEIR_OP_PING);
    }
    EXPECT_TRUE(execute(connection, subject().statement()).ok());
    run(connection, WEIR_OP_CLOSE);
  }
  EXPECT_EQ(subject().count_sessions(), 0);
}

TEST_P(PostgresHandover, KeepsItsStatementTimeoutThroughAReset) {
  const Dsn here = parse(subject().dsn());
  const Dsn there = parse(subject().dsn());
  weir_conn_options_t options = options_of(WEIR_RESET_ALWAYS);
  options.statement_timeout_ms = 12'345;
  auto connection = Connection::open(here, options);
  ASSERT_TRUE(connection.ok());
  run(connection.value(), WEIR_OP_CONNECT);
  const std::string blob = exported(connection.value());
  const int copy = dup(connection.value().fd());
  const Status other = import_refusal(there, copy, blob, WEIR_RESET_ALWAYS);
  EXPECT_NE(other.message().find("12345, 0 expected"), std::string::npos) << other.to_string();
  connection.value().abandon();
  auto arrived = Connection::import_session(there, options, copy, blob);
  ASSERT_TRUE(arrived.ok()) << heard(arrived.status()).to_string();
  run(arrived.value(), WEIR_OP_RESET);
  EXPECT_EQ(ask(arrived.value(), "SHOW statement_timeout"), "12345ms");
}

TEST_P(PostgresHandover, DeliversNoticesAndNotificationsAfterAMove) {
  const Dsn here = parse(subject().dsn());
  const Dsn there = parse(subject().dsn());
  Connection connection = connect_to(here, WEIR_RESET_TRANSACTION);
  ask(connection, "LISTEN somewhere");
  for (const Dsn* const next : {&there, &here}) {
    connection = moved(std::move(connection), *next, WEIR_RESET_TRANSACTION);
    std::string notice;
    PQsetNoticeProcessor(
        pg(connection),
        [](void* heard, const char* text) { *static_cast<std::string*>(heard) += text; }, &notice);
    ask(connection, "DO $$BEGIN RAISE NOTICE 'how it goes'; END$$");
    EXPECT_NE(notice.find("how it goes"), std::string::npos);
    run(connection, WEIR_OP_RESET);
    ask(connection, "NOTIFY somewhere, 'something'");
    PGnotify* const notification = PQnotifies(pg(connection));
    ASSERT_NE(notification, nullptr);
    EXPECT_STREQ(notification->extra, "something");
    PQfreemem(notification);
  }
}

TEST_P(PostgresHandover, MovesManySessionsFromManyThreadsAtOnce) {
  const Dsn here = parse(subject().dsn());
  const Dsn there = parse(subject().dsn());
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        Connection connection = connect_to(here);
        const std::string session = std::to_string(subject().session_of(connection.native()));
        for (int move = 0; move < 50 && connection.is_open(); ++move) {
          connection = moved(std::move(connection), move % 2 == 0 ? there : here);
          EXPECT_EQ(ask(connection, "SELECT pg_backend_pid()"), session);
        }
        if (connection.is_open()) run(connection, WEIR_OP_CLOSE);
      });
    }
  }
  EXPECT_EQ(subject().count_sessions(), 0);
}

TEST_P(PostgresHandover, IsTheSameWhateverTheEnvironmentSays) {
  const Dsn here = parse(subject().dsn());
  const Dsn there = parse(subject().dsn());
  Connection connection = connect_to(here);
  const auto before = sights(pg(connection));
  Environment environment;
  const fs::path service = fs::path(server().socket_folder()) / "services";
  std::ofstream(service) << "[hostile]\nsslmode=verify-full\nport=1\nhost=10.255.255.1\n"
                            "options=-c search_path=nowhere\nkeepalives_idle=77\n";
  for (const auto& [name, value] :
       std::vector<std::pair<std::string, std::string>>{{"PGCHANNELBINDING", "require"},
                                                        {"PGTARGETSESSIONATTRS", "standby"},
                                                        {"PGOPTIONS", "-c search_path=nowhere"},
                                                        {"PGSSLMODE", "verify-full"},
                                                        {"PGSSLROOTCERT", "/nowhere"},
                                                        {"PGSSLCERT", "/nowhere"},
                                                        {"PGSSLKEY", "/nowhere"},
                                                        {"PGSSLCRL", "/nowhere"},
                                                        {"PGSSLSNI", "maybe"},
                                                        {"PGSSLCERTMODE", "require"},
                                                        {"PGSSLNEGOTIATION", "direct"},
                                                        {"PGSSLMINPROTOCOLVERSION", "none such"},
                                                        {"PGSSLMAXPROTOCOLVERSION", "none such"},
                                                        {"PGREQUIREAUTH", "gss"},
                                                        {"PGREQUIREPEER", "nobody"},
                                                        {"PGCLIENTENCODING", "KOI8R"},
                                                        {"PGGSSENCMODE", "require"},
                                                        {"PGGSSLIB", "none such"},
                                                        {"PGKRBSRVNAME", "none such"},
                                                        {"PGLOADBALANCEHOSTS", "random"},
                                                        {"PGMINPROTOCOLVERSION", "latest"},
                                                        {"PGMAXPROTOCOLVERSION", "none such"},
                                                        {"PGHOST", "10.255.255.1"},
                                                        {"PGHOSTADDR", "10.255.255.1"},
                                                        {"PGPORT", "1"},
                                                        {"PGSERVICE", "hostile"},
                                                        {"PGSERVICEFILE", service.string()},
                                                        {"PGPASSFILE", "/nowhere"},
                                                        {"PGPASSWORD", "not this one"},
                                                        {"PGUSER", "nobody"},
                                                        {"PGDATABASE", "nowhere"},
                                                        {"PGAPPNAME", "somebody"},
                                                        {"PGCONNECT_TIMEOUT", "none"},
                                                        {"PGTZ", "Asia/Kolkata"},
                                                        {"PGDATESTYLE", "German"}}) {
    environment.set(name, value);
  }
  for (const Dsn* const next : {&there, &here}) {
    connection = moved(std::move(connection), *next);
    ASSERT_TRUE(connection.is_open());
    EXPECT_EQ(sights(pg(connection)), before);
    EXPECT_TRUE(subject().query(connection.native()));
  }
}

TEST_P(PostgresHandover, LeavesNoCopyOfTheSocketBehind) {
  const Dsn dsn = parse(subject().dsn());
  Connection connection = connect_to(dsn);
  const std::string blob = exported(connection);
  const int copy = dup(connection.fd());
  EXPECT_EQ(count_copies(copy), 2);
  connection.abandon();
  EXPECT_EQ(count_copies(copy), 1);
  auto arrived = Connection::import_session(dsn, options_of(WEIR_RESET_TRACKED), copy, blob);
  ASSERT_TRUE(arrived.ok()) << heard(arrived.status()).to_string();
  EXPECT_EQ(count_copies(arrived.value().fd()), 1);
  EXPECT_NE(fcntl(arrived.value().fd(), F_GETFD) & FD_CLOEXEC, 0);
  EXPECT_NE(fcntl(arrived.value().fd(), F_GETFL) & O_NONBLOCK, 0);
  EXPECT_TRUE(subject().query(arrived.value().native()));
}

TEST_P(PostgresLoggedHandover, KnocksAtTheServerOnceForEachShellAndNeverCountsThere) {
  const auto knocks = [&] {
    const std::string log = server().log();
    int count = 0;
    for (std::size_t at = 0; (at = log.find("connection received", at)) != std::string::npos; ++at)
      ++count;
    return count;
  };
  const Dsn here = parse(subject().dsn());
  const Dsn there = parse(subject().dsn());
  Connection connection = connect_to(here);
  subject().count_sessions();  // from here on the asker is connected
  const int before = knocks();
  for (int i = 0; i < 10; ++i) {
    connection = moved(std::move(connection), i % 2 == 0 ? there : here);
    EXPECT_EQ(subject().count_sessions(), 1);
  }
  EXPECT_TRUE(eventually([&] { return knocks() > before; }));
  EXPECT_EQ(knocks(), before + 1);
  EXPECT_EQ(server().log().find("incomplete startup packet"), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(Postgres, PostgresHandover, testing::Values(&PostgresUnderTest::make));
INSTANTIATE_TEST_SUITE_P(Postgres, PostgresTcpHandover, testing::Values(&with_tcp));
INSTANTIATE_TEST_SUITE_P(Postgres, PostgresLoggedHandover,
                         testing::Values(&with_logged_connections));

}  // namespace weir::test
