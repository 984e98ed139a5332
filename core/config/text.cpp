#include "config/text.h"

#include <algorithm>
#include <cstdlib>
#include <vector>

namespace weir::config {
namespace {

bool is_variable_name(std::string_view name) {
  const auto may_begin = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  };
  return !name.empty() && may_begin(name.front()) &&
         std::all_of(name.begin(), name.end(),
                     [&](char c) { return may_begin(c) || (c >= '0' && c <= '9'); });
}

/// The value of what stands between "${" and "}".
Result<std::string> value_of(std::string_view reference) {
  const std::size_t mark = reference.find(":-");
  const std::string name(reference.substr(0, mark));
  if (!is_variable_name(name)) {
    return Status(
        Code::kBadConfig,
        R"(expected the name of a variable between "${" and "}" ("$${" means a plain "${"), )"
        "found something else");
  }
  // The contract of this file: nobody changes the environment meanwhile.
  const char* const value = std::getenv(name.c_str());  // NOLINT(concurrency-mt-unsafe)
  if (mark != std::string_view::npos && (value == nullptr || *value == '\0')) {
    return std::string(reference.substr(mark + 2));
  }
  if (value == nullptr) {
    return Status(Code::kBadConfig, "expected the variable " + name +
                                        " in the environment, found it not set (${" + name +
                                        ":-...} would give it a default)");
  }
  return std::string(value);
}

// Optimal string alignment distance, three rows at a time.
std::size_t edits_between(std::string_view from, std::string_view to) {
  std::vector<std::size_t> before;  // two rows up
  std::vector<std::size_t> above(to.size() + 1);
  std::vector<std::size_t> row(to.size() + 1);
  for (std::size_t j = 0; j <= to.size(); ++j) above[j] = j;
  for (std::size_t i = 1; i <= from.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= to.size(); ++j) {
      const std::size_t replaced = above[j - 1] + (from[i - 1] == to[j - 1] ? 0 : 1);
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, replaced});
      const bool is_swap = i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1];
      if (is_swap) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before = above;
    above = row;
  }
  return above[to.size()];
}

}  // namespace

Result<std::string> expand_variables(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t dollar = text.find('$');
    out += text.substr(0, dollar);
    if (dollar == std::string_view::npos) break;
    text.remove_prefix(dollar);

    if (text.starts_with("$${")) {
      out += "${";
      text.remove_prefix(3);
    } else if (text.starts_with("${")) {
      const std::size_t end = text.find('}');
      if (end == std::string_view::npos) {
        return Status(Code::kBadConfig,
                      R"(expected "}" after "${" ("$${" means a plain "${"), found none)");
      }
      Result<std::string> value = value_of(text.substr(2, end - 2));
      if (!value.ok()) return value.status();
      out += value.value();
      text.remove_prefix(end + 1);
    } else {
      out += '$';
      text.remove_prefix(1);
    }
  }
  return out;
}

std::string_view nearest(std::string_view wrong, std::span<const std::string_view> valid) {
  constexpr std::size_t kMostCompared = 64;  // no key is half as long; a file may hold any nonsense
  wrong = wrong.substr(0, kMostCompared);
  return *std::min_element(valid.begin(), valid.end(), [&](auto a, auto b) {
    return edits_between(wrong, a) < edits_between(wrong, b);
  });
}

}  // namespace weir::config
