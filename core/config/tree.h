// A configuration text as a plain tree: what toml++ read, in the order of the file, with lines.
//
// The only room behind which toml++ stands. Values are as written: no variable is filled in yet.
// Threads: plain values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace weir::config {

struct ConfigNode {
  enum class Kind { kTable, kArray, kText, kInteger, kOther };

  std::string name;   // its key; empty for the elements of an array
  unsigned line = 1;  // where its key (for an element: where it) stands, from 1
  Kind kind = Kind::kOther;
  std::string text;          // kText: the text; kOther: what it is, for people ("a boolean")
  std::int64_t integer = 0;  // kInteger
  std::vector<ConfigNode> children;  // kTable, kArray: in the order of the file

  /// The child called `key`; null if there is none.
  [[nodiscard]] const ConfigNode* find(std::string_view key) const;
};

/// The root table of `text`. kBadConfig "ORIGIN:LINE: ..." if it is not TOML, nests deeper than any
/// configuration does or is larger than 1 MiB. Shows nothing of a line that mentions a dsn.
[[nodiscard]] Result<ConfigNode> parse_tree(std::string_view text, const std::string& origin);

}  // namespace weir::config
