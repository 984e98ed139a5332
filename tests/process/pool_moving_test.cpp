// Connections that move between workers as they are: the session stays the same one, what a lease
// did to it does not come along, and nobody ever has it beside somebody else.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <array>
#include <random>
#include <thread>
#include <vector>

#include "pool_on_postgres.h"
#include "tight_quota.h"

namespace weir::test {
namespace {

using namespace std::chrono_literals;

class PoolMoving : public PoolOnPostgres {};

/// Lends the only connection to this process and to another one in turn, as often as asked.
class TwoWorkers {
 public:
  using Deed = std::function<void(const Got&)>;

  /// The other one does `deed` with each of its leases. It gives back only when somebody waits.
  TwoWorkers(const std::string& config, Deed deed)
      : other_([this, config, deed = std::move(deed)]() -> int {
          Weir own(config);
          for (std::uint32_t turn = 1; turn_.await(turn) && stop_.value() == 0; ++turn) {
            Got got = acquire(own.pool());
            require(got, "acquire");
            deed(got);
            has_it_.add();
            require(poll_until([&] { return stats_of(own.pool()).waiting > 0; }), "nobody waits");
            require(release(got.lease), "release");
          }
          return own.close().ok() ? 0 : 1;
        }) {}
  ~TwoWorkers() {
    stop_.add();
    turn_.add();
    EXPECT_EQ(other_.wait_at_most(), 0);
  }
  TwoWorkers(const TwoWorkers&) = delete;
  TwoWorkers& operator=(const TwoWorkers&) = delete;

  /// The other one has had a lease and done its deed; the connection comes from there.
  Got next(weir_pool_t* pool) {
    turn_.add();
    EXPECT_TRUE(has_it_.await(turn_.value()));
    return acquire(pool);
  }

