#include "policy/scripted_policy.h"

#include <algorithm>
#include <utility>

namespace weir::policy {

using Function = LuaPolicy::Function;

Status ScriptedPolicy::load(std::string_view source, std::string_view origin,
                            const Params& overrides) {
  Result<std::unique_ptr<LuaPolicy>> loaded =
      LuaPolicy::load(source, origin, overrides, limits_, meanwhile_);
  if (!loaded.ok()) {
    note(loaded.status());
    return loaded.status();
  }
  put_in_charge(std::move(loaded).value());
  return {};
}

void ScriptedPolicy::unload() { put_in_charge(nullptr); }

void ScriptedPolicy::put_in_charge(std::unique_ptr<LuaPolicy> script) {
  script_ = std::move(script);
  last_size_.reset();
  is_bad_tick_ = fallen_back_ = false;
  bad_ticks_ = 0;
  last_error_ = Status();
  has_own_breaker_ = script_ != nullptr && script_->has(Function::kBreaker);
}

PolicyStatus ScriptedPolicy::status() const {
  PolicyStatus status{.name = "fixed",
                      .hash = {},
                      .last_error = last_error_,
                      .errors = errors_,
                      .changes = changes_,
                      .fallen_back = fallen_back_};
  if (script_ == nullptr) return status;
  status.name = script_->name();
  status.hash = script_->hash();
  return status;
}

std::string_view ScriptedPolicy::name() const {
  return script_ == nullptr || fallen_back_ ? std::string_view("fixed") : script_->name();
}

bool ScriptedPolicy::asks(Function function) const {
  return script_ != nullptr && !fallen_back_ && !is_bad_tick_ && script_->has(function);
}

void ScriptedPolicy::note(const Status& error) {
  ++errors_;
  if (error.code() == last_error_.code() && error.message() == last_error_.message()) return;
  last_error_ = error;
  ++changes_;
}

void ScriptedPolicy::note_bad_call(const Status& error) {
  note(error);
  is_bad_tick_ = true;
  if (++bad_ticks_ < kBadTicks) return;
  fallen_back_ = true;
  has_own_breaker_ = false;
}

SizeDecision ScriptedPolicy::size(const PoolView& view) {
  const SizeDecision decision = decide_size(view);
  warm_ = clamp(decision, view).warm;
  return decision;
}

SizeDecision ScriptedPolicy::decide_size(const PoolView& view) {
  if (!std::exchange(is_bad_tick_, false)) bad_ticks_ = 0;
  if (script_ == nullptr || fallen_back_) return FixedPolicy::size_for(view);
  // Also without a function of its own, since a tick begins.
  const Result<SizeDecision> decision = script_->size(view);
  if (decision.ok()) {
    if (script_->has(Function::kSize)) last_size_ = decision.value();
    return decision.value();
  }
  note_bad_call(decision.status());
  return last_size_ && !fallen_back_ ? *last_size_ : FixedPolicy::size_for(view);
}

Eviction ScriptedPolicy::evict(const ConnectionView& connection, const PoolView& view) {
  if (asks(Function::kEvict)) {
    const Result<Eviction> eviction = script_->evict(connection, view);
    if (eviction.ok()) return eviction.value();
    note_bad_call(eviction.status());
  }
  return FixedPolicy::eviction_for(connection, view, std::max(warm_, view.min));
}

BreakerDecision ScriptedPolicy::breaker(const PoolView& view) {
  if (asks(Function::kBreaker)) {
    const Result<BreakerDecision> decision = script_->breaker(view);
    if (decision.ok()) return decision.value();
    note_bad_call(decision.status());
  }
  return FixedPolicy::breaker_for(view);
}

}  // namespace weir::policy
