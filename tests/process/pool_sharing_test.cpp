// Several workers, one quota: never more connections than it allows as the server counts them, one
// line for all, and nobody is kept from being served, not even by a worker that stands still.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <thread>

#include "pool_on_postgres.h"

namespace weir::test {
namespace {

using namespace std::chrono_literals;
using shm::PlaceState;
using testing::Each;
using testing::Ge;

constexpr std::size_t kMostThreads = 64;

/// What the threads of all workers did.
struct Tally {
  std::array<std::atomic<std::uint32_t>, kMostThreads> served{};
  std::atomic<std::uint32_t> failed{0}, longest_wait_ms{0};
};

/// One thread of a worker: acquires, asks, releases, as long as `go_on` says.
void keep_asking(weir_pool_t* pool, Tally& tally, std::size_t who, const char* question,
                 const std::function<bool()>& go_on) {
  while (go_on()) {
    const std::uint64_t start = monotonic_ns();
    Got got = acquire(pool);
    raise_to(tally.longest_wait_ms,
             static_cast<std::uint32_t>((monotonic_ns() - start) / 1'000'000));
    const std::string answer = got.ok() ? ask(got, question) : "error: " + got.message;
    if (answer.starts_with("error")) {
      std::fprintf(stderr, "%s\n", answer.c_str());
      tally.failed.fetch_add(1);
    }
    if (got.ok() && !release(got.lease).ok()) tally.failed.fetch_add(1);
    tally.served[who].fetch_add(1);
  }
}

class PoolSharing : public PoolOnPostgres {};

TEST_F(PoolSharing, EightWorkersNeverOpenMoreThanTheirQuotaTogetherAndEverybodyIsServed) {
  const std::string config = world_->config("max = 5\npermit_quantum = \"20ms\"");
  const SessionSampler sampler(*server_);
  const Shared<Tally> tally;
  SharedCounter ready, go, stop;
  std::vector<std::unique_ptr<WorkerProcess>> workers;
  for (std::size_t w = 0; w < 8; ++w) {
    workers.push_back(std::make_unique<WorkerProcess>([&, w]() -> int {
      Weir weir(config);
      std::vector<std::thread> threads;
      for (std::size_t t = 0; t < 4; ++t) {
        threads.emplace_back([&, who = w * 4 + t] {
          ready.add();
          if (!go.await(1)) return;
          keep_asking(weir.pool(), *tally, who, "SELECT pg_sleep(0.001)",
                      [&] { return stop.value() == 0; });
        });
      }
      for (std::thread& thread : threads) thread.join();
      return weir.close().ok() ? 0 : 1;
    }));
  }
  ASSERT_TRUE(ready.await(32));
  go.add();
  EXPECT_TRUE(poll_until([&] {
    return std::all_of(tally->served.begin(), tally->served.begin() + 32,
                       [](const auto& served) { return served >= 20; });
  }));
  stop.add();
  for (auto& worker : workers) EXPECT_EQ(worker->wait_at_most(), 0);
  EXPECT_EQ(tally->failed, 0u);
  EXPECT_LT(tally->longest_wait_ms, 3000u);
  EXPECT_LE(sampler.most(), 5u);
  EXPECT_GE(sampler.samples(), 100u);
  EXPECT_EQ(world_->await_rest(), "");
  EXPECT_TRUE(poll_until([&] { return sampler.now() == 0; }));
}

TEST_F(PoolSharing, TwoPoolsOfOneQuotaNeverHoldMoreThanItTogetherAndBothAreServed) {
  const std::string config = world_->config(
      "quota = \"pg\"\nmax = 4\npermit_quantum = \"20ms\"",
      "[pool.jobs]\ndriver = \"postgres\"\ndsn = \"" + world_->dsn() +
          "\"\nquota = \"pg\"\nmax = 3\npermit_quantum = \"20ms\"\n[quota.pg]\nlimit = 4\n");
  const SessionSampler sampler(*server_);
  const Shared<Tally> tally;
  SharedCounter ready, go, stop;
  std::vector<std::unique_ptr<WorkerProcess>> workers;
  for (std::size_t w = 0; w < 4; ++w) {
    workers.push_back(std::make_unique<WorkerProcess>([&, w]() -> int {
      Weir weir(config);
      std::vector<std::thread> threads;
      for (std::size_t t = 0; t < 6; ++t) {
        threads.emplace_back([&, who = w * 6 + t, pool = weir.pool(t % 2 == 0 ? "main" : "jobs")] {
          ready.add();
          if (!go.await(1)) return;
          keep_asking(pool, *tally, who, "SELECT pg_sleep(0.002)",
                      [&] { return stop.value() == 0; });
        });
      }
      for (std::thread& thread : threads) thread.join();
      return weir.close().ok() ? 0 : 1;
    }));
  }
  ASSERT_TRUE(ready.await(24));
  go.add();
  EXPECT_TRUE(poll_until([&] {
    return std::all_of(tally->served.begin(), tally->served.begin() + 24,
                       [](const auto& served) { return served >= 10; });
  }));
  stop.add();
  for (auto& worker : workers) EXPECT_EQ(worker->wait_at_most(), 0);
  EXPECT_EQ(tally->failed, 0u);
  EXPECT_LE(sampler.most(), 4u);
  EXPECT_EQ(world_->await_rest(), "");
}

TEST_F(PoolSharing, AnIdleConnectionGoesToWhoeverWaitsElsewhere) {
  const std::string config = world_->config("max = 1");
  const auto quiet = idle_worker(config);
  Weir weir(config);
  for (int i = 0; i < 20; ++i) {
    Got got = acquire(weir.pool(), 5s);
    ASSERT_TRUE(got.ok()) << got.message;
    EXPECT_EQ(ask(got, "SELECT 1"), "1");
    EXPECT_TRUE(release(got.lease).ok());
  }
  EXPECT_EQ(stats_of(weir.pool()).handed_live, 1u);
  EXPECT_EQ(stats_of(weir.pool()).handed_on, 0u);
  EXPECT_EQ(stats_of(weir.pool()).connects, 1u);
}

TEST_F(PoolSharing, WhereConnectionsMustNotMoveTheirPermitGoesToWhoeverWaitsElsewhere) {
  const std::string config =
      world_->config("max = 1\npermit_quantum = \"50ms\"\nhandover = \"permit\"");
  const auto quiet = idle_worker(config);
  Weir weir(config);
  const std::uint64_t start = monotonic_ns();
  Got got = acquire(weir.pool(), 5s);
  EXPECT_TRUE(got.ok()) << got.message;
  EXPECT_LT(Nanos(monotonic_ns() - start), 500ms);
  EXPECT_EQ(stats_of(weir.pool()).handed_on, 1u);
  EXPECT_TRUE(release(got.lease).ok());
}

TEST_F(PoolSharing, AStoppedWorkerKeepsNobodyWaitingButForWhatItHolds) {
  // It stops with four callers in line for "main", older than all others, and an idle connection of
  // "jobs" in hand, which holds one of the quota's three permits.
  const std::string config = world_->config(
      "quota = \"pg\"\nmax = 3\npermit_quantum = \"20ms\"",
      "[pool.jobs]\ndriver = \"postgres\"\ndsn = \"" + world_->dsn() +
          "\"\nquota = \"pg\"\nmax = 3\npermit_quantum = \"1h\"\n[quota.pg]\nlimit = 3\n");
  const SessionSampler sampler(*server_);
  Weir weir(config);
  std::vector<Got> held;
  for (int i = 0; i < 2; ++i) held.push_back(acquire(weir.pool()));
  SharedCounter served_late;
  WorkerProcess stopped([&]() -> int {
    Weir own(config);
    Got got = acquire(own.pool("jobs"));
    require(got, "acquire");
    require(release(got.lease), "release");
    const Shared<Tally> tally;
    std::vector<std::thread> threads;
    for (std::size_t t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        keep_asking(own.pool(), *tally, t, "SELECT 1", [&] { return tally->served[t] == 0; });
        served_late.add();
      });
    }
    for (std::thread& thread : threads) thread.join();
    return tally->failed == 0 ? 0 : 1;
  });
  ASSERT_TRUE(poll_until([&] { return stats_of(weir.pool()).waiting == 4; }));
  stopped.stop();
  EXPECT_EQ(world_->pool("jobs").in(PlaceState::kIdle), 1u);

