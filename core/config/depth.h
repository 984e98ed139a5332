// How deep a configuration text nests, judged before it is parsed.
//
// toml++ bounds how deep values nest but not how many parts a dotted key has, and takes its tables
// apart by recursion: a line of "a.a.a.a..." overflows a worker's stack. weir.toml needs three
// levels. Threads: free functions without state.
#pragma once

#include <optional>
#include <string_view>

namespace weir::config {

inline constexpr unsigned kMostKeyParts = 16;      // of one dotted key
inline constexpr unsigned kMostOpenBrackets = 16;  // "[" and "{" within each other

/// The line (from 1) at which `text` goes beyond one of the two; nullopt if it never does. Exact
/// for as much of `text` as is valid TOML, which is as much as a parser gets to see.
[[nodiscard]] std::optional<unsigned> line_nested_too_deep(std::string_view text);

}  // namespace weir::config
