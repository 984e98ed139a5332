// The demo's load served for real, and simulated: does the simulation wait as weir does?
//
// Both serve the same list of requests, another one in each round, at three levels. It is simulated
// from the list alone, as one would plan, with steps that take what they do by default; with steps
// as slow as a handover that is measured alone is on the machine as it is just then; and, these
// too, from what was recorded of the real run, where requests ask when they did and hold for as
// long as they did: on a busy machine that is longer. Waits are from asking the pool to having a
// connection. What arrives in the first second is served and not counted: connections are being
// opened then.
#include "simulation/simulate.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "bench/main_of.h"
#include "bench/shared.h"
#include "cli/simulate_pool.h"
#include "demo/board.h"
#include "demo/fleet.h"
#include "demo/postgres.h"
#include "demo/query.h"
#include "demo/trace.h"
#include "demo/weir_side.h"
#include "policy/policy.h"
#include "simulation/trace.h"
#include "support/temp_folder.h"

namespace weir::bench {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t kWorkers = 8;
constexpr std::uint32_t kThreads = 10;  // of each
constexpr std::uint32_t kQuota = 20;
constexpr std::uint64_t kPatienceUs = 1'000'000;  // of a request, from its arrival
constexpr std::uint64_t kWarmUs = 1'000'000;      // not counted
constexpr std::uint64_t kStartInNs = 600'000'000;

/// What the workers write down of each request that asked the pool.
struct Waits {
  static constexpr std::size_t kMost = 200'000;
  struct One {
    std::uint64_t asked_ns, wait_ns, hold_ns;
    std::uint32_t worker;
    bool had_one;
  };
  std::atomic<std::size_t> count{0};
  std::array<One, kMost> all{};
};

/// weir's way, as the demo's, with a clock.
class Timed final : public demo::Source {
 public:
  Timed(Runtime& runtime, std::uint32_t worker, Waits& waits, demo::Board& board)
      : runtime_(runtime),
        pool_(runtime.pool("main")),
        worker_(worker),
        waits_(waits),
        board_(board) {}
  ~Timed() override {
    try {
      runtime_.close();
    } catch (const Error& error) {
      board_.note_error(error.what());
    }
  }

  demo::End serve(std::uint64_t deadline_ns, std::uint32_t hold_us) override {
    const std::uint64_t asked_ns = monotonic_ns();
    try {
      Lease lease = pool_.acquire({Deadline::at_ns(deadline_ns).left(asked_ns), "bench"});
      const std::uint64_t had_ns = monotonic_ns();
      const std::string error = demo::run_query(lease.native<PGconn>(), hold_us);
      lease.release();
      note({asked_ns, had_ns - asked_ns, monotonic_ns() - had_ns, worker_, true});
      if (error.empty()) return demo::End::kServed;
      board_.note_error(error.c_str());
      return demo::End::kFailed;
    } catch (const Error& error) {
      note({asked_ns, monotonic_ns() - asked_ns, 0, worker_, false});
      if (error.is_timeout()) return demo::End::kTimedOut;
      board_.note_error(error.what());
      return demo::End::kFailed;
    }
  }

 private:
  void note(const Waits::One& one) {
    const std::size_t at = waits_.count.fetch_add(1);
    if (at < Waits::kMost) waits_.all[at] = one;
  }

  Runtime& runtime_;
  Pool pool_;
  std::uint32_t worker_;
  Waits& waits_;
  demo::Board& board_;
};

std::vector<Figure> figures_of(std::vector<std::uint64_t>& waits_us,
                               std::vector<std::uint64_t>& holds_us, std::uint64_t timeouts) {
  const auto at = [&](double share) { return simulation::percentile_ms(waits_us, share); };
  const auto some = static_cast<double>(
      std::count_if(waits_us.begin(), waits_us.end(), [](std::uint64_t us) { return us >= 30; }));
  return {{"wait p50", "ms", at(0.50)},
          {"wait p90", "ms", at(0.90)},
          {"wait p95", "ms", at(0.95)},
          {"wait p99", "ms", at(0.99)},
          {"waited 30 us or more", "%",
           waits_us.empty() ? 0 : 100 * some / static_cast<double>(waits_us.size())},
          {"timeouts", "requests", static_cast<double>(timeouts)},
          {"hold p50", "ms", simulation::percentile_ms(holds_us, 0.5)}};
}

class Load {
  struct Recording {
    std::size_t round = SIZE_MAX;
    simulation::Trace trace{};
    shm::Snapshot segment{};
  };

