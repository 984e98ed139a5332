#include "conformance/sqlite_under_test.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "conformance/suite.h"

namespace weir::test {
namespace {

sqlite3* handle(void* native) { return static_cast<sqlite3*>(native); }

int take_first_column(void* answer, int columns, char** values, char** /*names*/) {
  *static_cast<std::string*>(answer) = columns > 0 && values[0] != nullptr ? values[0] : "";
  return 0;
}

}  // namespace

std::string sqlite_answer(void* native, const std::string& statements) {
  std::string answer;
  char* error = nullptr;
  sqlite3_exec(handle(native), statements.c_str(), &take_first_column, &answer, &error);
  if (error != nullptr) answer = std::string("error: ") + error;
  sqlite3_free(error);
  return answer;
}

std::string SqliteUnderTest::why_without(Means means) const {
  switch (means) {
    case Means::kSecret:
    case Means::kWrongSecretDsn:
      return "sqlite knows no passwords";
    case Means::kSockets:
      return "sqlite opens no sockets";
    case Means::kClientName:
      return "sqlite has nobody to show a client's name to";
    case Means::kUnread:
      return "sqlite sends nothing that could be unread: a reset ends what is half read";
    default:
      return "";
  }
}

std::vector<DriverUnderTest::BadDsn> SqliteUnderTest::bad_dsns() const {
  return {{"", "scheme"},
          {"postgres://a", "scheme"},
          {"sqlite", "scheme"},
          {"sqlite:", "path"},
          {"sqlite://app:hunter2@somewhere/app.db", "host"},
          {"sqlite:///app.db", "sqlite:app.db"},
          {"sqlite:///./data/app.db", "relative"},
          {"sqlite:a%zz", "%25"},
          {"sqlite:a%00b", "hexadecimal"},
          {"sqlite:a#b", "%23"},
          {"sqlite:folder/", "path"},
          {"sqlite:file:app.db", "file:"},
          {"sqlite:a?", "option"},
          {"sqlite:a?timeout=5", "\"timeout\""},
          {"sqlite:a?mode", "mode"},
          {"sqlite:a?mode=ro&mode=ro", "second"},
          {"sqlite:a?mode=readonly", "readonly"},
          {"sqlite:a?journal=log", "log"},
          {"sqlite:a?mode=ro&journal=wal", "journal"},
          {"sqlite:a?busy_timeout=5", "busy_timeout"},
          {"sqlite:a?busy_timeout=2h", "an hour"},
          {"sqlite:a?busy_timeout=-1s", "busy_timeout"},
          {"sqlite:a?foreign_keys=yes", "yes"},
          {"sqlite:a?synchronous=3", "synchronous"},
          {"sqlite:a?cache=private", "private"},
          {"sqlite:a?cache=shared", "mode=memory"},
          {"sqlite:a?mode=memory", "cache=shared"},
          {"sqlite:a/b?mode=memory&cache=shared", "slashes"},
          {"sqlite::memory:?cache=shared&mode=memory", "name"},
          {"sqlite::memory:?mode=ro", "mode"},
          {"sqlite://?journal=wal", "journal"}};
}

int SqliteUnderTest::count_sessions() {
  struct stat wanted {};
  if (stat(file().c_str(), &wanted) != 0) return 0;
  int count = locker_ != nullptr ? -1 : 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    struct stat found {};
    if (stat(entry.path().c_str(), &found) != 0) continue;
    count += found.st_dev == wanted.st_dev && found.st_ino == wanted.st_ino ? 1 : 0;
  }
  return count;
}

void SqliteUnderTest::terminate(std::int64_t /*session*/) {
  std::filesystem::rename(file(), file() + ".moved-" + std::to_string(++moved_));
}

void SqliteUnderTest::freeze() {
  ASSERT_EQ(sqlite3_open(file().c_str(), &locker_), SQLITE_OK);
  EXPECT_EQ(sqlite_answer(locker_, "BEGIN EXCLUSIVE"), "");
}

void SqliteUnderTest::thaw() {
  sqlite3_close(locker_);
  locker_ = nullptr;
}

bool SqliteUnderTest::query(void* native) { return sqlite_answer(native, "SELECT 42") == "42"; }

void SqliteUnderTest::leave_state(void* native) {
  EXPECT_EQ(sqlite_answer(native, "PRAGMA recursive_triggers = on"), "");
  EXPECT_EQ(sqlite_answer(native, "CREATE TEMP TABLE left_behind (x)"), "");
}

bool SqliteUnderTest::has_state(void* native) {
  return sqlite_answer(native, "PRAGMA recursive_triggers") == "1" ||
         sqlite_answer(native, "SELECT count(*) FROM temp.sqlite_master") != "0";
}

void SqliteUnderTest::leave_transaction(void* native) {
  EXPECT_EQ(sqlite_answer(native, "BEGIN"), "");
}

std::string SqliteUnderTest::slow_statement() const {
  return "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
}

bool SqliteUnderTest::sleep_long(void* native) {
  // Out of the statement itself, so that it runs for certain when the test hears of it.
  const auto note = [](sqlite3_context* context, int, sqlite3_value**) {
    auto& self = *static_cast<SqliteUnderTest*>(sqlite3_user_data(context));
    self.busy_ = self.session_of(sqlite3_context_db_handle(context));
    sqlite3_result_int(context, 0);
  };
  sqlite3_create_function(handle(native), "note_busy", 0, SQLITE_UTF8, this, note, nullptr,
                          nullptr);
  const std::string answer =
      sqlite_answer(native,
                    "WITH RECURSIVE n (i) AS (SELECT note_busy() UNION ALL SELECT i + 1 FROM n) "
                    "SELECT count(*) FROM n");
  busy_ = 0;
  return answer != "error: interrupted";
}

INSTANTIATE_TEST_SUITE_P(Sqlite, DriverSuite, testing::Values(&SqliteUnderTest::make));

}  // namespace weir::test
