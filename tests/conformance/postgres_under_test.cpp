#include "conformance/postgres_under_test.h"

#include <gtest/gtest.h>

#include "conformance/suite.h"

namespace weir::test {
namespace {

// What makes a DSN hard to read, with the same word in each piece of it.
constexpr const char* kPassword = "hunter2/hunter2:hunter2?hunter2";
constexpr const char* kSecret = "hunter2";

PGconn* conn(void* native) { return static_cast<PGconn*>(native); }

void expect_ok(PGresult* result) {
  const ExecStatusType status = PQresultStatus(result);
  EXPECT_TRUE(status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK)
      << PQresultErrorMessage(result);
  PQclear(result);
}

}  // namespace

std::string answer_of(void* native, const std::string& statement) {
  PGresult* const result = PQexec(conn(native), statement.c_str());
  std::string answer;
  if (const char* sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE)) {
    answer = std::string("SQLSTATE ") + sqlstate;
  } else if (PQntuples(result) > 0) {
    answer = PQgetvalue(result, 0, 0);
  }
  PQclear(result);
  return answer;
}

PostgresSettings PostgresUnderTest::default_settings() { return {.auth = "scram-sha-256"}; }

PostgresUnderTest::PostgresUnderTest(PostgresSettings settings) : server_(std::move(settings)) {
  std::string statement = "ALTER ROLE app PASSWORD '";
  statement.append(kPassword).append("'");
  server_.ask(statement);
}

std::string PostgresUnderTest::directory() const { return WEIR_PLUGIN_DIRECTORY; }

std::string PostgresUnderTest::dsn() const { return server_.dsn() + " password=" + kPassword; }

std::string PostgresUnderTest::secret() const { return kSecret; }

std::string PostgresUnderTest::same_server_other_secret_dsn() const {
  return server_.dsn() + " password='not " + kPassword + "'";
}

std::string PostgresUnderTest::same_server_other_session_dsn() const {
  return dsn() + " options='-c search_path=elsewhere'";
}

std::string PostgresUnderTest::dsn_at_tcp(std::uint16_t port) const {
  return "host=127.0.0.1 port=" + std::to_string(port) +
         " user=app sslmode=disable password=" + kPassword;
}

std::vector<DriverUnderTest::BadDsn> PostgresUnderTest::bad_dsns() const {
  const std::string secret = kPassword;
  return {{"hots=somewhere", "hots"},
          {"postgresql://somewhere/app?sllmode=off", "sllmode"},
          {"host=a port=0", "port"},
          {"host=a port=5432,70000", "port"},
          {"host=a,b,c port=1,2", "2 port numbers"},
          {"service=nobody_defined_this", "nobody_defined_this"},
          {"sslmode=sometimes", "sometimes"},
          {"replication=database", "replication"},
          {"dbname=postgresql://app:" + secret + "@somewhere/app", "dbname"},
          {"dbname='host=a password=" + secret + "'", "dbname"},
          {"host='/tmp", "quoted"},
          // What libpq quotes, or takes for something else, is a piece of the password.
          {"host=a password=blank " + secret, "missing"},
          {"postgresql://app:hunter2%zz@somewhere/app", "percent-encoded"},
          {"postgresql://app:" + secret + "@somewhere/app", "%2F"},
          {"postgresql://app:12/" + secret + "@somewhere/app", "%2F"},
          {"postgresql://app:hunter2@[::1", "IPv6"}};
}

bool PostgresUnderTest::is_busy(std::int64_t session) {
  return server_.ask("SELECT state FROM pg_stat_activity WHERE pid = " + std::to_string(session)) ==
         "active";
}

std::string PostgresUnderTest::client_name_of(std::int64_t session) {
  return server_.ask("SELECT application_name FROM pg_stat_activity WHERE pid = " +
                     std::to_string(session));
}

void PostgresUnderTest::terminate(std::int64_t session) {
  EXPECT_EQ(server_.ask("SELECT pg_terminate_backend(" + std::to_string(session) + ")"), "t");
}

std::int64_t PostgresUnderTest::session_of(void* native) { return PQbackendPID(conn(native)); }

bool PostgresUnderTest::query(void* native) { return answer_of(native, "SELECT 42") == "42"; }

void PostgresUnderTest::leave_state(void* native) {
  expect_ok(PQexec(conn(native), "SET search_path = left_behind"));
}

bool PostgresUnderTest::has_state(void* native) {
  return answer_of(native, "SHOW search_path") == "left_behind";
}

void PostgresUnderTest::leave_transaction(void* native) {
  expect_ok(PQexec(conn(native), "BEGIN"));
}

void PostgresUnderTest::leave_unread(void* native) {
  EXPECT_EQ(PQsendQuery(conn(native), "SELECT 1"), 1);
}

bool PostgresUnderTest::sleep_long(void* native) {
  return answer_of(native, "SELECT pg_sleep(60)") != "SQLSTATE 57014";
}

std::string PostgresUnderTest::statement() const {
  return "SET search_path = public; SELECT generate_series(1, 1000)";
}

INSTANTIATE_TEST_SUITE_P(Postgres, DriverSuite, testing::Values(&PostgresUnderTest::make));

}  // namespace weir::test
