// What libpq tells about a lease's statements, in every way to send one, and what becomes of it:
// the reset mode "tracked" knows nothing else.
#include <string>
#include <vector>

#include "conformance/postgres_suite.h"

namespace weir::test {
namespace {

/// Reads all answers to what was sent.
void read_all(PGconn* conn) {
  while (PGresult* result = PQgetResult(conn)) PQclear(result);
}

void exec(PGconn* conn, const std::string& statement) { PQclear(PQexec(conn, statement.c_str())); }

const std::vector<std::string> kPlain = {
    "",
    "SELECT 1",
    "SELECT",
    "VALUES (1)",
    "TABLE things",
    "INSERT INTO things VALUES (1)",
    "INSERT INTO things VALUES (2) RETURNING n",
    "UPDATE things SET n = 3",
    "MERGE INTO things USING (VALUES (4)) v (n) ON things.n = v.n WHEN NOT MATCHED THEN DO NOTHING",
    "DELETE FROM things",
    "SHOW search_path",
    "BEGIN; SELECT 1; COMMIT",
    "START TRANSACTION; SAVEPOINT a; ROLLBACK TO a; RELEASE a; ROLLBACK",
    "WITH all_of AS (SELECT n FROM things) SELECT * FROM all_of",
};

const std::vector<std::string> kLeavingTraces = {
    "SET search_path = a",
    "SET LOCAL search_path = a",
    "RESET search_path",
    "SET ROLE app",
    "PREPARE p AS SELECT 1",
    "DEALLOCATE ALL",
    "DECLARE c CURSOR WITH HOLD FOR SELECT 1",
    "LISTEN news",
    "CREATE TEMP TABLE t (n int)",
    "CREATE TEMP TABLE t AS SELECT 1 AS n",  // its tag reads "SELECT 1"
    "SELECT 1 AS n INTO TEMP t",             // likewise
    "EXPLAIN ANALYZE CREATE TEMP TABLE t AS SELECT 1 AS n",
    "DO $$ BEGIN PERFORM 1; END $$",
    "SELECT 1; SET search_path = a; SELECT 1",
    "SELECT 1/0",  // an error tells no tag
};

}  // namespace

TEST_P(PostgresSuite, SeesPlainQueriesAndTransactionsForWhatTheyAre) {
  server().ask("CREATE TABLE things (n int); GRANT ALL ON things TO app");
  Connection connection = connect();
  for (const std::string& statement : kPlain) {
    exec(pg(connection), statement);
    EXPECT_EQ(connection.condition(WEIR_LOOK_LOCAL), 0U) << statement;
  }
}

TEST_P(PostgresSuite, SeesPlainQueriesSentWithParametersToo) {
  server().ask("CREATE TABLE things (n int); GRANT ALL ON things TO app");
  Connection connection = connect();
  const char* const value = "5";
  for (const char* const statement :
       {"SELECT $1::int", "INSERT INTO things VALUES ($1)", "DELETE FROM things WHERE n = $1",
        "INSERT INTO things VALUES ($1) RETURNING n"}) {
    PQclear(PQexecParams(pg(connection), statement, 1, nullptr, &value, nullptr, nullptr, 0));
    EXPECT_EQ(connection.condition(WEIR_LOOK_LOCAL), 0U) << statement;
  }
}

TEST_P(PostgresSuite, SeesAllElseHoweverItIsSent) {
  Connection connection = connect();
  PGconn* const conn = pg(connection);
  using Send = void (*)(PGconn*, const char*);
  const std::vector<std::pair<const char*, Send>> ways = {
      {"PQexec", [](PGconn* c, const char* s) { exec(c, s); }},
      {"PQexecParams",
       [](PGconn* c, const char* s) {
         PQclear(PQexecParams(c, s, 0, nullptr, nullptr, nullptr, nullptr, 0));
       }},
      {"PQsendQuery",
       [](PGconn* c, const char* s) {
         PQsendQuery(c, s);
         read_all(c);
       }},
      {"single row mode",
       [](PGconn* c, const char* s) {
         PQsendQuery(c, s);
         PQsetSingleRowMode(c);
         read_all(c);
       }},
      {"PQprepare and PQexecPrepared",
       [](PGconn* c, const char* s) {
         PQclear(PQprepare(c, "named", s, 0, nullptr));
         PQclear(PQexecPrepared(c, "named", 0, nullptr, nullptr, nullptr, 0));
       }},
      {"pipeline mode",
       [](PGconn* c, const char* s) {
         PQenterPipelineMode(c);
         PQsendQueryParams(c, s, 0, nullptr, nullptr, nullptr, nullptr, 0);
         PQpipelineSync(c);
         read_all(c);              // the statement's
         PQclear(PQgetResult(c));  // the sync's
         PQexitPipelineMode(c);
       }},
  };
  for (const auto& [way, send] : ways) {
    for (const std::string& statement : kLeavingTraces) {
      send(conn, statement.c_str());
      EXPECT_TRUE(is_dirty(connection)) << way << ": " << statement;
      run(connection, WEIR_OP_RESET);
      ASSERT_EQ(connection.condition(WEIR_LOOK_AT_SOCKET), 0U) << way << ": " << statement;
      EXPECT_EQ(ask(connection, "SELECT count(*) FROM pg_class WHERE relpersistence = 't'"), "0");
      EXPECT_EQ(ask(connection, "SHOW search_path"), "\"$user\", public");
      EXPECT_EQ(ask(connection, "SELECT count(*) FROM pg_prepared_statements"), "0");
      ASSERT_FALSE(is_dirty(connection)) << way << ": " << statement;
    }
  }
}

TEST_P(PostgresSuite, SeesPlainQueriesInSingleRowAndPipelineMode) {
  Connection connection = connect();
  PGconn* const conn = pg(connection);
  PQsendQuery(conn, "SELECT generate_series(1, 10)");
  PQsetSingleRowMode(conn);
  read_all(conn);
  EXPECT_EQ(connection.condition(WEIR_LOOK_LOCAL), 0U);

  PQenterPipelineMode(conn);
  EXPECT_NE(connection.condition(WEIR_LOOK_LOCAL) & WEIR_COND_UNREAD, 0U);
  for (int i = 0; i < 2; ++i) {
    PQsendQueryParams(conn, "SELECT 1", 0, nullptr, nullptr, nullptr, nullptr, 0);
  }
  PQpipelineSync(conn);
  for (int i = 0; i < 2; ++i) read_all(conn);
  PQclear(PQgetResult(conn));
  PQexitPipelineMode(conn);
  EXPECT_EQ(connection.condition(WEIR_LOOK_LOCAL), 0U);
}

TEST_P(PostgresSuite, SeesCopyAsPlainAndAnUnfinishedCopyAsUnread) {
  server().ask("CREATE TABLE things (n int); GRANT ALL ON things TO app");
  Connection connection = connect();
  PGconn* const conn = pg(connection);
  exec(conn, "COPY things FROM STDIN");
  EXPECT_NE(connection.condition(WEIR_LOOK_LOCAL) & WEIR_COND_UNREAD, 0U);
  PQputCopyData(conn, "1\n", 2);
  PQputCopyEnd(conn, nullptr);
  read_all(conn);
  EXPECT_EQ(connection.condition(WEIR_LOOK_LOCAL), 0U);

  exec(conn, "COPY things TO STDOUT");
  char* line = nullptr;
  while (PQgetCopyData(conn, &line, 0) > 0) PQfreemem(line);
  read_all(conn);
  EXPECT_EQ(connection.condition(WEIR_LOOK_LOCAL), 0U);
}

TEST_P(PostgresSuite, CleansUpAfterABlockThatCommittedAndThenFailed) {
  Connection connection = connect();
  exec(pg(connection),
       "DO $$ BEGIN PERFORM set_config('search_path', 'hidden', false); COMMIT;"
       " RAISE EXCEPTION 'too late'; END $$");
  ASSERT_EQ(ask(connection, "SHOW search_path"), "hidden");
  run(connection, WEIR_OP_RESET);
  EXPECT_EQ(ask(connection, "SHOW search_path"), "\"$user\", public");
}

TEST_P(PostgresSuite, FindsWhatHidesInAQueryOnlyWhenItAlwaysResets) {
  // The limit of "tracked", as the README states it.
  for (const weir_reset_mode mode : {WEIR_RESET_TRACKED, WEIR_RESET_ALWAYS}) {
    Connection connection = connect(mode);
    ask(connection, "SELECT set_config('search_path', 'hidden', false)");
    run(connection, WEIR_OP_RESET);
    EXPECT_EQ(ask(connection, "SHOW search_path") == "hidden", mode == WEIR_RESET_TRACKED);
  }
}

TEST_P(PostgresSuite, KeepsPreparedStatementsWhereOnlyTransactionsAreReset) {
  Connection connection = connect(WEIR_RESET_TRANSACTION);
  PQclear(PQprepare(pg(connection), "kept", "SELECT 7", 0, nullptr));
  EXPECT_EQ(connection.condition(WEIR_LOOK_LOCAL), 0U);
  run(connection, WEIR_OP_RESET);
  EXPECT_EQ(ask(connection, "EXECUTE kept"), "7");
}

TEST_P(PostgresSuite, DoesNotCountItsOwnStatementsAsALeases) {
  Connection connection = connect();
  EXPECT_TRUE(execute(connection, "SET search_path = chosen; PREPARE p AS SELECT 1").ok());
  EXPECT_FALSE(execute(connection, "SELECT 1/0").ok());
  run(connection, WEIR_OP_PING);
  EXPECT_FALSE(is_dirty(connection));
  run(connection, WEIR_OP_RESET);
  EXPECT_EQ(ask(connection, "SHOW search_path"), "chosen");
}

TEST_P(PostgresSuite, TakesNotificationsForTraces) {
  Connection connection = connect();
  ASSERT_TRUE(execute(connection, "LISTEN news").ok());
  server().ask("NOTIFY news");
  EXPECT_TRUE(
      eventually([&] { return connection.condition(WEIR_LOOK_AT_SOCKET) == WEIR_COND_DIRTY; }));
  run(connection, WEIR_OP_RESET);
  EXPECT_EQ(PQnotifies(pg(connection)), nullptr);
  EXPECT_EQ(ask(connection, "SELECT count(*) FROM pg_listening_channels()"), "0");
}

TEST_P(PostgresSuite, TakesBackWhatALeaseSetInLibpq) {
  Connection connection = connect();
  PGconn* const conn = pg(connection);
  PQsetErrorVerbosity(conn, PQERRORS_VERBOSE);
  PQsetErrorContextVisibility(conn, PQSHOW_CONTEXT_NEVER);
  PQsetnonblocking(conn, 1);
  int heard_notices = 0;
  PQsetNoticeProcessor(
      conn, [](void* count, const char*) { ++*static_cast<int*>(count); }, &heard_notices);
  const char* const notice = "DO $$ BEGIN RAISE NOTICE 'hello'; END $$";
  exec(conn, notice);
  EXPECT_EQ(heard_notices, 1);  // a lease's own processor works
  EXPECT_TRUE(is_dirty(connection));
  run(connection, WEIR_OP_RESET);
  EXPECT_EQ(connection.condition(WEIR_LOOK_AT_SOCKET), 0U);
  EXPECT_EQ(PQisnonblocking(conn), 0);
  EXPECT_EQ(PQsetErrorVerbosity(conn, PQERRORS_DEFAULT), PQERRORS_DEFAULT);
  EXPECT_EQ(PQsetErrorContextVisibility(conn, PQSHOW_CONTEXT_ERRORS), PQSHOW_CONTEXT_ERRORS);
  exec(conn, notice);
  EXPECT_EQ(heard_notices, 1);
}

TEST_P(PostgresSuite, PrintsNoNoticeOnStderr) {
  testing::internal::CaptureStderr();
  Connection connection = connect();
  exec(pg(connection), "DO $$ BEGIN RAISE WARNING 'loud'; END $$");
  EXPECT_TRUE(execute(connection, "DO $$ BEGIN RAISE WARNING 'loud'; END $$").ok());
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

TEST_P(PostgresSuite, GivesUpASessionThatALeaseReplacedOrFreed) {
  Connection replaced = connect();
  PQreset(pg(replaced));
  EXPECT_EQ(replaced.condition(WEIR_LOOK_LOCAL), static_cast<std::uint32_t>(WEIR_COND_BROKEN));
  run(replaced, WEIR_OP_CLOSE);
  Connection freed = connect();
  PQfinish(pg(freed));
  EXPECT_EQ(freed.condition(WEIR_LOOK_AT_SOCKET), static_cast<std::uint32_t>(WEIR_COND_BROKEN));
  EXPECT_EQ(freed.native(), nullptr);
  EXPECT_EQ(heard(freed.run(WEIR_OP_RESET, nullptr, soon())).code(), Code::kConnectionBroken);
  run(freed, WEIR_OP_CLOSE);
  EXPECT_TRUE(eventually([&] { return server().count_sessions() == 0; }));
}

TEST_P(PostgresSuite, RefusesToExecuteACopyThroughTheClient) {
  Connection connection = connect();
  const Status status = execute(connection, "COPY (SELECT 1) TO STDOUT");
  EXPECT_EQ(status.code(), Code::kNotSupported) << status.to_string();
  EXPECT_NE(connection.condition(WEIR_LOOK_LOCAL), 0U);
  run(connection, WEIR_OP_CLOSE);
}

}  // namespace weir::test
