#include "cleaning.h"

#include <string>

#include "sql.h"

namespace weir::sqlite {
namespace {

bool is_switch(int number) { return number != SQLITE_DBCONFIG_RESET_DATABASE; }

std::string quoted(const std::string& name) {
  std::string text = "\"";
  for (const char c : name) text += c == '"' ? "\"\"" : std::string(1, c);
  return text + "\"";
}

/// In any of the connection's databases.
int look_for_virtual_tables(sqlite3* db, bool* found) {
  *found = false;
  for (int place = 0; !*found; ++place) {
    std::string name, answer;
    int result = run(
        db, "SELECT name FROM pragma_database_list LIMIT 1 OFFSET " + std::to_string(place), &name);
    if (result != SQLITE_OK || name.empty()) return result;
    result = run(db,
                 "SELECT 1 FROM " + quoted(name) +
                     ".sqlite_master WHERE type = 'table' AND rootpage = 0 LIMIT 1",
                 &answer);
    if (result != SQLITE_OK) return result;
    *found = !answer.empty();
  }
  return SQLITE_OK;
}

int detach_all(sqlite3* db) {
  while (true) {
    std::string name;
    int result = run(db, "SELECT name FROM pragma_database_list WHERE seq > 1 LIMIT 1", &name);
    if (result != SQLITE_OK || name.empty()) return result;
    result = run(db, "DETACH " + quoted(name));
    if (result != SQLITE_OK) return result;
  }
}

/// Another place for temporary objects means that those there are go, whatever they are.
int drop_temporary(sqlite3* db) {
  // SQLite drops them where the setting changes: so to each value that is not the next.
  for (const char* store : {"FILE", "MEMORY", "DEFAULT"}) {
    const int result = run(db, std::string("PRAGMA temp_store = ") + store);
    if (result != SQLITE_OK) return result;
  }
  return SQLITE_OK;
}

const std::string& value_of(const Dsn& dsn, std::size_t pragma) {
  if (kRestorablePragmas[pragma] == "foreign_keys" && !dsn.foreign_keys().empty()) {
    return dsn.foreign_keys();
  }
  if (kRestorablePragmas[pragma] == "synchronous" && !dsn.synchronous().empty())
    return dsn.synchronous();
  return default_values()[pragma];
}

}  // namespace

void Settings::remember(sqlite3* db) {
  for (std::size_t i = 0; i < kLimits; ++i) limits_[i] = sqlite3_limit(db, static_cast<int>(i), -1);
  for (std::size_t i = 0; i < kSwitches; ++i) {
    const int number = kFirstSwitch + static_cast<int>(i);
    const bool is_known =
        is_switch(number) && sqlite3_db_config(db, number, -1, &switches_[i]) == SQLITE_OK;
    if (!is_known) switches_[i] = -1;
  }
}

void Settings::put_back(sqlite3* db) const {
  for (std::size_t i = 0; i < kLimits; ++i) sqlite3_limit(db, static_cast<int>(i), limits_[i]);
  for (std::size_t i = 0; i < kSwitches; ++i) {
    if (switches_[i] < 0) continue;
    sqlite3_db_config(db, kFirstSwitch + static_cast<int>(i), switches_[i], nullptr);
  }
  sqlite3_commit_hook(db, nullptr, nullptr);
  sqlite3_rollback_hook(db, nullptr, nullptr);
  sqlite3_update_hook(db, nullptr, nullptr);
  sqlite3_set_last_insert_rowid(db, 0);
}

int roll_back(sqlite3* db) {
  for (sqlite3_stmt* at = sqlite3_next_stmt(db, nullptr); at != nullptr;
       at = sqlite3_next_stmt(db, at)) {
    if (sqlite3_stmt_busy(at) != 0) sqlite3_reset(at);
  }
  return sqlite3_get_autocommit(db) != 0 ? SQLITE_OK : run(db, "ROLLBACK");
}

bool has_busy_statement(sqlite3* db) {
  for (sqlite3_stmt* at = sqlite3_next_stmt(db, nullptr); at != nullptr;
       at = sqlite3_next_stmt(db, at)) {
    if (sqlite3_stmt_busy(at) != 0) return true;
  }
  return false;
}

int put_back(sqlite3* db, const Dsn& dsn, const Traces& traces, bool everything) {
  int result = SQLITE_OK;
  if (everything || traces.attached()) result = detach_all(db);
  for (std::size_t i = 0; i < kRestorablePragmas.size() && result == SQLITE_OK; ++i) {
    const std::string& value = value_of(dsn, i);
    if ((everything || traces.pragmas().test(i)) && !value.empty()) {
      result = run(db, "PRAGMA " + std::string(kRestorablePragmas[i]) + " = " + value);
    }
  }
  // Last: it makes SQLite forget the schema, which costs the next statement a read of it.
  if (result == SQLITE_OK && (everything || traces.temporary())) result = drop_temporary(db);
  return result;
}

int free_statements(sqlite3* db, bool* keeps) {
  *keeps = false;
  if (sqlite3_next_stmt(db, nullptr) == nullptr) return SQLITE_OK;
  *keeps = true;
  bool has_virtual = true;
  const int result = look_for_virtual_tables(db, &has_virtual);
  if (result != SQLITE_OK || has_virtual) return result;
  while (sqlite3_stmt* const left = sqlite3_next_stmt(db, nullptr)) sqlite3_finalize(left);
  *keeps = false;
  return SQLITE_OK;
}

}  // namespace weir::sqlite
