#include "base/status.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/text.h"

namespace weir {
namespace {

struct CodeTraits {
  std::string_view name;
  bool retryable;
  bool is_timeout;
};

// Indexed by number: codes.h numbers from 0 without a gap, which the static_asserts hold it to.
constexpr auto kCodes = std::to_array<CodeTraits>({
#define WEIR_CODE_TRAITS(name, number, text, retryable, is_timeout) \
  {text, (retryable) != 0, (is_timeout) != 0},
    WEIR_CODES(WEIR_CODE_TRAITS)
#undef WEIR_CODE_TRAITS
});

constexpr std::array kNumbers = {
#define WEIR_CODE_NUMBER(name, number, text, retryable, is_timeout) (number),
    WEIR_CODES(WEIR_CODE_NUMBER)
#undef WEIR_CODE_NUMBER
};

constexpr bool is_gapless() {
  for (std::size_t i = 0; i < kNumbers.size(); ++i) {
    if (kNumbers.at(i) != static_cast<int>(i)) return false;
  }
  return true;
}
static_assert(is_gapless());
static_assert(static_cast<std::size_t>(Code::kNotFound) + 1 == kCodes.size(),
              "a code was appended to weir/codes.h: append it to Code as well");

const CodeTraits* traits_of(std::int32_t number) {
  const auto index = static_cast<std::size_t>(number);
  return number >= 0 && index < kCodes.size() ? &kCodes.at(index) : nullptr;
}

/// Writes `text` and a zero at `offset` of a struct of which `struct_size` bytes exist.
void put_text(char* base, std::size_t struct_size, std::size_t offset, std::size_t capacity,
              std::string_view text) {
  if (struct_size <= offset) return;
  const std::size_t room = std::min(capacity, struct_size - offset);
  const std::string_view fitting = cut_text(text, room - 1);
  std::copy(fitting.begin(), fitting.end(), base + offset);
  base[offset + fitting.size()] = '\0';
}

void put_number(char* base, std::size_t struct_size, std::size_t offset, std::int32_t number) {
  if (struct_size < offset + sizeof number) return;
  std::memcpy(base + offset, &number, sizeof number);
}

template <std::size_t kBytes>
std::string bounded(const char (&text)[kBytes]) {
  return {text, strnlen(text, kBytes)};
}

Code code_of_errno(int error_number) {
  switch (error_number) {
    case EACCES:
    case EPERM:
    case EROFS:
      return Code::kNoPermission;
    case ENOMEM:
      return Code::kOutOfMemory;
    default:
      return Code::kSystemError;
  }
}

}  // namespace

std::string_view code_name(Code code) {
  const CodeTraits* traits = traits_of(static_cast<std::int32_t>(code));
  return traits != nullptr ? traits->name : "unknown";
}

bool is_retryable(Code code) {
  const CodeTraits* traits = traits_of(static_cast<std::int32_t>(code));
  return traits != nullptr && traits->retryable;
}

bool is_timeout(Code code) {
  const CodeTraits* traits = traits_of(static_cast<std::int32_t>(code));
  return traits != nullptr && traits->is_timeout;
}

Status Status::system_error(std::string_view what, int error_number) {
  char buffer[256];
  std::string message(what);
  message += ": ";
  message += strerror_r(error_number, buffer, sizeof buffer);  // the GNU one: returns the text
  message += " (errno " + std::to_string(error_number) + ")";
  return Status(code_of_errno(error_number), std::move(message)).with_native(error_number, "");
}

Status Status::with_native(std::int32_t native_code, std::string native_text) && {
  native_code_ = native_code;
  native_text_ = std::move(native_text);
  return std::move(*this);
}

Status Status::with_retry_after(std::uint64_t ms) && {
  retry_after_ms_ = static_cast<std::uint32_t>(std::min<std::uint64_t>(ms, UINT32_MAX));
  return std::move(*this);
}

Status Status::in(std::string_view context) && {
  if (!ok()) message_.insert(0, std::string(context) + ": ");
  return std::move(*this);
}

std::string Status::to_string() const {
  std::string text(code_name(code_));
  if (!message_.empty()) text += ": " + message_;
  return text;
}

std::int32_t write_error(const Status& status, weir_error_t* error) {
  const auto code = static_cast<std::int32_t>(status.code());
  if (error == nullptr) return code;
  // The caller may have been compiled against a shorter struct: nothing past its struct_size.
  char* const base = reinterpret_cast<char*>(error);
  const std::size_t size = error->struct_size;
  put_number(base, size, offsetof(weir_error_t, code), code);
  put_number(base, size, offsetof(weir_error_t, native_code), status.native_code());
  put_text(base, size, offsetof(weir_error_t, native_text), sizeof error->native_text,
           status.native_text());
  put_text(base, size, offsetof(weir_error_t, message), sizeof error->message, status.message());
  put_number(base, size, offsetof(weir_error_t, retry_after_ms),
             static_cast<std::int32_t>(status.retry_after_ms()));
  return code;
}

Status read_error(std::int32_t code, const weir_error_t& error) {
  if (code == WEIR_OK) return {};
  std::string message = bounded(error.message);
  std::string native_text = bounded(error.native_text);
  if (traits_of(code) == nullptr) {
    message = "code " + std::to_string(code) + " found, one of weir/codes.h expected: " + message;
    code = WEIR_BAD_DRIVER;
  }
  return Status(static_cast<Code>(code), std::move(message))
      .with_native(error.native_code, std::move(native_text));
}

void check_failed(const char* file, int line, const char* what) {
  std::fprintf(stderr, "weir: %s:%d: a promise of our own is broken: %s\n", file, line, what);
  std::abort();
}

}  // namespace weir
