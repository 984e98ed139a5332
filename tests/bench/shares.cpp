// Two pools on one quota: a greedy one whose callers always want more than there is, and a modest
// one whose few callers come and go. By the built-in policy, where the quota's line decides, and by
// fair_share.lua in both.
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "bench/callers.h"
#include "bench/main_of.h"
#include "bench/scram_server.h"
#include "bench/shared.h"
#include "support/temp_folder.h"

namespace weir::bench {
namespace {

using namespace std::chrono_literals;

constexpr unsigned kWorkers = 4;
constexpr unsigned kQuota = 20;

struct Load {
  std::string name;
  Kind greedy, modest;
};

const Load kLoads[] = {
    // Some seconds there, some not.
    {"comes for seconds",
     {.threads = 10, .hold = 20ms},
     {.pool = "modest", .threads = 1, .hold = 5ms, .pause = 15ms, .every = 5000ms, .on = 2500ms}},
    // Always there.
    {"stays",
     {.threads = 10, .hold = 20ms},
     {.pool = "modest", .threads = 1, .hold = 5ms, .pause = 15ms}},
    // Each wants all for half a second, and then it is the other's turn.
    {"jumps",
     {.threads = 5, .hold = 20ms, .every = 1000ms, .on = 500ms},
     {.pool = "modest", .threads = 5, .hold = 20ms, .every = 1000ms, .on = 500ms, .after = 500ms}},
};

std::string pool_keys(const std::string& policy) {
  return "quota = \"db\"\n" + (policy.empty() ? "" : "policy = \"" + policy + "\"\n");
}

std::vector<Figure> measure(const ScramServer& server, const Load& load, milliseconds length,
                            const std::string& policy) {
  const std::unique_ptr<demo::SessionCounter> counter = server.make_counter();
  while (counter->count() > 0) std::this_thread::sleep_for(2ms);
  const test::TempFolder folder;
  demo::WeirSide weir({.folder = folder.path().string(),
                       .plugins = "",
                       .dsn = server.dsn(),
                       .quota = kQuota,
                       .keys = pool_keys(policy) +
                               "[pool.modest]\ndriver = \"postgres\"\ndsn = \"" + server.dsn() +
                               "\"\nmax = " + std::to_string(kQuota) + "\n" + pool_keys(policy) +
                               "[quota.db]\nlimit = " + std::to_string(kQuota) + "\n"});
  const CallersPlan plan{.kinds = {load.greedy, load.modest},
                         .workers = kWorkers,
                         .warm = 2500ms,
                         .length = length,
                         .pools = {"main", "modest"}};
  const Shared<Board> board;
  const Counted counted = run_callers(weir, plan, *board);
  const auto& [greedy, modest] = board->kinds;
  const double seconds = std::chrono::duration<double>(length).count();
  return {{"modest: wait p50", "ms", modest.wait_ms(0.5)},
          {"modest: wait p99", "ms", modest.wait_ms(0.99)},
          {"modest: served", "requests/s", modest.served.load() / seconds},
          {"greedy: wait p50", "ms", greedy.wait_ms(0.5)},
          {"greedy: wait p99", "ms", greedy.wait_ms(0.99)},
          {"greedy: served", "requests/s", greedy.served.load() / seconds},
          {"connects", "connects/s", static_cast<double>(counted.connects) / seconds},
          {"failures", "requests", static_cast<double>(greedy.bad() + modest.bad())}};
}

Plan make_plan(const Settings& settings) {
  const auto server = std::make_shared<ScramServer>();
  const auto length = std::chrono::duration_cast<milliseconds>(settings.length);
  Plan plan;
  for (const Load& load : kLoads) {
    Case one{.name = load.name, .variants = {}};
    const auto add = [&](const std::string& variant, const std::string& policy) {
      one.variants.push_back(
          {variant, [=, &load](std::size_t) { return measure(*server, load, length, policy); }});
    };
    add("weir, built-in", "");
    add("weir, fair_share.lua", WEIR_POLICIES "/fair_share.lua");
    plan.cases.push_back(std::move(one));
  }
  for (const char* const metric :
       {"modest: wait p99", "modest: served", "greedy: served", "connects"}) {
    plan.comparisons.push_back({"weir, fair_share.lua", "weir, built-in", metric});
  }
  return plan;
}

}  // namespace
}  // namespace weir::bench

int main(int argc, char** argv) {
  return weir::bench::main_of(
      argc, argv,
      {.name = "shares",
       .about = "Two pools on one quota, one greedy: how long does the other one wait?",
       .rounds = 3,
       .seconds = 5.0},
      weir::bench::make_plan);
}
