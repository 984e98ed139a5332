#include "cli/policy_named.h"

#include <memory>
#include <string_view>

#include "cli/render.h"
#include "policy/params.h"
#include "policy/script_source.h"
#include "policy/scripted_policy.h"

namespace weir::cli {

Result<policy::Params> params_of(const std::vector<std::string>& texts) {
  policy::Params params;
  for (const std::string& text : texts) {
    const std::size_t at = text.find('=');
    if (at == std::string::npos || at == 0) {
      return Status(Code::kBadArgument, "expected NAME=VALUE, found " + printable(text));
    }
    params[text.substr(0, at)] = policy::parse_param(std::string_view(text).substr(at + 1));
  }
  return params;
}

Result<simulation::MakePolicy> policy_named(const std::string& spec, const policy::Params& params) {
  if (spec == "fixed") {
    if (!params.empty()) return Status(Code::kBadArgument, "fixed: it has no params");
    return simulation::MakePolicy([] { return std::make_unique<policy::FixedPolicy>(); });
  }
  const Result<std::string> source = policy::read_script(spec);
  if (!source.ok()) return source.status();
  WEIR_TRY(policy::ScriptedPolicy().load(source.value(), spec, params));
  return simulation::MakePolicy([source = source.value(), spec, params] {
    auto policy = std::make_unique<policy::ScriptedPolicy>();
    static_cast<void>(policy->load(source, spec, params));  // it was good a moment ago
    return policy;
  });
}

}  // namespace weir::cli
