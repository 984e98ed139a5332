// Status and Result<T>: how every fallible function of weir answers.
//
// A Status is a Code and, unless it is ok, a message that names the thing, what was expected and
// what was found. Codes are weir/codes.h: chosen by what the caller can do. A normal outcome is not
// an error (nothing idle: std::optional); a broken promise of our own code is a WEIR_CHECK.
// Threads: plain values. No message ever carries a password.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "weir/codes.h"

namespace weir {

enum class Code : std::int32_t {
  kOk = WEIR_OK,
  kTimeout = WEIR_TIMEOUT,
  kClosed = WEIR_CLOSED,
  kNotOpen = WEIR_NOT_OPEN,
  kPaused = WEIR_PAUSED,
  kConnectFailed = WEIR_CONNECT_FAILED,
  kAuthFailed = WEIR_AUTH_FAILED,
  kServerFull = WEIR_SERVER_FULL,
  kTooManyWaiters = WEIR_TOO_MANY_WAITERS,
  kWouldBlock = WEIR_WOULD_BLOCK,
  kCancelled = WEIR_CANCELLED,
  kForeignConnection = WEIR_FOREIGN_CONNECTION,
  kNotCheckedOut = WEIR_NOT_CHECKED_OUT,
  kForked = WEIR_FORKED,
  kBadConfig = WEIR_BAD_CONFIG,
  kBadArgument = WEIR_BAD_ARGUMENT,
  kShmIncompatible = WEIR_SHM_INCOMPATIBLE,
  kShmCorrupt = WEIR_SHM_CORRUPT,
  kShmFull = WEIR_SHM_FULL,
  kQuotaExhausted = WEIR_QUOTA_EXHAUSTED,
  kBreakerOpen = WEIR_BREAKER_OPEN,
  kPolicyBudget = WEIR_POLICY_BUDGET,
  kPolicyMemory = WEIR_POLICY_MEMORY,
  kPolicyRuntime = WEIR_POLICY_RUNTIME,
  kPolicyType = WEIR_POLICY_TYPE,
  kBadDriver = WEIR_BAD_DRIVER,
  kNotSupported = WEIR_NOT_SUPPORTED,
  kConnectionBroken = WEIR_CONNECTION_BROKEN,
  kDatabaseError = WEIR_DATABASE_ERROR,
  kNoPermission = WEIR_NO_PERMISSION,
  kOutOfMemory = WEIR_OUT_OF_MEMORY,
  kSystemError = WEIR_SYSTEM_ERROR,
  kNotFound = WEIR_NOT_FOUND,
};

/// The code's stable lower-case name ("timeout"); "unknown" for a number outside the list.
[[nodiscard]] std::string_view code_name(Code code);
/// Whether the same call may succeed later without anybody changing anything.
[[nodiscard]] bool is_retryable(Code code);
/// Whether a deadline of the caller's passed.
[[nodiscard]] bool is_timeout(Code code);

class [[nodiscard]] Status {
 public:
  Status() = default;  // ok
  Status(Code code, std::string message) : code_(code), message_(std::move(message)) {}

  /// A failed system call: `what`, then the error's text and number. Reads no global state (errno).
  /// kNoPermission and kOutOfMemory for the errors that say so, kSystemError for all others.
  static Status system_error(std::string_view what, int error_number);

  [[nodiscard]] bool ok() const { return code_ == Code::kOk; }
  [[nodiscard]] Code code() const { return code_; }
  [[nodiscard]] const std::string& message() const { return message_; }
  /// The client library's own code (an SQLSTATE); empty where there is none.
  [[nodiscard]] const std::string& native_text() const { return native_text_; }
  [[nodiscard]] std::int32_t native_code() const { return native_code_; }

  /// The same failure with the client library's own words for it.
  Status with_native(std::int32_t native_code, std::string native_text) &&;
  /// When the same call may be worth making again, in milliseconds; 0: nothing is known.
  [[nodiscard]] std::uint32_t retry_after_ms() const { return retry_after_ms_; }
  Status with_retry_after(std::uint64_t ms) &&;
  /// The same failure with `context: ` in front of its message.
  Status in(std::string_view context) &&;

  /// "timeout: pool main: ..." for logs and tests; "ok".
  [[nodiscard]] std::string to_string() const;

 private:
  Code code_ = Code::kOk;
  std::int32_t native_code_ = 0;
  std::uint32_t retry_after_ms_ = 0;
  std::string message_;
  std::string native_text_;
};

/// Writes `status` into a caller-owned C error, cut to fit; does nothing if `error` is null.
/// Returns the code, so that a C function can end with `return write_error(status, error);`.
std::int32_t write_error(const Status& status, weir_error_t* error);
/// The Status that a C function of a driver reported by `code` and `error`.
Status read_error(std::int32_t code, const weir_error_t& error);

/// A value, or the Status that says why there is none.
template <typename T>
class [[nodiscard]] Result {
 public:
  // Both implicit, so that a function can say `return value;` and `return status;`.
  Result(T value) : value_(std::move(value)) {}          // NOLINT(google-explicit-constructor)
  Result(Status status) : status_(std::move(status)) {}  // NOLINT(google-explicit-constructor)

  [[nodiscard]] bool ok() const { return value_.has_value(); }
  [[nodiscard]] const Status& status() const { return status_; }
  /// REQUIRES: ok().
  [[nodiscard]] T& value() & { return *value_; }
  [[nodiscard]] const T& value() const& { return *value_; }
  [[nodiscard]] T&& value() && { return *std::move(value_); }

 private:
  std::optional<T> value_;
  Status status_;
};

/// Ends the process with file, line and `what`: a promise of our own code is broken.
[[noreturn]] void check_failed(const char* file, int line, const char* what);

}  // namespace weir

/// Passes a failing Status on to the caller.
#define WEIR_TRY(expr)                                                                          \
  do {                                                                                          \
    if (::weir::Status weir_try_status = (expr); !weir_try_status.ok()) return weir_try_status; \
  } while (false)

/// Always on, also in release: what it guards is somebody's database.
#define WEIR_CHECK(condition) \
  ((condition) ? static_cast<void>(0) : ::weir::check_failed(__FILE__, __LINE__, #condition))
