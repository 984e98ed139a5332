// What a reset of the sqlite driver takes back, sees and cannot see.
#include <gmock/gmock.h>

#include "conformance/sqlite_suite.h"

namespace weir::test {

using testing::HasSubstr;

namespace {

/// A statement of a lease's in the middle of its rows.
sqlite3_stmt* half_read(sqlite3* db, const char* sql) {
  sqlite3_stmt* statement = nullptr;
  EXPECT_EQ(sqlite3_prepare_v2(db, sql, -1, &statement, nullptr), SQLITE_OK);
  EXPECT_EQ(sqlite3_step(statement), SQLITE_ROW);
  return statement;
}

int statements_of(sqlite3* db) {
  int count = 0;
  for (sqlite3_stmt* at = sqlite3_next_stmt(db, nullptr); at != nullptr;
       at = sqlite3_next_stmt(db, at)) {
    ++count;
  }
  return count;
}

}  // namespace

TEST_P(SqliteSuite, EndsAndFreesTheStatementsThatALeaseLeft) {
  for (const weir_reset_mode mode : {WEIR_RESET_TRACKED, WEIR_RESET_ALWAYS}) {
    Connection connection = connect(mode);
    EXPECT_EQ(ask(connection,
                  "DROP TABLE IF EXISTS t; CREATE TABLE t (x);"
                  "INSERT INTO t VALUES (1), (2)"),
              "");
    half_read(handle(connection), "SELECT x FROM t");
    sqlite3_stmt* unused = nullptr;
    sqlite3_prepare_v2(handle(connection), "SELECT 1", -1, &unused, nullptr);
    const std::uint32_t expected = WEIR_COND_IN_TRANSACTION | WEIR_COND_DIRTY;
    EXPECT_EQ(local(connection), expected) << "it has a read lock";
    run(connection, WEIR_OP_RESET);
    EXPECT_EQ(local(connection), 0U);
    EXPECT_EQ(statements_of(handle(connection)), 0);
    Connection other = connect();
    EXPECT_EQ(ask(other, "PRAGMA busy_timeout = 0; DELETE FROM t"), "0");
  }
}

TEST_P(SqliteSuite, OnlyRewindsStatementsWhereOnlyTransactionsAreReset) {
  Connection connection = connect(WEIR_RESET_TRANSACTION);
  EXPECT_EQ(ask(connection, "CREATE TABLE t (x); INSERT INTO t VALUES (1), (2)"), "");
  sqlite3_stmt* const statement = half_read(handle(connection), "SELECT x FROM t");
  EXPECT_EQ(local(connection), static_cast<std::uint32_t>(WEIR_COND_IN_TRANSACTION));
  run(connection, WEIR_OP_RESET);
  EXPECT_EQ(local(connection), 0U);
  EXPECT_EQ(sqlite3_step(statement), SQLITE_ROW);
  EXPECT_EQ(sqlite3_column_int(statement, 0), 1);
  sqlite3_finalize(statement);
}

TEST_P(SqliteSuite, RollsBackWhatALeaseDidNotCommit) {
  Connection connection = connect();
  EXPECT_EQ(ask(connection, "CREATE TABLE t (x)"), "");
  EXPECT_EQ(ask(connection,
                "SAVEPOINT one; INSERT INTO t VALUES (1); SAVEPOINT two;"
                "INSERT INTO t VALUES (2)"),
            "");
  EXPECT_EQ(local(connection), static_cast<std::uint32_t>(WEIR_COND_IN_TRANSACTION));
  run(connection, WEIR_OP_RESET);
  EXPECT_EQ(ask(connection, "SELECT count(*) FROM t"), "0");
}

TEST_P(SqliteSuite, TakesBackEverythingTemporaryAndAttached) {
  Connection connection = connect();
  EXPECT_EQ(
      ask(connection,
          "CREATE TABLE kept (x);"
          "CREATE TEMP TABLE t (x); CREATE TEMP VIEW v AS SELECT 1; CREATE INDEX temp.i ON t (x);"
          "CREATE TEMP TRIGGER r AFTER INSERT ON kept BEGIN SELECT 1; END;"
          "CREATE VIRTUAL TABLE temp.f USING fts5 (y); INSERT INTO f VALUES ('word');"
          "ATTACH ':memory:' AS \"an\"\"other\"; CREATE TABLE \"an\"\"other\".t (x)"),
      "");
  EXPECT_EQ(local(connection), static_cast<std::uint32_t>(WEIR_COND_DIRTY));
  run(connection, WEIR_OP_RESET);
  EXPECT_EQ(local(connection), 0U);
  EXPECT_EQ(ask(connection, "SELECT count(*) FROM temp.sqlite_master"), "0");
  EXPECT_EQ(ask(connection, "SELECT group_concat(name) FROM pragma_database_list"), "main,temp");
  EXPECT_EQ(ask(connection, "INSERT INTO kept VALUES (1); SELECT count(*) FROM kept"), "1");
}

TEST_P(SqliteSuite, PutsBackThePragmasOfALease) {
  Connection connection = connect_to(with("foreign_keys=on&synchronous=extra"));
  EXPECT_EQ(ask(connection,
                "PRAGMA foreign_keys = off; PRAGMA main.Synchronous = 0;"
                "PRAGMA cache_size(17); PRAGMA query_only = 1; PRAGMA busy_timeout = 3"),
            "3");
  EXPECT_EQ(local(connection), static_cast<std::uint32_t>(WEIR_COND_DIRTY));
  run(connection, WEIR_OP_RESET);
  EXPECT_EQ(local(connection), 0U);
  EXPECT_EQ(ask(connection, "PRAGMA foreign_keys"), "1");
  EXPECT_EQ(ask(connection, "PRAGMA synchronous"), "3");
  EXPECT_EQ(ask(connection, "PRAGMA cache_size"), "-2000");
  EXPECT_EQ(ask(connection, "PRAGMA query_only"), "0");
  EXPECT_EQ(ask(connection, "PRAGMA busy_timeout"), "5000");
}

TEST_P(SqliteSuite, GivesUpASessionThatCannotBeMadeClean) {
  for (const char* statement : {"PRAGMA locking_mode = exclusive", "PRAGMA journal_mode = memory",
                                "PRAGMA case_sensitive_like = 1", "PRAGMA mmap_size = 65536"}) {
    Connection connection = connect();
    ask(connection, statement);
    EXPECT_EQ(local(connection), static_cast<std::uint32_t>(WEIR_COND_DIRTY)) << statement;
    const Status status = heard(connection.run(WEIR_OP_RESET, nullptr, soon()));
    EXPECT_EQ(status.code(), Code::kConnectionBroken) << statement;
    const std::string pragma(statement, std::string(statement).find(" ="));
    EXPECT_THAT(status.message(), HasSubstr(pragma));
    run(connection, WEIR_OP_CLOSE);
  }
}

TEST_P(SqliteSuite, FindsNoTraceInWhatStaysInTheFileOrOnlyReads) {
  Connection connection = connect();
  for (const char* statement :
       {"CREATE TABLE t (x INTEGER PRIMARY KEY, y)", "INSERT INTO t VALUES (1, 2)",
        "CREATE VIEW v AS SELECT * FROM t", "ALTER TABLE t ADD COLUMN z", "BEGIN; COMMIT",
        "ANALYZE", "PRAGMA user_version = 7", "PRAGMA table_info(t)", "PRAGMA integrity_check(1)",
        "PRAGMA cache_size", "PRAGMA journal_mode", "PRAGMA journal_mode = wal",
        "PRAGMA wal_checkpoint(TRUNCATE)", "PRAGMA optimize",
        "SELECT * FROM pragma_table_info('t')", "EXPLAIN SELECT * FROM t", "DELETE FROM t",
        "nonsense"}) {
    ask(connection, statement);
    EXPECT_EQ(local(connection), 0U) << statement;
  }
}

TEST_P(SqliteSuite, LeavesAVirtualTablesOwnStatementsAlone) {
  for (const weir_reset_mode mode : {WEIR_RESET_TRACKED, WEIR_RESET_ALWAYS}) {
    Connection connection = connect(mode);
    EXPECT_EQ(ask(connection,
                  "DROP TABLE IF EXISTS f; CREATE VIRTUAL TABLE f USING fts5 (y);"
                  "INSERT INTO f VALUES ('one'), ('two')"),
              "");
    for (int lease = 0; lease < 3; ++lease) {
      EXPECT_EQ(ask(connection,
                    "UPDATE f SET y = 'three' WHERE f MATCH 'two';"
                    "INSERT INTO f VALUES ('two')"),
                "");
      sqlite3_stmt* const statement =
          half_read(handle(connection), "SELECT y FROM f WHERE f MATCH 'one'");
      EXPECT_NE(local(connection) & WEIR_COND_IN_TRANSACTION, 0U);
      run(connection, WEIR_OP_RESET);
      EXPECT_EQ(local(connection), 0U) << "a table's own statements are no trace";
      sqlite3_finalize(statement);
    }
    EXPECT_EQ(ask(connection, "SELECT count(*) FROM f"), "5");
    run(connection, WEIR_OP_CLOSE);
    expect_sessions(0);
  }
}

TEST_P(SqliteSuite, SaysThatItCannotCloseWhatALeaseLeftBesideVirtualTables) {
  Connection connection = connect();
  EXPECT_EQ(ask(connection, "CREATE VIRTUAL TABLE f USING fts5 (y); INSERT INTO f VALUES ('one')"),
            "");
  sqlite3_stmt* const left = half_read(handle(connection), "SELECT y FROM f WHERE f MATCH 'one'");
  const Status status = heard(connection.run(WEIR_OP_CLOSE, nullptr, soon()));
  EXPECT_EQ(status.code(), Code::kConnectionBroken);
  EXPECT_THAT(status.message(), HasSubstr("unfinalized"));
  expect_sessions(1);
  sqlite3_finalize(left);
  expect_sessions(0);
}

TEST_P(SqliteSuite, PutsBackWhatCFunctionsChangedWhereEverythingIsReset) {
  Connection connection = connect(WEIR_RESET_ALWAYS);
  sqlite3* const db = handle(connection);
  const int length = sqlite3_limit(db, SQLITE_LIMIT_SQL_LENGTH, 100);
  int is_defensive = 0;
  sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_busy_timeout(db, 1);
  sqlite3_commit_hook(
      db, [](void*) { return 1; }, nullptr);
  sqlite3_set_authorizer(
      db,
      [](void*, int, const char*, const char*, const char*, const char*) { return SQLITE_DENY; },
      nullptr);
  run(connection, WEIR_OP_RESET);
  EXPECT_EQ(sqlite3_limit(db, SQLITE_LIMIT_SQL_LENGTH, -1), length);
  sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, -1, &is_defensive);
  EXPECT_EQ(is_defensive, 0);
  EXPECT_EQ(ask(connection, "PRAGMA busy_timeout"), "5000");
  EXPECT_EQ(ask(connection, "CREATE TABLE t (x)"), "");
  EXPECT_EQ(ask(connection, "PRAGMA cache_size = 17"), "");
  EXPECT_EQ(local(connection), static_cast<std::uint32_t>(WEIR_COND_DIRTY)) << "it watches again";
}

