// Nothing is lost and nothing is too much when workers are killed: what a dead worker had lingers
// until the server has let go, and is then anybody's.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <thread>

#include "pool_world.h"

namespace weir::test {
namespace {

using namespace std::chrono_literals;
using shm::PlaceState;
using testing::HasSubstr;
using testing::Not;

/// A server that refuses what goes beyond the quota: `quota` ordinary sessions, and room for the
/// two of the tests' own.
PostgresSettings tight(int quota) {
  PostgresSettings settings;
  settings.superuser_reserved_connections = 1;
  settings.max_connections = quota + settings.superuser_reserved_connections + 2;
  return settings;
}

class PoolKill : public testing::Test {
 protected:
  void SetUp() override {
    if (!PostgresServer::is_installed()) {
      GTEST_SKIP() << "PostgreSQL's server programs are not installed";
    }
  }

  /// A server and an eye on it, made for one quota.
  void begin(int quota) {
    server_.emplace(tight(quota));
    world_.emplace(server_->dsn());
    server_->ask("SELECT 1");  // our own session, before the places are counted
    sampler_.emplace(*server_);
    quota_ = static_cast<std::uint32_t>(quota);
  }
  void TearDown() override {
    if (!server_) return;
    EXPECT_LE(sampler_->most(), quota_);
    EXPECT_THAT(server_->log(), Not(HasSubstr("too many clients")));
    EXPECT_THAT(server_->log(), Not(HasSubstr("remaining connection slots")));
  }
  [[nodiscard]] int running(const std::string& statement) {
    return std::stoi(server_->ask(
        "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app' AND state = 'active'"
        " AND query = '" +
        statement + "'"));
  }

  std::optional<PostgresServer> server_;
  std::optional<PoolWorld> world_;
  std::optional<SessionSampler> sampler_;
  std::uint32_t quota_ = 0;
};

constexpr const char* kLongQuery = "SELECT pg_sleep(30)";

/// In a child: a lease with the long query running on it.
Got start_long_query(weir_pool_t* pool) {
  Got got = acquire(pool);
  require(got, "acquire");
  require(PQsendQuery(got.conn(), kLongQuery) == 1, "send");
  return got;
}

TEST_F(PoolKill, WhatAKilledWorkerHadComesBackAndItsQueriesEnd) {
  begin(5);
  const std::string config = world_->config("max = 5");
  Weir weir(config);
  Got ours = acquire(weir.pool());
  ASSERT_TRUE(ours.ok()) << ours.message;
  EXPECT_TRUE(release(ours.lease).ok());  // a spare to ask with
  SharedCounter ready;
  WorkerProcess victim([&]() -> int {
    Weir own(config);
    Got idle = acquire(own.pool());
    Got silent = acquire(own.pool());
    require(idle, "acquire");
    require(silent, "acquire");
    Got busy = start_long_query(own.pool());
    Got closing = start_long_query(own.pool());
    require(release(idle.lease), "release");
    require(discard(closing.lease), "discard");
    ready.add();
    while (true) pause();
  });
  ASSERT_TRUE(ready.await(1));
  ASSERT_TRUE(poll_until([&] { return running(kLongQuery) == 2; }));
  ASSERT_TRUE(poll_until([&] { return world_->pool().in(PlaceState::kClosing) == 1; }));
  victim.kill();
  std::uint32_t most_lingering = 0;
  EXPECT_TRUE(poll_until(
      [&] {
        const shm::PoolSnapshot now = world_->pool();
        most_lingering = std::max(most_lingering, now.in(PlaceState::kLingering));
        return now.in(PlaceState::kFree) == 4;
      },
      5s));
  EXPECT_GE(most_lingering, 1u);
  EXPECT_EQ(running(kLongQuery), 0) << "ended by a cancel request";
  EXPECT_EQ(world_->await_rest(), "");
  std::vector<Got> all;
  for (int i = 0; i < 5; ++i) {
    all.push_back(acquire(weir.pool()));
    EXPECT_TRUE(all.back().ok()) << all.back().message;
  }
  for (Got& got : all) EXPECT_TRUE(release(got.lease).ok());
}

TEST_F(PoolKill, PlacesComeBackAlsoWhileNobodyHasAnIdleConnectionToAskWith) {
  begin(3);
  const std::string config = world_->config("max = 3");
  Weir weir(config);
  SharedCounter ready;
  WorkerProcess victim([&]() -> int {
    Weir own(config);
    Got busy = start_long_query(own.pool());
    Got silent = acquire(own.pool());
    require(silent, "acquire");
    ready.add();
    while (true) pause();
  });
  ASSERT_TRUE(ready.await(1));
  // From now on the one connection that is left goes from hand to hand.
  std::atomic<bool> stop{false};
  std::atomic<int> failed{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      while (!stop) {
        Got got = acquire(weir.pool());
        if (!got.ok() || ask(got, "SELECT pg_sleep(0.002)").starts_with("error")) ++failed;
        if (!release(got.lease).ok()) ++failed;
      }
    });
  }
  ASSERT_TRUE(poll_until([&] { return stats_of(weir.pool()).waiting >= 5; }));
  victim.kill();
  EXPECT_TRUE(poll_until([&] { return stats_of(weir.pool()).worker_used == 3; }, 5s));
  stop = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failed, 0);
  EXPECT_EQ(world_->await_rest(), "");
}

