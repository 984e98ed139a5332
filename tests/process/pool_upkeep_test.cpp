// What happens by clock, and what is limited for the whole machine beside the number of
// connections: warm floor, expiry, checks, leaks, handshakes, a worker's share.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <thread>

#include "pool_on_postgres.h"

namespace weir::test {
namespace {

using namespace std::chrono_literals;
using shm::PlaceState;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class PoolUpkeep : public PoolOnPostgres {
 protected:
  /// Lends `count` at once and gives them back.
  void use(int count) {
    std::vector<Got> leases;
    for (int i = 0; i < count; ++i) {
      leases.push_back(acquire(pool()));
      EXPECT_TRUE(leases.back().ok()) << leases.back().message;
    }
    for (Got& got : leases) EXPECT_TRUE(release(got.lease).ok());
  }
  /// A worker that attaches and then only lives, until killed.
  [[nodiscard]] std::unique_ptr<WorkerProcess> quiet_worker(const std::string& keys) const {
    SharedCounter attached;
    const std::string config = world_->config(keys);
    auto worker = std::make_unique<WorkerProcess>([&attached, config]() -> int {
      Weir weir(config);
      static_cast<void>(stats_of(weir.pool()));
      attached.add();
      while (true) pause();
    });
    EXPECT_TRUE(attached.await(1));
    return worker;
  }
};

TEST_F(PoolUpkeep, WhatIdlesForTooLongIsClosedDownToTheWarmFloor) {
  open("max = 4\nmin = 1\nidle_timeout = \"200ms\"");
  use(4);
  EXPECT_EQ(stats_of(pool()).idle, 4u);
  EXPECT_TRUE(poll_until([&] { return stats_of(pool()).total == 1; }, 5s));
  EXPECT_EQ(server_->count_sessions(), 1);
  EXPECT_EQ(stats_of(pool()).closes, 3u);
}

TEST_F(PoolUpkeep, NothingOutlivesItsLifetimeExceptInACallersHands) {
  open("max = 2\nmax_lifetime = \"300ms\"");
  Got kept = acquire(pool());
  ASSERT_TRUE(kept.ok()) << kept.message;
  Got other = acquire(pool());
  ASSERT_TRUE(other.ok()) << other.message;
  const int pid = PQbackendPID(kept.conn());
  EXPECT_TRUE(release(other.lease).ok());
  EXPECT_TRUE(poll_until([&] { return stats_of(pool()).total == 1; }, 5s)) << "the idle one goes";
  EXPECT_EQ(ask(kept, "SELECT 1"), "1") << "the lent one stays";
  EXPECT_TRUE(release(kept.lease).ok());
  Got next = acquire(pool());
  ASSERT_TRUE(next.ok()) << next.message;
  EXPECT_NE(PQbackendPID(next.conn()), pid) << "nor is it lent once more";
  EXPECT_TRUE(release(next.lease).ok());
}

TEST_F(PoolUpkeep, TheWarmFloorIsTheMachinesAndIsRefilledAfterADeath) {
  constexpr const char* kKeys = "max = 8\nmin = 4\nconnect_concurrency = 4";
  open(kKeys);
  auto other = quiet_worker(kKeys);
  static_cast<void>(stats_of(pool()));
  ASSERT_TRUE(poll_until([&] { return world_->pool().in(PlaceState::kIdle) >= 4; }, 5s));
  EXPECT_EQ(stats_of(pool()).connects, 4u) << "not four in each worker";
  other->kill();
  EXPECT_TRUE(poll_until([&] { return stats_of(pool()).worker_idle >= 4; }, 5s));
  EXPECT_EQ(world_->await_rest(), "");
  EXPECT_LE(world_->pool().occupied(), 5u);
}

TEST_F(PoolUpkeep, IdleOnesAboveKeepAreClosedOnRelease) {
  open("max = 4\nkeep = 1");
  use(4);
  EXPECT_TRUE(poll_until([&] { return stats_of(pool()).total == 1; }));
  EXPECT_EQ(stats_of(pool()).idle, 1u);
  EXPECT_EQ(stats_of(pool()).closes, 3u);
  EXPECT_EQ(server_->count_sessions(), 1);
}

TEST_F(PoolUpkeep, AnIdleConnectionThatTheServerEndedIsNeverLent) {
  open("max = 2\nvalidate_after = \"0s\"");
  for (int round = 0; round < 10; ++round) {
    Got got = acquire(pool());
    ASSERT_TRUE(got.ok()) << got.message;
    EXPECT_EQ(ask(got, "SELECT 1"), "1") << "round " << round;
    EXPECT_TRUE(release(got.lease).ok());
    server_->ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'");
    ASSERT_TRUE(poll_until([] { return server_->count_sessions() == 0; }));
  }
  EXPECT_EQ(stats_of(pool()).ping_failures, 9u);
  EXPECT_EQ(world_->await_rest(), "");
}

TEST_F(PoolUpkeep, AfterARestartOfTheServerTheNextAcquiresWork) {
  PostgresServer server;
  const PoolWorld world(server.dsn());
  Weir weir(world.config("max = 3\nmin = 3\nvalidate_after = \"0s\""));
  for (int round = 0; round < 2; ++round) {
    ASSERT_TRUE(poll_until([&] { return stats_of(weir.pool()).idle == 3; }));
    round == 0 ? server.stop() : server.kill();
    server.start();
    for (int i = 0; i < 4; ++i) {
      Got got = acquire(weir.pool());
      ASSERT_TRUE(got.ok()) << got.message;
      EXPECT_EQ(ask(got, "SELECT 1"), "1");
      EXPECT_TRUE(release(got.lease).ok());
    }
    EXPECT_EQ(world.await_rest(), "");
  }
}

TEST_F(PoolUpkeep, ALeaseHeldForTooLongIsReportedOnceWithItsLabel) {
  open("max = 2\nleak_after = \"100ms\"");
  Got leaked = acquire(pool(), kPatience, "GET /leaky");
  ASSERT_TRUE(leaked.ok()) << leaked.message;
  ASSERT_TRUE(poll_until([&] { return !weir_->log_of("leak_suspected").empty(); }, 5s));
  Got other = acquire(pool(), kPatience, "GET /also");
  ASSERT_TRUE(poll_until([&] { return weir_->log_of("leak_suspected").size() >= 2; }, 5s));
  const std::vector<std::string> lines = weir_->log_of("leak_suspected");
  ASSERT_THAT(lines, SizeIs(2)) << "the first one was reported again";
  EXPECT_THAT(lines[0], AllOf(HasSubstr("pool=main"), HasSubstr("GET /leaky"),
                              HasSubstr("held_ms="), HasSubstr("thread=")));
  EXPECT_THAT(lines[1], HasSubstr("GET /also"));
  EXPECT_TRUE(release(leaked.lease).ok());
  EXPECT_TRUE(release(other.lease).ok());
}

TEST_F(PoolUpkeep, AConnectionThatOnlyHangsInACheckIsNoLeak) {
  PostgresServer server;
  const PoolWorld world(server.dsn());
  Weir weir(world.config("max = 1\nleak_after = \"100ms\"\nkeepalive = \"100ms\""));
  Got got = acquire(weir.pool());
  ASSERT_TRUE(got.ok()) << got.message;
  EXPECT_TRUE(release(got.lease).ok());
  server.freeze();
  ASSERT_TRUE(poll_until([&] { return world.pool().in(PlaceState::kUsed) == 1; }, 5s));
  const std::uint64_t began = monotonic_ns();
  EXPECT_TRUE(poll_until([&] { return monotonic_ns() > began + 1'200'000'000u; }));
  server.thaw();
  EXPECT_THAT(weir.log_of("leak_suspected"), IsEmpty());
}

// ---- limits of the machine ------------------------------------------------------------------

class PoolHandshakes : public PoolUpkeep, public testing::WithParamInterface<int> {};

TEST_P(PoolHandshakes, AreNeverMoreAtOnceOnTheMachineThanConnectConcurrency) {
  // A statement of on_connect is part of the handshake; this one lasts long enough to be seen.
  const std::string config =
      world_->config("max = 8\nconnect_concurrency = " + std::to_string(GetParam()) +
                     "\non_connect = [\"SELECT pg_sleep(0.03) /* handshake */\"]");
  static_cast<void>(stats_of(weir_.emplace(config).pool()));
  SharedCounter ready, go, served;
  std::vector<std::unique_ptr<WorkerProcess>> workers;
  for (int w = 0; w < 4; ++w) {
    workers.push_back(std::make_unique<WorkerProcess>([&, config]() -> int {
      Weir weir(config);
      weir_pool_t* const pool = weir.pool();
      std::atomic<int> bad{0};
      std::vector<std::thread> threads;
      for (int t = 0; t < 8; ++t) {
        threads.emplace_back([&] {
          ready.add();
          if (!go.await(1)) ++bad;
          Got got = acquire(pool);
          if (!got.ok() || ask(got, "SELECT pg_sleep(0.01)").starts_with("error")) ++bad;
          if (!release(got.lease).ok()) ++bad;
          served.add();
        });
      }
      for (std::thread& thread : threads) thread.join();
      return bad;
    }));
  }
  ASSERT_TRUE(ready.await(32));
  go.add();
  std::uint32_t most = 0, seen_by_server = 0;
  EXPECT_TRUE(poll_until([&] {
    most = std::max(most, world_->pool().handshakes);
    const std::string sleeping = server_->ask(
        "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app' AND state = 'active'"
        " AND query LIKE '%handshake%'");
    seen_by_server = std::max(seen_by_server, static_cast<std::uint32_t>(std::stoul(sleeping)));
    return served.value() == 32;
  }));
  for (auto& worker : workers) EXPECT_EQ(worker->wait_at_most(), 0);
  const auto limit = static_cast<std::uint32_t>(GetParam());
  EXPECT_EQ(most, limit) << "the segment's word";
  EXPECT_EQ(seen_by_server, limit) << "the server's word";
  EXPECT_EQ(world_->await_rest(), "");
}

INSTANTIATE_TEST_SUITE_P(OneAndTwo, PoolHandshakes, testing::Values(1, 2));

TEST_F(PoolUpkeep, NoWorkerOpensMoreThanItsShareAndTheOthersAreServed) {
  const std::string config = world_->config("max = 4\nmax_per_worker = 2\nconnect_concurrency = 4");
  static_cast<void>(stats_of(weir_.emplace(config).pool()));
  SharedCounter go, greedy_holds, others_done, done;
  WorkerProcess greedy([&]() -> int {
    Weir weir(config);
    weir_pool_t* const pool = weir.pool();
    std::atomic<int> bad{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 8; ++t) {
      threads.emplace_back([&] {
        if (!go.await(1)) ++bad;
        while (done.value() == 0) {
          Got got = acquire(pool);
          if (!got.ok() || ask(got, "SELECT pg_sleep(0.002)").starts_with("error")) ++bad;
          greedy_holds.add();
          if (!release(got.lease).ok()) ++bad;
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    return bad;
  });
  std::atomic<std::uint32_t> most{0};
  const auto look = [&] {
    const shm::PoolSnapshot now = world_->pool();
    std::map<std::uint32_t, std::uint32_t> by_worker;
    for (const shm::PlaceSnapshot& place : now.places) {
      if (place.worker != shm::kNone) ++by_worker[place.worker];
    }
    for (const auto& [worker, places] : by_worker) raise_to(most, places);
  };
  go.add();
  ASSERT_TRUE(poll_until([&] {
    look();
    return greedy_holds.value() >= 100;
  }));
  // Two places are left to everybody else, however greedy that one is.
  std::vector<Got> mine;
  for (int i = 0; i < 2; ++i) {
    mine.push_back(acquire(pool(), 5s));
    EXPECT_TRUE(mine.back().ok()) << mine.back().message;
  }
  EXPECT_EQ(acquire(pool(), 20ms).code, "timeout");
  for (Got& got : mine) EXPECT_TRUE(release(got.lease).ok());
  const std::uint32_t before = greedy_holds.value();
  EXPECT_TRUE(poll_until([&] {
    look();
    return greedy_holds.value() >= before + 100;
  }));
  done.add();
  EXPECT_EQ(greedy.wait_at_most(), 0);
  EXPECT_EQ(most, 2u);
}

TEST_F(PoolUpkeep, AWorkersShareHoldsAlsoWhenManyOfItsCallersStartAtOnce) {
  for (int round = 0; round < 8; ++round) {
    open("max = 8\nmax_per_worker = 1\nconnect_concurrency = 8");
    weir_pool_t* const pool = this->pool();
    static_cast<void>(stats_of(pool));
    SharedCounter go;
    std::vector<std::thread> threads;
    std::vector<Got> served(8);
    for (Got& one : served) {
      threads.emplace_back([&] {
        if (!go.await(1)) return;
        one = acquire(pool);
        release(one.lease);
      });
    }
    go.add();
    for (std::thread& thread : threads) thread.join();
    for (const Got& got : served) EXPECT_TRUE(got.ok()) << got.message;
    EXPECT_EQ(stats_of(pool).connects, std::uint64_t(round) + 1) << "one for each worker";
    ASSERT_TRUE(weir_->close().ok());
  }
}

TEST_F(PoolUpkeep, ThoseWhoWaitForTheirOwnWorkersShareCountAsWaiting) {
  open("max = 4\nmax_per_worker = 1");
  Got got = acquire(pool());
  ASSERT_TRUE(got.ok()) << got.message;
  Got served;
  std::thread waiter([&] { served = acquire(pool()); });
  EXPECT_TRUE(poll_until([&] { return stats_of(pool()).waiting == 1; }, 2s));
  EXPECT_EQ(world_->pool().waiting, 1u);
  EXPECT_TRUE(release(got.lease).ok());
  waiter.join();
  EXPECT_TRUE(served.ok()) << served.message;
  EXPECT_TRUE(release(served.lease).ok());
}

}  // namespace
}  // namespace weir::test
