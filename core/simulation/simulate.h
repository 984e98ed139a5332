// simulate: a load, a machine and a policy in; waits, opens, closes and the rest of it out.
//
// A discrete-event model of weir's pools: the same decisions as core/pool takes, asked of the same
// Policy, one object for each worker, with times that are given instead of taken.
// docs/simulation.md says what is modelled and what is not. The same arguments give the same
// result.
#pragma once

#include <functional>
#include <memory>

#include "policy/policy.h"
#include "simulation/load.h"
#include "simulation/report.h"
#include "simulation/settings.h"

namespace weir::simulation {

using MakePolicy = std::function<std::unique_ptr<policy::Policy>()>;

/// Ends when every request has ended. Whatever the policy says: it is clamped, as in a pool.
/// A request for a worker that the machine has not goes to another one of it. Blocks: some
/// seconds for a million requests.
[[nodiscard]] Report simulate(const Load& load, const MachineSettings& settings,
                              const MakePolicy& make_policy);

}  // namespace weir::simulation