 public:
  Load(std::shared_ptr<demo::PostgresDatabase> server, double share,
       std::chrono::nanoseconds length)
      : server_(std::move(server)),
        share_(share),
        length_us_(static_cast<std::uint64_t>(length.count()) / 1000 + kWarmUs) {}

  Case its_case() const {
    Case one{.name = std::to_string(static_cast<int>(share_ * 100 + 0.5)) + " %", .variants = {}};
    const auto add = [&](const std::string& name,
                         std::vector<Figure> (Load::*measure)(std::size_t) const) {
      one.variants.push_back(
          {name, [load = *this, measure](std::size_t round) { return (load.*measure)(round); }});
    };
    add("weir", &Load::measured);
    add("weir, simulated", &Load::simulated);
    add("weir, simulated as slow", &Load::simulated_as_slow);
    add("weir, its recording simulated", &Load::replayed);
    return one;
  }

 private:
  [[nodiscard]] demo::Trace trace(std::size_t round) const {
    return demo::make_trace({.workers = kWorkers,
                             .quota = kQuota,
                             .load = share_,
                             .length_us = length_us_,
                             .seed = 20 + round});
  }

  [[nodiscard]] Recording serve(const demo::Trace& trace) const {
    const test::TempFolder folder;
    demo::WeirSide weir(
        {.folder = folder.path().string(), .plugins = "", .dsn = server_->dsn(), .quota = kQuota});
    const Shared<Waits> waits;
    demo::Board board(kWorkers, trace.size());
    const std::uint64_t start_ns = monotonic_ns() + kStartInNs;
    demo::Fleet fleet({trace, kWorkers, kThreads, start_ns, kPatienceUs,
                       [&](std::uint32_t worker, demo::Gauge&) {
                         return std::make_unique<Timed>(weir.runtime(), worker, *waits, board);
                       }},
                      board);
    const Deadline end = Deadline::at_ns(start_ns + length_us_ * 1000 + 20'000'000'000);
    while (!fleet.done() && !end.passed(monotonic_ns())) std::this_thread::sleep_for(5ms);
    if (!fleet.dismiss(end.ns())) {
      throw std::runtime_error("a worker did not end: " + board.first_error());
    }
    const std::optional<shm::Snapshot> seen = weir.look();
    if (!seen || seen->pool("main") == nullptr) throw std::runtime_error("the segment is gone");
    return {.trace = recorded(*waits, start_ns), .segment = *seen};
  }

  /// What the pool saw of it, in order of arrival.
  static simulation::Trace recorded(const Waits& waits, std::uint64_t start_ns) {
    simulation::Trace trace{"bench simulate", {}};
    for (std::size_t i = 0; i < std::min(waits.count.load(), Waits::kMost); ++i) {
      const Waits::One& one = waits.all[i];
      simulation::TraceRequest request{(one.asked_ns - std::min(one.asked_ns, start_ns)) / 1000,
                                       one.wait_ns / 1000,
                                       {},
                                       one.worker};
      if (one.had_one) request.hold_us = static_cast<std::uint32_t>(one.hold_ns / 1000);
      trace.requests.push_back(request);
    }
    std::stable_sort(
        trace.requests.begin(), trace.requests.end(),
        [](const auto& one, const auto& other) { return one.arrival_us < other.arrival_us; });
    return trace;
  }

  static simulation::MachineSettings machine() {
    return {.workers = kWorkers, .threads = kThreads, .pool = {.max = kQuota}};
  }

  /// The machine as it was in this round, by what the segment kept: as `weir policy simulate
  /// --pool` takes it.
  [[nodiscard]] simulation::MachineSettings machine_then(std::size_t round) const {
    simulation::MachineSettings settings = machine();
    const shm::Snapshot& seen = recording(round).segment;
    cli::take_from(seen, *seen.pool("main"), settings);
    settings.workers = kWorkers;  // they have left
    return settings;
  }

  /// Whichever variant of a round comes first has it served for both.
  const Recording& recording(std::size_t round) const {
    if (recording_->round != round) {
      *recording_ = serve(trace(round));
      recording_->round = round;
    }
    return *recording_;
  }

  [[nodiscard]] std::vector<Figure> measured(std::size_t round) const {
    std::vector<std::uint64_t> waits_us, holds_us;
    std::uint64_t timeouts = 0;
    for (const simulation::TraceRequest& one : recording(round).trace.requests) {
      if (one.arrival_us < kWarmUs) continue;
      waits_us.push_back(one.wait_us);
      if (one.hold_us) holds_us.push_back(*one.hold_us);
      timeouts += one.hold_us ? 0 : 1;
    }
    return figures_of(waits_us, holds_us, timeouts);
  }

  [[nodiscard]] simulation::Load planned(std::size_t round) const {
    simulation::Load load{.name = "demo",
                          .requests = trace(round),
                          .length_us = length_us_,
                          .patience_us = kPatienceUs};
    for (simulation::Request& one : load.requests) one.hold_us = simulation::slept_us(one.hold_us);
    return load;
  }

  [[nodiscard]] std::vector<Figure> simulated(std::size_t round) const {
    return run(planned(round), machine());
  }

  [[nodiscard]] std::vector<Figure> simulated_as_slow(std::size_t round) const {
    const simulation::MachineSettings then = machine_then(round);
    std::vector<Figure> figures = run(planned(round), then);
    const simulation::Mechanics& takes = then.mechanics;
    figures.push_back({"a handover, by the segment", "us",
                       static_cast<double>(takes.give_us + takes.wake_us + takes.take_us)});
    return figures;
  }

  /// The round trips are in its holds.
  [[nodiscard]] std::vector<Figure> replayed(std::size_t round) const {
    simulation::MachineSettings settings = machine_then(round);
    settings.pool.acquire_timeout_ms = kPatienceUs / 1000;
    settings.mechanics.round_trip_us = 0;
    return run(simulation::load_of(recording(round).trace, {}), settings);
  }

  static std::vector<Figure> run(const simulation::Load& load,
                                 const simulation::MachineSettings& settings) {
    const simulation::Report report = simulation::simulate(
        load, settings, [] { return std::make_unique<policy::FixedPolicy>(); });
    std::vector<std::uint64_t> waits_us, holds_us;
    std::uint64_t timeouts = 0;
    for (std::size_t i = 0; i < report.outcomes.size(); ++i) {
      const simulation::Outcome& one = report.outcomes[i];
      if (!one.asked || one.asked_us < kWarmUs) continue;
      waits_us.push_back(one.wait_us);
      if (one.had_one) {
        holds_us.push_back(load.requests[i].hold_us + settings.mechanics.round_trip_us);
      }
      timeouts += one.had_one ? 0 : 1;
    }
    return figures_of(waits_us, holds_us, timeouts);
  }

  std::shared_ptr<demo::PostgresDatabase> server_;
  double share_;
  std::uint64_t length_us_;
  std::shared_ptr<Recording> recording_ = std::make_shared<Recording>();
};

Plan make_plan(const Settings& settings) {
  const auto server = std::make_shared<demo::PostgresDatabase>(kQuota);
  Plan plan;
  for (const double share : {0.3, 0.5, 0.7}) {
    plan.cases.push_back(Load(server, share, settings.length).its_case());
  }
  for (const char* const metric : {"wait p95", "wait p99", "hold p50"}) {
    plan.comparisons.push_back({"weir, simulated", "weir", metric});
    plan.comparisons.push_back({"weir, simulated as slow", "weir", metric});
    plan.comparisons.push_back({"weir, its recording simulated", "weir", metric});
  }
  return plan;
}

}  // namespace
}  // namespace weir::bench

int main(int argc, char** argv) {
  return weir::bench::main_of(
      argc, argv,
      {.name = "simulate",
       .about = "The demo's load, served by weir and simulated: how long do requests wait?",
       .rounds = 5,
       .seconds = 12.0},
      weir::bench::make_plan);
}
