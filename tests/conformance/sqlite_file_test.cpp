// Files: how a DSN names them, what opening one says, other processes' locks on them, and forks.
#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "conformance/sqlite_suite.h"
#include "support/worker_process.h"

namespace weir::test {

using testing::HasSubstr;
namespace fs = std::filesystem;

namespace {

/// A process that has the write lock of `file` until it is killed.
class Locker {
 public:
  explicit Locker(const std::string& file)
      : process_([this, file] {
          sqlite3* db = nullptr;
          sqlite3_open(file.c_str(), &db);
          if (!sqlite_answer(db, "BEGIN IMMEDIATE").empty()) return 1;
          locked_.add();
          stop_here();
          return 0;
        }) {
    EXPECT_TRUE(locked_.await(1));
  }
  void let_go() { process_.kill(); }

 private:
  SharedCounter locked_;
  WorkerProcess process_;
};

/// What a child process answers for `body`, as its exit status.
int in_child(const std::function<int()>& body) { return WorkerProcess(body).wait_at_most(); }

}  // namespace

TEST_P(SqliteSuite, ReadsEveryFormOfADsn) {
  const std::string file = fs::canonical(sqlite().folder()) / "x.db";
  EXPECT_EQ(dsn("sqlite:" + file).display(), "sqlite:" + file);
  EXPECT_EQ(dsn("sqlite://" + file).display(), "sqlite:" + file);
  EXPECT_EQ(dsn("sqlite:///" + file).display(), "sqlite:" + file);  // SQLAlchemy's four slashes
  EXPECT_EQ(dsn("sqlite:" + file + "?mode=rwc&busy_timeout=5s").display(), "sqlite:" + file);
  EXPECT_EQ(dsn("sqlite:" + file + "?mode=ro&busy_timeout=1m").display(),
            "sqlite:" + file + "?mode=ro&busy_timeout=60000ms");
  EXPECT_EQ(dsn("sqlite:" + sqlite().folder() + "/./y/../a%3Fb%25.db").server_identity(),
            "sqlite:" + fs::canonical(sqlite().folder()).string() + "/a?b%.db");
  EXPECT_EQ(dsn("sqlite:shop/x.db").server_identity(),
            "sqlite:" + (fs::current_path() / "shop/x.db").string());
  for (const char* memory : {"sqlite::memory:", "sqlite://", "sqlite:///:memory:"}) {
    EXPECT_EQ(dsn(memory).server_identity(), "sqlite::memory:");
  }
  EXPECT_EQ(dsn("sqlite:shop?mode=memory&cache=shared").server_identity(), "sqlite:memory:shop");
}

TEST_P(SqliteSuite, GivesAFileOneIdentityWhateverLinkLeadsThere) {
  fs::create_symlink(sqlite().folder(), sqlite().folder() + "/link");
  const Connection connection = connect();  // makes the file
  EXPECT_EQ(dsn("sqlite:" + sqlite().folder() + "/link/app.db").server_identity(),
            dsn(sqlite().dsn()).server_identity());
}

TEST_P(SqliteSuite, NeverCutsTwoLongPathsToOneIdentity) {
  const std::string folder = "sqlite:/" + std::string(300, 'a');
  EXPECT_NE(dsn(folder + "/one").server_identity(), dsn(folder + "/two").server_identity());
}

TEST_P(SqliteSuite, SaysWhyAFileCannotBeOpened) {
  const Status missing = refusal(with("mode=rw"));
  EXPECT_EQ(missing.code(), Code::kConnectFailed);
  EXPECT_EQ(missing.native_text(), "CANTOPEN");
  EXPECT_THAT(missing.message(), HasSubstr(sqlite().file()));
  EXPECT_THAT(missing.message(), HasSubstr("No such file"));
  EXPECT_FALSE(fs::exists(sqlite().file()));

  const Status no_folder = refusal(dsn("sqlite:" + sqlite().folder() + "/nowhere/app.db"));
  EXPECT_EQ(no_folder.code(), Code::kConnectFailed);
  EXPECT_THAT(no_folder.message(), HasSubstr("nowhere"));

  std::ofstream(sqlite().file()) << std::string(4096, 'x');
  const Status no_database = refusal(with("mode=rw"));
  EXPECT_EQ(no_database.code(), Code::kDatabaseError);
  EXPECT_EQ(no_database.native_text(), "NOTADB");
  EXPECT_EQ(no_database.native_code(), SQLITE_NOTADB);
  EXPECT_THAT(no_database.message(), HasSubstr("expected a SQLite database"));
}

TEST_P(SqliteSuite, SaysThatADatabaseIsDamaged) {
  {
    Connection connection = connect();
    EXPECT_TRUE(execute(connection, "CREATE TABLE t (x); CREATE INDEX i ON t (x)").ok());
    run(connection, WEIR_OP_CLOSE);
  }
  std::fstream file(sqlite().file(), std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(100);  // behind the header: the schema's page
  file << std::string(3000, '\xff');
  file.close();
  Connection connection = connect();
  const Status status = execute(connection, "SELECT * FROM t");
  EXPECT_EQ(status.code(), Code::kDatabaseError);
  EXPECT_EQ(status.native_text(), "CORRUPT");
}

TEST_P(SqliteSuite, WritesNothingThroughAReadOnlyDsn) {
  {
    Connection writing = connect();
    EXPECT_TRUE(execute(writing, "CREATE TABLE t (x); INSERT INTO t VALUES (7)").ok());
  }
  Connection reading = connect_to(with("mode=ro"));
  EXPECT_EQ(ask(reading, "SELECT x FROM t"), "7");
  const Status status = execute(reading, "INSERT INTO t VALUES (8)");
  EXPECT_EQ(status.code(), Code::kDatabaseError);
  EXPECT_EQ(status.native_text(), "READONLY");
  EXPECT_THAT(status.message(), HasSubstr("mode=ro"));
  EXPECT_EQ(ask(reading, "DELETE FROM t"), "error: attempt to write a readonly database");
  EXPECT_EQ(local(reading), 0U);
}

TEST_P(SqliteSuite, ConnectsAsTheDsnSays) {
  Connection connection =
      connect_to(with("journal=wal&foreign_keys=on&synchronous=normal&busy_timeout=250ms"));
  EXPECT_EQ(ask(connection, "PRAGMA journal_mode"), "wal");
  EXPECT_EQ(ask(connection, "PRAGMA foreign_keys"), "1");
  EXPECT_EQ(ask(connection, "PRAGMA synchronous"), "1");
  EXPECT_EQ(ask(connection, "PRAGMA busy_timeout"), "250");
  Connection other = connect();
  EXPECT_EQ(ask(other, "PRAGMA journal_mode"), "wal") << "it is the file's";
  EXPECT_EQ(ask(other, "PRAGMA busy_timeout"), "5000");
}

TEST_P(SqliteSuite, GivesEachConnectionAMemoryOfItsOwnUnlessItHasAName) {
  Connection one = connect_to(dsn("sqlite::memory:"));
  Connection other = connect_to(dsn("sqlite://"));
  EXPECT_EQ(ask(one, "CREATE TABLE t (x)"), "");
  EXPECT_EQ(ask(other, "SELECT * FROM t"), "error: no such table: t");
  const Dsn& shared = dsn("sqlite:shop?mode=memory&cache=shared");
  Connection first = connect_to(shared), second = connect_to(shared);
  EXPECT_EQ(ask(first, "CREATE TABLE t (x); INSERT INTO t VALUES (7)"), "");
  EXPECT_EQ(ask(second, "SELECT x FROM t"), "7");
  EXPECT_FALSE(fs::exists("shop"));
  for (Connection* connection : {&one, &other, &first, &second}) {
    EXPECT_EQ(connection->condition(WEIR_LOOK_AT_SOCKET), 0U);
    run(*connection, WEIR_OP_PING);
    run(*connection, WEIR_OP_CLOSE);
  }
}

TEST_P(SqliteSuite, LetsALeaseWaitForAnotherProcessesLock) {
  Connection connection = connect_to(with("busy_timeout=100ms"));
  EXPECT_EQ(ask(connection, "CREATE TABLE t (x)"), "");
  Connection patient = connect_to(with("busy_timeout=20s"));
  Locker other(sqlite().file());
  const std::uint64_t start_ns = monotonic_ns();
  EXPECT_EQ(ask(connection, "INSERT INTO t VALUES (1)"), "error: database is locked");
  EXPECT_GE(Nanos(monotonic_ns() - start_ns), milliseconds(95));
  EXPECT_EQ(local(connection), 0U);
  std::thread later([&] { other.let_go(); });
  EXPECT_EQ(ask(patient, "INSERT INTO t VALUES (1)"), "");
  later.join();
}

TEST_P(SqliteSuite, WaitsForALockBetweenItsStepsAndNotInThem) {
  Connection connection = connect_to(with("busy_timeout=300ms"));
  EXPECT_TRUE(execute(connection, "CREATE TABLE t (x)").ok());
  subject().freeze();
  Connection fresh = make(with("mode=rw"));
  ASSERT_TRUE(heard(fresh.start(WEIR_OP_CONNECT, nullptr, soon())).ok());
  const std::string insert = "INSERT INTO t VALUES (1)";
  weir_execute_t argument{sizeof argument, insert.c_str()};
  ASSERT_TRUE(heard(connection.start(WEIR_OP_EXECUTE, &argument, soon())).ok());
  Status failure;
  for (int i = 0; i < 20; ++i) {
    const std::uint64_t start_ns = monotonic_ns();
    ASSERT_EQ(fresh.step(&failure), driver::Step::kWantRead) << heard(failure).to_string();
    ASSERT_EQ(connection.step(&failure), driver::Step::kWantRead) << heard(failure).to_string();
    EXPECT_LT(Nanos(monotonic_ns() - start_ns), milliseconds(100));
  }
  // No longer than busy_timeout, though the deadline is far; and nothing is lost by it.
  while (connection.step(&failure) == driver::Step::kWantRead) {
    connection.wait(driver::Step::kWantRead, soon());
  }
  EXPECT_EQ(heard(failure).code(), Code::kWouldBlock);
  EXPECT_EQ(failure.native_text(), "BUSY");
  EXPECT_EQ(local(connection), 0U);
  subject().thaw();
  EXPECT_EQ(fresh.step(&failure), driver::Step::kDone) << heard(failure).to_string();
  EXPECT_TRUE(execute(connection, insert).ok());
}

TEST_P(SqliteSuite, TakesALockForAnAnswerToAPing) {
  Connection connection = connect();
  subject().freeze();
  run(connection, WEIR_OP_PING);
  subject().thaw();
}

TEST_P(SqliteSuite, NoticesThatItsFileWasReplaced) {
  Connection connection = connect();
  fs::rename(sqlite().file(), sqlite().file() + ".old");
  std::ofstream(sqlite().file()) << "";
  EXPECT_EQ(local(connection), 0U);
  const Status status = heard(connection.run(WEIR_OP_PING, nullptr, soon()));
  EXPECT_EQ(status.code(), Code::kConnectionBroken);
  EXPECT_THAT(status.message(), HasSubstr("replaced"));
  EXPECT_NE(local(connection) & WEIR_COND_BROKEN, 0U);
}

TEST_P(SqliteSuite, WaitsWithItsCloseForALeasesBackup) {
  Connection connection = connect();
  EXPECT_EQ(ask(connection, "CREATE TABLE t (x); INSERT INTO t VALUES (1)"), "");
  sqlite3* copy = nullptr;
  ASSERT_EQ(sqlite3_open(":memory:", &copy), SQLITE_OK);
  sqlite3_backup* backup = sqlite3_backup_init(copy, "main", handle(connection), "main");
  ASSERT_NE(backup, nullptr);
  ASSERT_TRUE(heard(connection.start(WEIR_OP_CLOSE, nullptr, soon())).ok());
  Status failure;
  EXPECT_EQ(connection.step(&failure), driver::Step::kWantRead);
  expect_sessions(1);
  sqlite3_backup_finish(backup);
  EXPECT_EQ(connection.step(&failure), driver::Step::kDone);
  expect_sessions(0);

  Connection other = connect();
  backup = sqlite3_backup_init(copy, "main", handle(other), "main");
  const Deadline deadline = Deadline::after(milliseconds(20));
  EXPECT_EQ(heard(other.run(WEIR_OP_CLOSE, nullptr, deadline)).code(), Code::kTimeout);
  expect_sessions(1);
  sqlite3_backup_finish(backup);
  expect_sessions(0);
  sqlite3_close(copy);
}

TEST_P(SqliteSuite, KeepsItsLocksWhenAChildAbandonsOrFreesItsCopy) {
  for (const bool abandons : {true, false}) {
    Connection connection = connect();
    EXPECT_EQ(ask(connection, "CREATE TABLE IF NOT EXISTS t (x); BEGIN IMMEDIATE"), "");
    EXPECT_EQ(in_child([&] {
                if (abandons) {
                  connection.abandon();
                } else {
                  connection = Connection();
                }
                return 0;
              }),
              0);
    EXPECT_EQ(in_child([&] {
                // By the program of SQLite's own, which knows nothing of this process.
                const std::string command = "echo 'INSERT INTO t VALUES (1);' | sqlite3 -bail '" +
                                            sqlite().file() + "' 2>/dev/null";
                return std::system(command.c_str()) == 0 ? 1 : 0;
              }),
              0)
        << "another process could write";
    EXPECT_EQ(ask(connection, "INSERT INTO t VALUES (2); COMMIT"), "");
  }
}

TEST_P(SqliteSuite, OpensNothingInAChildThatItsParentHadOpen) {
  // What happens otherwise: in WAL mode the parent's close deletes the log under the child's hands.
  const Dsn& wal = with("journal=wal");
  const Dsn& memory = dsn("sqlite::memory:");
  Connection connection = connect_to(wal);
  const auto connects = [&](const Dsn& where) {
    Connection own = make(where);
    const Status status = own.run(WEIR_OP_CONNECT, nullptr, soon());
    const bool is_named = status.message().find(sqlite().file()) != std::string::npos;
    if (status.code() == Code::kForked && is_named) return 2;
    return status.ok() && sqlite_answer(own.native(), "SELECT 42") == "42" ? 1 : 0;
  };
  EXPECT_EQ(in_child([&] { return connects(wal); }), 2);
  EXPECT_EQ(in_child([&] { return connects(memory); }), 1);
  EXPECT_EQ(in_child([&] { return connects(dsn(sqlite().dsn_at_tcp(1))); }), 1);
  EXPECT_EQ(in_child([&] { return connection.cancel(soon()).code() == Code::kForked ? 0 : 1; }), 0);
  run(connection, WEIR_OP_CLOSE);
  EXPECT_EQ(in_child([&] { return connects(wal); }), 1);
}

TEST_P(SqliteSuite, TellsAChildOfAChildTheSame) {
  const Dsn& file = dsn(sqlite().dsn());
  EXPECT_EQ(in_child([&] {
              const Connection own = connect();
              return in_child([&] {
                Connection inherited = make(file);
                const Status status = inherited.run(WEIR_OP_CONNECT, nullptr, soon());
                return status.code() == Code::kForked ? 0 : 1;
              });
            }),
            0);
}

INSTANTIATE_TEST_SUITE_P(Sqlite, SqliteSuite, testing::Values(&SqliteUnderTest::make));

}  // namespace weir::test
