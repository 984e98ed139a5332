// Durations as people write them: "250ms", "30s", "10m", "1h30m", "0s".
// Threads: free functions without state.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace weir {

/// Whole numbers with the units h, m, s, ms, each at most once and the largest first, without
/// spaces, sign or fraction. nullopt for anything else, and for what does not fit into
/// milliseconds.
[[nodiscard]] std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);

/// The shortest text that parse_duration reads as `duration`. REQUIRES: not negative.
[[nodiscard]] std::string duration_text(std::chrono::milliseconds duration);

/// "a duration like ...": what messages say was expected.
inline constexpr std::string_view kDurationForm =
    R"(a duration with a unit (ms, s, m or h) such as "250ms", "30s" or "1h30m")";

}  // namespace weir
