// Bursts of logins (the simulation's loads light, moderate, heavy and peak): so many users at once,
// each with some requests one after another, and then nothing until the next burst; by the built-in
// policy and by two that remember.
//
// The pause is longer than the pool's idle_timeout, so the built-in policy has closed its
// connections by the next burst. PostgreSQL is reached by TCP and asks for SCRAM: a connect costs.
// A user's requests all come to the worker that its first one came to. What the first burst and the
// pause after it took is not counted: nobody can know of it before.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "bench/callers.h"
#include "bench/main_of.h"
#include "bench/scram_server.h"
#include "bench/shared.h"
#include "demo/weir_side.h"
#include "simulation/load.h"
#include "support/temp_folder.h"
#include "support/worker_process.h"

namespace weir::bench {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t kWorkers = 4;
constexpr std::uint32_t kMax = 20;
constexpr std::uint64_t kEveryUs = 3'000'000;           // a burst
constexpr std::uint64_t kSimulatedEveryUs = 2'000'000;  // ... in core/simulation/load.cpp
constexpr std::uint64_t kStartInNs = 300'000'000;
constexpr auto kAcquireTimeout = 2s;
constexpr auto kSamplePause = 50ms;
constexpr auto kPatience = 20s;

struct User {
  std::uint64_t arrival_us;
  std::uint32_t worker;
  std::vector<std::uint32_t> holds_us{};
};

/// What a load's requests are, by who sends them.
std::vector<User> users_of(const simulation::Load& load) {
  std::vector<User> users;
  std::vector<std::size_t> whose(load.requests.size());
  for (std::size_t i = 0; i < load.requests.size(); ++i) {
    const simulation::Request& request = load.requests[i];
    if (request.follows == simulation::kNobody) {
      whose[i] = users.size();
      users.push_back({request.arrival_us / kSimulatedEveryUs * kEveryUs, request.worker});
    } else {
      whose[i] = whose[request.follows];
    }
    users[whose[i]].holds_us.push_back(request.hold_us);
  }
  return users;
}

/// What the workers share with whoever made them.
struct Scores {
  Tally counted, early;
  std::atomic<std::uint32_t> done{0};
};

/// A worker process: a thread for each of its users, who comes at its time.
int work(Runtime& runtime, const std::vector<User>& users, std::uint32_t worker,
         std::uint64_t start_ns, Scores& scores) {
  std::vector<std::thread> threads;
  for (const User& user : users) {
    if (user.worker != worker) continue;
    threads.emplace_back([&] {
      Pool pool = runtime.pool("main");
      std::this_thread::sleep_for(
          Deadline::at_ns(start_ns + user.arrival_us * 1000).left(monotonic_ns()));
      for (const std::uint32_t hold_us : user.holds_us) {
        serve(pool, {.hold = microseconds(hold_us), .options = {.timeout = kAcquireTimeout}},
              user.arrival_us >= kEveryUs ? scores.counted : scores.early);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  ++scores.done;
  try {
    runtime.close();
  } catch (const Error& error) {
    std::fprintf(stderr, "weir: %s\n", error.what());
  }
  return 0;
}

/// The load once, by the policy in the file `policy`; empty: the built-in one.
std::vector<Figure> measure(const ScramServer& server, const std::string& policy,
                            const std::vector<User>& users) {
  const std::unique_ptr<demo::SessionCounter> counter = server.make_counter();
  while (counter->count() > 0) std::this_thread::sleep_for(2ms);
  const test::TempFolder folder;
  const std::string policy_line = policy.empty() ? "" : "policy = \"" + policy + "\"\n";
  demo::WeirSide weir({.folder = folder.path().string(),
                       .plugins = "",
                       .dsn = server.dsn(),
                       .quota = kMax,
                       .keys = "idle_timeout = \"1s\"\n" + policy_line});
  const Shared<Scores> scores;
  const std::uint64_t start_ns = monotonic_ns() + kStartInNs;
  const std::uint64_t counted_from_ns = start_ns + kEveryUs * 1000;
  const Deadline end = Deadline::at_ns(start_ns + users.back().arrival_us * 1000 +
                                       static_cast<std::uint64_t>(Nanos(kPatience).count()));
  std::vector<test::WorkerProcess> workers;
  for (std::uint32_t i = 0; i < kWorkers; ++i) {
    workers.emplace_back([&, i] { return work(weir.runtime(), users, i, start_ns, *scores); });
  }
  std::uint64_t connects_before = 0, open = 0, samples = 0;
  while (scores->done.load() < kWorkers) {
    if (end.passed(monotonic_ns())) throw std::runtime_error("a worker did not end");
    std::this_thread::sleep_for(kSamplePause);
    if (monotonic_ns() < counted_from_ns) {
      connects_before = weir.connects();
      continue;
    }
    open += counter->count();
    ++samples;
  }
  const std::uint64_t connects = weir.connects() - connects_before;
  for (test::WorkerProcess& worker : workers) {
    if (worker.wait_at_most() != 0) throw std::runtime_error("a worker did not end well");
  }
  if (scores->counted.failures + scores->early.failures != 0)
    throw std::runtime_error("requests failed");
  return {{"wait p50", "ms", scores->counted.wait_ms(0.5)},
          {"wait p95", "ms", scores->counted.wait_ms(0.95)},
          {"wait p99", "ms", scores->counted.wait_ms(0.99)},
          {"connects", "connects", static_cast<double>(connects)},
          {"timeouts", "requests",
           static_cast<double>(scores->counted.timeouts + scores->early.timeouts)},
          {"open, on average", "connections",
           static_cast<double>(open) / static_cast<double>(std::max<std::uint64_t>(samples, 1))}};
}

Plan make_plan(const Settings& settings) {
  const auto server = std::make_shared<ScramServer>();
  const auto length_us = static_cast<std::uint64_t>(settings.length.count()) / 1000;
  const std::uint64_t bursts = 1 + std::max<std::uint64_t>(length_us / kEveryUs, 1);
  Plan plan;
  for (const char* const name : {"light", "moderate", "heavy", "peak"}) {
    Case one;
    one.name = name;
    const auto add = [&](const std::string& variant, const std::string& policy) {
      one.variants.push_back(
          {variant, [=](std::size_t round) {
             const simulation::LoadShape shape{
                 .workers = kWorkers,
                 .connections = kMax,
                 .seconds = static_cast<std::uint32_t>(bursts * kSimulatedEveryUs / 1'000'000),
                 .seed = 20 + round};
             return measure(*server, policy, users_of(*simulation::load_named(name, shape)));
           }});
    };
    add("weir, built-in", "");
    add("weir, burst.lua", WEIR_POLICIES "/burst.lua");
    add("weir, adaptive.lua", WEIR_POLICIES "/adaptive.lua");
    plan.cases.push_back(std::move(one));
  }
  for (const char* const policy : {"weir, burst.lua", "weir, adaptive.lua"}) {
    for (const char* const metric : {"wait p99", "connects", "open, on average"}) {
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
      {.name = "burst",
       .about = "Bursts of logins with pauses: how long do requests wait, how many connects?",
       .rounds = 5,
       .seconds = 12.0},
      weir::bench::make_plan);
}