 private:
  SharedCounter turn_, has_it_, stop_;
  WorkerProcess other_;
};

TEST_F(PoolMoving, ASessionStaysTheSameHoweverOftenItMoves) {
  const std::string config = world_->config("max = 1");
  Weir weir(config);
  const Shared<std::atomic<int>> pid;
  TwoWorkers both(config, [&](const Got& got) { *pid = PQbackendPID(got.conn()); });
  for (int i = 0; i < 30; ++i) {
    Got got = both.next(weir.pool());
    ASSERT_TRUE(got.ok()) << got.message;
    EXPECT_EQ(PQbackendPID(got.conn()), *pid);
    EXPECT_EQ(ask(got, "SELECT pg_backend_pid()"), std::to_string(*pid));
    EXPECT_TRUE(release(got.lease).ok());
  }
  const weir_pool_stats_t stats = stats_of(weir.pool());
  EXPECT_EQ(stats.connects, 1u);
  EXPECT_EQ(stats.handed_live, 59u) << "there and back, but for the first";
  EXPECT_EQ(stats.handover_failures, 0u);
  EXPECT_EQ(stats.handed_on, 0u);
  const std::vector<std::string> moves = weir.log_of("handed_live");
  ASSERT_FALSE(moves.empty());
  EXPECT_THAT(moves[0], testing::ContainsRegex("pool=main place=0 us=[0-9]+"));
  EXPECT_EQ(world_->pool().places[0].session_leases, 60u) << "counted on where it goes";
}

TEST_F(PoolMoving, ALifeTimeCountsFromTheConnectWhereverASessionIs) {
  const std::string config = world_->config("max = 1\nmax_lifetime = \"1s\"");
  Weir weir(config);
  const Shared<std::atomic<int>> pid;
  TwoWorkers both(config, [&](const Got& got) { *pid = PQbackendPID(got.conn()); });
  Got got = both.next(weir.pool());
  ASSERT_TRUE(got.ok()) << got.message;
  const int first = PQbackendPID(got.conn());
  EXPECT_TRUE(release(got.lease).ok());
  EXPECT_TRUE(poll_until([&] {
    Got again = both.next(weir.pool());
    const int now = PQbackendPID(again.conn());
    EXPECT_TRUE(release(again.lease).ok());
    return now != first;
  }));
}

// What a lease can do to a session, a line each.
constexpr std::array<const char*, 16> kDeeds = {
    "SET work_mem = '3MB'",
    "SET TimeZone = 'Asia/Tokyo'",
    "SET client_encoding = 'LATIN1'",
    "SET search_path = 'pg_catalog'",
    "SET ROLE pg_read_all_stats",
    "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
    "SELECT set_config('weir.mine', 'secret', false)",
    "CREATE TEMP TABLE IF NOT EXISTS basket (n int)",
    "PREPARE greeting AS SELECT 'hello'",
    "LISTEN news",
    "SELECT pg_advisory_lock(4711)",
    "DECLARE cursor CURSOR WITH HOLD FOR SELECT 1",
    "BEGIN",
    "LOAD 'plpgsql'",
    "SELECT 1 / 0",
    "SELECT pg_sleep(0)",
};

/// All of a session that these deeds may change.
constexpr const char* kTraces =
    "SELECT (SELECT md5(string_agg(name || '=' || setting, ',' ORDER BY name)) FROM pg_settings "
    "WHERE name <> 'application_name') || ' ' || current_user || ' ' || "
    "coalesce(nullif(current_setting('weir.mine', true), ''), '-') || ' ' || "
    "(SELECT count(*) FROM pg_prepared_statements) || ' ' || (SELECT count(*) FROM pg_cursors) "
    "|| ' ' || (SELECT count(*) FROM pg_listening_channels()) || ' ' || "
    "(SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()) "
    "|| ' ' || (to_regclass('pg_temp.basket') IS NULL)";

TEST_F(PoolMoving, NothingOfALeaseIsSeenInAnotherWorkerWhereEveryLeaseIsReset) {
  const std::string config = world_->config("max = 1\nreset = \"always\"");
  Weir weir(config);
  Got fresh = acquire(weir.pool());
  ASSERT_TRUE(fresh.ok()) << fresh.message;
  const std::string untouched = ask(fresh, kTraces);
  ASSERT_FALSE(untouched.starts_with("error")) << untouched;
  EXPECT_TRUE(release(fresh.lease).ok());

  struct Plan {
    std::array<std::atomic<std::uint32_t>, 6> deeds;
    std::atomic<std::uint32_t> count{0};
  };
  const Shared<Plan> plan;
  TwoWorkers both(config, [&](const Got& got) {
    for (std::uint32_t i = 0; i < plan->count; ++i) ask(got, kDeeds[plan->deeds[i]]);
  });
  std::uint64_t moved = 0;
  EXPECT_TRUE(rc::check("a session is as fresh in the next worker", [&] {
    const auto deeds =
        *rc::gen::resize(6, rc::gen::container<std::vector<std::uint32_t>>(
                                rc::gen::inRange<std::uint32_t>(0, std::uint32_t{kDeeds.size()})));
    plan->count = static_cast<std::uint32_t>(std::min(deeds.size(), plan->deeds.size()));
    for (std::uint32_t i = 0; i < plan->count; ++i) plan->deeds[i] = deeds[i];
    Got got = both.next(weir.pool());
    RC_ASSERT(got.ok());
    const std::string seen = ask(got, kTraces);
    RC_ASSERT(release(got.lease).ok());
    moved = stats_of(weir.pool()).handed_live;
    RC_ASSERT(seen == untouched);
  }));
  EXPECT_GE(moved, 100u);
}

// A lease's own deed, once it is back in the hands of a worker that ends: to who waits, not closed.
TEST_F(PoolMoving, AWorkerThatEndsLeavesItsIdleConnectionToWhoWaits) {
  const std::string config = world_->config("max = 1");
  // Nobody keeps here: the connection stays idle although somebody waits.
  Weir leaver(config, true);
  Got got = acquire(leaver.pool());
  ASSERT_TRUE(got.ok()) << got.message;
  const int pid = PQbackendPID(got.conn());
  EXPECT_TRUE(release(got.lease).ok());
  WorkerProcess waiter([&]() -> int {
    Weir own(config);
    Got late = acquire(own.pool());
    require(late, "acquire");
    require(PQbackendPID(late.conn()) == pid, "another session");
    require(release(late.lease), "release");
    return 0;
  });
  ASSERT_TRUE(poll_until([&] { return world_->pool().waiting == 1; }));
  EXPECT_TRUE(leaver.close().ok());
  EXPECT_EQ(waiter.wait_at_most(), 0);
}

TEST_F(PoolMoving, AnIdleSessionThatTheServerEndedIsReplacedForWhoWaitsElsewhere) {
  const std::string config = world_->config("max = 1\nvalidate_after = \"never\"");
  const auto quiet = idle_worker(config);
  server_->ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'");
  ASSERT_TRUE(poll_until([&] { return server_->count_sessions() == 0; }));
  Weir weir(config);
  Got got = acquire(weir.pool(), 5s);
  ASSERT_TRUE(got.ok()) << got.message;
  EXPECT_EQ(ask(got, "SELECT 1"), "1");
  EXPECT_TRUE(release(got.lease).ok());
}

TEST_F(PoolMoving, WhereItIsOffOnlyWhatIsFreeAnywayGoesToOthers) {
  const std::string config = world_->config("max = 1\nhandover = \"off\"");
  const auto quiet = idle_worker(config);
  Weir weir(config);
  EXPECT_EQ(acquire(weir.pool(), 300ms).code, "timeout");
  quiet->kill();
  Got got = acquire(weir.pool());
  EXPECT_TRUE(got.ok()) << got.message;
  EXPECT_TRUE(release(got.lease).ok());
}

class MovingStorm : public TightQuota {
 protected:
  struct Tally {
    std::atomic<std::uint32_t> served{0}, wrong{0};
  };