TEST_P(SqliteSuite, CountsNothingOfItsOwnAsALeasesDoing) {
  Connection connection = connect();
  EXPECT_TRUE(execute(connection, "PRAGMA cache_size = 17; CREATE TEMP TABLE t (x)").ok());
  run(connection, WEIR_OP_PING);
  EXPECT_EQ(local(connection), 0U);
  run(connection, WEIR_OP_RESET);
  EXPECT_EQ(ask(connection, "PRAGMA cache_size"), "17");
}

TEST_P(SqliteSuite, EndsALeasesStatementAtTheStatementTimeout) {
  weir_conn_options_t options = options_of(WEIR_RESET_TRACKED);
  options.statement_timeout_ms = 50;
  const Dsn dsn = parse(subject().dsn());
  auto made = Connection::open(dsn, options);
  ASSERT_TRUE(made.ok());
  Connection connection = std::move(made).value();
  run(connection, WEIR_OP_CONNECT);
  for (int i = 0; i < 2; ++i) {
    const std::uint64_t start_ns = monotonic_ns();
    EXPECT_EQ(ask(connection, subject().slow_statement()), "error: interrupted");
    EXPECT_GE(Nanos(monotonic_ns() - start_ns), milliseconds(50));
    EXPECT_EQ(local(connection), 0U);
    EXPECT_EQ(ask(connection, "SELECT 42"), "42");
    run(connection, WEIR_OP_PING);
  }
  EXPECT_EQ(ask(connection, "PRAGMA busy_timeout"), "50") << "nor does it wait longer for a lock";
  const Status status = execute(connection, subject().slow_statement());
  EXPECT_EQ(status.code(), Code::kDatabaseError) << status.to_string();
  EXPECT_EQ(status.native_text(), "INTERRUPT");
  EXPECT_EQ(local(connection), 0U);
}

}  // namespace weir::test
