// The values of variables that people already have, as other programs read them: numbers of seconds
// without a unit, flags in several words, URLs with SQLAlchemy's schemes.
// Threads: pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/status.h"
#include "config/environment.h"
#include "config/pool_config.h"

namespace weir::config {

/// kBadConfig: "VARIABLE: expected ..., found ...".
[[nodiscard]] Status refuse(const std::string& variable, const std::string& expected,
                            const std::string& text);

using MaybeCount = std::optional<std::int64_t>;
/// nullopt: not set. kBadConfig for anything but a whole number from `least` to `most`.
[[nodiscard]] Result<MaybeCount> count_of(const Environment& environment,
                                          const std::string& variable, std::int64_t least,
                                          std::int64_t most);

/// `text` as a number (a fraction too) of units of `unit_ms` milliseconds, rounded up to one;
/// nullopt if it is none, negative, or longer than any duration of weir's.
[[nodiscard]] std::optional<milliseconds> duration_of(const std::string& text, double unit_ms);

/// "true", "1", "yes", "on" and their opposites, in any case; nullopt for anything else.
[[nodiscard]] std::optional<bool> flag_of(const std::string& text);

/// What DATABASE_URL says in the words of weir's drivers.
struct Url {
  std::string driver;  // empty: the text names none
  std::string dsn;
};
/// "postgresql+psycopg2://..." is the driver "postgres" and "postgresql://...". nullopt: a scheme
/// that no SQL driver is known for.
[[nodiscard]] std::optional<Url> url_of(const std::string& text);

}  // namespace weir::config
