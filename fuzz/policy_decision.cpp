// Any expression as what a script returns: it is taken as a decision within its ranges, which
// clamping brings within the configured ones, or refused by name, and the built-in policy decides.
#include <string>

#include "input.h"
#include "policy/lua_decision.h"
#include "policy/scripted_policy.h"

namespace {

using weir::fuzz::require;
using weir::policy::FixedPolicy;
using weir::policy::PoolView;
using weir::policy::ScriptedPolicy;

constexpr weir::policy::LuaLimits kLimits{.instructions = 20'000,
                                          .memory_bytes = std::size_t{1} << 20,
                                          .time = std::chrono::milliseconds(200)};

const PoolView kView{.max = 8, .min = 1, .keep = 4, .handover_after_ms = 10, .idle = 2};

/// Whether a policy whose `function` returns `expression` is taken; nothing else is the fuzzer's.
bool load(ScriptedPolicy& policy, const std::string& function, const std::string& expression) {
  const std::string source = "return { name = 'x', api = 1, " + function +
                             " = function(a, b, c) return " + expression + "\nend }";
  return policy.load(source, "fuzz.lua").ok();
}

/// Whether the call went well; if not, its message begins with what it is about.
bool went_well(const ScriptedPolicy& policy, const std::string& function) {
  const weir::Status error = policy.status().last_error;
  if (error.ok()) return true;
  require(error.message().starts_with(function) || error.message().starts_with("view.state"),
          "a failure names what it is about", error.message());
  return false;
}

void try_size(const std::string& expression) {
  ScriptedPolicy policy(kLimits);
  if (!load(policy, "size", expression)) return;
  const auto size = policy.size(kView);
  if (!went_well(policy, "size")) {
    require(size == FixedPolicy::size_for(kView), "the built-in policy decides");
  }
  for (const std::uint32_t number : {size.target, size.warm, size.max, size.max_per_worker}) {
    require(number <= weir::policy::kMostConnections, "a count is in its range");
  }
  require(size.handover_after_ms <= weir::policy::kLongestMs, "a time is in its range");
  const auto clamped = weir::policy::clamp(size, kView);
  require(clamped.max >= 1 && clamped.max <= kView.max && clamped.warm <= clamped.target &&
              clamped.target <= clamped.max && clamped.handover_after_ms <= kView.handover_after_ms,
          "a clamped decision is within what is configured");
}

void try_eviction(const std::string& expression) {
  ScriptedPolicy policy(kLimits);
  if (!load(policy, "evict", expression)) return;
  const auto eviction = policy.evict({.idle_ms = 3}, kView);
  if (!went_well(policy, "evict")) {
    require(eviction == FixedPolicy::eviction_for({.idle_ms = 3}, kView),
            "the built-in policy decides");
  }
}

void try_breaker(const std::string& expression) {
  ScriptedPolicy policy(kLimits);
  if (!load(policy, "breaker", expression)) return;
  const auto decision = policy.breaker(kView);
  if (!went_well(policy, "breaker")) {
    require(decision == FixedPolicy::breaker_for(kView), "the built-in policy decides");
  }
  require(decision.retry_ms <= weir::policy::kLongestMs, "a time is in its range");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(  // NOLINT(readability-identifier-naming): libFuzzer's name
    const std::uint8_t* data, std::size_t size) {
  const std::string expression(reinterpret_cast<const char*>(data), size);
  // What ends the function early would be a script of the fuzzer's: policy_script tries those.
  if (expression.find("end") != std::string::npos) return 0;
  try_size(expression);
  try_eviction(expression);
  try_breaker(expression);
  return 0;
}
