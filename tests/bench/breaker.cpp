// A server that falls ill for some seconds and is well again: by the built-in policy, whose breaker
// counts failures in a row, and by breaker.lua, which looks at shares and at how long connects
// take.
//
// A real PostgreSQL stands behind a door that can be ill in several ways. Sessions are short-lived:
// each so-manieth request leaves one that is not fit to be lent again, so there is always something
// to connect for. Figures are of the illness and the time after it, and of the attempts while ill.
#include <algorithm>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "base/clock.h"
#include "bench/callers.h"
#include "bench/door.h"
#include "bench/main_of.h"
#include "bench/scram_server.h"
#include "bench/shared.h"
#include "support/temp_folder.h"

namespace weir::bench {
namespace {

using namespace std::chrono_literals;

constexpr unsigned kWorkers = 4;
constexpr unsigned kMax = 16;
constexpr auto kSlowAfter = 1500ms;
constexpr auto kWellAfter = 2000ms;  // counted, once it is well again

struct Setting {
  std::string name;
  Illness illness;
  std::string keys = {};
};

const Setting kSettings[] = {
    {"most refused, in turn", Illness::kTwoOfThreeGone},
    {"most refused, by lot", Illness::kRefusesMost},
    {"most mute, in turn", Illness::kTwoOfThreeMute, "connect_timeout = \"500ms\"\n"},
    {"all slow", Illness::kSlow},
    {"all refused", Illness::kDead},
};

std::vector<Figure> measure(const ScramServer& server, const Setting& setting, milliseconds ill_for,
                            const std::string& policy_keys) {
  const std::unique_ptr<demo::SessionCounter> counter = server.make_counter();
  while (counter->count() > 0) std::this_thread::sleep_for(2ms);
  Door door(server.port(), kSlowAfter);
  const test::TempFolder folder;
  demo::WeirSide weir({.folder = folder.path().string(),
                       .plugins = "",
                       .dsn = server.dsn_at(door.port()),
                       .quota = kMax,
                       .keys = setting.keys + policy_keys});
  CallersPlan plan{.kinds = {{.threads = 3, .hold = 5ms, .pause = 10ms, .spoils_each = 20}},
                   .workers = kWorkers,
                   .warm = 1500ms,
                   .length = ill_for + kWellAfter};
  plan.meanwhile = [&](milliseconds since) {
    door.fall_ill(since >= 0ms && since < ill_for ? setting.illness : Illness::kNone);
  };
  const Shared<Board> board;
  const Counted counted = run_callers(weir, plan, *board);
  const Tally& calls = board->kinds[0];
  const std::uint64_t well_ns =
      counted.began_ns + static_cast<std::uint64_t>(Nanos(ill_for).count());
  const std::uint64_t bad_ns = std::max(calls.last_bad_ns.load(), well_ns);
  return {{"served", "requests", static_cast<double>(calls.served.load())},
          {"failed", "requests", static_cast<double>(calls.bad())},
          {"wait p95", "ms", calls.wait_ms(0.95)},
          {"wait p99", "ms", calls.wait_ms(0.99)},
          {"attempts while ill", "attempts", static_cast<double>(door.came_while_ill())},
          {"well again, last failure after", "ms", static_cast<double>(bad_ns - well_ns) / 1e6}};
}

Plan make_plan(const Settings& settings) {
  const auto server = std::make_shared<ScramServer>();
  const auto length = std::chrono::duration_cast<milliseconds>(settings.length);
  Plan plan;
  for (const Setting& setting : kSettings) {
    Case one{.name = setting.name, .variants = {}};
    const auto add = [&](const std::string& variant, const std::string& policy_keys) {
      one.variants.push_back({variant, [=, &setting](std::size_t) {
                                return measure(*server, setting, length, policy_keys);
                              }});
    };
    const std::string script = "policy = \"" WEIR_POLICIES "/breaker.lua\"\n";
    add("weir, built-in", "");
    add("weir, breaker.lua", script);
    if (setting.illness == Illness::kSlow) {
      add("weir, breaker.lua, slow_ms", script + "policy_params = { slow_ms = 1000 }\n");
    }
    plan.cases.push_back(std::move(one));
  }
  for (const char* const policy : {"weir, breaker.lua", "weir, breaker.lua, slow_ms"}) {
    for (const char* const metric : {"served", "failed", "wait p99", "attempts while ill"}) {
      plan.comparisons.push_back({policy, "weir, built-in", metric});
    }
  }
  return plan;
}

}  // namespace
}  // namespace weir::bench

int main(int argc, char** argv) {
  return weir::bench::main_of(
      argc, argv,
      {.name = "breaker",
       .about = "A server that falls ill: how many calls fail, how long do they take to?",
       .rounds = 3,
       .seconds = 5.0},
      weir::bench::make_plan);
}