  /// Until it is killed. Each session counts its own leases, beside the count that a table has of
  /// it: two who had one session would both change both.
  static void live(weir_pool_t* pool, Tally& tally) {
    while (true) {
      Got got = acquire(pool, 10s);
      const std::string before =
          got.ok() ? ask(got, "SELECT coalesce(nullif(current_setting('weir.n', true), ''), '0')")
                   : "error: " + got.message;
      const std::string after =
          got.ok() ? ask(got,
                         "INSERT INTO sessions VALUES (pg_backend_pid(), 1) ON CONFLICT (pid) DO "
                         "UPDATE SET n = sessions.n + 1; SELECT set_config('weir.n', n::text, "
                         "false) FROM sessions WHERE pid = pg_backend_pid()")
                   : "";
      const bool right = !before.starts_with("error") && !after.starts_with("error") &&
                         std::stoi(before) + 1 == std::stoi(after);
      if (!right) {
        std::fprintf(stderr, "%s, then %s\n", before.c_str(), after.c_str());
        ++tally.wrong;
      }
      if (got.ok()) require(release(got.lease), "release");
      ++tally.served;
    }
  }
};

TEST_F(MovingStorm, OfKillsNeverGivesOneSessionToTwo) {
  begin(4);
  server_->ask("CREATE TABLE sessions (pid int PRIMARY KEY, n int); GRANT ALL ON sessions TO app");
  const std::string config = world_->config(
      "max = 4\nreset = \"transaction\"\nhandover_after = \"0s\"\nlinger_max = \"2s\"");
  const Shared<Tally> tally;
  const auto new_worker = [&] {
    return WorkerProcess([&]() -> int {
      Weir own(config);
      std::thread second([&] { live(own.pool(), *tally); });
      live(own.pool(), *tally);
      return 0;
    });
  };
  std::vector<WorkerProcess> workers;
  for (int w = 0; w < 6; ++w) workers.push_back(new_worker());
  ASSERT_TRUE(poll_until([&] { return tally->served > 100; }));
  std::minstd_rand random(5);
  const Deadline end = Deadline::after(3s);
  for (unsigned kills = 0; !end.passed(monotonic_ns()) || kills < 20; ++kills) {
    const std::uint32_t before = tally->served;
    ASSERT_TRUE(poll_until([&] { return tally->served > before + random() % 200; }));
    const std::size_t who = random() % workers.size();
    workers[who].kill();
    workers[who] = new_worker();
  }
  EXPECT_EQ(tally->wrong, 0u);
  EXPECT_GT(world_->pool().counter(shm::Counter::kHandedLive), 100u);
  workers.clear();
  Weir weir(config);
  std::vector<Got> all;
  for (int i = 0; i < 4; ++i) {
    all.push_back(acquire(weir.pool()));
    EXPECT_TRUE(all.back().ok()) << all.back().message;
  }
  for (Got& got : all) EXPECT_TRUE(release(got.lease).ok());
  EXPECT_EQ(world_->await_rest(), "");
}

}  // namespace
}  // namespace weir::test
