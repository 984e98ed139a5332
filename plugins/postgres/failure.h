// Failure: why something did not work, on its way to the host's weir_error_t.
//
// Every message ends up in logs: it names the thing, stands on one line and holds no password.
// libpq and the server never print one, except where libpq quotes a connection string it cannot
// parse; dsn.cpp sees to that. Threads: plain values.
#pragma once

#include <libpq-fe.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "weir/driver.h"

namespace weir::postgres {

struct Failure {
  std::int32_t code = WEIR_OK;  // enum weir_code
  std::string message;
  std::string sqlstate;  // empty where the server said none
};

/// How far an operation got; the values are enum weir_step's.
enum class Progress : std::int32_t {
  kDone = WEIR_STEP_DONE,
  kWantRead = WEIR_STEP_WANT_READ,
  kWantWrite = WEIR_STEP_WANT_WRITE,
  kFailed = WEIR_STEP_ERROR,
};

/// Fills in the host's error as far as it reaches, and returns the code. `error` may be null.
std::int32_t report(const Failure& failure, weir_error_t* error) noexcept;

/// Why the connection attempt of `conn` failed.
/// REQUIRES: its error verbosity is PQERRORS_VERBOSE since before the server could answer: libpq
/// tells the SQLSTATE of a failed connection in no other way.
[[nodiscard]] Failure connect_failure(const PGconn* conn);
/// The same from libpq's text alone; `needs_password` is PQconnectionNeedsPassword's answer.
[[nodiscard]] Failure connect_failure(std::string_view verbose_text, bool needs_password);

/// Why a statement failed: WEIR_DATABASE_ERROR, or WEIR_CONNECTION_BROKEN if `conn` broke over it.
[[nodiscard]] Failure statement_failure(const PGresult* result, const PGconn* conn);

/// `conn` is lost; `doing` says what was being done.
[[nodiscard]] Failure lost_connection(const PGconn* conn, std::string_view doing);

/// The deadline passed; `doing` says what took so long.
[[nodiscard]] Failure timed_out(std::string_view doing);

/// A failed system call; `what` names it.
[[nodiscard]] Failure system_failure(std::int32_t code, std::string_view what, int error_number);

/// `text` on one line: line breaks inside become "; ", those at the end go.
[[nodiscard]] std::string one_line(std::string_view text);

}  // namespace weir::postgres
