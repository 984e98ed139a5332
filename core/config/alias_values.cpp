#include "config/alias_values.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string_view>

#include "base/text.h"

namespace weir::config {

Status refuse(const std::string& variable, const std::string& expected, const std::string& text) {
  return {Code::kBadConfig, variable + ": expected " + expected + ", found " + show_text(text)};
}

Result<MaybeCount> count_of(const Environment& environment, const std::string& variable,
                            std::int64_t least, std::int64_t most) {
  const std::string* const text = environment.find(variable);
  if (text == nullptr) return MaybeCount();
  std::int64_t count = 0;
  const char* const end = text->data() + text->size();
  const auto [rest, error] = std::from_chars(text->data(), end, count);
  if (error == std::errc{} && rest == end && count >= least && count <= most) {
    return MaybeCount(count);
  }
  return refuse(variable, "a number from " + std::to_string(least) + " to " + std::to_string(most),
                *text);
}

std::optional<milliseconds> duration_of(const std::string& text, double unit_ms) {
  double number = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc{} || rest != end || !std::isfinite(number) || number < 0) {
    return std::nullopt;
  }
  const double ms = std::ceil(number * unit_ms);  // never shorter than asked: not to zero
  if (ms > static_cast<double>(kLongestDuration.count())) return std::nullopt;
  return milliseconds(static_cast<milliseconds::rep>(ms));
}

std::optional<bool> flag_of(const std::string& text) {
  const std::string lower = lower_case(text);
  for (const std::string_view yes : {"true", "1", "yes", "on"}) {
    if (lower == yes) return true;
  }
  for (const std::string_view no : {"false", "0", "no", "off"}) {
    if (lower == no) return false;
  }
  return std::nullopt;
}

std::optional<Url> url_of(const std::string& text) {
  const std::size_t end = text.find("://");
  if (end == std::string::npos) return Url{"", text};
  const std::string whole = lower_case(text.substr(0, end));
  const std::string scheme = whole.substr(0, whole.find('+'));
  if (scheme == "postgres" || scheme == "postgresql" || scheme == "postgis" || scheme == "pgsql") {
    return Url{"postgres", "postgresql" + text.substr(end)};
  }
  if (scheme == "sqlite" || scheme == "sqlite3") return Url{"sqlite", "sqlite" + text.substr(end)};
  return std::nullopt;
}

}  // namespace weir::config
