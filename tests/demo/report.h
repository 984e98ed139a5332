// What the demo ends with: one comparison for people, the same figures as JSON for programs, and
// whether weir kept its word. No threads.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>

#include "demo/ideal.h"
#include "demo/outcome.h"
#include "demo/wording.h"

namespace weir::demo {

/// What one variant came to.
struct Figures {
  Summary summary;
  std::uint32_t server_max = 0;  // sessions the server had at one time, at most
  std::uint64_t connects = 0;    // logins that it accepted
  std::uint64_t refused = 0;     // and those that it did not, for there were too many
  std::uint64_t samples = 0;     // how often it was asked
  std::string first_error;
};

/// What became of the connections of the worker that was killed.
struct AfterKill {
  std::uint32_t killed = 0;               // workers
  std::optional<double> permits_back_ms;  // from the end of its process; empty: never
  std::uint32_t permits_missing = 0;      // of the quota, at the end
};

struct Report {
  std::uint32_t quota = 0;
  Figures split;  // the static one
  Figures weir;
  AfterKill after_kill;  // weir's
  Figures ideal;
  Wording wording;
};

[[nodiscard]] Figures figures_of(const Ideal& ideal);

void print_comparison(const Report& report, std::ostream& out);

/// {"quota": n, "static": {...}, "weir": {...}, "ideal": {...}}
[[nodiscard]] std::string to_json(const Report& report);

/// What share of the requests weir is expected to serve, on a machine that has time for it.
inline constexpr double kLeastSuccessPct = 99.9;

/// What weir promised and did not keep, a line each; empty if it kept everything.
[[nodiscard]] std::string broken_promises(const Report& report,
                                          double least_success_pct = kLeastSuccessPct);

}  // namespace weir::demo
