#include "config/written.h"

#include <array>
#include <charconv>

#include "base/text.h"

namespace weir::config {
namespace {

// As TOML writes a string (its "basic string").
std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) append_escaped(out, c, "\\u00");
  return out + "\"";
}

}  // namespace

std::string written(const std::string& text) {
  return may_hold_password(text) ? std::string(kNotShown) : quoted(text);
}

std::string written(double number) {
  std::array<char, 32> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), number).ptr;
  return std::string(text.data(), end);
}

std::string written(const std::vector<std::string>& texts) {
  std::string out = "[";
  for (const std::string& text : texts) out += (out.size() > 1 ? ", " : "") + written(text);
  return out + "]";
}

}  // namespace weir::config
