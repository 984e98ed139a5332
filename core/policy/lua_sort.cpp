#include "policy/lua_sort.h"

#include <lua.hpp>

#include "policy/lua_sandbox.h"

namespace weir::policy {
namespace {

/// Whether element `a` goes before element `b` of the table at 1, by the function at 2 if any.
bool is_less(lua_State* lua, lua_Integer a, lua_Integer b) {
  LuaSandbox::charge(lua, 1);
  const bool has_order = !lua_isnil(lua, 2);
  if (has_order) lua_pushvalue(lua, 2);
  lua_rawgeti(lua, 1, a);
  lua_rawgeti(lua, 1, b);
  if (has_order) {
    lua_call(lua, 2, 1);
  } else {
    lua_pushboolean(lua, lua_compare(lua, -2, -1, LUA_OPLT));
    lua_replace(lua, -3);
    lua_pop(lua, 1);
  }
  const bool less = lua_toboolean(lua, -1) != 0;
  lua_pop(lua, 1);
  return less;
}

void swap(lua_State* lua, lua_Integer a, lua_Integer b) {
  lua_rawgeti(lua, 1, a);
  lua_rawgeti(lua, 1, b);
  lua_rawseti(lua, 1, a);
  lua_rawseti(lua, 1, b);
}

/// Makes 1 to `size` a heap again whose only fault is at `at`.
void sift_down(lua_State* lua, lua_Integer at, lua_Integer size) {
  while (at * 2 <= size) {
    lua_Integer child = at * 2;
    if (child < size && is_less(lua, child, child + 1)) ++child;
    if (!is_less(lua, at, child)) return;
    swap(lua, at, child);
    at = child;
  }
}

}  // namespace

// A heap: as many comparisons as it takes in the worst case, whatever the order says.
int sort(lua_State* lua) {
  luaL_checktype(lua, 1, LUA_TTABLE);
  if (!lua_isnoneornil(lua, 2)) luaL_checktype(lua, 2, LUA_TFUNCTION);
  lua_settop(lua, 2);
  const auto size = static_cast<lua_Integer>(lua_rawlen(lua, 1));
  for (lua_Integer at = size / 2; at >= 1; --at) sift_down(lua, at, size);
  for (lua_Integer end = size; end > 1; --end) {
    swap(lua, 1, end);
    sift_down(lua, 1, end - 1);
  }
  return 0;
}

}  // namespace weir::policy
