// Failure: why something did not work, on its way to the host's weir_error_t.
//
// Every message ends up in logs: it names the thing, stands on one line and holds no password. A
// server quotes the arguments of a command that it does not know, so its words are cut before
// those, and of a refused AUTH only the first word is told. Threads: plain values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "weir/driver.h"

namespace weir::redis {

struct Failure {
  std::int32_t code = WEIR_OK;  // enum weir_code
  std::string message;
  std::string native;  // the first word of the server's error; empty where it said none
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

/// Sets *failure to `code` and "redis: " with `what`. Returns false, for the caller to pass on.
bool fail(Failure* failure, std::int32_t code, std::string_view what);

/// The deadline passed; `doing` says what took so long.
[[nodiscard]] Failure timed_out(std::string_view doing);

/// A failed system call; `what` names it.
[[nodiscard]] Failure system_failure(std::int32_t code, std::string_view what, int error_number);

/// The first word of a server's error: "WRONGPASS", "ERR", ...
[[nodiscard]] std::string first_word(std::string_view error);
/// A server's error as it may be shown: on one line, without the arguments of a command.
[[nodiscard]] std::string shown(std::string_view error);

}  // namespace weir::redis
