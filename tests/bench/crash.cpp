// What a killed process costs everybody else: a worker that had leases, under weir; PgBouncer
// itself. And what becomes of the queries it leaves behind.
//
// Eight workers of four threads send queries that the server takes 5 to 35 ms for, one in ten of
// them 200 ms. Halfway somebody is killed with SIGKILL. A killed PgBouncer is started again at
// once; its clients reconnect, as often as it takes, with a pause of 1 ms.
//
// In the second case all 20 connections are at work for half a minute each when the killed one
// goes: the server notices nothing of its end until they are through.
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "bench/crew.h"
#include "bench/main_of.h"
#include "bench/shared.h"
#include "bench/ways.h"
#include "demo/board.h"
#include "demo/postgres.h"
#include "demo/sampler.h"
#include "demo/weir_side.h"
#include "support/pgbouncer.h"
#include "support/postgres_server.h"
#include "support/server_process.h"
#include "support/temp_folder.h"

namespace weir::bench {
namespace {

using namespace std::chrono_literals;

constexpr int kQuota = 20;
constexpr unsigned kVictim = 0;
constexpr unsigned kHeld = 2;  // leases of the worker that runs no query
constexpr auto kPatience = 20s;
constexpr auto kSamplePause = 4ms;  // asking costs the server a millisecond
constexpr const char* kLongQuery = "SELECT pg_sleep(30)";
constexpr auto kAftermath = 2s;  // so long the backends are counted after a kill among long ones

void query_of_some_length(std::uint64_t draw, std::string& sql) {
  const std::uint64_t ms = draw % 10 == 0 ? 200 : 5 + draw / 10 % 31;
  sql = "SELECT pg_sleep(0." +
        std::string(ms < 10    ? "00"
                    : ms < 100 ? "0"
                               : "") +
        std::to_string(ms) + ")";
}

/// Watches for how long nobody got an answer.
class Silence {
 public:
  explicit Silence(const Crew& crew) : crew_(crew), answered_(crew.answered()) {}
  void look() {
    const std::uint64_t now_ns = monotonic_ns();
    const std::uint64_t answered = crew_.answered();
    longest_ns_ = std::max(longest_ns_, now_ns - since_ns_);
    if (answered == answered_) return;
    answered_ = answered;
    since_ns_ = now_ns;
  }
  [[nodiscard]] double longest_ms() const { return static_cast<double>(longest_ns_) / 1e6; }

 private:
  const Crew& crew_;
  std::uint64_t answered_;
  std::uint64_t since_ns_ = monotonic_ns();
  std::uint64_t longest_ns_ = 0;
};

struct Scene {
  std::string dsn_of_superuser;
  CrewPlan crew;
  /// Kills, and returns once the process is gone and whatever a person would do at once is done.
  std::function<void(Crew& crew)> kill;
  /// Whether all that the dead had is there again; asked right after kill. May be empty.
  std::function<bool()> is_mended;
  /// Set: once half of the time is over, all send the long query.
  std::function<void()> begin_long_queries;
  /// Ends what still runs, again and again until the crew is gone.
  std::function<void()> end_queries;
};

std::vector<Figure> play(const Scene& scene, std::chrono::nanoseconds length) {
  demo::Board board(1, 0);
  const demo::Child sampler = demo::start_sampler(
      [&] { return std::make_unique<demo::PostgresCounter>(scene.dsn_of_superuser, "app"); }, board,
      kSamplePause);
  std::jthread ender;  // outlives the crew, which waits for its queries
  Crew crew(scene.crew);
  crew.begin();
  std::this_thread::sleep_for(length / 2);
  if (scene.begin_long_queries) scene.begin_long_queries();

  Silence silence(crew);
  scene.kill(crew);
  const std::uint64_t gone_ns = monotonic_ns();
  std::optional<double> mended_ms;
  const Nanos rest = scene.begin_long_queries ? Nanos(kAftermath) : Nanos(length / 2);
  while (monotonic_ns() < gone_ns + static_cast<std::uint64_t>(rest.count()) ||
         (scene.is_mended && !mended_ms)) {
    if (scene.is_mended && !mended_ms && scene.is_mended()) {
      mended_ms = static_cast<double>(monotonic_ns() - gone_ns) / 1e6;
    }
    silence.look();
    if (monotonic_ns() > gone_ns + static_cast<std::uint64_t>(Nanos(kPatience).count())) {
      throw std::runtime_error("what the dead worker had did not come back");
    }
    std::this_thread::sleep_for(100us);
  }
  const auto failed = static_cast<double>(crew.failed());  // not what is ended below
  if (failed > 0) std::fprintf(stderr, "first error: %s\n", crew.first_error().c_str());
  crew.end();
  if (scene.end_queries) {
    ender = std::jthread([&scene](const std::stop_token& stop) {
      while (!stop.stop_requested()) {
        scene.end_queries();
        std::this_thread::sleep_for(20ms);
      }
    });
  }

  std::vector<Figure> figures = {{"failed calls", "calls", failed}};
  if (!scene.begin_long_queries) {
    figures.push_back({"longest silence", "ms", silence.longest_ms()});
  }
  figures.push_back({"most backends", "backends", static_cast<double>(board.server_max().load())});
  if (mended_ms) figures.push_back({"places back", "ms", *mended_ms});
  return figures;
}

class Scenes {
 public:
  explicit Scenes(std::chrono::nanoseconds length) : length_(length) {}

