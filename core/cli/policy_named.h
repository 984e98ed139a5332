// What a policy and its params are called on the command line, made into one.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "policy/policy.h"
#include "simulation/simulate.h"

namespace weir::cli {

/// NAME=VALUE, each. kBadArgument names the one that is something else.
[[nodiscard]] Result<policy::Params> params_of(const std::vector<std::string>& texts);

/// "fixed": the built-in one. Anything else: a script's file, which has to be good. What it answers
/// makes a policy for each worker, as each has its own.
[[nodiscard]] Result<simulation::MakePolicy> policy_named(const std::string& spec,
                                                          const policy::Params& params = {});

}  // namespace weir::cli
