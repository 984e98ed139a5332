// Cleaning: a session as it was when it was new.
//
// What a lease's statements left is known from Traces; what C functions of SQLite left is not, and
// is put back only where everything is (reset mode "always"). What cannot be put back at all makes
// the session unfit: opening another one costs a fraction of a millisecond. Threads: as the
// connection.
#pragma once

#include <sqlite3.h>

#include <array>
#include <cstddef>

#include "dsn.h"
#include "traces.h"

namespace weir::sqlite {

/// Settings of a connection that only C functions change, as they were at connect.
class Settings {
 public:
  void remember(sqlite3* db);
  void put_back(sqlite3* db) const;

 private:
  static constexpr std::size_t kLimits = SQLITE_LIMIT_WORKER_THREADS + 1;
  static constexpr int kFirstSwitch = SQLITE_DBCONFIG_ENABLE_FKEY;
  static constexpr std::size_t kSwitches =
      SQLITE_DBCONFIG_TRUSTED_SCHEMA - SQLITE_DBCONFIG_ENABLE_FKEY + 1;
  std::array<int, kLimits> limits_{};
  std::array<int, kSwitches> switches_{};  // -1: this library does not know it
};

/// Ends what statements are in the middle of, and the transaction. SQLITE_OK or why it failed.
int roll_back(sqlite3* db);

/// Whether a statement is in the middle of something: its locks are held.
[[nodiscard]] bool has_busy_statement(sqlite3* db);

/// Puts back what `traces` tells of, or `everything` that can be. REQUIRES: roll_back() has worked.
/// May be called again after it failed. SQLITE_OK or why it failed: a lock may be in the way.
int put_back(sqlite3* db, const Dsn& dsn, const Traces& traces, bool everything);

/// Frees the statements that a lease has left, unless there are virtual tables: their own
/// statements stand in SQLite's list beside a lease's, look the same, and must not be freed.
/// *keeps: whether any is left. As put_back().
int free_statements(sqlite3* db, bool* keeps);

}  // namespace weir::sqlite
