#include "policy/lua_sandbox.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <lua.hpp>
#include <string>
#include <utility>

#include "base/text.h"
#include "policy/lua_library.h"

namespace weir::policy {
namespace {

// Between two looks at the clock. Fewer cost time, more let a slow instruction repeat more often.
constexpr int kStep = 100;
// What one step can count for: a step takes microseconds, and where the machine gives the time to
// others in between, or stands still, that is no fault of the script's.
constexpr std::chrono::nanoseconds kLongestStep = std::chrono::milliseconds(10);
// Each costs a full collection. Who needs more in a turn lives at the limit.
constexpr unsigned kMostRefusals = 8;

// Keys of the registry, and the value that is raised when a turn is over: addresses.
char chunk_key, over_mark;

struct Source {
  const char* text;
  std::size_t size;
  const char* name;
  int status;
};

}  // namespace

LuaSandbox::LuaSandbox(const LuaLimits& limits, std::function<void()> meanwhile)
    : limits_(limits), meanwhile_(std::move(meanwhile)) {
  lua_ = lua_newstate(allocate, this);
  if (lua_ == nullptr) return;
  *static_cast<LuaSandbox**>(lua_getextraspace(lua_)) = this;
  begin_turn();
  const Body install = [](lua_State* lua) {
    install_library(lua);
    return 0;
  };
  if (enter(install, nullptr).ok()) return;
  lua_close(lua_);
  lua_ = nullptr;
}

LuaSandbox::~LuaSandbox() {
  if (lua_ != nullptr) lua_close(lua_);
}

LuaSandbox& LuaSandbox::of(lua_State* lua) {
  return **static_cast<LuaSandbox**>(lua_getextraspace(lua));
}

void LuaSandbox::begin_turn() {
  if (lua_ == nullptr) return;
  // What the last turn left is nobody's any more, and its garbage is not to count for this one.
  if (stop_ != Stop::kNone) {
    lua_settop(lua_, 0);
    lua_gc(lua_, LUA_GCCOLLECT);
  }
  stop_ = Stop::kNone;
  instructions_ = uncounted_ = 0;
  elapsed_ = std::chrono::nanoseconds(0);
  refusals_ = 0;
  last_refused_ = 0;
  peak_bytes_ = bytes_;
  lua_sethook(lua_, on_count, LUA_MASKCOUNT, kStep);
}

void* LuaSandbox::allocate(void* sandbox, void* block, std::size_t old_size, std::size_t size) {
  LuaSandbox& self = *static_cast<LuaSandbox*>(sandbox);
  const std::size_t had = block == nullptr ? 0 : old_size;
  if (size == 0) {
    std::free(block);
    self.bytes_ -= had;
    return nullptr;
  }
  // For a new object Lua says in place of its old size what it is.
  const bool is_string = block == nullptr && old_size == LUA_TSTRING;
  if (size > had && !self.may_grow(size, size - had, is_string)) return nullptr;
  void* const moved = std::realloc(block, size);
  if (moved == nullptr) return size <= had ? block : nullptr;  // shrinking never fails
  self.bytes_ += size - had;
  self.peak_bytes_ = std::max(self.peak_bytes_, self.bytes_);
  return moved;
}

// Lua collects its garbage after a first refusal and asks once more.
bool LuaSandbox::may_grow(std::size_t size, std::size_t growth, bool is_string) {
  constexpr std::size_t kHead = 64;  // of a string object, and more
  const bool is_too_long = is_string && size > kLongestString + kHead;
  if (!is_too_long && bytes_ + growth <= limits_.memory_bytes) {
    last_refused_ = 0;
    return true;
  }
  const bool again = last_refused_ == size;
  last_refused_ = size;
  if (is_too_long || again || ++refusals_ > kMostRefusals) stop(Stop::kMemory);
  return false;
}

void LuaSandbox::stop(Stop why) {
  if (stop_ == Stop::kNone) stop_ = why;
  if (lua_ != nullptr) lua_sethook(lua_, on_count, LUA_MASKCOUNT, 1);
}

void LuaSandbox::look_at_the_clock() {
  const auto now = std::chrono::steady_clock::now();
  elapsed_ += std::min<std::chrono::nanoseconds>(now - looked_at_, kLongestStep);
  looked_at_ = now;
  if (elapsed_ > limits_.time) stop(Stop::kTime);
}

void LuaSandbox::count(std::uint64_t instructions) {
  instructions_ += instructions;
  if (instructions_ > limits_.instructions) stop(Stop::kInstructions);
  uncounted_ += instructions;
  if (uncounted_ < kStep) return;
  uncounted_ = 0;
  look_at_the_clock();
  if (!meanwhile_) return;
  meanwhile_();
  looked_at_ = std::chrono::steady_clock::now();
}

void LuaSandbox::on_count(lua_State* lua, lua_Debug*) {
  LuaSandbox& self = of(lua);
  if (self.stop_ == Stop::kNone) self.count(kStep);
  if (self.stop_ != Stop::kNone) raise(lua);
}

void LuaSandbox::charge(lua_State* lua, std::uint64_t work) {
  LuaSandbox& self = of(lua);
  // Beyond the limit all is the same, and nothing overflows.
  self.count(std::min(work, self.limits_.instructions + 1));
  go_on_or_raise(lua);
}

void LuaSandbox::go_on_or_raise(lua_State* lua) {
  if (of(lua).stop_ != Stop::kNone) raise(lua);
}

void LuaSandbox::raise_out_of_memory(lua_State* lua) {
  of(lua).stop(Stop::kMemory);
  raise(lua);
}

// Without a message: that may need memory.
void LuaSandbox::raise(lua_State* lua) {
  lua_pushlightuserdata(lua, &over_mark);
  lua_error(lua);
  std::abort();  // lua_error does not return
}

Status LuaSandbox::enter(Body body, void* context) {
  has_results_ = false;
  if (lua_ == nullptr) {
    return {Code::kPolicyMemory,
            "a Lua state does not fit into " + std::to_string(limits_.memory_bytes) + " bytes"};
  }
  lua_settop(lua_, 0);
  if (stop_ != Stop::kNone) return stopped();
  looked_at_ = std::chrono::steady_clock::now();
  lua_pushcfunction(lua_, body);
  lua_pushlightuserdata(lua_, context);
  const int status = lua_pcall(lua_, 1, LUA_MULTRET, 0);
  if (stop_ == Stop::kNone) look_at_the_clock();
  if (stop_ != Stop::kNone) {
    lua_settop(lua_, 0);
    return stopped();
  }
  if (status != LUA_OK) {
    Status failed = failure(status);
    lua_settop(lua_, 0);
    return failed;
  }
  has_results_ = true;
  return {};
}

Status LuaSandbox::stopped() const {
  switch (stop_) {
    case Stop::kInstructions:
      return {Code::kPolicyBudget, "more than " + std::to_string(limits_.instructions) +
                                       " instructions, which is what one turn may use"};
    case Stop::kTime: {
      const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(limits_.time).count();
      return {Code::kPolicyBudget,
              "longer than " + std::to_string(ms) + " ms, which is what one turn may take"};
    }
    default:
      return {Code::kPolicyMemory,
              "more than " + std::to_string(limits_.memory_bytes) + " bytes, or a string of more " +
                  "than " + std::to_string(kLongestString) + ", which is what one turn may use"};
  }
}

/// The error value on top of the stack as a Status. Asks the script nothing: no __tostring.
Status LuaSandbox::failure(int lua_status) const {
  if (lua_status == LUA_ERRMEM) return {Code::kPolicyMemory, "out of memory"};
  const LuaValue value = read_value(lua_, -1);
  if (value.text() == nullptr) {
    return {Code::kPolicyRuntime, "raised " + value.shown() + " as an error"};
  }
  std::string message;
  for (const char c : cut_text(*value.text(), 400)) append_escaped(message, c);
  return {Code::kPolicyRuntime, message};
}

std::vector<LuaValue> LuaSandbox::results() const {
  std::vector<LuaValue> values;
  if (!has_results_) return values;
  const int count = std::min(lua_gettop(lua_), LuaValue::kMostValues);
  for (int i = 1; i <= count; ++i) values.push_back(read_value(lua_, i));
  return values;
}

int LuaSandbox::compile_chunk(lua_State* lua) {
  Source& source = *static_cast<Source*>(lua_touserdata(lua, 1));
  source.status = luaL_loadbufferx(lua, source.text, source.size, source.name, "t");
  if (source.status != LUA_OK) return 1;  // the message
  lua_rawsetp(lua, LUA_REGISTRYINDEX, &chunk_key);
  return 0;
}

Status LuaSandbox::compile(std::string_view source, std::string_view origin) {
  const std::string name = "@" + std::string(origin);
  if (source.size() > kLongestSource) {
    return {Code::kBadConfig, std::string(origin) + ": at most " + std::to_string(kLongestSource) +
                                  " bytes expected, found " + std::to_string(source.size())};
  }
  Source text{source.data(), source.size(), name.c_str(), LUA_OK};
  WEIR_TRY(enter(compile_chunk, &text));
  if (text.status == LUA_OK) return {};
  const Status why = failure(text.status);
  lua_settop(lua_, 0);
  has_results_ = false;
  return text.status == LUA_ERRMEM ? why : Status(Code::kBadConfig, why.message());
}

void LuaSandbox::push_chunk(lua_State* lua) {
  lua_rawgetp(lua, LUA_REGISTRYINDEX, &chunk_key);
  // A chunk may have assigned its own _ENV the last time.
  lua_rawgeti(lua, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
  lua_setupvalue(lua, -2, 1);
}

int LuaSandbox::run_chunk(lua_State* lua) {
  push_chunk(lua);
  lua_call(lua, 0, LUA_MULTRET);
  return lua_gettop(lua) - 1;  // all but the context
}

}  // namespace weir::policy
