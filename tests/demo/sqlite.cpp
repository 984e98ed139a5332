#include "demo/sqlite.h"

#include <sqlite3.h>

#include <chrono>
#include <filesystem>
#include <stdexcept>
#include <thread>
#include <utility>

#include "base/clock.h"
#include "demo/open_files.h"

namespace weir::demo {
namespace {

using namespace std::chrono_literals;

constexpr int kBusyMs = 5000;  // the driver's default, too
constexpr const char* kTables =
    "PRAGMA journal_mode = wal;"
    "CREATE TABLE book (id INTEGER PRIMARY KEY, title TEXT);"
    "INSERT INTO book VALUES (1, 'The Art of Computer Programming');";
constexpr const char* kRead = "SELECT title FROM book WHERE id = 1";

struct Finalize {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using Statement = std::unique_ptr<sqlite3_stmt, Finalize>;

class LogCounter final : public SessionCounter {
 public:
  LogCounter(std::string log, const Board& board) : log_(std::move(log)), board_(board) {}
  std::uint32_t count() override {
    const std::vector<pid_t> pids = board_.pids();
    const auto first = find_open(pids, log_);
    return count_in_both(first, find_open(pids, log_));
  }

 private:
  const std::string log_;
  const Board& board_;
};

}  // namespace

// ---- SqliteClient -------------------------------------------------------------------------------

SqliteClient::SqliteClient(std::string file) : file_(std::move(file)) {}

Connection SqliteClient::open(std::string* error) const {
  sqlite3* native = nullptr;
  const int code =
      sqlite3_open_v2(file_.c_str(), &native,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  Connection connection(native, {this});
  if (code == SQLITE_OK) {
    sqlite3_busy_timeout(native, kBusyMs);
    return connection;
  }
  *error = native != nullptr ? sqlite3_errmsg(native) : sqlite3_errstr(code);
  connection.reset();
  return connection;
}

void SqliteClient::close(void* native) const { sqlite3_close(static_cast<sqlite3*>(native)); }

std::string SqliteClient::serve(void* native, std::uint32_t hold_us) const {
  auto* const connection = static_cast<sqlite3*>(native);
  const std::uint64_t end_ns = monotonic_ns() + std::uint64_t{hold_us} * 1000;
  sqlite3_stmt* raw = nullptr;
  const int code = sqlite3_prepare_v2(connection, kRead, -1, &raw, nullptr);
  const Statement statement(raw);
  if (code != SQLITE_OK || sqlite3_step(raw) != SQLITE_ROW) return sqlite3_errmsg(connection);
  std::this_thread::sleep_for(Deadline::at_ns(end_ns).left(monotonic_ns()));
  return sqlite3_step(raw) == SQLITE_DONE ? std::string() : sqlite3_errmsg(connection);
}

// ---- SqliteDatabase -----------------------------------------------------------------------------

SqliteDatabase::SqliteDatabase()
    : folder_("weir-sqlite-"),
      file_(std::filesystem::canonical(folder_.path()) / "books.db"),
      client_(file_) {
  std::string error;
  const Connection connection = client_.open(&error);
  if (connection == nullptr) throw std::runtime_error(file_ + ": " + error);
  auto* const native = static_cast<sqlite3*>(connection.get());
  if (sqlite3_exec(native, kTables, nullptr, nullptr, nullptr) != SQLITE_OK) {
    throw std::runtime_error(file_ + ": " + sqlite3_errmsg(native));
  }
}

const DatabaseFacts& SqliteDatabase::facts() const {
  static const DatabaseFacts facts{
      .driver = "sqlite",
      .sample_pause = 5ms,
      .wording = {
          .sessions = "connections",
          .counter = "the kernel",
          .refusals = "",
          .note =
              "  No server counts here: connections are the write-ahead logs that the workers have "
              "open, of which\n"
              "  SQLite opens one for each, as the kernel lists them in /proc. Nobody refuses one "
              "more: the\n"
              "  quota is weir's alone. A request reads a row and keeps its transaction open for "
              "its "
              "time,\n"
              "  asleep. Connects are counted by who makes them. SQLite's connections do not move: "
              "where\n"
              "  weir gives one to another worker, it is closed here and opened there.\n"}};
  return facts;
}

std::string SqliteDatabase::dsn() const { return "sqlite:" + file_ + "?mode=rw"; }

std::unique_ptr<SessionCounter> SqliteDatabase::make_counter(const Board& board) const {
  return std::make_unique<LogCounter>(file_ + "-wal", board);
}

}  // namespace weir::demo
