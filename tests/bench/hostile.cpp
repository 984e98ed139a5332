// Callers while a policy's script means harm, or a good one is reloaded again and again: how long
// do they wait for a connection, and how long do they by the built-in policy in the same round?
//
// A script that is bad from the beginning is never put in charge, so these are good in a
// self-check, where `view.now_ms` is 0, and bad in a pool. After three bad ticks in a row the
// built-in policy would decide until the file changes: so it is touched several times a second, and
// every worker loads the script and is harmed by it anew at every tick. "bad ticks" says whether
// that was so: those of all workers, by the ticks that there were, which are one a second in each.
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
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
constexpr auto kEditionEach = 25ms;
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
  std::string text =
      "return { name = 'hostile', api = 1,\n" + script.function + " = function(" +
      (in_size ? "view" : "conn, view") + ")\n  if view.now_ms > 0 then " + script.body +
      " end\n  return " + (in_size ? "{}" : "'keep'") + "\nend,\nself_check = { { " +
      (in_size ? "size = { max = 10 }" : "conn = { idle_ms = 5 }, evict = 'keep'") + " } } }\n";
  const auto loaded = policy::LuaPolicy::load(text, script.name);
  if (!loaded.ok()) throw std::runtime_error(loaded.status().message());
  return text;
}

std::string good_script(const std::string& name) {
  return "return { name = '" + name + "', api = 1, size = function() return {} end }\n";
}

// One measurement.
struct Trial {
  unsigned connections;
  milliseconds length;
  std::string script;  // empty: the built-in policy
  milliseconds burn{0};
  bool reloads = false;
};

// The file of a pool's script, and what is done to it while callers call.
class ScriptFile {
 public:
  ScriptFile(std::filesystem::path folder, const std::string& text) : folder_(std::move(folder)) {
    write(text);
  }

  [[nodiscard]] std::string path() const { return (folder_ / "policy.lua").string(); }
  [[nodiscard]] unsigned editions() const { return editions_; }

  /// So that it is loaded anew at the next tick.
  void touch(milliseconds since) {
    if (!is_time(since, kTouchEach)) return;
    std::filesystem::last_write_time(path(), std::filesystem::file_time_type::clock::now());
  }
  /// Another edition, loaded at once, if all workers have the last one.
  void reload(demo::WeirSide& weir, milliseconds since) {
    if (!all_have(weir, "edition_" + std::to_string(edition_)) || !is_time(since, kEditionEach)) {
      return;
    }
    editions_ += since >= 0ms ? 1 : 0;
    write(good_script("edition_" + std::to_string(++edition_)));
    weir.reload_policies();
  }

 private:
  bool is_time(milliseconds since, milliseconds each) {
    if (since < done_at_ + each) return false;
    done_at_ = since;
    return true;
  }
  // At once, so that nobody reads half of it.
  void write(const std::string& text) {
    const std::string next = path() + ".next";
    std::ofstream(next) << text;
    std::filesystem::rename(next, path());
  }
  static bool all_have(demo::WeirSide& weir, const std::string& name) {
    const std::optional<shm::Snapshot> now = weir.look();
    const shm::PoolSnapshot* pool = now ? now->pool("main") : nullptr;
    return pool != nullptr && pool->policies.size() == kWorkers &&
           std::all_of(pool->policies.begin(), pool->policies.end(),
                       [&](const auto& one) { return one.note.name == name; });
  }

  const std::filesystem::path folder_;
  milliseconds done_at_{INT64_MIN / 2};
  unsigned edition_ = 0, editions_ = 0;
};

std::vector<Figure> measure(const test::PostgresServer& server, const Trial& trial) {
  const test::TempFolder folder;
  ScriptFile file(folder.path(), trial.script);
  // Some are always idle, so that there is something to evict: that is where a script is asked.
  const std::string keys = "min = " + std::to_string(trial.connections) + "\n" +
                           (trial.script.empty() ? "" : "policy = \"" + file.path() + "\"\n");
  demo::WeirSide weir({.folder = (folder.path() / "segments").string(),
                       .plugins = "",
                       .dsn = server.dsn(),
                       .quota = trial.connections,
                       .keys = keys});
  CallersPlan plan{.kinds = {{.threads = kThreads, .hold = 1ms, .pause = 4ms}},
                   .workers = kWorkers,
                   .length = trial.length,
                   .burn = trial.burn};
  plan.meanwhile = [&](milliseconds since) {
    trial.reloads ? file.reload(weir, since) : file.touch(since);
  };
  const Shared<Board> board;
  const Counted counted = run_callers(weir, plan, *board);
  const Tally& calls = board->kinds[0];
  const double seconds = std::chrono::duration<double>(trial.length).count();
  return {{"acquire p50", "us", calls.waits.percentile_ns(0.5) / 1e3},
          {"acquire p99", "us", calls.waits.percentile_ns(0.99) / 1e3},
          {"acquire p99.9", "us", calls.waits.percentile_ns(0.999) / 1e3},
          {"served", "requests/s", calls.served.load() / seconds},
          {"failures", "requests", static_cast<double>(calls.bad())},
          {"bad ticks", "of each tick",
           static_cast<double>(counted.policy_errors) / seconds / kWorkers},
          {"editions", "reloads", static_cast<double>(file.editions())}};
}

Plan make_plan(const Settings& settings) {
  const auto server = std::make_shared<test::PostgresServer>();
  const auto length = std::chrono::duration_cast<milliseconds>(settings.length);
  Plan plan;
  const std::pair<const char*, unsigned> cases[] = {{"24 for 16", 24}, {"8 for 16", 8}};
  for (const auto& [name, connections] : cases) {
    Case one{.name = name, .variants = {}};
    const auto add = [&](const std::string& variant, const Trial& trial) {
      one.variants.push_back(
          {"weir, " + variant, [=](std::size_t) { return measure(*server, trial); }});
    };
    const Trial plain{.connections = connections, .length = length, .script = ""};
    const auto with = [&](const std::string& script) {
      Trial trial = plain;
      trial.script = script;
      return trial;
    };
    add("built-in", plain);
    Trial busy = plain;
    busy.burn = kTickAtMost;
    add("busy beside it", busy);
    add("good script", with(good_script("good")));
    Trial reloaded = with(good_script("edition_0"));
    reloaded.reloads = true;
    add("reloaded", reloaded);
    for (const Script& script : kScripts) {
      const bool idles = connections > kWorkers * kThreads;  // else nobody asks what to evict
      if (idles || script.function != "evict") add(script.name, with(text_of(script)));
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
       .about = "Callers while a policy's script means harm, or is reloaded: do they wait longer?",
       .rounds = 3,
       .seconds = 2.5},
      weir::bench::make_plan);
}
