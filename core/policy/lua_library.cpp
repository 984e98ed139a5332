#include "policy/lua_library.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <lua.hpp>

#include "policy/lua_sandbox.h"
#include "policy/lua_sort.h"

// Everything in this file runs where Lua may raise: no object with a destructor.
namespace weir::policy {
namespace {

/// Calls the function below the `arguments` on top, whose results, or the error, take their place.
/// Nothing holds up the end of a turn. Whether all went well.
bool call_protected(lua_State* lua, int arguments) {
  const int status = lua_pcall(lua, arguments, LUA_MULTRET, 0);
  LuaSandbox::go_on_or_raise(lua);
  return status == LUA_OK;
}

int own_pcall(lua_State* lua) {
  luaL_checkany(lua, 1);
  const bool is_well = call_protected(lua, lua_gettop(lua) - 1);
  luaL_checkstack(lua, 1, nullptr);
  lua_pushboolean(lua, is_well ? 1 : 0);
  lua_insert(lua, 1);
  return lua_gettop(lua);
}

/// The handler is called once the error has unwound. Lua's own calls it where the error was raised:
/// for one that the hook raised that is inside the hook, where no further hook runs and a handler
/// that loops would loop for ever.
int own_xpcall(lua_State* lua) {
  luaL_checktype(lua, 2, LUA_TFUNCTION);
  lua_pushvalue(lua, 2);
  lua_rotate(lua, 1, 1);  // handler, function, handler, arguments
  lua_remove(lua, 3);
  const bool is_well = call_protected(lua, lua_gettop(lua) - 2);
  luaL_checkstack(lua, 1, nullptr);
  if (!is_well) {
    call_protected(lua, 1);  // what goes wrong in the handler is what it answers
    lua_settop(lua, 1);
  } else {
    lua_remove(lua, 1);
  }
  lua_pushboolean(lua, is_well ? 1 : 0);
  lua_insert(lua, 1);
  return lua_gettop(lua);
}

constexpr const char* kMetamethods[] = {"__add",  "__band",  "__bnot",     "__bor",      "__bxor",
                                        "__call", "__close", "__concat",   "__div",      "__eq",
                                        "__idiv", "__index", "__le",       "__len",      "__lt",
                                        "__mod",  "__mul",   "__newindex", "__pairs",    "__pow",
                                        "__shl",  "__shr",   "__sub",      "__tostring", "__unm"};
// A finalizer runs where no limit counts; weak tables make the collector slow at a script's will.
constexpr const char* kRefusedMetamethods[] = {"__gc", "__mode"};

/// A table gets a copy of what is allowed in the metatable: what is put there later, such as
/// __mode, has no effect.
int set_metatable(lua_State* lua) {
  luaL_checktype(lua, 1, LUA_TTABLE);
  luaL_argexpected(lua, lua_isnil(lua, 2) || lua_istable(lua, 2), 2, "nil or table");
  lua_settop(lua, 2);
  if (luaL_getmetafield(lua, 1, "__metatable") != LUA_TNIL) {
    return luaL_error(lua, "cannot change a protected metatable");
  }
  LuaSandbox::charge(lua, std::size(kMetamethods));
  if (lua_istable(lua, 2)) {
    for (const char* name : kRefusedMetamethods) {
      lua_pushstring(lua, name);
      if (lua_rawget(lua, 2) != LUA_TNIL) return luaL_error(lua, "%s is not available", name);
      lua_pop(lua, 1);
    }
    lua_newtable(lua);
    for (const char* name : kMetamethods) {
      lua_pushstring(lua, name);
      lua_pushvalue(lua, -1);
      lua_rawget(lua, 2);
      lua_rawset(lua, 3);
    }
  } else {
    lua_pushnil(lua);
  }
  lua_setmetatable(lua, 1);
  lua_settop(lua, 1);
  return 1;
}

int repeat_string(lua_State* lua) {
  std::size_t size = 0, separator_size = 0;
  const char* text = luaL_checklstring(lua, 1, &size);
  const lua_Integer times = luaL_checkinteger(lua, 2);
  const char* separator = luaL_optlstring(lua, 3, "", &separator_size);
  if (times <= 0 || size + separator_size == 0) {
    lua_pushliteral(lua, "");
    return 1;
  }
  // Both are at most kLongestString, so that this does not overflow.
  const std::size_t each = size + separator_size;
  const auto count = static_cast<std::uint64_t>(times);
  if (count > LuaSandbox::kLongestString / each + 1) LuaSandbox::raise_out_of_memory(lua);
  const std::size_t whole = each * count - separator_size;
  LuaSandbox::charge(lua, whole / 64);  // what an instruction's time is enough to copy
  luaL_Buffer buffer;
  char* const to = luaL_buffinitsize(lua, &buffer, each * count);
  std::memcpy(to, text, size);
  std::memcpy(to + size, separator, separator_size);
  // Twice as much each time: one by one takes milliseconds, in which nobody looks at the clock.
  for (std::size_t done = each; done < whole; done += std::min(done, whole - done)) {
    std::memcpy(to + done, to, std::min(done, whole - done));
  }
  luaL_pushresultsize(&buffer, whole);
  return 1;
}

lua_Integer length_of(lua_State* lua, int index) {
  luaL_checktype(lua, index, LUA_TTABLE);
  return static_cast<lua_Integer>(lua_rawlen(lua, index));
}

int insert(lua_State* lua) {
  const lua_Integer end = length_of(lua, 1) + 1;
  lua_Integer at = end;
  if (lua_gettop(lua) == 3) {
    at = luaL_checkinteger(lua, 2);
    luaL_argcheck(lua, at >= 1 && at <= end, 2, "position out of bounds");
  } else if (lua_gettop(lua) != 2) {
    return luaL_error(lua, "wrong number of arguments to 'insert'");
  }
  LuaSandbox::charge(lua, static_cast<std::uint64_t>(end - at));
  for (lua_Integer i = end; i > at; --i) {
    lua_rawgeti(lua, 1, i - 1);
    lua_rawseti(lua, 1, i);
  }
  lua_rawseti(lua, 1, at);
  return 0;
}

int remove(lua_State* lua) {
  const lua_Integer size = length_of(lua, 1);
  const lua_Integer at = luaL_optinteger(lua, 2, size);
  const bool is_in_reach = at >= 1 && at <= size + 1;
  luaL_argcheck(lua, is_in_reach || (size == 0 && at == 0), 2, "position out of bounds");
  LuaSandbox::charge(lua, static_cast<std::uint64_t>(size - std::min(at, size)));
  lua_rawgeti(lua, 1, at);
  for (lua_Integer i = at; i < size; ++i) {
    lua_rawgeti(lua, 1, i + 1);
    lua_rawseti(lua, 1, i);
  }
  if (at >= 1 && at <= size) {
    lua_pushnil(lua);
    lua_rawseti(lua, 1, size);
  }
  return 1;
}

int concat(lua_State* lua) {
  const lua_Integer size = length_of(lua, 1);
  std::size_t separator_size = 0;
  const char* separator = luaL_optlstring(lua, 2, "", &separator_size);
  const lua_Integer first = luaL_optinteger(lua, 3, 1);
  const lua_Integer last = luaL_optinteger(lua, 4, size);
  luaL_Buffer buffer;
  luaL_buffinit(lua, &buffer);
  // What is no string or number ends it, and there are no more of those than elements.
  for (lua_Integer i = first; i <= last; ++i) {
    LuaSandbox::charge(lua, 1);
    lua_rawgeti(lua, 1, i);
    if (lua_isstring(lua, -1) == 0) {
      return luaL_error(lua, "invalid value (at index %I) in table for 'concat'",
                        static_cast<LUAI_UACINT>(i));
    }
    luaL_addvalue(&buffer);
    if (i == last) break;  // which may be the largest integer there is
    luaL_addlstring(&buffer, separator, separator_size);
    if (luaL_bufflen(&buffer) > LuaSandbox::kLongestString) LuaSandbox::raise_out_of_memory(lua);
  }
  luaL_pushresult(&buffer);
  return 1;
}

int pack(lua_State* lua) {
  const int count = lua_gettop(lua);
  lua_createtable(lua, count, 1);
  lua_insert(lua, 1);
  for (int i = count; i >= 1; --i) lua_rawseti(lua, 1, i);
  lua_pushinteger(lua, count);
  lua_setfield(lua, 1, "n");
  return 1;
}

int unpack(lua_State* lua) {
  constexpr std::uint64_t kMost = 250;
  const lua_Integer size = length_of(lua, 1);
  const lua_Integer first = luaL_optinteger(lua, 2, 1);
  const lua_Integer last = luaL_optinteger(lua, 3, size);
  if (first > last) return 0;
  const std::uint64_t more = static_cast<std::uint64_t>(last) - static_cast<std::uint64_t>(first);
  if (more >= kMost || lua_checkstack(lua, static_cast<int>(more) + 1) == 0) {
    return luaL_error(lua, "too many results to unpack (at most %d)", static_cast<int>(kMost));
  }
  for (std::uint64_t i = 0; i <= more; ++i) {
    lua_rawgeti(lua, 1, first + static_cast<lua_Integer>(i));
  }
  return static_cast<int>(more) + 1;
}

// __newindex of a library table; its name is an upvalue.
int refuse_member(lua_State* lua) {
  return luaL_error(lua, "cannot assign to %s: it is read-only",
                    lua_tostring(lua, lua_upvalueindex(1)));
}

// __newindex of the globals.
int refuse_global(lua_State* lua) {
  return luaL_error(lua,
                    "cannot assign the global '%s': a policy keeps nothing but view.state; "
                    "use local",
                    luaL_tolstring(lua, 2, nullptr));
}

/// Replaces the table on top by one that shows the same and takes nothing.
void freeze(lua_State* lua, const char* name, lua_CFunction refuse) {
  lua_newtable(lua);           // table, shown
  lua_createtable(lua, 0, 3);  // ..., its metatable
  lua_pushvalue(lua, -3);
  lua_setfield(lua, -2, "__index");
  lua_pushstring(lua, name);
  lua_pushcclosure(lua, refuse, 1);
  lua_setfield(lua, -2, "__newindex");
  lua_pushboolean(lua, 0);
  lua_setfield(lua, -2, "__metatable");
  lua_setmetatable(lua, -2);
  lua_remove(lua, -2);
}

/// Copies the fields `names` from Lua's own library at `from` into the table on top.
template <std::size_t kCount>
void take(lua_State* lua, int from, const char* const (&names)[kCount]) {
  for (const char* name : names) {
    lua_getfield(lua, from, name);
    lua_setfield(lua, -2, name);
  }
}

/// Pushes Lua's own library that `open` makes, for taking from.
int open_library(lua_State* lua, lua_CFunction open) {
  lua_pushcfunction(lua, open);
  lua_call(lua, 0, 1);
  return lua_gettop(lua);
}

constexpr const char* kBase[] = {"_VERSION", "assert", "error",    "ipairs",   "next",
                                 "pairs",    "select", "tonumber", "tostring", "type"};
constexpr const char* kMath[] = {"abs", "ceil", "exp",        "floor", "fmod",       "huge",
                                 "log", "max",  "maxinteger", "min",   "mininteger", "modf",
                                 "pi",  "sqrt", "tointeger",  "type",  "ult"};
constexpr const char* kString[] = {"byte",  "char",    "format", "len",
                                   "lower", "reverse", "sub",    "upper"};
constexpr luaL_Reg kOwnBase[] = {{"pcall", own_pcall},
                                 {"xpcall", own_xpcall},
                                 {"setmetatable", set_metatable},
                                 {nullptr, nullptr}};
constexpr luaL_Reg kOwnString[] = {{"rep", repeat_string}, {nullptr, nullptr}};
constexpr luaL_Reg kOwnTable[] = {{"concat", concat}, {"insert", insert}, {"pack", pack},
                                  {"remove", remove}, {"sort", sort},     {"unpack", unpack},
                                  {nullptr, nullptr}};

}  // namespace

void install_library(lua_State* lua) {
  lua_newtable(lua);
  const int globals = lua_gettop(lua);

  const int base = open_library(lua, luaopen_base);
  lua_pushvalue(lua, globals);
  take(lua, base, kBase);
  luaL_setfuncs(lua, kOwnBase, 0);

  const int math = open_library(lua, luaopen_math);
  lua_newtable(lua);
  take(lua, math, kMath);
  freeze(lua, "math", refuse_member);
  lua_setfield(lua, globals, "math");

  const int string = open_library(lua, luaopen_string);
  lua_newtable(lua);
  take(lua, string, kString);
  luaL_setfuncs(lua, kOwnString, 0);
  freeze(lua, "string", refuse_member);
  // What ("x"):upper() finds. Strings share one metatable, which luaopen_string made.
  lua_pushliteral(lua, "");
  lua_getmetatable(lua, -1);
  lua_pushvalue(lua, -3);
  lua_setfield(lua, -2, "__index");
  lua_pushboolean(lua, 0);
  lua_setfield(lua, -2, "__metatable");
  lua_pop(lua, 2);
  lua_setfield(lua, globals, "string");

  lua_newtable(lua);
  luaL_setfuncs(lua, kOwnTable, 0);
  freeze(lua, "table", refuse_member);
  lua_setfield(lua, globals, "table");

  lua_pushvalue(lua, globals);
  freeze(lua, "_G", refuse_global);
  lua_pushvalue(lua, -1);
  lua_setfield(lua, globals, "_G");
  lua_rawseti(lua, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
  lua_settop(lua, 0);
}

}  // namespace weir::policy
