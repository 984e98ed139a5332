// A limit that changes while workers work on a real PostgreSQL: never more sessions than the larger
// of the old and the new limit, soon no more than the new one, and nothing that is lent is taken
// away.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <thread>

#include "pool_on_postgres.h"
#include "shm/admin.h"
#include "shm/segment.h"

namespace weir::test {
namespace {

using namespace std::chrono_literals;
using shm::PlaceState;
using testing::HasSubstr;

class PoolResize : public PoolOnPostgres {
 protected:
  /// As an operator does it, from another process's point of view.
  void set_limit(const std::string& name, std::uint32_t limit) {
    shm::SegmentOptions options;
    options.folder = world_->folder();
    const auto segment = shm::Segment::open_existing(options);
    ASSERT_TRUE(segment.ok()) << segment.status().to_string();
    const auto resized = shm::set_limit(*segment.value(), name, limit);
    ASSERT_TRUE(resized.ok()) << resized.status().to_string();
  }
  /// Pools "main" and "jobs", of at most `limit` each, on a quota "pg" of `limit`.
  [[nodiscard]] std::string two_pools(std::uint32_t limit) const {
    const std::string keys = "quota = \"pg\"\nmax = " + std::to_string(limit) +
                             "\npermit_quantum = \"20ms\"\nconnect_concurrency = 4\n";
    return world_->config(keys, "[pool.jobs]\ndriver = \"postgres\"\ndsn = \"" + world_->dsn() +
                                    "\"\n" + keys + "[quota.pg]\nlimit = " + std::to_string(limit) +
                                    "\n");
  }
  [[nodiscard]] static bool comes_to(const SessionSampler& sampler, std::uint32_t most,
                                     Nanos within = kPatience) {
    return poll_until([&] { return sampler.now() <= most; }, within);
  }
  /// The most that is seen in so many looks from now on.
  [[nodiscard]] std::uint32_t most_of_next(std::uint32_t samples) const {
    const SessionSampler sampler(*server_);
    EXPECT_TRUE(poll_until([&] { return sampler.samples() >= samples; }));
    return sampler.most();
  }
  static std::vector<Got> acquire_all(weir_pool_t* pool, int count) {
    std::vector<Got> all;
    for (int i = 0; i < count; ++i) {
      all.push_back(acquire(pool));
      EXPECT_TRUE(all.back().ok()) << all.back().message;
    }
    return all;
  }
  static void release_all(std::vector<Got>& all) {
    for (Got& got : all) EXPECT_TRUE(release(got.lease).ok());
    all.clear();
  }
};

struct Served {
  std::atomic<std::uint32_t> leases{0}, failed{0};
};

TEST_F(PoolResize, WhileEightWorkersWorkHoldsAtEveryMoment) {
  const std::string config = two_pools(6);
  const Shared<Served> served;
  SharedCounter ready, stop;
  std::vector<std::unique_ptr<WorkerProcess>> workers;
  for (int w = 0; w < 8; ++w) {
    workers.push_back(std::make_unique<WorkerProcess>([&]() -> int {
      Weir weir(config);
      std::vector<std::thread> threads;
      for (int t = 0; t < 3; ++t) {
        threads.emplace_back([&, pool = weir.pool(t % 2 == 0 ? "main" : "jobs")] {
          ready.add();
          while (stop.value() == 0) {
            Got got = acquire(pool);
            const std::string answer = got.ok() ? ask(got, "SELECT pg_sleep(0.002)") : "error";
            if (answer.starts_with("error")) {
              std::fprintf(stderr, "%s %s\n", answer.c_str(), got.message.c_str());
              served->failed.fetch_add(1);
            }
            if (got.ok() && !release(got.lease).ok()) served->failed.fetch_add(1);
            served->leases.fetch_add(1);
          }
        });
      }
      for (std::thread& thread : threads) thread.join();
      return weir.close().ok() ? 0 : 1;
    }));
  }
  ASSERT_TRUE(ready.await(24));
  ASSERT_TRUE(poll_until([&] { return served->leases > 100; }));
  std::uint32_t old = 6;
  for (const std::uint32_t limit : {10u, 3u, 8u, 1u, 10u, 4u}) {
    const SessionSampler sampler(*server_);
    set_limit("pg", limit);
    const std::uint64_t changed = monotonic_ns();
    if (limit < old) {
      EXPECT_TRUE(comes_to(sampler, limit));
      std::printf("%u -> %u: there after %.0f ms\n", old, limit,
                  static_cast<double>(monotonic_ns() - changed) / 1e6);
      EXPECT_LE(most_of_next(100), limit) << "and stays";
    } else {
      EXPECT_TRUE(poll_until([&] { return sampler.now() > old; })) << "what is new is used";
      EXPECT_TRUE(poll_until([&] { return sampler.samples() >= 100; }));
    }
    EXPECT_LE(sampler.most(), std::max(old, limit)) << old << " -> " << limit;
    EXPECT_GE(sampler.samples(), 20u);
    const std::uint32_t before = served->leases;
    EXPECT_TRUE(poll_until([&] { return served->leases > before + 50; })) << "work goes on";
    old = limit;
  }
  stop.add();
  for (auto& worker : workers) EXPECT_EQ(worker->wait_at_most(), 0);
  EXPECT_EQ(served->failed, 0u);
  EXPECT_EQ(world_->await_rest(), "");
}

TEST_F(PoolResize, ClosesIdleConnectionsAboveTheNewLimitSoon) {
  Weir weir(two_pools(8));
  std::vector<Got> all = acquire_all(weir.pool(), 8);
  release_all(all);
  EXPECT_EQ(world_->pool().in(PlaceState::kIdle), 8u);
  const SessionSampler sampler(*server_);
  set_limit("pg", 3);
  EXPECT_TRUE(comes_to(sampler, 3, 2s));
  EXPECT_EQ(world_->pool().in(PlaceState::kIdle), 3u) << "and no more than that";
  all = acquire_all(weir.pool(), 3);
  EXPECT_EQ(try_acquire(weir.pool()).code, "would_block");
  release_all(all);
  EXPECT_EQ(world_->await_rest(), "");
}

TEST_F(PoolResize, TakesNothingFromWhoHasIt) {
  Weir weir(two_pools(5));
  std::vector<Got> all = acquire_all(weir.pool(), 5);
  const SessionSampler sampler(*server_);
  set_limit("pg", 2);
  EXPECT_TRUE(poll_until([&] { return sampler.samples() >= 300; }));
  for (const Got& got : all) EXPECT_EQ(ask(got, "SELECT 1"), "1");
  EXPECT_EQ(sampler.now(), 5u);
  release_all(all);
  EXPECT_TRUE(comes_to(sampler, 2, 2s));
  EXPECT_EQ(sampler.most(), 5u);
  EXPECT_EQ(world_->await_rest(), "");
}

TEST_F(PoolResize, GivesUpIdleOnesInsteadOfThoseThatStayLent) {
  Weir weir(two_pools(6));
  std::vector<Got> all = acquire_all(weir.pool(), 6);
  std::vector<Got> first(all.begin(), all.begin() + 3), last(all.begin() + 3, all.end());
  release_all(first);  // idle are those below the limit to come, lent those above it
  const SessionSampler sampler(*server_);
  set_limit("pg", 3);
  EXPECT_TRUE(comes_to(sampler, 3, 10s));
  for (const Got& got : last) EXPECT_EQ(ask(got, "SELECT 1"), "1");
  EXPECT_EQ(try_acquire(weir.pool()).code, "would_block");
  release_all(last);
  EXPECT_EQ(world_->await_rest(), "");
}

TEST_F(PoolResize, OfAPoolAloneDoesTheSame) {
  Weir& weir = open("max = 6");
  std::vector<Got> all = acquire_all(weir.pool(), 6);
  std::vector<Got> first(all.begin(), all.begin() + 3), last(all.begin() + 3, all.end());
  release_all(first);
  const SessionSampler sampler(*server_);
  set_limit("main", 3);
  EXPECT_TRUE(comes_to(sampler, 3, 10s));
  for (const Got& got : last) EXPECT_EQ(ask(got, "SELECT 1"), "1");
  release_all(last);
  set_limit("main", 7);
  all = acquire_all(weir.pool(), 7);
  EXPECT_EQ(try_acquire(weir.pool()).code, "would_block");
  release_all(all);
  EXPECT_EQ(world_->await_rest(), "");
}

TEST_F(PoolResize, ServesWhoWaitsAsSoonAsThereIsMore) {
  Weir weir(two_pools(1));
  std::vector<Got> held = acquire_all(weir.pool(), 1);
  std::atomic<std::uint64_t> served_ns{0};
  std::thread waiting([&] {
    Got got = acquire(weir.pool("jobs"));
    served_ns.store(monotonic_ns());
    EXPECT_TRUE(got.ok()) << got.message;
    EXPECT_TRUE(release(got.lease).ok());
  });
  ASSERT_TRUE(poll_until([&] { return stats_of(weir.pool("jobs")).waiting == 1; }));
  const std::uint64_t changed_ns = monotonic_ns();
  set_limit("pg", 2);
  waiting.join();
  EXPECT_LT(Nanos(served_ns.load() - changed_ns), 1s);
  release_all(held);
}

TEST_F(PoolResize, AnOperatorsLimitOutlivesTheWorkersAndIsTold) {
  const std::string config = two_pools(6);
  {
    Weir weir(config);
    weir.attach();
    set_limit("pg", 2);
  }
  set_limit("pg", 3);  // nobody is there
  Weir weir(config + "\n");
  std::vector<Got> all = acquire_all(weir.pool(), 3);
  EXPECT_EQ(try_acquire(weir.pool()).code, "would_block");
  release_all(all);
  ASSERT_EQ(weir.log_of("operators_limit").size(), 1u);
  EXPECT_THAT(weir.log_of("operators_limit")[0], HasSubstr("limit 3 set by an operator stands"));
}

// ---- limit = "auto" -----------------------------------------------------------------------------

class PoolWithAnAutomaticLimit : public testing::Test {
 protected:
  void SetUp() override {
    if (!PostgresServer::is_installed()) {
      GTEST_SKIP() << "PostgreSQL's server programs are not installed";
    }
    server_.emplace(PostgresSettings{.max_connections = 10, .superuser_reserved_connections = 3});
    world_.emplace(server_->dsn());
  }
  [[nodiscard]] std::string config(const std::string& keys = "") const {
    return world_->config("quota = \"pg\"\nmax = 10",
                          "[quota.pg]\nlimit = \"auto\"\n" + keys + "\n");
  }
  [[nodiscard]] std::uint32_t limit() const { return world_->snapshot().quotas.at(0).limit; }

