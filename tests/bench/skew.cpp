// A load that wanders between workers (the demo's: Poisson arrivals, four fifths of them for one or
// two hot workers), at three levels, and eight ways to share twenty connections.
//
// Every variant serves the same list of requests; another list in each round. What arrives in the
// first second is served and not counted, nor is its processor time: connections are being opened
// then. The server allows an ordinary role exactly twenty connections, but for perfect sharing's,
// where twenty of eighty may be used at a time.
#include <semaphore.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <functional>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "bench/cpu.h"
#include "bench/event_loop.h"
#include "bench/main_of.h"
#include "bench/shared.h"
#include "demo/board.h"
#include "demo/fleet.h"
#include "demo/ideal.h"
#include "demo/outcome.h"
#include "demo/postgres.h"
#include "demo/sampler.h"
#include "demo/static_pool.h"
#include "demo/trace.h"
#include "demo/weir_side.h"
#include "demo/weir_source.h"
#include "support/pgbouncer.h"
#include "support/temp_folder.h"

namespace weir::bench {
namespace {

using namespace std::chrono_literals;
using demo::Board;
using demo::End;
using demo::Gauge;
using demo::Source;

constexpr std::uint32_t kWorkers = 8;
constexpr std::uint32_t kThreads = 10;  // of each
constexpr std::uint32_t kQuota = 20;
constexpr std::uint64_t kDeadlineUs = 1'000'000;  // of a request, from its arrival
constexpr std::uint64_t kWarmUs = 1'000'000;      // not counted
constexpr std::uint64_t kStartInNs = 600'000'000;
constexpr auto kPatience = 20s;
constexpr auto kSamplePause = 4ms;  // asking costs the server a millisecond
constexpr auto kRetryAfter = 5ms;

/// Through a proxy one does not see when the wait ends: what took longer than deadline and work
/// together has waited for too long.
class ByProxy final : public Source {
 public:
  ByProxy(const std::string& dsn, Board& board, Gauge& gauge)
      : client_(dsn), pool_(client_, kThreads, board, gauge) {
    pool_.open_all();
  }
  End serve(std::uint64_t deadline_ns, std::uint32_t hold_us) override {
    const End end = pool_.serve(deadline_ns, hold_us);
    const bool is_late = monotonic_ns() > deadline_ns + std::uint64_t{hold_us} * 1000;
    return end == End::kServed && is_late ? End::kTimedOut : end;
  }

