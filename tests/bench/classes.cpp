// A pool with two classes: `web`, which comes now and then, wants its connections soon and has a
// floor; and `batch`, which is always there and has none. By the built-in policy, by priority.lua,
// and by two plain configurations that keep connections for `web` as well.
//
// PostgreSQL is reached by TCP and asks for SCRAM, so a connect costs; and `web` stays away for
// longer than the pool's idle_timeout, so the built-in policy has closed what it needs by then.
#include <algorithm>
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
constexpr unsigned kMax = 10;
constexpr auto kWebEach = 3000ms;
constexpr auto kWebFor = 300ms;

struct Way {
  std::string name;
  std::string keys;          // of [pool.main]
  std::string more = {};     // sections behind it
  std::string web = "main";  // its pool
};

const Way kWays[] = {
    {"built-in", ""},
    {"priority.lua", "policy = \"" WEIR_POLICIES "/priority.lua\"\n"},
    {"min = 8", "min = 8\n"},
};

/// `web` in a pool of its own, which has what the floor is in the others.
Way own_pool(const std::string& dsn) {
  return {"a pool for web", "",
          "[pool.web]\ndriver = \"postgres\"\ndsn = \"" + dsn + "\"\nmax = 4\nmin = 4\n", "web"};
}

std::vector<Figure> measure(const ScramServer& server, unsigned batch_threads, milliseconds length,
                            const Way& way) {
  const std::unique_ptr<demo::SessionCounter> counter = server.make_counter();
  while (counter->count() > 0) std::this_thread::sleep_for(2ms);
  const test::TempFolder folder;
  const bool shares = way.web == "main";
  demo::WeirSide weir({.folder = folder.path().string(),
                       .plugins = "",
                       .dsn = server.dsn(),
                       .quota = shares ? kMax : kMax - 4,
                       .keys = std::string("idle_timeout = \"1s\"\n") +
                               (shares ? "class = [\"web: 4\", \"batch: 0\"]\n" : "") + way.keys +
                               way.more});
  std::uint64_t open = 0, samples = 0;
  CallersPlan plan{
      .kinds = {{.pool = way.web,
                 .class_name = shares ? "web" : "",
                 .threads = 1,
                 .hold = 5ms,
                 .pause = 15ms,
                 .every = kWebEach,
                 .on = kWebFor},
                {.class_name = shares ? "batch" : "",
                 .threads = batch_threads,
                 .hold = 40ms,
                 .pause = 5ms}},
      .workers = kWorkers,
      .warm = kWebEach - 500ms,  // `web` has been there once, at the very beginning
      .length = length,
      .pools = shares ? std::vector<std::string>{"main"} : std::vector<std::string>{"main", "web"}};
  plan.meanwhile = [&, look_at = milliseconds(0)](milliseconds since) mutable {
    if (since < look_at) return;
    look_at = since + 50ms;
    open += counter->count();
    ++samples;
  };
  const Shared<Board> board;
  const Counted counted = run_callers(weir, plan, *board);
  const auto& [web, batch] = board->kinds;
  const double seconds = std::chrono::duration<double>(length).count();
  return {{"web: wait p50", "ms", web.wait_ms(0.5)},
          {"web: wait p95", "ms", web.wait_ms(0.95)},
          {"web: wait p99", "ms", web.wait_ms(0.99)},
          {"batch: wait p50", "ms", batch.wait_ms(0.5)},
          {"batch: wait p99", "ms", batch.wait_ms(0.99)},
          {"batch: served", "requests/s", batch.served.load() / seconds},
          {"connects", "connects", static_cast<double>(counted.connects)},
          {"open, on average", "connections",
           static_cast<double>(open) / static_cast<double>(std::max<std::uint64_t>(samples, 1))},
          {"failures", "requests", static_cast<double>(web.bad() + batch.bad())}};
}

Plan make_plan(const Settings& settings) {
  const auto server = std::make_shared<ScramServer>();
  const auto length = std::chrono::duration_cast<milliseconds>(settings.length);
  Plan plan;
  const std::pair<const char*, unsigned> cases[] = {{"room left", 1}, {"batch wants all", 4}};
  for (const auto& [name, threads] : cases) {
    Case one{.name = name, .variants = {}};
    const auto add = [&, threads = threads](const Way& way) {
      one.variants.push_back({"weir, " + way.name,
                              [=](std::size_t) { return measure(*server, threads, length, way); }});
    };
    for (const Way& way : kWays) add(way);
    add(own_pool(server->dsn()));
    plan.cases.push_back(std::move(one));
  }
  for (const Variant& each : plan.cases.front().variants) {
    if (each.name == "weir, built-in") continue;
    for (const char* const metric : {"web: wait p99", "batch: served"}) {
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
      {.name = "classes",
       .about = "A class that comes seldom beside one that is always there: how long does it wait?",
       .rounds = 3,
       .seconds = 9.0},
      weir::bench::make_plan);
}
