#include "key_trace.h"

#include <string.h>  // NOLINT(modernize-deprecated-headers): explicit_bzero is not in <cstring>

#include <charconv>

namespace weir::postgres {
namespace {

constexpr std::string_view kFromServer = "B\t";
constexpr std::string_view kKeyMessage = "B\t12\tBackendKeyData\t";

/// Reads one " number" off the front of `text`.
std::optional<std::int32_t> take_number(std::string_view& text) {
  if (!text.starts_with(' ')) return std::nullopt;
  text.remove_prefix(1);
  std::int32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return number;
}

}  // namespace

std::optional<BackendKey> parse_key_line(std::string_view line) {
  if (!line.starts_with(kKeyMessage)) return std::nullopt;
  line.remove_prefix(kKeyMessage.size());
  const std::optional<std::int32_t> pid = take_number(line);
  const std::optional<std::int32_t> key = take_number(line);
  if (!pid || !key || !line.empty()) return std::nullopt;
  return BackendKey{*pid, static_cast<std::uint32_t>(*key)};
}

void KeyTrace::start(PGconn* conn) {
  cookie_io_functions_t functions{};
  functions.write = &KeyTrace::write;
  stream_ = fopencookie(this, "w", functions);
  if (stream_ == nullptr) return;
  std::setvbuf(stream_, buffer_.data(), _IOLBF, buffer_.size());
  PQtrace(conn, stream_);
  PQsetTraceFlags(conn, PQTRACE_SUPPRESS_TIMESTAMPS);
}

void KeyTrace::stop(PGconn* conn) {
  if (stream_ == nullptr) return;
  PQuntrace(conn);
  std::fclose(stream_);
  stream_ = nullptr;
  explicit_bzero(buffer_.data(), buffer_.size());
  explicit_bzero(line_.data(), line_.size());
}

ssize_t KeyTrace::write(void* self, const char* data, std::size_t size) {
  for (const char c : std::string_view(data, size)) static_cast<KeyTrace*>(self)->take(c);
  return static_cast<ssize_t>(size);
}

void KeyTrace::take(char c) {
  if (c == '\n') {
    if (!skips_line_) {
      if (const auto found = parse_key_line({line_.data(), line_size_})) key_ = found;
    }
    line_size_ = 0;
    skips_line_ = false;
    return;
  }
  if (skips_line_) return;
  const bool is_wanted = line_size_ < line_.size() &&
                         (line_size_ >= kFromServer.size() || kFromServer[line_size_] == c);
  if (is_wanted) {
    line_[line_size_++] = c;
  } else {
    skips_line_ = true;
  }
}

}  // namespace weir::postgres
