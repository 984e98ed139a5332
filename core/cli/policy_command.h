// `weir policy check` and `weir policy eval`: a script in the sandbox in which workers run it,
// here: neither segment nor network.
//
// Threads: the commands from one; the texts are pure functions.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "cli/screen.h"
#include "policy/lua_policy.h"

namespace weir::cli {

struct PolicyCheckOptions {
  std::string file;
  std::vector<std::string> params;  // NAME=VALUE
};

struct PolicyEvalOptions {
  std::vector<std::string> files;
  bool json = false;  // required: there is no other form
};

/// Good or not: compiles the script and runs its self-check. Writes to stdout what it is, to stderr
/// what is wrong.
[[nodiscard]] ExitCode run_policy_check(const PolicyCheckOptions& options);

/// Runs each file as a plain chunk, one after the other in one sandbox, and writes a line of JSON
/// about the last. kShown whatever the scripts do.
[[nodiscard]] ExitCode run_policy_eval(const PolicyEvalOptions& options);

/// A value of a script's as docs/policies.md says.
[[nodiscard]] nlohmann::ordered_json value_json(const policy::LuaValue& value);

}  // namespace weir::cli
