#include "failure.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <system_error>

namespace weir::redis {
namespace {

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
  copy_cut(filled.native_text, sizeof filled.native_text, failure.native);
  // A shorter error of an older host ends inside the message, which still has to end with a zero.
  const std::size_t bytes = std::min<std::size_t>(error->struct_size, sizeof filled);
  constexpr std::size_t kMessageAt = offsetof(weir_error_t, message);
  if (bytes > kMessageAt) {
    copy_cut(filled.message, std::min(bytes - kMessageAt, sizeof filled.message), failure.message);
  }
  std::memcpy(error, &filled, bytes);
  return failure.code;
}

bool fail(Failure* failure, std::int32_t code, std::string_view what) {
  *failure = {code, "redis: " + std::string(what), {}};
  return false;
}

Failure timed_out(std::string_view doing) {
  Failure failure;
  fail(&failure, WEIR_TIMEOUT, std::string(doing) + " did not end before its deadline");
  return failure;
}

Failure system_failure(std::int32_t code, std::string_view what, int error_number) {
  Failure failure;
  fail(&failure, code, std::string(what) + ": " + std::generic_category().message(error_number));
  return failure;
}

std::string first_word(std::string_view error) {
  return std::string(error.substr(0, error.find(' ')));
}

std::string shown(std::string_view error) {
  // "ERR unknown command 'X', with args beginning with: ..." and the like.
  std::string text(error.substr(0, error.find(", with args")));
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return c < ' '; }, ' ');
  return text;
}

}  // namespace weir::redis
