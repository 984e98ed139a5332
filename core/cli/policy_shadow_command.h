// `weir policy shadow`: a script beside the one in charge, on what happens now. It is asked once a
// second, as a worker would ask it; what it decides is shown and counted, and not done.
//
// Threads: the command from one; the texts are pure functions.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "cli/screen.h"
#include "cli/where.h"
#include "policy/policy.h"

namespace weir::cli {

struct PolicyShadowOptions {
  Where where;
  std::string file;
  std::string pool;                 // empty: the only one
  std::vector<std::string> params;  // NAME=VALUE
  std::uint64_t seconds = 10;
  bool json = false;
};

/// What was seen and decided, over all ticks.
struct Shadowed {
  std::string pool, policy, hash;
  std::uint64_t ticks = 0;
  std::uint64_t differing = 0;  // ticks in which the size was not what the one in charge said
  policy::SizeDecision last{},
      live{};  // of the last tick: the script's, clamped; the one's in charge
  std::uint64_t keeps = 0, closes = 0, checks = 0;  // of idle connections
  std::uint64_t breaker_changes = 0;                // that it would have made
  std::uint64_t errors = 0;
  std::string last_error;
};

/// Blocks for the seconds. Writes to stdout; failures to stderr; kFailed too if a tick failed.
[[nodiscard]] ExitCode run_policy_shadow(const PolicyShadowOptions& options);

[[nodiscard]] std::string shadowed_text(const Shadowed& shadowed);
[[nodiscard]] nlohmann::ordered_json shadowed_json(const Shadowed& shadowed);

}  // namespace weir::cli