  std::optional<PostgresServer> server_;
  std::optional<PoolWorld> world_;
};

TEST_F(PoolWithAnAutomaticLimit, TakesAllThatTheServerAllowsAndNotOneMore) {
  const SessionSampler sampler(*server_);
  Weir weir(config("leave = 2"));  // the sampler, and whoever else looks
  std::vector<Got> all;
  for (int i = 0; i < 5; ++i) {
    all.push_back(acquire(weir.pool()));
    ASSERT_TRUE(all.back().ok()) << all.back().message;
  }
  EXPECT_EQ(limit(), 5u) << "10, less 3 for superusers, less 2";
  EXPECT_EQ(try_acquire(weir.pool()).code, "would_block");
  for (Got& got : all) EXPECT_TRUE(release(got.lease).ok());
  EXPECT_LE(sampler.most(), 5u);
  EXPECT_THAT(server_->log(), testing::Not(HasSubstr("remaining connection slots")));
  EXPECT_THAT(weir.log_of("limit_asked"), testing::ElementsAre(HasSubstr("limit=5")));
}

TEST_F(PoolWithAnAutomaticLimit, LeavesWhatItIsToldTo) {
  Weir weir(config("leave = 3"));
  weir.attach();
  EXPECT_EQ(limit(), 4u);
}

TEST_F(PoolWithAnAutomaticLimit, IsNeverBelowOne) {
  Weir weir(config("leave = 200"));
  weir.attach();
  EXPECT_EQ(limit(), 1u);
}

TEST_F(PoolWithAnAutomaticLimit, IsTheRolesWhereThatIsSmaller) {
  server_->ask("ALTER ROLE app CONNECTION LIMIT 2");
  Weir weir(config());
  weir.attach();
  EXPECT_EQ(limit(), 2u);
}

TEST_F(PoolWithAnAutomaticLimit, IsAskedOnceForAllWorkers) {
  SharedCounter ready, go, asked, stop;
  const SessionSampler sampler(*server_);
  std::vector<std::unique_ptr<WorkerProcess>> workers;
  for (int w = 0; w < 6; ++w) {
    workers.push_back(std::make_unique<WorkerProcess>([&]() -> int {
      Weir weir(config());
      ready.add();
      require(go.await(1), "go");
      Got got = acquire(weir.pool());
      require(got, "acquire");
      require(release(got.lease), "release");
      asked.add(static_cast<std::uint32_t>(weir.log_of("limit_asked").size()));
      ready.add();
      require(stop.await(1), "stop");
      return weir.close().ok() ? 0 : 1;
    }));
  }
  ASSERT_TRUE(ready.await(6));
  go.add();
  ASSERT_TRUE(ready.await(12));
  server_->ask("ALTER ROLE app CONNECTION LIMIT 2");
  Weir late(config());
  late.attach();
  EXPECT_EQ(asked.value(), 1u);
  EXPECT_EQ(late.log_of("limit_asked").size(), 0u);
  EXPECT_EQ(limit(), 7u) << "the same answer, though the server would say another by now";
  EXPECT_LE(sampler.most(), 7u);
  stop.add();
  for (auto& worker : workers) EXPECT_EQ(worker->wait_at_most(), 0);
  ASSERT_TRUE(late.close().ok());
  Weir anew(config() + "\n");
  anew.attach();
  EXPECT_EQ(limit(), 2u) << "all have been restarted";
}

TEST_F(PoolWithAnAutomaticLimit, SaysWhyItCannotBeHadAndTriesAgain) {
  server_->stop();
  Weir weir(config());
  const Got refused = acquire(weir.pool(), 2s);
  EXPECT_EQ(refused.code, "connect_failed");
  EXPECT_THAT(refused.message, HasSubstr("quota pg: limit = \"auto\""));
  server_->start();
  Got got = acquire(weir.pool());
  EXPECT_TRUE(got.ok()) << got.message;
  EXPECT_TRUE(release(got.lease).ok());
}

TEST_F(PoolWithAnAutomaticLimit, OfAnOperatorStandsLikewise) {
  Weir weir(config());
  weir.attach();
  shm::SegmentOptions options;
  options.folder = world_->folder();
  const auto segment = shm::Segment::open_existing(options);
  ASSERT_TRUE(segment.ok());
  ASSERT_TRUE(shm::set_limit(*segment.value(), "pg", 2).ok());
  WorkerProcess other([&]() -> int {
    Weir own(config() + "\n");
    own.attach();
    return own.log_of("operators_limit").size() == 1 ? 0 : 1;
  });
  EXPECT_EQ(other.wait_at_most(), 0);
  EXPECT_EQ(limit(), 2u);
}

}  // namespace
}  // namespace weir::test
