// What a policy is called on the command line, made into one: the one place that knows the kinds.
#pragma once

#include <string>

#include "base/status.h"
#include "simulation/simulate.h"

namespace weir::cli {

/// "fixed": the built-in one. kBadArgument for anything else. What it answers makes a policy for
/// each worker, as each has its own.
[[nodiscard]] Result<simulation::MakePolicy> policy_named(const std::string& spec);

}  // namespace weir::cli
