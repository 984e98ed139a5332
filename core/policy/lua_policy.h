// LuaPolicy: one script that decides (docs/policies.md): a text that returns a table with name,
// api, params, any of the functions size, evict and breaker, and self_check.
//
// A tick begins with size(). The script's text runs anew in it, so that its locals are new; its
// functions are asked with a view made anew; and all of it shares one turn of the limits. What
// lives longer is view.state: at most kMostState numbers, texts and booleans of kMostStateBytes.
// After a call that failed it is empty.
// What a script lacks the built-in policy decides. Decisions are checked, and not yet clamped.
// Threads: one at a time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"
#include "policy/lua_sandbox.h"
#include "policy/lua_view.h"
#include "policy/params.h"
#include "policy/policy.h"

namespace weir::policy {

class LuaPolicy {
 public:
  enum class Function : std::uint8_t { kSize, kEvict, kBreaker };
  static constexpr std::array<const char*, 3> kFunctions = {"size", "evict", "breaker"};
  static constexpr std::size_t kLongestName = 31;
  static constexpr std::size_t kMostState = 64, kMostStateBytes = 4'096;

  /// Compiles `source`, which messages call `origin`, and runs its self-check with the script's own
  /// params. kBadConfig, naming what is wrong, for one that is not to go live; kPolicyBudget and
  /// kPolicyMemory if it went beyond `limits`. `meanwhile`: as LuaSandbox has it, now and at each
  /// call.
  static Result<std::unique_ptr<LuaPolicy>> load(std::string_view source, std::string_view origin,
                                                 const Params& overrides = {},
                                                 const LuaLimits& limits = {},
                                                 std::function<void()> meanwhile = {});

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] const Params& params() const { return params_; }
  [[nodiscard]] std::size_t samples() const { return samples_; }
  [[nodiscard]] bool has(Function function) const {
    return functions_[static_cast<std::size_t>(function)];
  }
  /// Of the source and the params in effect: FNV-1a of 64 bits in 16 hexadecimal digits.
  [[nodiscard]] const std::string& hash() const { return hash_; }

  // kPolicyRuntime, kPolicyType, kPolicyBudget, kPolicyMemory: the script failed.
  /// Begins a tick.
  Result<SizeDecision> size(const PoolView& view);
  Result<Eviction> evict(const ConnectionView& connection, const PoolView& view);
  /// With view.attempt_failed it is a turn of its own: an outage is not to use up a tick's limits.
  Result<BreakerDecision> breaker(const PoolView& view);

 private:
  struct Call;
  enum class StateFault : std::uint8_t { kNone, kNoTable, kType, kSize };

  LuaPolicy(const LuaLimits& limits, std::function<void()> meanwhile)
      : sandbox_(limits, std::move(meanwhile)) {}

  // In an entry.
  static int run_call(lua_State* lua);
  static int forget_state(lua_State* lua);
  void start_tick(lua_State* lua, const Call& call);
  static StateFault keep_state(lua_State* lua, int view);
  static void push_params(lua_State* lua, const Params& params);

  Status read_script(const LuaValue& script, const Params& overrides);
  Status read_entry(std::string_view key, const LuaValue& value);
  Status check_itself(const LuaValue& samples);
  Status check_sample(const LuaValue& sample);
  Result<std::vector<LuaValue>> call(Function function, const PoolView& view,
                                     const ConnectionView* connection);
  void begin_tick();

  LuaSandbox sandbox_;
  std::string name_, hash_;
  Params defaults_, params_;
  std::array<bool, 3> functions_{};
  std::size_t samples_ = 0;

  // of this tick
  ViewTables view_;
  bool is_running_ = false;  // the text has run, and the view is there
  bool loses_state_ = false;
  // while a sample is tried
  const Params* sample_params_ = nullptr;
  const LuaValue* sample_state_ = nullptr;
};

}  // namespace weir::policy
