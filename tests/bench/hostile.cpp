// Callers while a policy's script means harm: how long do they wait for a connection, and how long
// do they by the built-in policy in the same round?
//
// A script that is bad from the beginning is never put in charge, so these are good in a
// self-check, where `view.now_ms` is 0, and bad in a pool. After three bad ticks in a row the
// built-in policy would decide until the file changes: so it is touched several times a second, and
// every worker loads the script and is harmed by it anew at every tick. "bad ticks" says whether
// that was so: those of all workers, by the ticks that there were, which are one a second in each.
#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "bench/callers.h"
#include "bench/main_of.h"
#include "bench/shared.h"
#include "policy/lua_policy.h"
#include "support/postgres_server.h"
#include "support/temp_folder.h"

namespace weir::bench {
namespace {

using namespace std::chrono_literals;

constexpr auto kTouchEach = 300ms;
constexpr auto kTickAtMost = 50ms;  // docs/policies.md, Limits
constexpr unsigned kWorkers = 4;
constexpr unsigned kThreads = 4;  // of each

struct Script {
  std::string name;
  std::string body;               // where it is bad
  std::string function = "size";  // ... which is in this function
};

// As tests/unit/policy/hostile_script_test.cpp has them, one of each kind.
const Script kScripts[] = {
    {"endless loop", "while true do end"},
    {"swallows its end", "while true do pcall(function() while true do end end) end"},
    {"slow instructions", "local function f(...) return f(1, ...) end f()"},
    {"takes memory", "local t = {} for i = 1, math.huge do t[i] = {i} end"},
    {"long texts", "while true do local s = string.rep('x', 200000) end"},
    {"deep recursion", "local function f() return 1 + f() end f()"},
    {"storm of errors", "while true do pcall(error, string.rep('x', 1000)) end"},
    {"loop in evict", "while true do end", "evict"},
};

/// Throws std::runtime_error where no worker would put it in charge.
std::string text_of(const Script& script) {
  const bool in_size = script.function == "size";
  const std::string text =
      "return { name = 'hostile', api = 1,\n" + script.function + " = function(" +
      (in_size ? "view" : "conn, view") + ")\n  if view.now_ms > 0 then " + script.body +
      " end\n  return " + (in_size ? "{}" : "'keep'") + "\nend,\nself_check = { { " +
      (in_size ? "size = { max = 10 }" : "conn = { idle_ms = 5 }, evict = 'keep'") + " } } }\n";
  const auto loaded = policy::LuaPolicy::load(text, script.name);
  if (!loaded.ok()) throw std::runtime_error(loaded.status().message());
  return text;
}

std::vector<Figure> measure(const test::PostgresServer& server, unsigned connections,
                            milliseconds length, const std::string& script, milliseconds burn) {
  const test::TempFolder folder;
  const std::filesystem::path file = folder.path() / "policy.lua";
  std::ofstream(file) << script;
  // Some are always idle, so that there is something to evict: that is where a script is asked.
  const std::string keys = "min = " + std::to_string(connections) + "\n" +
                           (script.empty() ? "" : "policy = \"" + file.string() + "\"\n");
  demo::WeirSide weir({.folder = (folder.path() / "segments").string(),
                       .plugins = "",
                       .dsn = server.dsn(),
                       .quota = connections,
                       .keys = keys});
  milliseconds touched_at{INT64_MIN / 2};
  CallersPlan plan{.kinds = {{.threads = kThreads, .hold = 1ms, .pause = 4ms}},
                   .workers = kWorkers,
                   .length = length,
                   .burn = burn};
  plan.meanwhile = [&](milliseconds since) {
    if (since < touched_at + kTouchEach) return;
    touched_at = since;
    std::filesystem::last_write_time(file, std::filesystem::file_time_type::clock::now());
  };
  const Shared<Board> board;
  const Counted counted = run_callers(weir, plan, *board);
  const Tally& calls = board->kinds[0];
  const double seconds = std::chrono::duration<double>(length).count();
  return {{"acquire p50", "us", calls.waits.percentile_ns(0.5) / 1e3},
          {"acquire p99", "us", calls.waits.percentile_ns(0.99) / 1e3},
          {"acquire p99.9", "us", calls.waits.percentile_ns(0.999) / 1e3},
          {"served", "requests/s", calls.served.load() / seconds},
          {"failures", "requests", static_cast<double>(calls.bad())},
          {"bad ticks", "of each tick",
           static_cast<double>(counted.policy_errors) / seconds / kWorkers}};
}

Plan make_plan(const Settings& settings) {
  const auto server = std::make_shared<test::PostgresServer>();
  const auto length = std::chrono::duration_cast<milliseconds>(settings.length);
  Plan plan;
  const std::pair<const char*, unsigned> cases[] = {{"24 for 16", 24}, {"8 for 16", 8}};
  for (const auto& [name, connections] : cases) {
    Case one{.name = name, .variants = {}};
    const auto add = [&, connections = connections](const std::string& variant,
                                                    const std::string& script,
                                                    milliseconds burn = 0ms) {
      one.variants.push_back({"weir, " + variant, [=](std::size_t) {
                                return measure(*server, connections, length, script, burn);
                              }});
    };
    add("built-in", "");
    add("busy beside it", "", kTickAtMost);
    add("good script", "return { name = 'good', api = 1, size = function() return {} end }\n");
    for (const Script& script : kScripts) {
      const bool idles = connections > kWorkers * kThreads;  // else nobody asks what to evict
      if (idles || script.function != "evict") add(script.name, text_of(script));
    }
    plan.cases.push_back(std::move(one));
  }
  for (const Variant& each : plan.cases.front().variants) {
    for (const char* const metric : {"acquire p50", "acquire p99", "acquire p99.9"}) {
      if (each.name != "weir, built-in")
        plan.comparisons.push_back({each.name, "weir, built-in", metric});
    }
  }
  return plan;
}

}  // namespace
}  // namespace weir::bench

int main(int argc, char** argv) {
  return weir::bench::main_of(
      argc, argv,
      {.name = "hostile",
       .about = "Callers while a policy's script means harm: do they wait longer?",
       .rounds = 3,
       .seconds = 2.5},
      weir::bench::make_plan);
}
