#include "failure.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <system_error>

namespace weir::postgres {
namespace {

constexpr std::size_t kSqlstateLength = 5;

bool is_sqlstate(std::string_view text) {
  return text.size() == kSqlstateLength && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z');
         });
}

/// Takes the SQLSTATEs out of libpq's verbose text, in whatever language the severity before them
/// is ("FATAL:  28P01: ..."), and returns the last: with several hosts the last attempt counts.
std::string take_sqlstates(std::string& text) {
  constexpr std::string_view kBefore = ":  ";
  constexpr std::string_view kAfter = ": ";
  std::string found;
  for (std::size_t at = text.find(kBefore); at != std::string::npos; at = text.find(kBefore, at)) {
    at += kBefore.size();
    const std::string candidate = text.substr(at, kSqlstateLength);
    if (is_sqlstate(candidate) && text.compare(at + kSqlstateLength, kAfter.size(), kAfter) == 0) {
      found = candidate;
      text.erase(at, kSqlstateLength + kAfter.size());
    }
  }
  return found;
}

/// Whether `line` only says where in the server's source an error was raised: a word of any
/// language, function, file and number, as in "LOCATION:  auth_failed, auth.c:331".
bool is_source_line(std::string_view line) {
  const std::size_t colon = line.find(":  ");
  if (colon == std::string_view::npos) return false;
  line.remove_prefix(colon + 3);
  const std::size_t comma = line.find(", ");
  const std::size_t number = line.rfind(':');
  if (comma == std::string_view::npos || number == std::string_view::npos || number < comma) {
    return false;
  }
  const std::string_view digits = line.substr(number + 1);
  return line.substr(0, comma).find(' ') == std::string_view::npos &&
         line.substr(comma + 2, number - comma - 2).find(' ') == std::string_view::npos &&
         !digits.empty() && digits.find_first_not_of("0123456789") == std::string_view::npos;
}

std::string without_source_lines(std::string_view text) {
  std::string kept;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size() - 1) + 1;
    if (const std::string_view line = text.substr(0, end);
        !is_source_line(line.substr(0, line.find('\n')))) {
      kept += line;
    }
    text.remove_prefix(end);
  }
  return kept;
}

std::int32_t connect_code(const std::string& sqlstate, bool needs_password) {
  if (sqlstate.starts_with("28")) return WEIR_AUTH_FAILED;  // invalid authorization
  if (sqlstate == "53300") return WEIR_SERVER_FULL;         // too_many_connections
  if (sqlstate == "3D000")
    return WEIR_DATABASE_ERROR;  // no such database: it is there, and said no
  // libpq itself refuses when the server wants a password and there is none: without an SQLSTATE.
  if (sqlstate.empty() && needs_password) return WEIR_AUTH_FAILED;
  return WEIR_CONNECT_FAILED;
}

void copy_cut(char* target, std::size_t size, std::string_view text) {
  const std::size_t length = std::min(text.size(), size - 1);
  std::memcpy(target, text.data(), length);
  target[length] = '\0';
}

}  // namespace

std::int32_t report(const Failure& failure, weir_error_t* error) noexcept {
  if (error == nullptr) return failure.code;
  weir_error_t filled{};
  filled.struct_size = error->struct_size;
  filled.code = failure.code;
  copy_cut(filled.native_text, sizeof filled.native_text, failure.sqlstate);
  // A shorter error of an older host ends inside the message, which still has to end with a zero.
  const std::size_t bytes = std::min<std::size_t>(error->struct_size, sizeof filled);
  constexpr std::size_t kMessageAt = offsetof(weir_error_t, message);
  if (bytes > kMessageAt) {
    copy_cut(filled.message, std::min(bytes - kMessageAt, sizeof filled.message), failure.message);
  }
  std::memcpy(error, &filled, bytes);
  return failure.code;
}

std::string one_line(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.remove_suffix(1);
  std::string line;
  for (const char c : text) {
    if (c == '\n') {
      line += "; ";
    } else {
      line += c;
    }
  }
  return line;
}

Failure connect_failure(std::string_view verbose_text, bool needs_password) {
  std::string text(verbose_text);
  const std::string sqlstate = take_sqlstates(text);
  return {connect_code(sqlstate, needs_password), one_line(without_source_lines(text)), sqlstate};
}

Failure connect_failure(const PGconn* conn) {
  return connect_failure(PQerrorMessage(conn), PQconnectionNeedsPassword(conn) != 0);
}

Failure statement_failure(const PGresult* result, const PGconn* conn) {
  const bool is_broken = PQstatus(conn) != CONNECTION_OK;
  Failure failure{is_broken ? WEIR_CONNECTION_BROKEN : WEIR_DATABASE_ERROR, {}, {}};
  if (const char* sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE)) {
    failure.sqlstate = sqlstate;
  }
  // The primary message only: the others may quote the statement, and with it what it holds.
  const char* severity = PQresultErrorField(result, PG_DIAG_SEVERITY);
  const char* primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
  if (severity != nullptr) failure.message = std::string(severity) + ":  ";
  failure.message += one_line(primary != nullptr ? primary : PQresultErrorMessage(result));
  return failure;
}

Failure lost_connection(const PGconn* conn, std::string_view doing) {
  return {WEIR_CONNECTION_BROKEN,
          "postgres: " + std::string(doing) + ": " + one_line(PQerrorMessage(conn)),
          {}};
}

Failure timed_out(std::string_view doing) {
  return {WEIR_TIMEOUT, "postgres: " + std::string(doing) + " did not end before its deadline", {}};
}

Failure system_failure(std::int32_t code, std::string_view what, int error_number) {
  return {code,
          "postgres: " + std::string(what) + ": " + std::generic_category().message(error_number),
          {}};
}

}  // namespace weir::postgres
