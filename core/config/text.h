// What a string of a weir.toml may hold: ${VAR}, ${VAR:-default}, and $${ for a literal "${".
// Threads: reads the environment (getenv), so nobody may change it at the same time.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/status.h"

namespace weir::config {

/// `text` with its variables filled in. As in a shell, a default also stands for an empty variable;
/// it goes up to the next "}" and is taken as it is. What was filled in is not read again.
/// kBadConfig names a variable that is not set; it shows nothing else of `text`, which may be
/// secret.
[[nodiscard]] Result<std::string> expand_variables(std::string_view text);

/// The one of `valid` that takes the fewest edits (insert, delete, replace, swap two neighbours) to
/// get from `wrong`; the first of equals. REQUIRES: `valid` is not empty.
[[nodiscard]] std::string_view nearest(std::string_view wrong,
                                       std::span<const std::string_view> valid);

}  // namespace weir::config
