#include "base/duration.h"

#include <array>
#include <charconv>
#include <cstdint>

namespace weir {
namespace {

using std::chrono::milliseconds;

struct Unit {
  std::string_view name;
  std::int64_t ms;
};

constexpr std::array<Unit, 4> kUnits = {{{"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}, {"ms", 1}}};

}  // namespace

std::optional<milliseconds> parse_duration(std::string_view text) {
  if (text.empty()) return std::nullopt;
  std::int64_t total = 0;
  std::size_t least = 0;  // the first unit that may still come
  while (!text.empty()) {
    // 1. Digits. from_chars would take a minus.
    std::int64_t count = 0;
    const char* const end = text.data() + text.size();
    if (text.front() == '-') return std::nullopt;
    const auto [rest, error] = std::from_chars(text.data(), end, count);
    if (error != std::errc{}) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(rest - text.data()));

    // 2. A unit smaller than the one before: letters up to the next digit.
    const std::string_view name = text.substr(0, text.find_first_of("0123456789"));
    while (least < kUnits.size() && kUnits.at(least).name != name) ++least;
    if (least == kUnits.size()) return std::nullopt;
    text.remove_prefix(name.size());

    std::int64_t part = 0;
    if (__builtin_mul_overflow(count, kUnits.at(least).ms, &part) ||
        __builtin_add_overflow(total, part, &total)) {
      return std::nullopt;
    }
    ++least;
  }
  return milliseconds(total);
}

std::string duration_text(milliseconds duration) {
  std::int64_t left = duration.count();
  if (left == 0) return "0s";
  std::string text;
  for (const Unit& unit : kUnits) {
    if (left >= unit.ms) {
      text += std::to_string(left / unit.ms);
      text += unit.name;
      left %= unit.ms;
    }
  }
  return text;
}

}  // namespace weir
