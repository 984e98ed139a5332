// What a tick costs a worker: a size, a breaker, and an eviction for each idle connection; by the
// built-in policy, by a script that decides the same, and by the other scripts in policies/.
//
// The view is of a machine with 16 workers, 4 pools and 2 classes, and says after each eviction
// what became of it, as a pool's does. One thread; no pool, no segment, no server.
#include <array>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "bench/main_of.h"
#include "policy/scripted_policy.h"

namespace weir::bench {
namespace {

constexpr std::uint32_t kIdle[] = {0, 10, 100, 1'000};

class World {
 public:
  /// With the script in `file`; empty: the built-in policy.
  explicit World(const std::filesystem::path& file) {
    if (file.empty()) return;
    std::ifstream in(file);
    const std::string source{std::istreambuf_iterator<char>(in), {}};
    const Status loaded = policy_.load(source, file.filename().string());
    if (!loaded.ok()) throw std::runtime_error(loaded.message());
  }

  /// One tick with `idle` connections, of which every tenth has idled too long.
  void tick(std::uint32_t idle) {
    policy::PoolView view{.now_ms = ++now_ms_,
                          .name = "main",
                          .max = 2'000,
                          .min = 1,
                          .keep = 1'000,
                          .idle_timeout_ms = 600'000,
                          .handover_after_ms = 10,
                          .idle = idle,
                          .workers = 16,
                          .quota_limit = 2'000,
                          .pools = pools_,
                          .worker_shares = workers_,
                          .classes = classes_};
    checksum_ += policy_.size(view).target;
    for (std::uint32_t i = 0; i < idle; ++i) {
      const std::uint64_t idle_ms = i % 10 == 0 ? 700'000 : i;
      const policy::Eviction eviction = policy_.evict({.idle_ms = idle_ms, .leases = i}, view);
      if (eviction != policy::Eviction::kClose) continue;
      --view.idle;
      ++view.closing;
    }
    checksum_ += policy_.breaker(view).retry_ms + view.closing;
    if (policy_.status().errors != 0) throw std::runtime_error("the script failed");
  }

 private:
  policy::ScriptedPolicy policy_;
  std::array<policy::PoolShare, 4> pools_{{{"main", 2'000, 1'000, 100, 20},
                                           {"a", 500, 10, 100, 500},
                                           {"b", 500, 10, 100, 0},
                                           {"c", 500, 10, 100, 900}}};
  std::array<policy::WorkerShare, 16> workers_{};
  std::array<policy::ClassShare, 2> classes_{{{"web", 20, 10, 2}, {"batch", 0, 90, 18}}};
  std::uint64_t now_ms_ = 0;
  std::uint64_t checksum_ = 0;
};

std::vector<Figure> time_of(World& world, std::uint32_t idle, std::chrono::nanoseconds length) {
  using std::chrono::steady_clock;
  const auto began = steady_clock::now();
  std::uint64_t ticks = 0;
  auto took = steady_clock::duration(0);
  for (; took < length; took = steady_clock::now() - began, ++ticks) world.tick(idle);
  const double us = std::chrono::duration<double, std::micro>(took).count();
  return {{"time", "us", us / static_cast<double>(ticks)}};
}

Plan make_plan(const Settings& settings) {
  std::map<std::string, std::shared_ptr<World>> worlds;
  for (const auto& entry : std::filesystem::directory_iterator(WEIR_POLICIES)) {
    worlds["weir, " + entry.path().filename().string()] = std::make_shared<World>(entry.path());
  }
  worlds["built-in"] = std::make_shared<World>(std::filesystem::path());
  Plan plan;
  for (const std::uint32_t idle : kIdle) {
    Case one;
    one.name = std::to_string(idle) + " idle";
    for (const auto& named : worlds) {
      one.variants.push_back(
          {named.first, [world = named.second, idle, length = settings.length](
                            std::size_t /*round*/) { return time_of(*world, idle, length); }});
    }
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
