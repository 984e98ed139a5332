#include "policy/lua_policy.h"

#include <array>
#include <cmath>
#include <cstdio>
#include <lua.hpp>
#include <span>
#include <utility>

#include "base/text.h"
#include "policy/lua_decision.h"

namespace weir::policy {
namespace {

// Of the registry, by their addresses.
std::array<char, 3> function_keys;
char params_key, state_key;

class Fnv1a {
 public:
  // http://www.isthe.com/chongo/tech/comp/fnv/
  void add(std::string_view text) {
    for (const char c : text) {
      hash_ = (hash_ ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
    }
    hash_ = (hash_ ^ 0xffu) * 0x100000001b3u;  // where one text ends
  }
  [[nodiscard]] std::string digits() const {
    std::array<char, 17> text{};
    std::snprintf(text.data(), text.size(), "%016llx", static_cast<unsigned long long>(hash_));
    return text.data();
  }

 private:
  std::uint64_t hash_ = 0xcbf29ce484222325u;
};

bool is_name_of_policy(std::string_view name) {
  constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz0123456789-_";
  return !name.empty() && name.size() <= LuaPolicy::kLongestName &&
         name.find_first_not_of(kLetters) == std::string_view::npos;
}

// What follows, up to "Outside", runs where Lua may raise: no object with a destructor.

void push_number(lua_State* lua, double number) {
  // A whole number as an integer, so that it reads as it was written.
  constexpr double kMostExact = 9007199254740992.0;
  if (std::floor(number) == number && std::fabs(number) <= kMostExact) {
    lua_pushinteger(lua, static_cast<lua_Integer>(number));
  } else {
    lua_pushnumber(lua, number);
  }
}

/// A number, a text or a boolean; nil for all else, which is not to be kept.
void push_plain(lua_State* lua, const LuaValue& value) {
  if (const bool* flag = std::get_if<bool>(&value.held)) {
    lua_pushboolean(lua, *flag ? 1 : 0);
  } else if (const auto* whole = std::get_if<std::int64_t>(&value.held)) {
    lua_pushinteger(lua, *whole);
  } else if (const auto* number = std::get_if<double>(&value.held)) {
    lua_pushnumber(lua, *number);
  } else if (const auto* text = std::get_if<std::string>(&value.held)) {
    lua_pushlstring(lua, text->data(), text->size());
  } else {
    lua_pushnil(lua);
  }
}

/// How many bytes the number, text or boolean at `index` counts for; 0 if it is anything else.
std::size_t plain_size(lua_State* lua, int index) {
  switch (lua_type(lua, index)) {
    case LUA_TBOOLEAN:
    case LUA_TNUMBER:
      return sizeof(double);
    case LUA_TSTRING:
      return lua_rawlen(lua, index) + 1;
    default:
      return 0;
  }
}

}  // namespace

struct LuaPolicy::Call {
  LuaPolicy* policy;
  Function function;
  const PoolView* view;
  const ConnectionView* connection;  // null: none
  StateFault fault;
};

void LuaPolicy::push_params(lua_State* lua, const Params& params) {
  lua_createtable(lua, 0, static_cast<int>(params.size()));
  for (const auto& param : params) {
    lua_pushlstring(lua, param.first.data(), param.first.size());
    if (const bool* flag = std::get_if<bool>(&param.second)) lua_pushboolean(lua, *flag ? 1 : 0);
    if (const double* number = std::get_if<double>(&param.second)) push_number(lua, *number);
    if (const auto* text = std::get_if<std::string>(&param.second)) {
      lua_pushlstring(lua, text->data(), text->size());
    }
    lua_rawset(lua, -3);
  }
}

int LuaPolicy::forget_state(lua_State* lua) {
  lua_pushnil(lua);
  lua_rawsetp(lua, LUA_REGISTRYINDEX, &state_key);
  return 0;
}

/// Runs the script's text and takes its functions; makes params and view.
void LuaPolicy::start_tick(lua_State* lua, const Call& call) {
  LuaSandbox::push_chunk(lua);
  lua_call(lua, 0, 1);
  luaL_checktype(lua, -1, LUA_TTABLE);
  for (std::size_t i = 0; i < kFunctions.size(); ++i) {
    lua_pushstring(lua, kFunctions[i]);
    const bool is_function = lua_rawget(lua, -2) == LUA_TFUNCTION;
    if (functions_[i] && !is_function) {
      luaL_error(lua, "%s: was a function when the script was loaded", kFunctions[i]);
    }
    lua_rawsetp(lua, LUA_REGISTRYINDEX, &function_keys[i]);
  }
  lua_pop(lua, 1);

  push_params(lua, sample_params_ != nullptr ? *sample_params_ : params_);
  lua_rawsetp(lua, LUA_REGISTRYINDEX, &params_key);

  if (lua_rawgetp(lua, LUA_REGISTRYINDEX, &state_key) != LUA_TTABLE) {
    lua_pop(lua, 1);
    lua_newtable(lua);
    if (sample_state_ != nullptr) {
      for (const LuaValue::Entry& entry : *sample_state_->table()) {
        push_plain(lua, entry.key);
        push_plain(lua, entry.value);
        lua_rawset(lua, -3);
      }
    }
  }
  view_.make(lua, *call.view, -1);
  lua_remove(lua, -2);
  is_running_ = true;
}

/// Takes view.state of the view at `view` for the next tick, if it is what it may be.
LuaPolicy::StateFault LuaPolicy::keep_state(lua_State* lua, int view) {
  lua_pushliteral(lua, "state");
  if (lua_rawget(lua, view) != LUA_TTABLE) return StateFault::kNoTable;
  // A metatable would bring functions along, and with them whatever they know.
  lua_pushnil(lua);
  lua_setmetatable(lua, -2);
  std::size_t count = 0, bytes = 0;
  lua_pushnil(lua);
  while (lua_next(lua, -2) != 0) {
    const std::size_t key = plain_size(lua, -2), value = plain_size(lua, -1);
    if (key == 0 || value == 0) return StateFault::kType;
    ++count;
    bytes += key + value;
    if (count > kMostState || bytes > kMostStateBytes) return StateFault::kSize;
    lua_pop(lua, 1);
  }
  lua_rawsetp(lua, LUA_REGISTRYINDEX, &state_key);
  return StateFault::kNone;
}

int LuaPolicy::run_call(lua_State* lua) {
  Call& call = *static_cast<Call*>(lua_touserdata(lua, 1));
  LuaPolicy& self = *call.policy;
  luaL_checkstack(lua, 40, nullptr);
  if (self.is_running_) {
    self.view_.update(lua, *call.view);
  } else {
    self.start_tick(lua, call);
  }
  constexpr int kView = 2;  // beside the context
  lua_rawgetp(lua, LUA_REGISTRYINDEX, &function_keys.at(static_cast<std::size_t>(call.function)));
  if (call.connection != nullptr) ViewTables::push(lua, *call.connection);
  lua_pushvalue(lua, kView);
  lua_rawgetp(lua, LUA_REGISTRYINDEX, &params_key);
  lua_call(lua, call.connection != nullptr ? 3 : 2, LUA_MULTRET);
  const int results = lua_gettop(lua) - kView;
  luaL_checkstack(lua, 5, nullptr);
  call.fault = keep_state(lua, kView);
  lua_settop(lua, kView + results);
  return results;
}

// Outside: objects as usual.

void LuaPolicy::begin_tick() {
  sandbox_.begin_turn();
  is_running_ = false;
  if (!std::exchange(loses_state_, false)) return;
  // Takes no memory, and so cannot fail.
  static_cast<void>(sandbox_.enter(forget_state, nullptr));
}

Result<std::vector<LuaValue>> LuaPolicy::call(Function function, const PoolView& view,
                                              const ConnectionView* connection) {
  Call call{this, function, &view, connection, StateFault::kNone};
  Status status = sandbox_.enter(run_call, &call);
  if (status.ok() && call.fault != StateFault::kNone) {
    const char* const faults[] = {"", "expected a table",
                                  "expected numbers, texts and booleans alone",
                                  "at most 64 values of 4,096 bytes together"};
    status = Status(Code::kPolicyType,
                    std::string("view.state: ") + faults[static_cast<std::size_t>(call.fault)]);
  }
  if (status.ok()) return sandbox_.results();
  loses_state_ = true;
  return std::move(status).in(kFunctions[static_cast<std::size_t>(function)]);
}

Result<SizeDecision> LuaPolicy::size(const PoolView& view) {
  begin_tick();
  const SizeDecision built_in = FixedPolicy::size_for(view);
  if (!has(Function::kSize)) return built_in;
  const Result<std::vector<LuaValue>> values = call(Function::kSize, view, nullptr);
  if (!values.ok()) return values.status();
  return read_size(values.value(), built_in);
}

Result<Eviction> LuaPolicy::evict(const ConnectionView& connection, const PoolView& view) {
  if (!has(Function::kEvict)) return FixedPolicy::eviction_for(connection, view);
  const Result<std::vector<LuaValue>> values = call(Function::kEvict, view, &connection);
  if (!values.ok()) return values.status();
  return read_eviction(values.value());
}

Result<BreakerDecision> LuaPolicy::breaker(const PoolView& view) {
  if (view.attempt_failed) begin_tick();
  if (!has(Function::kBreaker)) return FixedPolicy::breaker_for(view);
  const Result<std::vector<LuaValue>> values = call(Function::kBreaker, view, nullptr);
  if (!values.ok()) return values.status();
  return read_breaker(values.value());
}

Result<std::unique_ptr<LuaPolicy>> LuaPolicy::load(std::string_view source, std::string_view origin,
                                                   const Params& overrides, const LuaLimits& limits,
                                                   std::function<void()> meanwhile) {
  std::unique_ptr<LuaPolicy> policy(new LuaPolicy(limits, std::move(meanwhile)));
  Status status = policy->sandbox_.compile(source, origin);
  if (!status.ok()) return status;
  // Whatever is wrong from here on says where; budget and memory keep their codes.
  const auto refusal = [&](const Status& why) {
    const bool is_limit = why.code() == Code::kPolicyBudget || why.code() == Code::kPolicyMemory;
    return Status(is_limit ? why.code() : Code::kBadConfig, why.message()).in(origin);
  };
  policy->sandbox_.begin_turn();
  status = policy->sandbox_.run();
  if (!status.ok()) return refusal(status);
  const std::vector<LuaValue> values = policy->sandbox_.results();
  if (values.size() != 1 || values[0].table() == nullptr) {
    const std::string found = values.empty() ? "nothing" : values[0].shown();
    return refusal(type_error("the script returns", "a table", found));
  }
  status = policy->read_script(values[0], overrides);
  if (!status.ok()) return refusal(status);

  Fnv1a hash;
  hash.add(source);
  for (const auto& [name, value] : policy->params_) {
    hash.add(name);
    hash.add(show_param(value));
  }
  policy->hash_ = hash.digits();
  return policy;
}

Status LuaPolicy::read_script(const LuaValue& script, const Params& overrides) {
  for (const LuaValue::Entry& entry : *script.table()) {
    if (entry.key.text() == nullptr) {
      return type_error("the script's table", "names as keys", entry.key.shown());
    }
    WEIR_TRY(read_entry(*entry.key.text(), entry.value));
  }
  if (script.field("api") == nullptr) return type_error("api", "1", "none");
  if (name_.empty()) return type_error("name", "a text", "none");
  Result<Params> params = with_overrides(defaults_, overrides);
  if (!params.ok()) return params.status();
  params_ = std::move(params).value();
  const LuaValue* samples = script.field("self_check");
  return samples == nullptr ? Status() : check_itself(*samples);
}

Status LuaPolicy::read_entry(std::string_view key, const LuaValue& value) {
  for (std::size_t i = 0; i < kFunctions.size(); ++i) {
    if (key != kFunctions[i]) continue;
    functions_[i] = value.is_function();
    return functions_[i] ? Status() : type_error(std::string(key), "a function", value.shown());
  }
  if (key == "name") {
    const bool is_good = value.text() != nullptr && is_name_of_policy(*value.text());
    if (!is_good) {
      return type_error("name", "1 to 31 of a to z, 0 to 9, - and _", value.shown());
    }
    name_ = *value.text();
    return {};
  }
  if (key == "api") {
    const auto* version = std::get_if<std::int64_t>(&value.held);
    const bool is_good = version != nullptr && *version == 1;
    return is_good ? Status() : type_error("api", "1", value.shown());
  }
  if (key == "params") {
    Result<Params> params = read_params(value);
    if (!params.ok()) return params.status();
    defaults_ = std::move(params).value();
    return {};
  }
  if (key == "self_check") return {};  // once all the rest is known
  return {Code::kPolicyType,
          "unknown key " + show_text(key) +
              "; expected name, api, params, size, evict, breaker or self_check"};
}

}  // namespace weir::policy