TEST_F(PoolKill, TheLastPlaceComesBackWithoutAnybodyToAskAfterLingerMax) {
  begin(1);
  const std::string config = world_->config("max = 1\nlinger_max = \"300ms\"");
  Weir weir(config);
  SharedCounter ready;
  WorkerProcess victim([&]() -> int {
    Weir own(config);
    Got busy = start_long_query(own.pool());
    ready.add();
    while (true) pause();
  });
  ASSERT_TRUE(ready.await(1));
  ASSERT_TRUE(poll_until([&] { return running(kLongQuery) == 1; }));
  const std::uint64_t start = monotonic_ns();
  victim.kill();
  Got got = acquire(weir.pool(), 10s);
  EXPECT_TRUE(got.ok()) << got.message;
  EXPECT_GE(Nanos(monotonic_ns() - start), 300ms);
  EXPECT_LT(Nanos(monotonic_ns() - start), 3s);
  EXPECT_TRUE(release(got.lease).ok());
}

TEST_F(PoolKill, TheLastPlaceOfAnIdleSessionComesBackAtOnce) {
  begin(1);
  const std::string config = world_->config("max = 1");
  Weir weir(config);
  static_cast<void>(stats_of(weir.pool()));
  for (int round = 0; round < 5; ++round) {
    SharedCounter ready;
    WorkerProcess victim([&]() -> int {
      Weir own(config);
      Got got = acquire(own.pool());
      require(got, "acquire");
      require(release(got.lease), "release");
      ready.add();
      while (true) pause();
    });
    ASSERT_TRUE(ready.await(1));
    const std::uint64_t start = monotonic_ns();
    victim.kill();
    Got got = acquire(weir.pool(), 10s);
    EXPECT_TRUE(got.ok()) << got.message;
    EXPECT_LT(Nanos(monotonic_ns() - start), 1s);
    EXPECT_TRUE(discard(got.lease).ok());
    EXPECT_EQ(world_->await_rest(), "");
  }
}

TEST_F(PoolKill, ADiscardedConnectionKeepsItsPlaceUntilTheServerHasEndedItsQuery) {
  begin(1);
  Weir weir(world_->config("max = 1\nclose_timeout = \"100ms\"\nlinger_max = \"30s\""));
  Got got = start_long_query(weir.pool());
  ASSERT_TRUE(poll_until([&] { return running(kLongQuery) == 1; }));
  EXPECT_TRUE(discard(got.lease).ok());
  // Nobody can be asked, so it takes as long as it takes; but the query ends.
  EXPECT_EQ(acquire(weir.pool(), 400ms).code, "timeout");
  EXPECT_TRUE(poll_until([&] { return running(kLongQuery) == 0; }));
  EXPECT_EQ(world_->pool().in(PlaceState::kLingering), 1u);
}

TEST_F(PoolKill, AWorkerKilledWhileItsSessionIsBeingPreparedLeavesNoSessionUncounted) {
  begin(2);
  const std::string config =
      world_->config("max = 2\non_connect = [\"" + std::string(kLongQuery) + "\"]");
  const std::string quick = world_->config("max = 2");
  Weir weir(quick);
  Got ours = acquire(weir.pool());
  ASSERT_TRUE(ours.ok()) << ours.message;
  EXPECT_TRUE(release(ours.lease).ok());
  WorkerProcess victim([&]() -> int {
    Weir own(config);
    return acquire(own.pool()).ok() ? 0 : 1;
  });
  ASSERT_TRUE(poll_until([&] { return running(kLongQuery) == 1; }));
  victim.kill();
  EXPECT_EQ(world_->await_rest(10s), "");  // asked over the one that idles
  std::vector<Got> both;
  for (int i = 0; i < 2; ++i) {
    both.push_back(acquire(weir.pool(), 10s));
    EXPECT_TRUE(both.back().ok()) << both.back().message;
  }
  for (Got& got : both) EXPECT_TRUE(release(got.lease).ok());
  EXPECT_EQ(running(kLongQuery), 0);
}

// ---- storms -----------------------------------------------------------------------------------

struct Storm {
  const char* name;
  int quota;
  bool two_pools;
};
void PrintTo(const Storm& storm, std::ostream* out) { *out << storm.name; }

class PoolStorm : public PoolKill, public testing::WithParamInterface<Storm> {
 protected:
  struct Tally {
    std::atomic<std::uint32_t> served{0}, failed{0};
  };

