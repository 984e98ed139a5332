#include "policy/lua_view.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <lua.hpp>
#include <span>
#include <type_traits>

#include "policy/lua_decision.h"

// Everything in this file runs where Lua may raise: no object with a destructor.
namespace weir::policy {
namespace {

char tables_key;  // of the registry, by its address: the view's tables, in the order of visit()

void push(lua_State* lua, std::string_view text) { lua_pushlstring(lua, text.data(), text.size()); }
void push(lua_State* lua, double number) { lua_pushnumber(lua, number); }
void push(lua_State* lua, bool flag) { lua_pushboolean(lua, flag ? 1 : 0); }
void push(lua_State* lua, std::uint32_t number) { lua_pushinteger(lua, number); }
void push(lua_State* lua, BreakerState state) { push(lua, name_of(state)); }
void push(lua_State* lua, std::uint64_t number) {
  constexpr auto kMost = static_cast<std::uint64_t>(LUA_MAXINTEGER);
  lua_pushinteger(lua, static_cast<lua_Integer>(std::min(number, kMost)));
}

template <typename T>
void set_field(lua_State* lua, const char* name, const T& field) {
  lua_pushstring(lua, name);
  push(lua, field);
  lua_rawset(lua, -3);
}

/// Fills the table on top with an element of a list.
class ElementFiller {
 public:
  explicit ElementFiller(lua_State* lua) : lua_(lua) {}
  template <typename T>
  void value(const char* name, const T& field) {
    set_field(lua_, name, field);
  }

 private:
  lua_State* lua_;
};

template <typename T>
std::uint64_t bits_of(const T& field) {
  if constexpr (std::is_same_v<T, double>) {
    return std::bit_cast<std::uint64_t>(field);
  } else {
    return static_cast<std::uint64_t>(field);
  }
}

}  // namespace

/// The archive for visit(): in a new view with the table it fills on top of the stack, else only
/// with the list of tables there.
class ViewFiller {
 public:
  ViewFiller(lua_State* lua, ViewTables& view, bool is_new, int tables)
      : lua_(lua), last_(view.last_), is_new_(is_new), tables_(tables) {}

  template <typename T>
  void value(const char* name, const T& field) {
    if constexpr (std::is_same_v<T, std::string_view>) {
      if (is_new_) set_field(lua_, name, field);
    } else {
      std::uint64_t& last = last_.at(values_++);
      const std::uint64_t now = bits_of(field);
      if (is_new_) {
        set_field(lua_, name, field);
      } else if (now != last) {
        lua_rawgeti(lua_, tables_, current_.at(depth_));
        set_field(lua_, name, field);
        lua_pop(lua_, 1);
      }
      last = now;
    }
  }
  template <typename T>
  void derived(const char* name, T number) {
    value(name, number);
  }
  void open(const char* name) {
    current_.at(++depth_) = ++opened_;
    if (!is_new_) return;
    lua_newtable(lua_);
    lua_pushstring(lua_, name);
    lua_pushvalue(lua_, -2);
    lua_rawset(lua_, -4);
    lua_pushvalue(lua_, -1);
    lua_rawseti(lua_, tables_, opened_);
  }
  void close() {
    --depth_;
    if (is_new_) lua_pop(lua_, 1);
  }
  template <typename T>
  void list(const char* name, std::span<const T> elements) {
    if (!is_new_) return;
    lua_pushstring(lua_, name);
    lua_createtable(lua_, static_cast<int>(elements.size()), 0);
    lua_Integer at = 0;
    for (const T& element : elements) {
      lua_createtable(lua_, 0, 5);
      ElementFiller filler(lua_);
      visit_fields(filler, element);
      lua_rawseti(lua_, -2, ++at);
    }
    lua_rawset(lua_, -3);
  }
  void state() const {}

 private:
  lua_State* lua_;
  std::array<std::uint64_t, ViewTables::kMostValues>& last_;
  bool is_new_;
  int tables_;                                // where on the stack
  std::size_t values_ = 0, depth_ = 0;        // seen; how deep
  lua_Integer opened_ = 1;                    // the view itself is the first table
  std::array<lua_Integer, 4> current_ = {1};  // the table at each depth
};

void ViewTables::make(lua_State* lua, const PoolView& view, int state) {
  const int state_at = lua_absindex(lua, state);
  lua_newtable(lua);
  const int tables = lua_gettop(lua);
  lua_pushvalue(lua, -1);
  lua_rawsetp(lua, LUA_REGISTRYINDEX, &tables_key);
  lua_newtable(lua);
  lua_pushvalue(lua, -1);
  lua_rawseti(lua, tables, 1);
  ViewFiller filler(lua, *this, true, tables);
  visit(filler, view);
  std::memcpy(seen_.data(), &view, sizeof view);
  lua_pushliteral(lua, "state");
  lua_pushvalue(lua, state_at);
  lua_rawset(lua, -3);
  lua_remove(lua, tables);
}

void ViewTables::update(lua_State* lua, const PoolView& view) {
  lua_rawgetp(lua, LUA_REGISTRYINDEX, &tables_key);
  const int tables = lua_gettop(lua);
  if (std::memcmp(seen_.data(), &view, sizeof view) != 0) {
    ViewFiller filler(lua, *this, false, tables);
    visit(filler, view);
    std::memcpy(seen_.data(), &view, sizeof view);
  }
  lua_rawgeti(lua, tables, 1);
  lua_remove(lua, tables);
}

void ViewTables::push(lua_State* lua, const ConnectionView& connection) {
  lua_createtable(lua, 0, 5);
  ElementFiller filler(lua);
  visit_fields(filler, connection);
}

}  // namespace weir::policy