  for (Got& got : held) EXPECT_TRUE(release(got.lease).ok());
  const Shared<Tally> tally;
  std::vector<std::unique_ptr<WorkerProcess>> others;
  for (std::size_t w = 0; w < 2; ++w) {
    others.push_back(std::make_unique<WorkerProcess>([&, w]() -> int {
      Weir own(config);
      std::vector<std::thread> threads;
      for (std::size_t t = 0; t < 2; ++t) {
        threads.emplace_back([&, who = w * 2 + t] {
          keep_asking(own.pool(), *tally, who, "SELECT pg_sleep(0.002)",
                      [&] { return tally->served[who] < 50; });
        });
      }
      for (std::thread& thread : threads) thread.join();
      return own.close().ok() ? 0 : 1;
    }));
  }
  for (auto& worker : others) EXPECT_EQ(worker->wait_at_most(), 0);
  EXPECT_EQ(tally->failed, 0u);
  EXPECT_LT(tally->longest_wait_ms, 1500u);
  EXPECT_EQ(served_late.value(), 0u);
  EXPECT_EQ(world_->pool("jobs").in(PlaceState::kIdle), 1u) << "what it holds stays its own";

  stopped.resume();
  EXPECT_TRUE(served_late.await(4)) << "its callers go on where they stood";
  EXPECT_EQ(stopped.wait_at_most(), 0);
  EXPECT_LE(sampler.most(), 3u);
  ASSERT_TRUE(weir.close().ok());
}

TEST_F(PoolSharing, AWorkerStoppedInTheMiddleOfAHandshakeHoldsUpNobodyForLongerThanItsTimeout) {
  const std::string config =
      world_->config("max = 2\nconnect_concurrency = 1\nconnect_timeout = \"300ms\"");
  const std::string slow = world_->config(
      "max = 2\nconnect_concurrency = 1\nconnect_timeout = \"300ms\"\n"
      "on_connect = [\"SELECT pg_sleep(0.2)\"]");
  Weir weir(config);
  WorkerProcess stopped([&]() -> int {
    Weir own(slow);
    return acquire(own.pool()).ok() ? 0 : 1;
  });
  weir.attach();
  ASSERT_TRUE(poll_until([&] { return world_->pool().handshakes == 1; }));
  stopped.stop();
  const std::uint64_t start = monotonic_ns();
  Got got = acquire(weir.pool(), 5s);
  EXPECT_TRUE(got.ok()) << got.message;
  EXPECT_LT(Nanos(monotonic_ns() - start), 1s);
  EXPECT_TRUE(release(got.lease).ok());
}

}  // namespace
}  // namespace weir::test
