#include "policy/lua_value.h"

#include <array>
#include <cmath>
#include <cstdio>
#include <lua.hpp>
#include <utility>

#include "base/text.h"

namespace weir::policy {
namespace {

class Reader {
 public:
  explicit Reader(lua_State* lua) : lua_(lua) {}

  LuaValue read(int index, int depth) {
    if (--left_ < 0) return {LuaValue::Other{LuaValue::kCut}};
    switch (lua_type(lua_, index)) {
      case LUA_TNIL:
        return {};
      case LUA_TBOOLEAN:
        return {lua_toboolean(lua_, index) != 0};
      case LUA_TNUMBER:
        if (lua_isinteger(lua_, index)) {
          return {static_cast<std::int64_t>(lua_tointegerx(lua_, index, nullptr))};
        }
        return {static_cast<double>(lua_tonumberx(lua_, index, nullptr))};
      case LUA_TSTRING: {
        std::size_t size = 0;
        const char* text = lua_tolstring(lua_, index, &size);  // is a string: converts nothing
        return {std::string(text, size)};
      }
      case LUA_TTABLE:
        return read_table(index, depth);
      default:
        return {LuaValue::Other{lua_typename(lua_, lua_type(lua_, index))}};
    }
  }

 private:
  LuaValue read_table(int index, int depth) {
    // Room for a key, a value and what lua_next needs; lua_checkstack raises nothing.
    if (depth >= LuaValue::kDeepest || lua_checkstack(lua_, 4) == 0) {
      return {LuaValue::Other{LuaValue::kCut}};
    }
    const int table = lua_absindex(lua_, index);
    LuaValue::Table entries;
    lua_pushnil(lua_);
    while (lua_next(lua_, table) != 0) {
      LuaValue key = read(-2, depth + 1);
      LuaValue value = read(-1, depth + 1);
      entries.push_back({std::move(key), std::move(value)});
      lua_settop(lua_, -2);
      if (left_ > 0) continue;
      lua_settop(lua_, -2);  // the key
      break;
    }
    return {std::move(entries)};
  }

  lua_State* lua_;
  int left_ = LuaValue::kMostValues;
};

}  // namespace

bool LuaValue::is_function() const {
  const Other* other = std::get_if<Other>(&held);
  return other != nullptr && other->type == "function";
}

const LuaValue* LuaValue::field(std::string_view key) const {
  if (table() == nullptr) return nullptr;
  for (const Entry& entry : *table()) {
    if (entry.key.text() != nullptr && *entry.key.text() == key) return &entry.value;
  }
  return nullptr;
}

std::string LuaValue::shown() const {
  if (is_nil()) return "nil";
  if (const bool* flag = std::get_if<bool>(&held)) return *flag ? "true" : "false";
  if (const auto* whole = std::get_if<std::int64_t>(&held)) return std::to_string(*whole);
  if (const auto* number = std::get_if<double>(&held)) {
    if (std::isnan(*number)) return "nan";  // whatever its sign
    std::array<char, 32> digits{};
    std::snprintf(digits.data(), digits.size(), "%.14g", *number);
    return digits.data();
  }
  if (text() != nullptr) return show_text(*text());
  if (table() != nullptr) return "a table";
  return "a " + std::string(std::get<Other>(held).type);
}

LuaValue read_value(lua_State* lua, int index) { return Reader(lua).read(index, 0); }

}  // namespace weir::policy
