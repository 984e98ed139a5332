// Running SQL that is the driver's own. Threads: as the connection.
#pragma once

#include <sqlite3.h>

#include <string>

namespace weir::sqlite {

/// Runs one statement to its end and drops its rows but for the first one's first column, which
/// goes to *first (null: nobody asks; empty if there is no row). Returns SQLITE_OK or why it
/// failed.
int run(sqlite3* db, const std::string& sql, std::string* first = nullptr);

}  // namespace weir::sqlite
