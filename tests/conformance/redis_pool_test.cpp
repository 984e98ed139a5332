// A whole weir on the redis driver: what leases see, and what a real Redis counts, while several
// processes share one quota.
//
// The server itself judges the quota: its maxclients leaves room for just that many and for the
// test's own client, and whoever comes on top of them is rejected and counted (INFO stats).
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <hiredis/hiredis.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "conformance/redis_under_test.h"
#include "support/temp_folder.h"
#include "support/worker_process.h"
#include "weir/weir.hpp"

namespace weir::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr int kOwnClient = 1;  // the test's

class PoolOnRedis : public testing::Test {
 protected:
  void start(RedisSettings settings) { server_.emplace(std::move(settings)); }

  [[nodiscard]] std::string config(const std::string& keys, const std::string& query = "") const {
    return "[runtime]\nfolder = \"" + (folder_.path() / "segments").string() +
           "\"\nplugin_path = [\"" WEIR_PLUGIN_DIRECTORY
           "\"]\n[pool.main]\ndriver = \"redis\"\ndsn = \"" +
           server_->dsn() + query + "\"\n" + keys + "\n";
  }

  /// Of INFO's section "stats".
  std::int64_t stat(const std::string& key) {
    const std::string info = server_->ask({"INFO", "stats"});
    const std::size_t at = info.find("\n" + key + ":");
    EXPECT_NE(at, std::string::npos) << key;
    return at == std::string::npos ? -1 : std::stoll(info.substr(at + key.size() + 2));
  }

  std::optional<RedisServer> server_;

 private:
  TempFolder folder_;
};

std::string ask(Lease& lease, const std::string& line) {
  return redis_answer(lease.native<redisContext>(), line);
}

