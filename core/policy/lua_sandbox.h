// LuaSandbox: one Lua state in which any text may run without harm: bounded in instructions, time
// and memory, with an allow-list of names (policy/lua_library.h) and nothing to reach the host by.
//
// Limits are for a turn: all entries from one begin_turn() to the next share them. Once one is
// exceeded the turn is over: every instruction from there on raises again, and so does every pcall,
// so that no script can swallow it; entries fail at once until the next turn, and work again then.
//
// Lua is linked as C, and raises by longjmp: what runs inside an entry (a body, a library function)
// has no object with a destructor in its frame. As C, because every system has that one, and with
// this rule it makes no difference to be C++.
// Threads: one at a time. It owns its state and all memory in it.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "policy/lua_value.h"

struct lua_State;
struct lua_Debug;

namespace weir::policy {

/// What one turn of a script may use. A tick with 1,000 idle connections takes fixed.lua 17,000
/// instructions, 45 KiB and 1.5 ms (scripts/bench policy): the limits leave thirty times that, and
/// are small beside the second between two ticks.
struct LuaLimits {
  std::uint64_t instructions = 1'000'000;
  std::size_t memory_bytes = std::size_t{4} << 20;
  std::chrono::nanoseconds time = std::chrono::milliseconds(50);
};

class LuaSandbox {
 public:
  /// Of a script's text, in bytes; longer ones are refused.
  static constexpr std::size_t kLongestSource = std::size_t{64} << 10;
  /// Of any one string, in bytes: what works on strings without an instruction in between (compare,
  /// lower, ..) takes well below a millisecond.
  static constexpr std::size_t kLongestString = std::size_t{256} << 10;

  /// `body` of an entry: as lua_CFunction.
  using Body = int (*)(lua_State*);

  /// `meanwhile`, if there is one: called every hundred instructions or so. The time that it takes
  /// is not the script's. It must not throw, nor use this sandbox.
  explicit LuaSandbox(const LuaLimits& limits = {}, std::function<void()> meanwhile = {});
  ~LuaSandbox();
  LuaSandbox(const LuaSandbox&) = delete;
  LuaSandbox& operator=(const LuaSandbox&) = delete;

  /// From here on the limits count anew.
  void begin_turn();

  /// Takes `source` as the chunk that run() runs. `origin` is what messages call it. kBadConfig,
  /// and the chunk before stays, if it is too large, no text, or does not compile; kPolicyMemory.
  Status compile(std::string_view source, std::string_view origin);
  /// Runs the chunk, with fresh globals. kPolicyRuntime (what it raised), kPolicyBudget,
  /// kPolicyMemory. REQUIRES: compiled.
  Status run() { return enter(run_chunk, nullptr); }
  /// Calls `body` protected, with `context` as light userdata on its stack; as run().
  Status enter(Body body, void* context);
  /// What the last entry returned; empty if it failed.
  [[nodiscard]] std::vector<LuaValue> results() const;

  /// In a body: pushes the compiled chunk, with fresh globals.
  static void push_chunk(lua_State* lua);

  /// In a library function: counts as `work` instructions. May raise.
  static void charge(lua_State* lua, std::uint64_t work);
  /// In a library function: raises if the turn is over, which nothing may hold up.
  static void go_on_or_raise(lua_State* lua);
  /// In a library function: the turn is over for want of memory. Raises.
  [[noreturn]] static void raise_out_of_memory(lua_State* lua);

  /// Of this turn.
  [[nodiscard]] std::uint64_t instructions() const { return instructions_; }
  /// The most that was allocated at a time in this turn.
  [[nodiscard]] std::size_t peak_bytes() const { return peak_bytes_; }

 private:
  enum class Stop : std::uint8_t { kNone, kInstructions, kTime, kMemory };

  static LuaSandbox& of(lua_State* lua);
  static void* allocate(void* sandbox, void* block, std::size_t old_size, std::size_t size);
  static void on_count(lua_State* lua, lua_Debug* debug);
  static int run_chunk(lua_State* lua);
  static int compile_chunk(lua_State* lua);
  [[noreturn]] static void raise(lua_State* lua);

  [[nodiscard]] bool may_grow(std::size_t size, std::size_t growth, bool is_string);
  void stop(Stop why);
  void count(std::uint64_t instructions);
  void look_at_the_clock();
  [[nodiscard]] Status stopped() const;
  [[nodiscard]] Status failure(int lua_status) const;

  const LuaLimits limits_;
  const std::function<void()> meanwhile_;
  lua_State* lua_ = nullptr;
  std::size_t bytes_ = 0, peak_bytes_ = 0;
  std::size_t last_refused_ = 0;
  unsigned refusals_ = 0;
  std::uint64_t instructions_ = 0, uncounted_ = 0;
  std::chrono::steady_clock::time_point looked_at_{};
  std::chrono::nanoseconds elapsed_{0};
  Stop stop_ = Stop::kNone;
  bool has_results_ = false;
};

}  // namespace weir::policy
