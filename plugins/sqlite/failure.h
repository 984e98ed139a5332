// Failure: why something did not work, on its way to the host's weir_error_t.
//
// SQLite's own words stand behind what was being done and with which file; a database file has no
// secrets. native_code is SQLite's extended result code, native_text the primary one's name without
// "SQLITE_". Threads: plain values.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "weir/driver.h"

namespace weir::sqlite {

struct Failure {
  std::int32_t code = WEIR_OK;  // enum weir_code
  std::string message;
  int native_code = 0;      // SQLite's extended result code; 0 where it has none to do with it
  std::string native_text;  // "BUSY", "NOTADB", ...
};

/// How far an operation got; the values are enum weir_step's.
enum class Progress : std::int32_t {
  kDone = WEIR_STEP_DONE,
  kWantRead = WEIR_STEP_WANT_READ,
  kFailed = WEIR_STEP_ERROR,
};

/// Fills in the host's error as far as it reaches, and returns the code. `error` may be null.
std::int32_t report(const Failure& failure, weir_error_t* error) noexcept;

/// The name of a result code's primary part, at most 11 bytes: "BUSY" for SQLITE_BUSY_SNAPSHOT.
[[nodiscard]] std::string_view result_name(int result);

/// Whether somebody else has a lock: the same call may work a little later.
[[nodiscard]] bool is_locked(int result);

/// Why `result` came while `doing` something with `file`. `db` (may be null) has SQLite's text and
/// the system's error; to be called before the next use of it. For a statement that SQLite refused
/// WEIR_DATABASE_ERROR, for a failed read or write of the file WEIR_CONNECTION_BROKEN.
[[nodiscard]] Failure sqlite_failure(sqlite3* db, int result, std::string_view doing,
                                     std::string_view file);

/// A failure in which SQLite had no part.
[[nodiscard]] Failure failed(std::int32_t code, std::string_view doing, std::string_view text);

/// The deadline passed. `result`: what SQLite said last, if that was a reason.
[[nodiscard]] Failure timed_out(std::string_view doing, std::string_view file, int result);

}  // namespace weir::sqlite
