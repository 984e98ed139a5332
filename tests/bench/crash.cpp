// What a killed process costs everybody else: a worker that had leases, under weir; PgBouncer
// itself.
//
// Eight workers of four threads send queries that the server takes 5 to 35 ms for, one in ten of
// them 200 ms. Halfway somebody is killed with SIGKILL. A killed PgBouncer is started again at
// once; its clients reconnect, as often as it takes, with a pause of 1 ms.
#include <algorithm>
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
#include "bench/ways.h"
#include "demo/board.h"
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
};

std::vector<Figure> play(const Scene& scene, std::chrono::nanoseconds length) {
  demo::Board board(1, 0);
  const demo::Child sampler =
      demo::start_sampler(scene.dsn_of_superuser, "app", board, kSamplePause);
  Crew crew(scene.crew);
  crew.begin();
  std::this_thread::sleep_for(length / 2);

  Silence silence(crew);
  scene.kill(crew);
  const std::uint64_t gone_ns = monotonic_ns();
  std::optional<double> mended_ms;
  while (monotonic_ns() < gone_ns + static_cast<std::uint64_t>(length.count()) / 2 ||
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
  crew.end();

  if (crew.failed() > 0) std::fprintf(stderr, "first error: %s\n", crew.first_error().c_str());
  std::vector<Figure> figures = {
      {"failed calls", "calls", static_cast<double>(crew.failed())},
      {"longest silence", "ms", silence.longest_ms()},
      {"most backends", "backends", static_cast<double>(board.server_max().load())}};
  if (mended_ms) figures.push_back({"places back", "ms", *mended_ms});
  return figures;
}

class Scenes {
 public:
  explicit Scenes(std::chrono::nanoseconds length) : length_(length) {}

  enum class Victim { kNobody, kWithoutQueries, kWithQueries };

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
    Scene scene = base();
    scene.crew.make_way = [&] { return lease_from_weir(weir.runtime()); };
    scene.kill = [&](Crew& crew) {
      if (victim == Victim::kWithQueries) {
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

  std::vector<Figure> pgbouncer_dies() {
    std::vector<Figure> figures;
    {
      test::Pgbouncer pgbouncer(server_, {.pool_size = kQuota});
      Scene scene = base();
      scene.crew.make_way = [&] { return connect_by_libpq(pgbouncer.dsn()); };
      scene.kill = [&](Crew&) {
        pgbouncer.kill();
        pgbouncer.start();
      };
      figures = play(scene, length_);
    }
    // What it had open must not be counted with the next variant's.
    if (!test::poll_until([this] { return server_.count_sessions() == 0; })) {
      throw std::runtime_error("PgBouncer's sessions do not end");
    }
    return figures;
  }

 private:
  [[nodiscard]] Scene base() const {
    Scene scene;
    scene.dsn_of_superuser = server_.superuser_dsn();
    scene.crew.threads = 4;
    scene.crew.next_query = query_of_some_length;
    return scene;
  }

  std::chrono::nanoseconds length_;
  test::PostgresServer server_;
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
  if (test::Pgbouncer::is_installed()) {
    one.variants.push_back({"PgBouncer", [=](std::size_t) { return scenes->pgbouncer_dies(); }});
  } else {
    plan.missing.push_back({"PgBouncer", "not installed"});
  }
  plan.cases.push_back(std::move(one));
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