 private:
  const demo::PostgresClient client_;
  demo::StaticPool pool_;
};

/// A connection for every thread, and one semaphore for all processes that lets twenty work.
class Perfect final : public Source {
 public:
  Perfect(const demo::Client& client, sem_t& turns, Board& board, Gauge& gauge)
      : pool_(client, kThreads, board, gauge), turns_(turns) {
    pool_.open_all();
  }
  End serve(std::uint64_t deadline_ns, std::uint32_t hold_us) override {
    const timespec deadline{static_cast<time_t>(deadline_ns / 1'000'000'000),
                            static_cast<long>(deadline_ns % 1'000'000'000)};
    while (sem_clockwait(&turns_, CLOCK_MONOTONIC, &deadline) != 0) {
      if (errno == ETIMEDOUT) return End::kTimedOut;
    }
    const End end = pool_.serve(deadline_ns, hold_us);
    sem_post(&turns_);
    return end;
  }

 private:
  demo::StaticPool pool_;
  sem_t& turns_;
};

using MakeSource = std::function<std::unique_ptr<Source>(std::uint32_t, Board&, Gauge&)>;

bool is_counted(const demo::Request& request) { return request.arrival_us >= kWarmUs; }

std::vector<Figure> figures_of(std::span<const demo::Outcome> outcomes, const demo::Trace& trace,
                               int most) {
  std::vector<demo::Outcome> counted;
  for (std::size_t i = 0; i < trace.size(); ++i) {
    if (is_counted(trace[i])) counted.push_back(outcomes[i]);
  }
  const demo::Summary summary = demo::summarize(counted);
  return {{"success", "%", summary.success_pct},
          {"p50", "ms", summary.p50_ms},
          {"p95", "ms", summary.p95_ms},
          {"p99", "ms", summary.p99_ms},
          {"most backends", "backends", static_cast<double>(most)}};
}

/// Processor time used so far by those who serve: not by who samples, nor by its backend.
struct Used {
  std::uint64_t workers_ns = 0, proxy_ns = 0, backends_ns = 0;
};

Used used_by(const Board& board, const test::PostgresServer& server, pid_t proxy) {
  Used used;
  for (std::uint32_t i = 0; i < kWorkers; ++i) {
    used.workers_ns += cpu_ns(static_cast<pid_t>(board.gauge(i).pid.load()));
  }
  used.proxy_ns = cpu_ns(proxy);
  used.backends_ns = children_cpu_ns(server.pid()) - cpu_ns(board.sampler_backend().load());
  return used;
}

/// What those requests took that are counted.
std::vector<Figure> cpu_figures(const Used& before, const Used& after, const demo::Trace& trace) {
  const auto counted = static_cast<double>(std::count_if(trace.begin(), trace.end(), is_counted));
  const auto us_each = [&](std::uint64_t ns) { return static_cast<double>(ns) / 1e3 / counted; };
  const std::uint64_t workers = after.workers_ns - before.workers_ns;
  const std::uint64_t proxy = after.proxy_ns - before.proxy_ns;
  const std::uint64_t backends = after.backends_ns - before.backends_ns;
  return {{"CPU per request", "us", us_each(workers + proxy + backends)},
          {"CPU per request, workers", "us", us_each(workers)},
          {"CPU per request, proxy", "us", us_each(proxy)},
          {"CPU per request, backends", "us", us_each(backends)}};
}

/// The trace served once by a fleet of workers, perhaps through the process `proxy`.
std::vector<Figure> serve(const demo::Trace& trace, std::uint64_t length_us,
                          demo::PostgresDatabase& server, const MakeSource& make_source,
                          pid_t proxy = -1) {
  const std::uint64_t connects_before = server.tally()->connects;
  Board board(kWorkers, trace.size());
  const demo::Child sampler =
      demo::start_sampler([&] { return server.make_counter(); }, board, kSamplePause);
  const std::uint64_t start_ns = monotonic_ns() + kStartInNs;
  demo::Fleet fleet(
      {trace, kWorkers, kThreads, start_ns, kDeadlineUs,
       [&](std::uint32_t worker, Gauge& gauge) { return make_source(worker, board, gauge); }},
      board);
  const Deadline end = Deadline::at_ns(start_ns + length_us * 1000 +
                                       static_cast<std::uint64_t>(Nanos(kPatience).count()));
  std::this_thread::sleep_for(Deadline::at_ns(start_ns + kWarmUs * 1000).left(monotonic_ns()));
  const Used before = used_by(board, server.server(), proxy);
  while (!fleet.done() && !end.passed(monotonic_ns())) std::this_thread::sleep_for(5ms);
  const Used after = used_by(board, server.server(), proxy);
  if (!fleet.dismiss(end.ns()))
    throw std::runtime_error("a worker did not end: " + board.first_error());
  std::vector<Figure> figures =
      figures_of(board.outcomes(), trace, static_cast<int>(board.server_max().load()));
  figures.push_back(
      {"connects", "connects", static_cast<double>(server.tally()->connects - connects_before)});
  for (Figure& figure : cpu_figures(before, after, trace)) figures.push_back(std::move(figure));
  return figures;
}

/// The next variant finds a server without sessions.
void await_empty(const demo::PostgresDatabase& server) {
  const std::unique_ptr<demo::SessionCounter> counter = server.make_counter();
  while (counter->count() > 0) std::this_thread::sleep_for(2ms);
}

struct World {
  demo::PostgresDatabase server{kQuota};
  demo::PostgresDatabase server_of_proxy{kQuota};
  demo::PostgresDatabase server_of_many{kWorkers * kThreads};
  std::unique_ptr<test::Pgbouncer> pgbouncer;

  World() {
    if (test::Pgbouncer::is_installed()) {
      pgbouncer = std::make_unique<test::Pgbouncer>(server_of_proxy.server(),
                                                    test::PgbouncerSettings{.pool_size = kQuota});
    }
  }
};

class Load {
 public:
  Load(std::shared_ptr<World> world, double share, std::chrono::nanoseconds length)
      : world_(std::move(world)),
        share_(share),
        length_us_(static_cast<std::uint64_t>(length.count()) / 1000 + kWarmUs) {}

  Case its_case() const {
    Case one;
    one.name = std::to_string(std::lround(share_ * 100)) + " %";
    const auto add = [&](const std::string& name,
                         std::vector<Figure> (Load::*measure)(const demo::Trace&) const) {
      one.variants.push_back({name, [load = *this, measure](std::size_t round) {
                                return (load.*measure)(load.trace(round));
                              }});
    };
    add("static split", &Load::split);
    add("ten for each worker", &Load::ten);
    add("ten for each worker, retries", &Load::ten_with_retries);
    if (world_->pgbouncer) add("PgBouncer", &Load::proxy);
    add("weir", &Load::weir);
    add("weir, by permit", &Load::weir_by_permit);
    add("weir, one loop each", &Load::weir_by_loops);
    add("perfect sharing", &Load::perfect);
    add("ideal, computed", &Load::ideal);
    return one;
  }

 private:
  [[nodiscard]] demo::Trace trace(std::size_t round) const {
    return demo::make_trace({.workers = kWorkers,
                             .quota = kQuota,
                             .load = share_,
                             .length_us = length_us_,
                             .hot_period_us = 1'500'000,
                             .seed = 20 + round});
  }

  std::vector<Figure> split(const demo::Trace& trace) const {
    return own_pools(
        trace, [](std::uint32_t worker) { return demo::static_share(kQuota, kWorkers, worker); });
  }
  std::vector<Figure> ten(const demo::Trace& trace) const {
    return own_pools(trace, [](std::uint32_t) { return kThreads; });
  }
  std::vector<Figure> ten_with_retries(const demo::Trace& trace) const {
    return own_pools(
        trace, [](std::uint32_t) { return kThreads; }, kRetryAfter);
  }
  std::vector<Figure> own_pools(const demo::Trace& trace,
                                const std::function<std::uint32_t(std::uint32_t)>& size,
                                std::chrono::milliseconds retry_after = 0ms) const {
    await_empty(world_->server);
    return serve(trace, length_us_, world_->server,
                 [&](std::uint32_t worker, Board& board, Gauge& gauge) {
                   return std::make_unique<demo::StaticPool>(world_->server.client(), size(worker),
                                                             board, gauge, retry_after);
                 });
  }

  std::vector<Figure> proxy(const demo::Trace& trace) const {
    return serve(
        trace, length_us_, world_->server_of_proxy,
        [&](std::uint32_t, Board& board, Gauge& gauge) {
          return std::make_unique<ByProxy>(world_->pgbouncer->dsn(), board, gauge);
        },
        world_->pgbouncer->pid());
  }

  using MakeWeir = std::function<std::unique_ptr<Source>(Runtime&, Board&, Gauge&)>;

  std::vector<Figure> weir(const demo::Trace& trace) const {
    return weir_with(trace, "", by_threads());
  }
  std::vector<Figure> weir_by_permit(const demo::Trace& trace) const {
    return weir_with(trace, "handover = \"permit\"\n", by_threads());
  }
  // No thread waits, so none is missing when a hot worker has more requests than threads.
  std::vector<Figure> weir_by_loops(const demo::Trace& trace) const {
    return weir_with(trace, "", [](Runtime& runtime, Board& board, Gauge& gauge) {
      return std::make_unique<EventLoop>(runtime, board, gauge);
    });
  }
  MakeWeir by_threads() const {
    return [this](Runtime& runtime, Board& board, Gauge& gauge) {
      return std::make_unique<demo::WeirSource>(runtime, world_->server.client(), board, gauge);
    };
  }
  std::vector<Figure> weir_with(const demo::Trace& trace, const std::string& keys,
                                const MakeWeir& make) const {
    await_empty(world_->server);
    const test::TempFolder folder;
    demo::WeirSide weir({.folder = folder.path().string(),
                         .plugins = "",
                         .dsn = world_->server.dsn(),
                         .quota = kQuota,
                         .keys = keys});
    return serve(trace, length_us_, world_->server, [&](std::uint32_t, Board& board, Gauge& gauge) {
      return make(weir.runtime(), board, gauge);
    });
  }

  std::vector<Figure> perfect(const demo::Trace& trace) const {
    const Shared<sem_t> turns;
    sem_init(&*turns, 1, kQuota);
    return serve(
        trace, length_us_, world_->server_of_many, [&](std::uint32_t, Board& board, Gauge& gauge) {
          return std::make_unique<Perfect>(world_->server_of_many.client(), *turns, board, gauge);
        });
  }

  std::vector<Figure> ideal(const demo::Trace& trace) const {
    const demo::Ideal ideal = demo::serve_from_one_line(trace, kQuota, kDeadlineUs);
    return figures_of(ideal.outcomes, trace, static_cast<int>(ideal.most_in_use));
  }

  std::shared_ptr<World> world_;
  double share_;
  std::uint64_t length_us_;
};

Plan make_plan(const Settings& settings) {
  const auto world = std::make_shared<World>();
  Plan plan;
  for (const double share : {0.3, 0.5, 0.7}) {
    plan.cases.push_back(Load(world, share, settings.length).its_case());
  }
  for (const char* const metric : {"p50", "p95", "p99", "CPU per request"}) {
    plan.comparisons.push_back({"weir", "PgBouncer", metric});
    plan.comparisons.push_back({"weir", "perfect sharing", metric});
    plan.comparisons.push_back({"PgBouncer", "perfect sharing", metric});
  }
  plan.comparisons.push_back({"weir, one loop each", "ideal, computed", "p99"});
  if (!world->pgbouncer) plan.missing.push_back({"PgBouncer", "not installed"});
  return plan;
}

}  // namespace
}  // namespace weir::bench

int main(int argc, char** argv) {
  return weir::bench::main_of(
      argc, argv,
      {.name = "skew",
       .about = "A load that wanders between workers, and eight ways to share twenty connections.",
       .rounds = 5,
       .seconds = 5.0},
      weir::bench::make_plan);
}
