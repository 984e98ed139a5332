// LuaValue: what a script returned, as a plain tree outside Lua.
//
// Read with raw accesses only, so that reading runs nothing of the script's and raises nothing.
// What lies deeper than kDeepest, or beyond kMostValues values in all, is cut: trees may share
// branches and go in circles. Threads: plain values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

struct lua_State;

namespace weir::policy {

struct LuaValue {
  struct Entry;
  using Table = std::vector<Entry>;  // in Lua's order: 1 to n first, then as it comes
  /// A function, a thread, a userdata: nothing that leaves Lua. Or what was cut.
  struct Other {
    std::string_view type;
    bool operator==(const Other&) const = default;
  };
  std::variant<std::monostate, bool, std::int64_t, double, std::string, Table, Other> held;

  static constexpr int kDeepest = 16;
  static constexpr int kMostValues = 10'000;
  static constexpr std::string_view kCut = "cut";

  [[nodiscard]] bool is_nil() const { return std::holds_alternative<std::monostate>(held); }
  [[nodiscard]] bool is_function() const;
  [[nodiscard]] const Table* table() const { return std::get_if<Table>(&held); }
  [[nodiscard]] const std::string* text() const { return std::get_if<std::string>(&held); }
  /// The field `key` of a table; null if this is none, or has none.
  [[nodiscard]] const LuaValue* field(std::string_view key) const;
  /// As messages show it: 3, nan, inf, "a text" (cut), true, nil, "a table", "a function".
  [[nodiscard]] std::string shown() const;
};

struct LuaValue::Entry {
  LuaValue key, value;
};

/// The value at `index` of the stack, which stays as it is. Not protected: raises nothing.
[[nodiscard]] LuaValue read_value(lua_State* lua, int index);

}  // namespace weir::policy
