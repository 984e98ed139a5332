#include "policy/params.h"

#include <charconv>
#include <cmath>
#include <cstdint>

#include "base/text.h"
#include "policy/lua_decision.h"

namespace weir::policy {
namespace {

std::string type_of(const ParamValue& value) {
  constexpr const char* kTypes[] = {"true or false", "a finite number", "a text"};
  return kTypes[value.index()];
}

bool is_usable(const ParamValue& value) {
  const double* number = std::get_if<double>(&value);
  return number == nullptr || std::isfinite(*number);
}

std::string names_of(const Params& params) {
  std::string names;
  for (const auto& [name, value] : params) names += (names.empty() ? "" : ", ") + name;
  return names.empty() ? "no parameters" : names;
}

}  // namespace

Result<Params> read_params(const LuaValue& table) {
  if (table.table() == nullptr) return type_error("params", "a table", table.shown());
  Params params;
  for (const LuaValue::Entry& entry : *table.table()) {
    if (entry.key.text() == nullptr) return type_error("params", "names", entry.key.shown());
    ParamValue value;
    if (const bool* flag = std::get_if<bool>(&entry.value.held)) {
      value = *flag;
    } else if (const auto* whole = std::get_if<std::int64_t>(&entry.value.held)) {
      value = static_cast<double>(*whole);
    } else if (const auto* number = std::get_if<double>(&entry.value.held);
               number != nullptr && std::isfinite(*number)) {
      value = *number;
    } else if (entry.value.text() != nullptr) {
      value = *entry.value.text();
    } else {
      return type_error("params." + *entry.key.text(), "a finite number, a text, true or false",
                        entry.value.shown());
    }
    params.emplace(*entry.key.text(), std::move(value));
  }
  return params;
}

Result<Params> with_overrides(const Params& defaults, const Params& overrides) {
  Params params = defaults;
  for (const auto& [name, value] : overrides) {
    const auto found = params.find(name);
    if (found == params.end()) {
      return Status(Code::kBadConfig,
                    "params." + name + ": unknown; the script has " + names_of(defaults));
    }
    if (value.index() != found->second.index() || !is_usable(value)) {
      return Status(Code::kBadConfig, "params." + name + ": expected " + type_of(found->second) +
                                          ", found " + show_param(value));
    }
    found->second = value;
  }
  return params;
}

ParamValue parse_param(std::string_view text) {
  if (text == "true") return true;
  if (text == "false") return false;
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc() && end == text.data() + text.size() && !text.empty()) return number;
  const bool is_quoted = text.size() >= 2 && text.front() == '"' && text.back() == '"';
  return std::string(is_quoted ? text.substr(1, text.size() - 2) : text);
}

std::string show_param(const ParamValue& value) {
  LuaValue shown;
  if (const bool* flag = std::get_if<bool>(&value)) shown.held = *flag;
  if (const double* number = std::get_if<double>(&value)) shown.held = *number;
  if (const auto* text = std::get_if<std::string>(&value)) shown.held = *text;
  return shown.shown();
}

}  // namespace weir::policy