  enum class Victim { kNobody, kWithoutQueries, kWithQueries, kWithLongQueries };

  std::vector<Figure> with_weir(Victim victim) {
    const test::TempFolder folder;
    demo::WeirSide weir(
        {.folder = folder.path().string(), .plugins = "", .dsn = server_.dsn(), .quota = kQuota});
    std::optional<test::WorkerProcess> holder;
    test::SharedCounter holds;
    if (victim == Victim::kWithoutQueries) {
      holder.emplace([&]() -> int {
        Pool pool = weir.runtime().pool("main");
        std::vector<Lease> leases;
        for (unsigned i = 0; i < kHeld; ++i) leases.push_back(pool.acquire());
        holds.add();
        while (true) std::this_thread::sleep_for(1h);
      });
      if (!holds.await(1)) throw std::runtime_error("the idle worker got no leases");
    }
    pid_t dead = 0;
    Scene scene = base(victim == Victim::kWithLongQueries);
    scene.crew.make_way = [&] { return lease_from_weir(weir.runtime()); };
    scene.kill = [&](Crew& crew) {
      if (victim == Victim::kWithQueries || victim == Victim::kWithLongQueries) {
        dead = crew.pid(kVictim);
        crew.kill(kVictim);
      } else if (victim == Victim::kWithoutQueries) {
        dead = holder->pid();
        test::kill_and_see_it_gone(dead);
      }
    };
    if (victim != Victim::kNobody) scene.is_mended = [&] { return weir.has_settled(dead); };
    return play(scene, length_);
  }

  std::vector<Figure> pgbouncer_dies(bool long_queries) {
    std::vector<Figure> figures;
    {
      test::Pgbouncer pgbouncer(server_, {.pool_size = kQuota});
      Scene scene = base(long_queries);
      scene.crew.make_way = [&] { return connect_by_libpq(pgbouncer.dsn()); };
      scene.kill = [&](Crew&) {
        pgbouncer.kill();
        pgbouncer.start();
      };
      figures = play(scene, length_);
    }
    if (long_queries) end_queries();
    // What it had open must not be counted with the next variant's.
    if (!test::poll_until([this] { return server_.count_sessions() == 0; })) {
      throw std::runtime_error("PgBouncer's sessions do not end");
    }
    return figures;
  }

 private:
  [[nodiscard]] Scene base(bool long_queries) {
    are_long_->store(0);
    Scene scene;
    scene.dsn_of_superuser = server_.superuser_dsn();
    scene.crew.threads = 4;
    scene.crew.next_query = [&are_long = *are_long_](std::uint64_t draw, std::string& sql) {
      if (are_long.load() != 0) {
        sql = kLongQuery;
      } else {
        query_of_some_length(draw, sql);
      }
    };
    if (long_queries) {
      scene.begin_long_queries = [this] { begin_long_queries(); };
      scene.end_queries = [this] { end_queries(); };
    }
    return scene;
  }

  // Returns when as many run as there are connections.
  void begin_long_queries() {
    are_long_->store(1);
    const std::string question =
        "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app' AND state = 'active'"
        " AND query = '" +
        std::string(kLongQuery) + "'";
    if (!test::poll_until([&] { return std::stoi(server_.ask(question)) == kQuota; })) {
      throw std::runtime_error("the long queries do not begin");
    }
  }

  void end_queries() {
    server_.ask("SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE usename = 'app'");
  }

  std::chrono::nanoseconds length_;
  test::PostgresServer server_;
  Shared<std::atomic<std::uint32_t>> are_long_;
};

Plan make_plan(const Settings& settings) {
  const auto scenes = std::make_shared<Scenes>(settings.length);
  Plan plan;
  Case one;
  for (const auto& [name, victim] :
       {std::pair{"weir, nobody dies", Scenes::Victim::kNobody},
        {"weir, a worker without queries", Scenes::Victim::kWithoutQueries},
        {"weir, a worker with queries", Scenes::Victim::kWithQueries}}) {
    one.variants.push_back(
        {name, [scenes, its = victim](std::size_t) { return scenes->with_weir(its); }});
  }
  Case left_behind{.name = "30 s queries left behind", .variants = {}};
  left_behind.variants.push_back({"weir, a worker with queries", [=](std::size_t) {
                                    return scenes->with_weir(Scenes::Victim::kWithLongQueries);
                                  }});
  if (test::Pgbouncer::is_installed()) {
    one.variants.push_back(
        {"PgBouncer", [=](std::size_t) { return scenes->pgbouncer_dies(false); }});
    left_behind.variants.push_back(
        {"PgBouncer", [=](std::size_t) { return scenes->pgbouncer_dies(true); }});
  } else {
    plan.missing.push_back({"PgBouncer", "not installed"});
  }
  plan.cases.push_back(std::move(one));
  plan.cases.push_back(std::move(left_behind));
  return plan;
}

}  // namespace
}  // namespace weir::bench

int main(int argc, char** argv) {
  return weir::bench::main_of(
      argc, argv,
      {.name = "crash",
       .about = "A worker killed under load, and PgBouncer killed under the same load.",
       .rounds = 15,
       .seconds = 1.0},
      weir::bench::make_plan);
}
