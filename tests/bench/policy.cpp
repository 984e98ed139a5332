// What a tick costs a worker: a size, a breaker, and an eviction for each idle connection; by the
// built-in policy, and by a script that decides the same.
//
// The view is of a machine with 16 workers and 4 pools, and says after each eviction what became of
// it, as a pool's does. One thread; no pool, no segment, no server.
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>

#include "bench/main_of.h"
#include "policy/scripted_policy.h"

namespace weir::bench {
namespace {

constexpr std::uint32_t kIdle[] = {0, 10, 100, 1'000};

class World {
 public:
  World() {
    std::ifstream file(WEIR_POLICIES "/fixed.lua");
    const std::string source{std::istreambuf_iterator<char>(file), {}};
    const Status loaded = scripted_.load(source, "fixed.lua");
    if (!loaded.ok()) throw std::runtime_error(loaded.message());
  }

  policy::Policy& built_in() { return built_in_; }
  policy::Policy& scripted() { return scripted_; }

  /// One tick of `policy` with `idle` connections, of which every tenth has idled too long.
  void tick(policy::Policy& policy, std::uint32_t idle) {
    policy::PoolView view{.now_ms = ++now_ms_,
                          .name = "main",
                          .max = 2'000,
                          .min = 1,
                          .keep = 1'000,
                          .idle_timeout_ms = 600'000,
                          .handover_after_ms = 10,
                          .idle = idle,
                          .workers = 16,
                          .pools = pools_,
                          .worker_shares = workers_};
    checksum_ += policy.size(view).target;
    for (std::uint32_t i = 0; i < idle; ++i) {
      const std::uint64_t idle_ms = i % 10 == 0 ? 700'000 : i;
      const policy::Eviction eviction = policy.evict({.idle_ms = idle_ms, .leases = i}, view);
      if (eviction != policy::Eviction::kClose) continue;
      --view.idle;
      ++view.closing;
    }
    checksum_ += policy.breaker(view).retry_ms + view.closing;
    if (scripted_.status().errors != 0) throw std::runtime_error("the script failed");
  }

 private:
  policy::FixedPolicy built_in_;
  policy::ScriptedPolicy scripted_;
  std::array<policy::PoolShare, 4> pools_{};
  std::array<policy::WorkerShare, 16> workers_{};
  std::uint64_t now_ms_ = 0;
  std::uint64_t checksum_ = 0;
};

std::vector<Figure> time_of(World& world, policy::Policy& policy, std::uint32_t idle,
                            std::chrono::nanoseconds length) {
  using std::chrono::steady_clock;
  const auto began = steady_clock::now();
  std::uint64_t ticks = 0;
  auto took = steady_clock::duration(0);
  for (; took < length; took = steady_clock::now() - began, ++ticks) world.tick(policy, idle);
  const double us = std::chrono::duration<double, std::micro>(took).count();
  return {{"time", "us", us / static_cast<double>(ticks)}};
}

Plan make_plan(const Settings& settings) {
  Plan plan;
  const auto world = std::make_shared<World>();
  for (const std::uint32_t idle : kIdle) {
    Case one;
    one.name = std::to_string(idle) + " idle";
    one.variants.push_back({"built-in", [world, idle, length = settings.length](std::size_t) {
                              return time_of(*world, world->built_in(), idle, length);
                            }});
    one.variants.push_back(
        {"weir, fixed.lua", [world, idle, length = settings.length](std::size_t) {
           return time_of(*world, world->scripted(), idle, length);
         }});
    plan.cases.push_back(std::move(one));
  }
  plan.comparisons.push_back({"weir, fixed.lua", "built-in", "time"});
  return plan;
}

}  // namespace
}  // namespace weir::bench

int main(int argc, char** argv) {
  return weir::bench::main_of(
      argc, argv,
      {.name = "policy",
       .about = "A tick of a policy in one worker: size, breaker, an eviction for each connection.",
       .rounds = 11,
       .seconds = 0.2},
      weir::bench::make_plan);
}
