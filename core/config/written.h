// How values are written: as they would stand in a weir.toml, for people who look.
//
// A text that looks as if it held a password is replaced by a remark. Keys that are secret as a
// whole are not written by these. Threads: pure functions.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/duration.h"

namespace weir::config {

/// What stands in the place of a value that is not shown.
inline constexpr std::string_view kNotShown = "\"(not shown)\"";

/// `text` as a TOML string, or kNotShown if it may hold a password.
[[nodiscard]] std::string written(const std::string& text);
[[nodiscard]] inline std::string written(std::uint32_t count) { return std::to_string(count); }
/// The shortest text that reads back the same.
[[nodiscard]] std::string written(double number);
[[nodiscard]] inline std::string written(bool flag) { return flag ? "true" : "false"; }
[[nodiscard]] inline std::string written(std::chrono::milliseconds duration) {
  return '"' + duration_text(duration) + '"';
}
[[nodiscard]] std::string written(const std::vector<std::string>& texts);

/// Empty: nothing is set.
template <auto kMember, typename Target>
std::string write_value(const Target& target) {
  return written(target.*kMember);
}

template <auto kMember, typename Target>
std::string write_text_if_any(const Target& target) {
  return (target.*kMember).empty() ? std::string() : written(target.*kMember);
}

template <auto kMember, typename Target>
std::string write_if_set(const Target& target) {
  return (target.*kMember) ? written(*(target.*kMember)) : std::string();
}

template <auto kMember, typename Target>
std::string write_duration_or_never(const Target& target) {
  return (target.*kMember) ? written(*(target.*kMember)) : "\"never\"";
}

template <auto kMember, const auto& kChoices, typename Target>
std::string write_choice(const Target& target) {
  for (const auto& [name, value] : kChoices) {
    if (value == target.*kMember) return written(std::string(name));
  }
  return {};
}

}  // namespace weir::config
