// A whole weir on the null driver: what leases see, and what the server counts, while a script
// breaks connects, pings, resets and closes in the pool's hands.
#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "support/pool_on_null.h"

namespace weir::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

}  // namespace

TEST_F(PoolOnNull, NeverHasMoreSessionsThanItsMaxWhateverFails) {
  std::atomic<int> served = 0, failed = 0;
  {
    Runtime runtime =
        open(server_.dsn_with("connect=delay:2ms,fail@20%&ping=drop@10%&reset=fail@5%,delay:1ms"
                              "&close=delay:3ms&seed=7"),
             4, "reset = \"always\"\nvalidate_after = \"0s\"\nacquire_timeout = \"10s\"\n");
    Pool pool = runtime.pool("main");
    std::vector<std::thread> callers;
    for (int caller = 0; caller < 8; ++caller) {
      callers.emplace_back([&] {
        for (int i = 0; i < 50; ++i) {
          try {
            Lease lease = pool.acquire();
            served += server_.query(lease.native<weir_null_t>()) ? 1 : 0;
          } catch (const Error& error) {
            ++failed;
          }
        }
      });
    }
    for (std::thread& caller : callers) caller.join();
    runtime.close();
  }
  const weir_null_counts_t counts = server_.counts();
  EXPECT_EQ(served + failed, 400);
  EXPECT_GT(served, 200) << failed << " failed";
  EXPECT_LE(counts.most_sessions, 4);
  EXPECT_GT(counts.connects, 4U) << "the script broke nothing";
  EXPECT_EQ(counts.sessions, 0);
}

TEST_F(PoolOnNull, AnswersAtTheAcquireTimeoutWhenConnectingHangs) {
  Runtime runtime = open(server_.dsn_with("connect=hang"), 1, "connect_timeout = \"300ms\"\n");
  Pool pool = runtime.pool("main");
  const auto start = std::chrono::steady_clock::now();
  try {
    Lease lease = pool.acquire({milliseconds(100), nullptr});
    FAIL() << "a lease on a connection that never came to be";
  } catch (const Error& error) {
    EXPECT_TRUE(error.is_timeout()) << error.what();
    EXPECT_EQ(std::string(error.what()).find(server_.secret()), std::string::npos);
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, seconds(3));
  EXPECT_EQ(server_.count_sessions(), 0);
}

}  // namespace weir::test
