// Params: what a script's `params` are in a pool: the script's own values, some of them replaced by
// the host's. Threads: plain values and pure functions.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"
#include "policy/lua_value.h"
#include "policy/policy.h"

namespace weir::policy {

/// `table` as parameters: names with numbers, texts and booleans. kPolicyType, naming the one that
/// is something else.
[[nodiscard]] Result<Params> read_params(const LuaValue& table);

/// `defaults` with those of `overrides`. kBadConfig, naming the key, for one that the script does
/// not have, or has with another type, or that is no finite number.
[[nodiscard]] Result<Params> with_overrides(const Params& defaults, const Params& overrides);

/// "true", "false" or a number as such, all else as a text; in quotes always a text.
[[nodiscard]] ParamValue parse_param(std::string_view text);

/// As a person would write it in Lua: 1.5, true, "a text".
[[nodiscard]] std::string show_param(const ParamValue& value);

}  // namespace weir::policy
