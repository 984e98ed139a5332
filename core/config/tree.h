// A configuration as a plain tree: what toml++ read, in the order of the file, and what environment
// and presets add to it; every node knows where it comes from.
//
// The only file behind which toml++ stands. Values are as written: no variable is filled in yet.
// Threads: plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "config/source.h"

namespace weir::config {

struct ConfigNode {
  enum class Kind { kTable, kArray, kText, kInteger, kFraction, kBoolean, kOther };

  std::string name{};  // its key; empty for the elements of an array
  Source source{};     // where its key (for an element: where it) stands
  Kind kind = Kind::kOther;
  std::string text{};        // kText: the text; kOther: what it is, for people ("a date or time")
  bool is_literal = false;   // kText: "${" means itself
  std::int64_t integer = 0;  // kInteger
  double fraction = 0;       // kFraction: may be infinite, or no number at all
  bool boolean = false;      // kBoolean
  std::vector<ConfigNode> children{};  // kTable, kArray: in the order of the file

  /// The child called `key`; null if there is none.
  [[nodiscard]] const ConfigNode* find(std::string_view key) const;
  [[nodiscard]] ConfigNode* find(std::string_view key);
  /// The child called `key` if it is a table; null otherwise.
  [[nodiscard]] ConfigNode* find_table(std::string_view key);
  /// Puts `child` in the place of the one of its name, or behind the others.
  void set(ConfigNode child);
};

/// The root table of `text`. kBadConfig "ORIGIN:LINE: ..." if it is not TOML, nests deeper than any
/// configuration does or is larger than 1 MiB. Shows nothing of a line that mentions a dsn.
[[nodiscard]] Result<ConfigNode> parse_tree(std::string_view text, const std::string& origin);

/// One value as TOML has it on the right of a "="; nullopt if `text` is not one.
[[nodiscard]] std::optional<ConfigNode> parse_value(std::string_view text);

/// An empty table called `name`.
[[nodiscard]] ConfigNode make_table(std::string name, Source source);

}  // namespace weir::config
