// A clean session for every lease (as far as `reset` says), and what a session is from its start.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pool_on_postgres.h"

namespace weir::test {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class PoolSession : public PoolOnPostgres {
 protected:
  // One place, so that the next lease is the same session if it is lent again at all.
  weir_pool_t* open(const std::string& keys) {
    return weir_.emplace(world_->config("max = 1\n" + keys)).pool();
  }

  /// Lends, runs, gives back; returns the backend.
  int use(const std::string& statements) {
    Got got = acquire(pool());
    EXPECT_TRUE(got.ok()) << got.message;
    EXPECT_THAT(ask(got, statements), Not(StartsWith("error")));
    const int pid = PQbackendPID(got.conn());
    EXPECT_TRUE(release(got.lease).ok());
    return pid;
  }
  std::string answer(const std::string& question) {
    Got got = acquire(pool());
    EXPECT_TRUE(got.ok()) << got.message;
    std::string text = ask(got, question);
    EXPECT_TRUE(release(got.lease).ok());
    return text;
  }
};

constexpr const char* kTraces =
    "SET work_mem = '3MB'; CREATE TEMP TABLE basket (n int); "
    "SELECT pg_advisory_lock(4711); PREPARE greeting AS SELECT 'hello'; LISTEN news";

TEST_F(PoolSession, TrackedLeavesNothingOfALeaseThatDidMoreThanQuery) {
  open("reset = \"tracked\"");
  const int pid = use(kTraces);
  Got next = acquire(pool());
  ASSERT_TRUE(next.ok()) << next.message;
  EXPECT_EQ(PQbackendPID(next.conn()), pid) << "made clean, not replaced";
  EXPECT_EQ(ask(next, "SHOW work_mem"), server_->ask("SHOW work_mem"));
  EXPECT_EQ(ask(next, "SELECT to_regclass('basket')"), "");
  EXPECT_EQ(ask(next, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"), "0");
  EXPECT_EQ(ask(next, "SELECT count(*) FROM pg_prepared_statements"), "0");
  EXPECT_EQ(ask(next, "SELECT count(*) FROM pg_listening_channels()"), "0");
  EXPECT_TRUE(release(next.lease).ok());
  EXPECT_EQ(stats_of(pool()).resets, 1u);
}

TEST_F(PoolSession, TrackedSpendsNoRoundTripOnPlainQueries) {
  open("reset = \"tracked\"");
  const int pid = use("SELECT 1");
  EXPECT_EQ(use("CREATE TABLE IF NOT EXISTS plain (n int)"), pid);
  const std::uint64_t before = stats_of(pool()).resets;
  EXPECT_EQ(use("INSERT INTO plain VALUES (1)"), pid);
  EXPECT_EQ(use("BEGIN; UPDATE plain SET n = 2; COMMIT"), pid);
  EXPECT_EQ(use("SELECT n FROM plain"), pid);
  EXPECT_EQ(stats_of(pool()).resets, before);
}

TEST_F(PoolSession, ATransactionLeftOpenIsRolledBack) {
  for (const char* mode : {"tracked", "always", "transaction"}) {
    SCOPED_TRACE(mode);
    open("reset = \"" + std::string(mode) + "\"");
    use("CREATE TABLE IF NOT EXISTS account (n int)");
    const int pid = use("BEGIN; INSERT INTO account VALUES (1)");
    Got next = acquire(pool());
    ASSERT_TRUE(next.ok()) << next.message;
    EXPECT_EQ(PQbackendPID(next.conn()), pid);
    EXPECT_EQ(PQtransactionStatus(next.conn()), PQTRANS_IDLE);
    EXPECT_EQ(ask(next, "SELECT count(*) FROM account"), "0");
    ask(next, "BEGIN");
    EXPECT_THAT(ask(next, "SELECT 1/0"), HasSubstr("division by zero"));
    EXPECT_TRUE(release(next.lease).ok());
    EXPECT_EQ(answer("SELECT count(*) FROM account"), "0") << "a failed one as well";
    ASSERT_TRUE(weir_->close().ok());
  }
}

TEST_F(PoolSession, AlwaysCleansUpAfterEveryLease) {
  open("reset = \"always\"");
  const int pid = use("SELECT set_config('work_mem', '3MB', false)");
  EXPECT_EQ(answer("SHOW work_mem"), server_->ask("SHOW work_mem"))
      << "what a SELECT hides is found too";
  EXPECT_EQ(use(kTraces), pid);
  EXPECT_EQ(answer("SELECT count(*) FROM pg_prepared_statements"), "0");
  EXPECT_EQ(stats_of(pool()).resets, 4u);
}

TEST_F(PoolSession, TransactionKeepsWhatALeaseSetAndItsNamedStatements) {
  open("reset = \"transaction\"");
  const int pid = use("SET work_mem = '3MB'; PREPARE greeting AS SELECT 'hello'");
  EXPECT_EQ(answer("SHOW work_mem"), "3MB");
  EXPECT_EQ(answer("EXECUTE greeting"), "hello");
  EXPECT_EQ(use("SELECT 1"), pid);
  EXPECT_EQ(stats_of(pool()).resets, 0u);
}

TEST_F(PoolSession, OneThatLeftAnAnswerUnreadIsClosed) {
  open("");
  Got got = acquire(pool());
  ASSERT_TRUE(got.ok()) << got.message;
  const int pid = PQbackendPID(got.conn());
  ASSERT_EQ(PQsendQuery(got.conn(), "SELECT generate_series(1, 100000)"), 1);
  EXPECT_TRUE(release(got.lease).ok()) << "which is no error";
  got = acquire(pool());
  ASSERT_TRUE(got.ok()) << got.message;
  EXPECT_NE(PQbackendPID(got.conn()), pid);
  EXPECT_EQ(ask(got, "SELECT 1"), "1");
  EXPECT_TRUE(release(got.lease).ok());
}

TEST_F(PoolSession, OneThatBrokeOrWasReconnectedByItsLeaseIsClosed) {
  open("");
  Got got = acquire(pool());
  ASSERT_TRUE(got.ok()) << got.message;
  const int pid = PQbackendPID(got.conn());
  server_->ask("SELECT pg_terminate_backend(" + std::to_string(pid) + ")");
  EXPECT_THAT(ask(got, "SELECT 1"), StartsWith("error"));
  EXPECT_TRUE(release(got.lease).ok());
  got = acquire(pool());
  ASSERT_TRUE(got.ok()) << got.message;
  PQreset(got.conn());
  const int own = PQbackendPID(got.conn());
  EXPECT_TRUE(release(got.lease).ok());
  got = acquire(pool());
  ASSERT_TRUE(got.ok()) << got.message;
  EXPECT_NE(PQbackendPID(got.conn()), own);
  EXPECT_TRUE(release(got.lease).ok());
  EXPECT_EQ(world_->await_rest(), "");
  EXPECT_EQ(server_->count_sessions(), 1);
}

TEST_F(PoolSession, OnConnectRunsOnEveryNewConnectionAndAgainAfterAResetThatUndidIt) {
  for (const char* mode : {"tracked", "always"}) {
    SCOPED_TRACE(mode);
    open("reset = \"" + std::string(mode) +
         "\"\non_connect = [\"SET work_mem = '5MB'\", \"SET search_path = shop, public\"]");
    EXPECT_EQ(answer("SHOW work_mem"), "5MB");
    EXPECT_EQ(answer("SHOW search_path"), "shop, public");
    const int pid = use("SET work_mem = '3MB'");
    EXPECT_EQ(answer("SHOW work_mem"), "5MB");
    EXPECT_EQ(answer("SHOW search_path"), "shop, public");
    EXPECT_EQ(use("SELECT 1"), pid);
    ASSERT_TRUE(weir_->close().ok());
  }
}

TEST_F(PoolSession, AStatementOfOnConnectThatFailsIsTheReasonGiven) {
  open("on_connect = [\"SELECT 1\", \"SET no_such_setting = 1\"]");
  const Got got = acquire(pool());
  EXPECT_EQ(got.code, "database_error");
  EXPECT_THAT(got.message, HasSubstr("no_such_setting"));
  EXPECT_EQ(world_->await_rest(), "");
  EXPECT_EQ(server_->count_sessions(), 0);
}

TEST_F(PoolSession, StatementTimeoutIsInForceAndSurvivesAReset) {
  open("statement_timeout = \"70ms\"");
  EXPECT_THAT(answer("SELECT pg_sleep(10)"), HasSubstr("statement timeout"));
  use("SET statement_timeout = '1h'");
  EXPECT_EQ(answer("SHOW statement_timeout"), "70ms");
}

TEST_F(PoolSession, TheServerShowsServicePoolAndPlaceUnlessTheDsnNamesItself) {
  open("");
  EXPECT_EQ(answer("SHOW application_name"), "weir:shop/main#0");
  use("SET application_name = 'mine'");
  EXPECT_EQ(answer("SHOW application_name"), "weir:shop/main#0");
  const PoolWorld named(server_->dsn() + " application_name=billing");
  Weir weir(named.config("max = 1"));
  Got got = acquire(weir.pool());
  EXPECT_EQ(ask(got, "SHOW application_name"), "billing");
  EXPECT_TRUE(release(got.lease).ok());
}

}  // namespace
}  // namespace weir::test
