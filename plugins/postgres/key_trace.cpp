#include "key_trace.h"

#include <string.h>  // NOLINT(modernize-deprecated-headers): explicit_bzero is not in <cstring>

#include <algorithm>
#include <charconv>

namespace weir::postgres {
namespace {

constexpr std::string_view kFromServer = "B\t";
constexpr std::string_view kKeyMessage = "B\t12\tBackendKeyData\t";
constexpr std::string_view kParameterMessage = "\tParameterStatus\t \"";

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

std::string_view parse_parameter_line(std::string_view line) {
  if (!line.starts_with(kFromServer)) return {};
  line.remove_prefix(kFromServer.size());
  const std::size_t length_bytes = std::min(line.find('\t'), line.size());
  line.remove_prefix(length_bytes);
  if (!line.starts_with(kParameterMessage)) return {};
  line.remove_prefix(kParameterMessage.size());
  const std::size_t end = line.find('"');
  return end != std::string_view::npos ? line.substr(0, end) : std::string_view();
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
    end_line();
    return;
  }
  if (skips_line_ || is_cut_) return;
  if (line_size_ == line_.size()) {
    is_cut_ = true;
  } else if (line_size_ < kFromServer.size() && kFromServer[line_size_] != c) {
    skips_line_ = true;
  } else {
    line_[line_size_++] = c;
  }
}

void KeyTrace::end_line() {
  const std::string_view line(line_.data(), skips_line_ ? 0 : line_size_);
  const auto key = is_cut_ ? std::nullopt : parse_key_line(line);
  if (key) key_ = key;
  const std::string_view parameter = parse_parameter_line(line);
  if (!parameter.empty() && parameters_.size() < kMostNames) parameters_.emplace_back(parameter);
  line_size_ = 0;
  skips_line_ = false;
  is_cut_ = false;
}

}  // namespace weir::postgres
