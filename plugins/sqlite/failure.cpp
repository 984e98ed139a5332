#include "failure.h"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <system_error>

namespace weir::sqlite {
namespace {

constexpr int primary(int result) { return result & 0xff; }

/// On one line, as everything that ends up in a log.
std::string one_line(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

std::int32_t code_of(int result, int error_number) {
  switch (primary(result)) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return WEIR_WOULD_BLOCK;
    case SQLITE_CANTOPEN:
      if (error_number == EACCES || error_number == EPERM) return WEIR_NO_PERMISSION;
      return WEIR_CONNECT_FAILED;
    case SQLITE_PERM:
      return WEIR_NO_PERMISSION;
    case SQLITE_IOERR:
      return WEIR_CONNECTION_BROKEN;
    case SQLITE_NOMEM:
      return WEIR_OUT_OF_MEMORY;
    default:
      return WEIR_DATABASE_ERROR;
  }
}

/// What a reader should know beyond SQLite's words.
std::string_view advice(int result) {
  switch (primary(result)) {
    case SQLITE_NOTADB:
      return "; expected a SQLite database";
    case SQLITE_CORRUPT:
      return "; PRAGMA integrity_check tells more";
    case SQLITE_READONLY:
      return "; the DSN says mode=ro, or the file or its folder cannot be written";
    default:
      return "";
  }
}

void copy_cut(char* target, std::size_t size, std::string_view text) {
  const std::size_t length = std::min(text.size(), size - 1);
  std::memcpy(target, text.data(), length);
  target[length] = '\0';
}

std::string where(std::string_view doing, std::string_view file) {
  std::string text = "sqlite: " + std::string(doing);
  if (!file.empty()) text += ": " + std::string(file);
  return text;
}

}  // namespace

std::int32_t report(const Failure& failure, weir_error_t* error) noexcept {
  if (error == nullptr) return failure.code;
  weir_error_t filled{};
  filled.struct_size = error->struct_size;
  filled.code = failure.code;
  filled.native_code = failure.native_code;
  copy_cut(filled.native_text, sizeof filled.native_text, failure.native_text);
  // A shorter error of an older host ends inside the message, which still has to end with a zero.
  const std::size_t bytes = std::min<std::size_t>(error->struct_size, sizeof filled);
  constexpr std::size_t kMessageAt = offsetof(weir_error_t, message);
  if (bytes > kMessageAt) copy_cut(filled.message, bytes - kMessageAt, failure.message);
  std::memcpy(error, &filled, bytes);
  return failure.code;
}

std::string_view result_name(int result) {
  switch (primary(result)) {
    case SQLITE_ERROR:
      return "ERROR";
    case SQLITE_INTERNAL:
      return "INTERNAL";
    case SQLITE_PERM:
      return "PERM";
    case SQLITE_ABORT:
      return "ABORT";
    case SQLITE_BUSY:
      return "BUSY";
    case SQLITE_LOCKED:
      return "LOCKED";
    case SQLITE_NOMEM:
      return "NOMEM";
    case SQLITE_READONLY:
      return "READONLY";
    case SQLITE_INTERRUPT:
      return "INTERRUPT";
    case SQLITE_IOERR:
      return "IOERR";
    case SQLITE_CORRUPT:
      return "CORRUPT";
    case SQLITE_FULL:
      return "FULL";
    case SQLITE_CANTOPEN:
      return "CANTOPEN";
    case SQLITE_PROTOCOL:
      return "PROTOCOL";
    case SQLITE_SCHEMA:
      return "SCHEMA";
    case SQLITE_TOOBIG:
      return "TOOBIG";
    case SQLITE_CONSTRAINT:
      return "CONSTRAINT";
    case SQLITE_MISMATCH:
      return "MISMATCH";
    case SQLITE_MISUSE:
      return "MISUSE";
    case SQLITE_AUTH:
      return "AUTH";
    case SQLITE_RANGE:
      return "RANGE";
    case SQLITE_NOTADB:
      return "NOTADB";
    default:
      return "";
  }
}

bool is_locked(int result) {
  return primary(result) == SQLITE_BUSY || primary(result) == SQLITE_LOCKED;
}

Failure sqlite_failure(sqlite3* db, int result, std::string_view doing, std::string_view file) {
  const bool is_told = db != nullptr && sqlite3_errcode(db) == result;
  std::string text =
      where(doing, file) + ": " + (is_told ? sqlite3_errmsg(db) : sqlite3_errstr(result));
  const bool is_systems = primary(result) == SQLITE_CANTOPEN || primary(result) == SQLITE_IOERR;
  const int error_number = db != nullptr && is_systems ? sqlite3_system_errno(db) : 0;
  if (error_number != 0) text += " (" + std::generic_category().message(error_number) + ")";
  text += advice(result);
  return {code_of(result, error_number), one_line(std::move(text)), result,
          std::string(result_name(result))};
}

Failure failed(std::int32_t code, std::string_view doing, std::string_view text) {
  return {code, where(doing, "") + ": " + std::string(text), 0, {}};
}

Failure timed_out(std::string_view doing, std::string_view file, int result) {
  std::string text = where(doing, file) + " did not end before its deadline";
  if (is_locked(result)) text += ": another connection has a lock on it";
  const int reason = is_locked(result) ? result : 0;
  return {WEIR_TIMEOUT, std::move(text), reason,
          reason != 0 ? std::string(result_name(reason)) : std::string()};
}

}  // namespace weir::sqlite
