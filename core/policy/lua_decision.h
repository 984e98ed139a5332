// What a script answered, checked: a decision, or a kPolicyType that names the field, what was
// expected and what was found.
//
// Numbers are whole after rounding to the nearest (halves up), never NaN, infinite or negative, and
// within the ranges given here; how far a decision goes beyond what is configured is for clamp().
// Threads: pure functions.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/status.h"
#include "policy/lua_value.h"
#include "policy/policy.h"

namespace weir::policy {

inline constexpr std::uint64_t kMostConnections = 1'000'000;
inline constexpr std::uint64_t kLongestMs = 3'600'000;

/// `values`: a table with any of target, warm, max, max_per_worker, handover_after_ms and nothing
/// else. What it does not have stays as in `built_in`.
[[nodiscard]] Result<SizeDecision> read_size(std::span<const LuaValue> values,
                                             const SizeDecision& built_in);
/// "keep", "close" or "check".
[[nodiscard]] Result<Eviction> read_eviction(std::span<const LuaValue> values);
/// "closed", "open" or "half_open", and perhaps retry_ms, which for "open" is a second if not
/// given.
[[nodiscard]] Result<BreakerDecision> read_breaker(std::span<const LuaValue> values);

/// A number that `name` may have: whole after rounding, from 0 to `most`.
[[nodiscard]] Result<std::uint64_t> read_whole(const LuaValue& value, const std::string& name,
                                               std::uint64_t most);
/// "name: expected WHAT, found VALUE".
[[nodiscard]] Status type_error(const std::string& name, const std::string& expected,
                                const std::string& found);

/// Fails, naming the field, where `decision` is not what `expected` says, a table as read_size
/// takes it.
[[nodiscard]] Status compare_size(const SizeDecision& decision, const LuaValue& expected);

[[nodiscard]] std::string_view name_of(Eviction eviction);
[[nodiscard]] std::string_view name_of(BreakerState state);

}  // namespace weir::policy
