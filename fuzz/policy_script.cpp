// Any text as a script: as a plain chunk in the sandbox, and as a policy. Whatever it does, it ends
// within its limits, with an error of a known kind, and the sandbox works as before.
#include <string>
#include <string_view>

#include "input.h"
#include "policy/lua_sandbox.h"
#include "policy/scripted_policy.h"

namespace {

using weir::Code;
using weir::Status;
using weir::fuzz::require;
using weir::policy::LuaLimits;
using weir::policy::LuaSandbox;

constexpr LuaLimits kLimits{.instructions = 50'000,
                            .memory_bytes = std::size_t{1} << 20,
                            .time = std::chrono::milliseconds(200)};

void check(const Status& status) {
  const bool is_known = status.ok() || status.code() == Code::kPolicyBudget ||
                        status.code() == Code::kPolicyMemory ||
                        status.code() == Code::kPolicyRuntime ||
                        status.code() == Code::kPolicyType || status.code() == Code::kBadConfig;
  require(is_known, "a failure is of a known kind", status.to_string());
  require(status.ok() == status.message().empty(), "a failure says why", status.to_string());
  require(status.message().size() < 4'096, "what it says is short", status.message());
}

void run_as_chunk(std::string_view text) {
  LuaSandbox sandbox(kLimits);
  Status status = sandbox.compile(text, "fuzz.lua");
  if (status.ok()) status = sandbox.run();
  check(status);
  require(sandbox.peak_bytes() <= kLimits.memory_bytes, "memory is bounded");
  for (const auto& value : sandbox.results()) {
    require(!value.shown().empty(), "what it returned can be shown");
  }
  sandbox.begin_turn();
  status = sandbox.compile("return x, _G.y, ('x'):rep(3), math.floor(2.5)", "next.lua");
  if (status.ok()) status = sandbox.run();
  require(status.ok(), "the next script runs", status.to_string());
  const auto values = sandbox.results();
  require(values.size() == 4 && values[0].is_nil() && values[1].is_nil() &&
              values[2].shown() == "\"xxx\"" && values[3].shown() == "2",
          "the next script finds nothing of this one");
}

void run_as_policy(std::string_view text) {
  weir::policy::ScriptedPolicy policy(kLimits);
  check(policy.load(text, "fuzz.lua"));
  weir::policy::PoolView view{.max = 8, .min = 1, .keep = 4, .idle = 2};
  for (int tick = 0; tick < 2; ++tick) {
    static_cast<void>(policy.size(view));
    static_cast<void>(policy.evict({.idle_ms = 3}, view));
    static_cast<void>(policy.breaker(view));
    check(policy.status().last_error);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(  // NOLINT(readability-identifier-naming): libFuzzer's name
    const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  run_as_chunk(text);
  run_as_policy(text);
  return 0;
}
