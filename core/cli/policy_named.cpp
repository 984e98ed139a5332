#include "cli/policy_named.h"

#include <memory>

#include "cli/render.h"

namespace weir::cli {

Result<simulation::MakePolicy> policy_named(const std::string& spec) {
  if (spec == "fixed") {
    return simulation::MakePolicy([] { return std::make_unique<policy::FixedPolicy>(); });
  }
  return Status(Code::kBadArgument,
                "policy: expected fixed (the built-in one), found \"" + printable(spec) + "\"");
}

}  // namespace weir::cli
