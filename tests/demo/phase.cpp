#include "demo/phase.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <ostream>
#include <stdexcept>
#include <thread>

#include "base/clock.h"
#include "demo/board.h"
#include "demo/child.h"
#include "demo/fleet.h"
#include "demo/sampler.h"
#include "demo/screen.h"
#include "support/interrupt.h"

namespace weir::demo {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kStartInNs = 200'000'000;      // time to fork everybody
constexpr std::uint64_t kPatienceNs = 10'000'000'000;  // for the last requests, and for leaving

class Phase {
 public:
  Phase(const PhasePlan& plan, std::ostream& out, bool live)
      : plan_(plan),
        shape_(plan.options.shape()),
        board_(plan.options.workers, plan.trace.size()),
        screen_(plan.title, plan.database.facts().wording.sessions, out, live),
        sampler_(start_sampler([&plan, this] { return plan.database.make_counter(board_); }, board_,
                               plan.database.facts().sample_pause)),
        before_(plan.database.tally()),
        start_ns_(monotonic_ns() + kStartInNs),
        fleet_({plan.trace, plan.options.workers, plan.options.threads, start_ns_,
                Options::kDeadlineUs,
                [&plan, this](std::uint32_t worker, Gauge& gauge) {
                  return plan.make_source(worker, board_, gauge);
                }},
               board_) {}

  PhaseResult run() {
    while (!is_over()) {
      if (test::is_interrupted()) throw std::runtime_error("interrupted");
      if (plan_.weir != nullptr) follow_the_kill();
      if (screen_.is_due(now_us())) screen_.show(moment());
      std::this_thread::sleep_for(awaits_places() ? 200us : 5ms);
    }
    screen_.show(moment());

    PhaseResult result;
    result.figures.connects = count_connects();
    if (plan_.weir != nullptr) take_census();
    if (!fleet_.dismiss(monotonic_ns() + kPatienceNs))
      board_.note_error("a worker did not end well");
    sampler_.kill_now();

    result.after_kill = after_kill_;
    result.figures.summary = summarize(board_.outcomes());
    result.figures.server_max = board_.server_max().load();
    result.figures.samples = board_.samples().load();
    if (before_) result.figures.refused = plan_.database.tally()->refused - before_->refused;
    result.figures.first_error = board_.first_error();
    return result;
  }

 private:
  /// By the server; where there is none, by who connected.
  [[nodiscard]] std::uint64_t count_connects() const {
    if (before_) return plan_.database.tally()->connects - before_->connects;
    return plan_.weir != nullptr ? plan_.weir->connects() : board_.connects().load();
  }

  [[nodiscard]] std::uint64_t now_us() const {
    const std::uint64_t now_ns = monotonic_ns();
    return now_ns > start_ns_ ? (now_ns - start_ns_) / 1000 : 0;
  }

  [[nodiscard]] bool awaits_places() const {
    return gone_ns_ != 0 && !after_kill_.permits_back_ms.has_value();
  }

  [[nodiscard]] bool is_over() const {
    const bool served = now_us() >= shape_.length_us && fleet_.done() && !awaits_places();
    return served || now_us() >= shape_.length_us + kPatienceNs / 1000;
  }

  /// Halfway: kills a hot worker, puts another in its place, and then looks when the dead one's
  /// places are back.
  void follow_the_kill() {
    if (gone_ns_ == 0 && now_us() >= shape_.length_us / 2) {
      const std::uint32_t victim = hot_workers(shape_, now_us()).front();
      victim_pid_ = board_.gauge(victim).pid.load();
      gone_ns_ = fleet_.kill_worker(victim);
      fleet_.replace(victim);
      after_kill_.killed = 1;
      screen_.say("worker " + std::to_string(victim + 1) + " (pid " + std::to_string(victim_pid_) +
                  ") killed with SIGKILL, another one started in its place");
    }
    if (awaits_places() && plan_.weir->has_settled(victim_pid_)) {
      after_kill_.permits_back_ms = static_cast<double>(monotonic_ns() - gone_ns_) / 1e6;
    }
  }

  /// What is missing of the quota: one process tries to hold all of it while the workers are idle.
  void take_census() {
    const std::uint32_t quota = plan_.options.quota;
    Child census([this, quota] {
      board_.census_pid().store(getpid());
      board_.census().store(plan_.weir->take_all(quota));
      return 0;
    });
    if (!census.wait_until(monotonic_ns() + kPatienceNs))
      board_.note_error("the census did not end well");
    after_kill_.permits_missing = quota - board_.census().load();
  }

  [[nodiscard]] Moment moment() {
    if (plan_.weir != nullptr) plan_.weir->show_idle(board_);
    Moment moment;
    moment.now_us = now_us();
    moment.length_us = shape_.length_us;
    moment.quota = plan_.options.quota;
    moment.server_now = board_.server_now().load();
    moment.server_max = board_.server_max().load();
    const auto hot = hot_workers(shape_, moment.now_us);
    for (std::uint32_t worker = 0; worker < plan_.options.workers; ++worker) {
      const Gauge& gauge = board_.gauge(worker);
      moment.workers.push_back({gauge.pid.load(),
                                std::binary_search(hot.begin(), hot.end(), worker),
                                gauge.idle.load(), gauge.used.load(), gauge.waiting.load()});
    }
    for (const Outcome& outcome : board_.outcomes()) {
      moment.served += outcome.end == End::kServed ? 1 : 0;
      moment.timeouts += outcome.end == End::kTimedOut ? 1 : 0;
      moment.errors += outcome.end == End::kFailed ? 1 : 0;
    }
    return moment;
  }

  const PhasePlan& plan_;
  const TraceShape shape_;
  Board board_;
  Screen screen_;
  Child sampler_;
  const std::optional<Tally> before_;  // this phase; what the sampler did has been counted
  std::uint64_t start_ns_;
  Fleet fleet_;
  AfterKill after_kill_;
  std::uint64_t gone_ns_ = 0;  // when the killed worker's process was gone; 0: nobody killed yet
  pid_t victim_pid_ = 0;
};

}  // namespace

PhaseResult run_phase(const PhasePlan& plan, std::ostream& out, bool live) {
  return Phase(plan, out, live).run();
}

}  // namespace weir::demo
