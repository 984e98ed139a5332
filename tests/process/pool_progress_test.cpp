// Who waits is served by whoever can, whatever others do meanwhile: stand still, close slowly, wait
// in another pool of the quota, or lie dead in a pool that nobody has any more.
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "pool_on_postgres.h"

namespace weir::test {
namespace {

using namespace std::chrono_literals;
using shm::PlaceState;

/// Below what any of these took when it failed: close_timeout, or for ever.
constexpr auto kSoon = 1500ms;

class PoolProgress : public PoolOnPostgres {
 protected:
  /// One pool alone, on the quota "pg" of one connection.
  [[nodiscard]] std::string only(const std::string& name,
                                 const std::string& quantum = "20ms") const {
    return "[runtime]\nfolder = \"" + world_->folder() + "\"\n[quota.pg]\nlimit = 1\n" +
           section(name, quantum);
  }
  /// Both on that quota.
  [[nodiscard]] std::string both(const std::string& quantum = "20ms") const {
    return only("main", quantum) + section("jobs", quantum);
  }

  /// Gives back to be closed a connection that is in the middle of something.
  static void discard_busy(Got& got) {
    require(got, "acquire");
    require(PQsendQuery(got.conn(), "SELECT pg_sleep(30)") == 1, "send");
    require(PQflush(got.conn()) == 0, "flush");
    require(discard(got.lease), "discard");
  }
  static void expect_served(weir_pool_t* pool) {
    Got got = acquire(pool, kSoon);
    ASSERT_TRUE(got.ok()) << got.message;
    EXPECT_TRUE(release(got.lease).ok());
  }

 private:
  [[nodiscard]] std::string section(const std::string& name, const std::string& quantum) const {
    return "[pool." + name + "]\ndriver = \"postgres\"\ndsn = \"" + world_->dsn() +
           "\"\nquota = \"pg\"\nmax = 1\npermit_quantum = \"" + quantum + "\"\n";
  }
};

TEST_F(PoolProgress, ThePermitOfAPoolThatNobodyHasAnyMoreComesBack) {
  const auto last = idle_worker(only("main"));
  Weir weir(only("jobs"));
  Got nothing_yet = acquire(weir.pool("jobs"), 0s);
  EXPECT_FALSE(nothing_yet.ok());
  last->kill();
  expect_served(weir.pool("jobs"));
  EXPECT_EQ(world_->pool("main").in(PlaceState::kLingering), 0u);
}

TEST_F(PoolProgress, ASlowCloseKeepsNobodyFromGiving) {
  const std::string config =
      world_->config("max = 2\npermit_quantum = \"20ms\"\nclose_timeout = \"2s\"");
  const auto other = idle_worker(config);
  Weir weir(config);
  Got busy = acquire(weir.pool());
  discard_busy(busy);
  expect_served(weir.pool());
}

TEST_F(PoolProgress, ACloseOfAStoppedWorkerKeepsNobodyFromGiving) {
  const std::string config = world_->config("max = 2\npermit_quantum = \"20ms\"");
  const auto other = idle_worker(config);
  SharedCounter closing;
  WorkerProcess stopped([&]() -> int {
    Weir own(config);
    Got busy = acquire(own.pool());
    discard_busy(busy);
    closing.add();
    while (true) pause();
  });
  ASSERT_TRUE(closing.await(1));
  stopped.stop();
  Weir weir(config);
  expect_served(weir.pool());
}

TEST_F(PoolProgress, AnOfferToAStoppedWaiterOfAnotherPoolIsHandedOn) {
  Weir weir(both());
  Got held = acquire(weir.pool("jobs"));
  ASSERT_TRUE(held.ok()) << held.message;
  WorkerProcess stopped([&]() -> int {
    Weir own(both());
    static_cast<void>(acquire(own.pool("main"), 60s));
    return 0;
  });
  ASSERT_TRUE(poll_until([&] { return stats_of(weir.pool("main")).waiting == 1; }));
  stopped.stop();
  EXPECT_TRUE(release(held.lease).ok());
  // It goes there, and nobody takes it up.
  ASSERT_TRUE(poll_until([&] { return world_->pool("main").in(PlaceState::kOffered) > 0; }));
  expect_served(weir.pool("jobs"));
}

TEST_F(PoolProgress, APoolIsServedBesideAnotherThatAlwaysHasWaiters) {
  Weir weir(both());
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      while (!stop) {
        Got got = acquire(weir.pool("main"));
        std::this_thread::yield();
        EXPECT_TRUE(got.ok() && release(got.lease).ok()) << got.message;
      }
    });
  }
  EXPECT_TRUE(poll_until([&] { return stats_of(weir.pool("main")).waiting > 0; }));
  expect_served(weir.pool("jobs"));
  stop = true;
  for (std::thread& thread : threads) thread.join();
}