/// One worker: threads that each take a lease, add one to a number, and give the lease back.
int count_up(const std::string& config_text, int threads, int rounds, const SharedCounter& go,
             SharedCounter& ready) {
  Runtime runtime = Runtime::from_text(config_text);
  Pool pool = runtime.pool("main");
  std::atomic<int> failed = 0;
  std::vector<std::thread> callers;
  for (int i = 0; i < threads; ++i) {
    callers.emplace_back([&] {
      ready.add();
      if (!go.await(1)) ++failed;
      for (int round = 0; round < rounds; ++round) {
        try {
          Lease lease = pool.acquire();
          const std::string answer = ask(lease, "INCR counter");
          if (answer.empty() || answer.find_first_not_of("0123456789") != std::string::npos) {
            std::fprintf(stderr, "INCR: %s\n", answer.c_str());
            ++failed;
          }
          ask(lease, "SELECT 5");  // what the next one must not see
        } catch (const Error& error) {
          std::fprintf(stderr, "%s\n", error.what());
          ++failed;
        }
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  runtime.close();
  return failed == 0 ? 0 : 1;
}

}  // namespace

TEST_F(PoolOnRedis, FourWorkersNeverHaveMoreClientsThanTheirQuotaAsTheServerCounts) {
  constexpr int kWorkers = 4, kThreads = 3, kRounds = 60, kMax = 3;
  start({.max_clients = kMax + kOwnClient});
  const std::string text = config("max = " + std::to_string(kMax) + "\npermit_quantum = \"5ms\"");
  SharedCounter ready, go;
  std::vector<std::unique_ptr<WorkerProcess>> workers;
  for (int i = 0; i < kWorkers; ++i) {
    workers.push_back(std::make_unique<WorkerProcess>(
        [&] { return count_up(text, kThreads, kRounds, go, ready); }));
  }
  ASSERT_TRUE(ready.await(kWorkers * kThreads));
  go.add();
  // With a sanitizer on a busy machine this has taken 25 seconds.
  for (auto& worker : workers) EXPECT_EQ(worker->wait_at_most(seconds(90)), 0);
  EXPECT_EQ(server_->ask({"GET", "counter"}), std::to_string(kWorkers * kThreads * kRounds));
  EXPECT_EQ(stat("rejected_connections"), 0);
  EXPECT_EQ(server_->count_sessions(), 0);
  // They move from worker to worker; hardly one is opened anew.
  const std::int64_t opened = stat("total_connections_received") - kOwnClient;
  EXPECT_GE(opened, kMax);
  EXPECT_LT(opened, kWorkers * kThreads * kRounds / 10);
  std::printf("%lld clients were opened for %d leases\n", static_cast<long long>(opened),
              kWorkers * kThreads * kRounds);
}

TEST_F(PoolOnRedis, AClientMovesToTheWorkerThatNeedsIt) {
  start({.max_clients = 1 + kOwnClient});
  const std::string text = config("max = 1\npermit_quantum = \"0s\"");
  Runtime runtime = Runtime::from_text(text);
  Pool pool = runtime.pool("main");
  std::string client;
  {
    Lease lease = pool.acquire();
    client = ask(lease, "CLIENT ID");
  }
  WorkerProcess worker([&] {
    Runtime own = Runtime::from_text(text);
    Lease lease = own.pool("main").acquire();
    return ask(lease, "CLIENT ID") == client ? 0 : 1;
  });
  EXPECT_EQ(worker.wait_at_most(), 0);
  EXPECT_EQ(stat("total_connections_received"), 1 + kOwnClient);
  EXPECT_EQ(pool.stats().handed_live, 1U);
}

TEST_F(PoolOnRedis, GivesTheNextLeaseACleanSession) {
  start({.max_clients = 1 + kOwnClient});
  Runtime runtime = Runtime::from_text(config("max = 1", "?db=2"));
  Pool pool = runtime.pool("main");
  for (const char* const left :
       {"SELECT 9", "MULTI", "SUBSCRIBE news", "CLIENT SETNAME impostor", "MONITOR"}) {
    {
      Lease lease = pool.acquire();
      ask(lease, left);
    }
    Lease lease = pool.acquire();
    const std::string info = ask(lease, "CLIENT INFO");
    EXPECT_THAT(info, testing::AllOf(testing::HasSubstr(" db=2 "), testing::HasSubstr(" multi=-1 "),
                                     testing::HasSubstr(" sub=0 "), testing::HasSubstr(" flags=U "),
                                     testing::Not(testing::HasSubstr("impostor"))))
        << left;
  }
  // None of them cost a new connection; an answer that nobody read does.
  EXPECT_EQ(stat("total_connections_received"), 1 + kOwnClient);
  {
    Lease lease = pool.acquire();
    EXPECT_EQ(redisAppendCommand(lease.native<redisContext>(), "SET a b"), REDIS_OK);
  }
  Lease lease = pool.acquire();
  EXPECT_EQ(ask(lease, "EXISTS a"), "0");
  EXPECT_EQ(stat("total_connections_received"), 2 + kOwnClient);
}

TEST_F(PoolOnRedis, SaysAgainAfterEachResetWhatIsToBeSaidOnConnect) {
  start({});
  Runtime runtime = Runtime::from_text(config("max = 1\non_connect = [\"CLIENT NO-EVICT ON\"]"));
  Pool pool = runtime.pool("main");
  for (int i = 0; i < 3; ++i) {
    Lease lease = pool.acquire();
    EXPECT_THAT(ask(lease, "CLIENT INFO"), testing::HasSubstr(" flags=Ue ")) << i;
  }
}

TEST_F(PoolOnRedis, HasTheQuotaBackAfterAWorkerWasKilled) {
  constexpr int kMax = 2, kQuestions = 1;  // whether the dead one's clients are gone
  start({.max_clients = kMax + kQuestions + kOwnClient});
  const std::string text = config("max = " + std::to_string(kMax));
  Runtime runtime = Runtime::from_text(text);
  Pool pool = runtime.pool("main");
  SharedCounter has_both;
  WorkerProcess worker([&] {
    Runtime own = Runtime::from_text(text);
    Pool same = own.pool("main");
    Lease one = same.acquire();
    Lease two = same.acquire();
    redisAppendCommand(one.native<redisContext>(), "BLPOP nothing 0");
    int is_sent = 0;
    redisBufferWrite(one.native<redisContext>(), &is_sent);
    has_both.add();
    stop_here();
    return 0;
  });
  ASSERT_TRUE(has_both.await(1));
  ASSERT_TRUE(worker.await_stop());
  EXPECT_FALSE(pool.try_acquire().has_value());
  worker.kill();
  Lease one = pool.acquire({seconds(20), nullptr});
  Lease two = pool.acquire({seconds(20), nullptr});
  EXPECT_EQ(ask(one, "ECHO one"), "one");
  EXPECT_EQ(ask(two, "ECHO two"), "two");
  EXPECT_EQ(server_->count_sessions(), kMax);
  EXPECT_EQ(stat("rejected_connections"), 0);
}

TEST_F(PoolOnRedis, AChildOfAForkLeavesItsParentsClientsAlone) {
  start({});
  Runtime runtime = Runtime::from_text(config("max = 4"));
  Pool pool = runtime.pool("main");
  Lease lease = pool.acquire();
  const std::string client = ask(lease, "CLIENT ID");
  WorkerProcess child([&] {
    if (lease.native<redisContext>() != nullptr) return 1;  // forked
    Lease own = pool.acquire();
    const std::string its_client = ask(own, "CLIENT ID");
    return its_client != client && its_client.find_first_not_of("0123456789") == std::string::npos
               ? 0
               : 2;
  });
  EXPECT_EQ(child.wait_at_most(), 0);
  EXPECT_EQ(ask(lease, "CLIENT ID"), client);
}

TEST_F(PoolOnRedis, KeepsToRedisMaxConnections) {
  start({});
  setenv("REDIS_MAX_CONNECTIONS", "2", 1);
  Runtime runtime = Runtime::from_text(config(""));
  unsetenv("REDIS_MAX_CONNECTIONS");
  Pool pool = runtime.pool("main");
  EXPECT_EQ(pool.stats().max, 2U);
  Lease one = pool.acquire();
  Lease two = pool.acquire();
  EXPECT_EQ(pool.try_acquire(), std::nullopt);
}

TEST_F(PoolOnRedis, SaysWhoIsRefused) {
  start({.users = {"app on >hunter2 ~* &* +@all"}});
  const std::string text = config("max = 1\nacquire_timeout = \"2s\"", "?username=app");
  Runtime runtime = Runtime::from_text(text);
  try {
    Lease lease = runtime.pool("main").acquire();
    FAIL() << "a lease without a password";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), WEIR_AUTH_FAILED) << error.what();
    EXPECT_EQ(error.native_text(), "WRONGPASS");
  }
}

}  // namespace weir::test