  /// Until it is killed: everything a worker does with a pool, by two threads.
  static int live(const std::string& config, bool two_pools, Tally& tally) {
    Weir weir(config);
    const std::array<weir_pool_t*, 2> pools = {weir.pool(),
                                               two_pools ? weir.pool("jobs") : weir.pool()};
    const auto loop = [&](unsigned seed) {
      std::minstd_rand random(seed);
      while (true) {
        Got got = acquire(pools[random() % 2], 10s);
        if (!got.ok()) {
          std::fprintf(stderr, "%s: %s\n", got.code.c_str(), got.message.c_str());
          tally.failed.fetch_add(1);
          continue;
        }
        const auto what = random() % 10;
        const char* statement = what < 6   ? "SELECT pg_sleep(0.002)"
                                : what < 8 ? "SET work_mem = '3MB'"
                                           : "BEGIN";
        const std::string answer = ask(got, statement);
        if (answer.starts_with("error")) {
          std::fprintf(stderr, "%s\n", answer.c_str());
          tally.failed.fetch_add(1);
        }
        const Answer back = what == 5 ? discard(got.lease) : release(got.lease);
        require(back, "giving back");
        tally.served.fetch_add(1);
      }
    };
    const auto seed = static_cast<unsigned>(getpid()) * 2;
    std::thread second([&] { loop(seed + 1); });
    loop(seed);
    return 0;
  }
};

TEST_P(PoolStorm, OfKillsAndStopsNeverExceedsTheQuotaAndLosesNothing) {
  const Storm storm = GetParam();
  begin(storm.quota);
  const std::string quota = std::to_string(storm.quota);
  // Nobody is left to ask when all workers were killed: then a second has to do.
  const std::string keys =
      "permit_quantum = \"10ms\"\nconnect_concurrency = 3\nlinger_max = \"1s\"\n";
  const std::string config =
      storm.two_pools ? world_->config("quota = \"pg\"\nmax = " + quota + "\n" + keys,
                                       "[pool.jobs]\ndriver = \"postgres\"\ndsn = \"" +
                                           world_->dsn() + "\"\nquota = \"pg\"\nmax = " + quota +
                                           "\n" + keys + "[quota.pg]\nlimit = " + quota + "\n")
                      : world_->config("max = " + quota + "\n" + keys);
  const Shared<Tally> tally;
  std::vector<WorkerProcess> workers;
  const auto new_worker = [&] {
    return WorkerProcess([&] { return live(config, storm.two_pools, *tally); });
  };
  for (int w = 0; w < 8; ++w) workers.push_back(new_worker());
  ASSERT_TRUE(poll_until([&] { return tally->served > 50; }));

  std::minstd_rand random(20);
  std::size_t stopped = workers.size();  // which one stands still; none
  std::uint32_t kills = 0;
  const std::uint64_t end_ns = monotonic_ns() + 2'700'000'000u;
  for (std::uint64_t next_ns = monotonic_ns(); next_ns < end_ns; next_ns += 30'000'000u) {
    ASSERT_TRUE(poll_until([&] { return monotonic_ns() >= next_ns; }));
    const std::size_t who = random() % workers.size();
    if (stopped < workers.size() && random() % 2 == 0) {
      workers[stopped].resume();
      stopped = workers.size();
    } else if (stopped == workers.size() && random() % 3 == 0) {
      stopped = who;
      workers[who].stop();
    } else {
      if (who == stopped) stopped = workers.size();  // killed while it stands still
      workers[who].kill();
      workers[who] = new_worker();
      ++kills;
    }
  }
  if (stopped < workers.size()) workers[stopped].resume();
  EXPECT_GE(kills, 20u);

  // Those who are left go on as if nothing had happened.
  const std::uint32_t before = tally->served;
  EXPECT_TRUE(poll_until([&] { return tally->served > before + 100; }));
  EXPECT_EQ(tally->failed, 0u);

  // And when all are gone, one that comes finds everything there.
  workers.clear();
  Weir weir(config);
  for (const char* name : {"main", "jobs"}) {
    if (!storm.two_pools && name == std::string("jobs")) continue;
    std::vector<Got> all;
    for (int i = 0; i < storm.quota; ++i) {
      all.push_back(acquire(weir.pool(name)));
      EXPECT_TRUE(all.back().ok()) << all.back().message;
    }
    for (Got& got : all) EXPECT_TRUE(release(got.lease).ok());
  }
  EXPECT_EQ(world_->await_rest(), "");
}

INSTANTIATE_TEST_SUITE_P(Quotas, PoolStorm,
                         testing::Values(Storm{"three places", 3, false},
                                         Storm{"eight places", 8, false},
                                         Storm{"two pools on a quota of four", 4, true}));

}  // namespace
}  // namespace weir::test
