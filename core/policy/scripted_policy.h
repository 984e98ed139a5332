// ScriptedPolicy: what a pool owns: a script in charge that can be replaced while everything runs,
// with the built-in policy behind it.
//
// A call that fails is counted, and the last good size decision stands; for the rest of the tick
// the built-in policy decides all else, so that a tick costs the script's limits once. After
// kBadTicks in a row the built-in policy decides everything, until the next good load. A tick
// begins with size(). Decisions are not yet clamped. Threads: as Policy: one at a time;
// has_own_breaker() from any.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/status.h"
#include "policy/lua_policy.h"
#include "policy/policy.h"

namespace weir::policy {

class ScriptedPolicy : public Policy {
 public:
  static constexpr unsigned kBadTicks = 3;

  /// With no script: the built-in policy decides.
  explicit ScriptedPolicy(const LuaLimits& limits = {}) : limits_(limits) {}

  /// Puts `source` in charge once it has compiled and passed its self-check aside, and answers as
  /// LuaPolicy::load(). If it fails, what was in charge stays so.
  Status load(std::string_view source, std::string_view origin, const Params& overrides = {});
  /// Without a script again.
  void unload();

  void see_to(std::function<void()> meanwhile) override { meanwhile_ = std::move(meanwhile); }
  [[nodiscard]] PolicyStatus status() const override;

  /// Of who decides: the script's, or "fixed".
  [[nodiscard]] std::string_view name() const override;
  SizeDecision size(const PoolView& view) override;
  Eviction evict(const ConnectionView& connection, const PoolView& view) override;
  BreakerDecision breaker(const PoolView& view) override;
  [[nodiscard]] bool has_own_breaker() const override { return has_own_breaker_.load(); }

 protected:
  /// What keeps a script from going live is remembered as a failed load is.
  void note(const Status& error);

 private:
  /// Whether the script is to be asked: it has `function`, is in charge, and this tick is good.
  [[nodiscard]] bool asks(LuaPolicy::Function function) const;
  SizeDecision decide_size(const PoolView& view);
  void note_bad_call(const Status& error);
  void put_in_charge(std::unique_ptr<LuaPolicy> script);

  const LuaLimits limits_;
  std::function<void()> meanwhile_;
  std::unique_ptr<LuaPolicy> script_;  // null: none
  std::optional<SizeDecision> last_size_;
  std::uint32_t warm_ = 0;  // as last decided: the built-in eviction leaves so many
  bool is_bad_tick_ = false;
  unsigned bad_ticks_ = 0;  // in a row, this one included
  bool fallen_back_ = false;
  Status last_error_;
  std::uint64_t errors_ = 0, changes_ = 0;
  std::atomic<bool> has_own_breaker_{false};
};

}  // namespace weir::policy