TEST_F(PoolProgress, APoolIsServedBesideAnotherWhoseConnectionIsSentToAndFro) {
  // Longer than a connection stays in one of the workers.
  const auto slow_to_reconnect = [&] { return both("300ms"); };
  SharedCounter stop;
  std::vector<WorkerProcess> workers;
  for (int w = 0; w < 2; ++w) {
    workers.emplace_back([&]() -> int {
      Weir own(slow_to_reconnect());
      const auto keep_asking = [&] {
        while (stop.value() == 0) {
          Got got = acquire(own.pool("main"));
          require(got, "acquire");
          require(release(got.lease), "release");
        }
      };
      std::thread other(keep_asking);
      keep_asking();
      other.join();
      return own.close().ok() ? 0 : 1;
    });
  }
  Weir weir(slow_to_reconnect());
  ASSERT_TRUE(poll_until([&] { return stats_of(weir.pool("main")).handed_live > 10; }));
  Got got = acquire(weir.pool("jobs"));
  EXPECT_TRUE(got.ok() && release(got.lease).ok()) << got.message;
  stop.add();
  for (WorkerProcess& worker : workers) EXPECT_EQ(worker.wait_at_most(), 0);
}

TEST_F(PoolProgress, WhenTheOneWhoHasBeenIdleForLongestStandsStillAnotherGives) {
  const std::string config = world_->config("max = 2\npermit_quantum = \"0s\"");
  const auto first = idle_worker(config);
  const auto second = idle_worker(config);
  first->stop();
  Weir weir(config);
  expect_served(weir.pool());
}

TEST_F(PoolProgress, AtAFullServerIdleConnectionsElsewhereServeTheLine) {
  PostgresServer server({.max_connections = 6, .superuser_reserved_connections = 3});
  world_.emplace(server.dsn());
  const std::string config = world_->config("max = 8\npermit_quantum = \"20ms\"");
  SharedCounter ready;
  const WorkerProcess idle([&]() -> int {
    Weir own(config);
    std::vector<Got> held;
    for (int i = 0; i < 3; ++i) {
      held.push_back(acquire(own.pool()));
      require(held.back(), "acquire");
    }
    for (Got& got : held) require(release(got.lease), "release");
    ready.add();
    while (true) pause();
  });
  ASSERT_TRUE(ready.await(1));
  Weir weir(config);
  expect_served(weir.pool());
}

TEST_F(PoolProgress, ASessionThatCannotAskAboutADeadOneIsKeptAndUsed) {
  // Two ways to one server: a session by one knows nothing of a session by the other.
  PostgresServer server({.tcp = true});
  const TempFolder folder;
  const std::string socket = (folder.path() / "socket").string();
  const std::string port = std::to_string(server.tcp_port());
  world_.emplace("host=" + socket + ",127.0.0.1 port=" + port + "," + port +
                 " dbname=app user=app");
  const std::string config = world_->config("max = 6\nlinger_max = \"30s\"");
  auto victim = idle_worker(config);  // by TCP, there is no socket yet
  std::filesystem::create_directory_symlink(server.socket_folder(), socket);
  Weir weir(config);
  std::vector<Got> held(4);
  for (Got& got : held) got = acquire(weir.pool());
  victim->kill();
  EXPECT_TRUE(poll_until([&] { return stats_of(weir.pool()).lingering == 1; }));
  const std::uint64_t closes = stats_of(weir.pool()).closes;
  for (Got& got : held) EXPECT_TRUE(release(got.lease).ok());
  for (int i = 0; i < 100; ++i) expect_served(weir.pool());
  EXPECT_LE(stats_of(weir.pool()).closes, closes + 1);
}

TEST_F(PoolProgress, AfterACrashOfAllANewDsnTakesEffectAtOnce) {
  const auto last = idle_worker(world_->config("max = 2"));
  last->kill();
  Weir weir("[runtime]\nfolder = \"" + world_->folder() +
            "\"\n[pool.main]\ndriver = \"postgres\"\nmax = 2\ndsn = \"" + world_->dsn() +
            " options='-c work_mem=8MB'\"\n");
  Got got = acquire(weir.pool(), kSoon);
  ASSERT_TRUE(got.ok()) << got.message;
  EXPECT_EQ(ask(got, "SHOW work_mem"), "8MB");
  EXPECT_TRUE(release(got.lease).ok());
}

TEST_F(PoolProgress, WhoIsThereForAnotherPoolHasNoSayInThisOne) {
  const std::string folder = "[runtime]\nfolder = \"" + world_->folder() + "\"\n";
  const auto pool = [&](const std::string& name, const std::string& keys) {
    return "[pool." + name + "]\ndriver = \"postgres\"\ndsn = \"" + world_->dsn() + "\"\n" + keys;
  };
  const Weir other(folder + pool("jobs", "max = 1"));
  other.attach();
  const auto last = idle_worker(folder + pool("main", "max = 2"));
  last->kill();
  Weir weir(folder + "[quota.pg]\nlimit = 1\n" + pool("main", "max = 1\nquota = \"pg\""));
  expect_served(weir.pool());
  EXPECT_TRUE(weir.log_of("settings_differ").empty());
}

}  // namespace
}  // namespace weir::test
