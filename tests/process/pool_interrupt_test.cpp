// Clearing with interrupt, on a real server: who holds a session finds the server gone.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "pool_on_postgres.h"

namespace weir::test {
namespace {

class PoolInterrupt : public PoolOnPostgres {};

TEST_F(PoolInterrupt, CutsWhatIsLentAndItsHolderFindsTheServerGone) {
  open("max = 2");
  Got busy = acquire(pool()), idle = acquire(pool());
  ASSERT_TRUE(busy.ok() && idle.ok()) << busy.message << idle.message;
  std::atomic<bool> over = false;
  std::string answer;
  std::thread asks([&] {
    answer = ask(busy, "SELECT pg_sleep(60)");
    over = true;
  });
  const Deadline patience = Deadline::after(kPatience);
  while (server_->ask("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' "
                      "AND state = 'active'") != "1") {
    ASSERT_FALSE(patience.passed(monotonic_ns()));
  }
  ASSERT_EQ(weir_clear(pool(), 1, nullptr), WEIR_OK);
  asks.join();
  EXPECT_TRUE(over);
  EXPECT_EQ(answer.substr(0, 5), "error") << answer;
  EXPECT_EQ(ask(idle, "SELECT 1").substr(0, 5), "error");
  EXPECT_EQ(stats_of(pool()).used, 2u) << "they stay their holders' until they come back";
  EXPECT_TRUE(release(busy.lease).ok());
  EXPECT_TRUE(release(idle.lease).ok());
  EXPECT_EQ(world_->await_rest(), "");
  ASSERT_EQ(weir_resume(pool(), nullptr), WEIR_OK);
  Got next = acquire(pool());
  ASSERT_TRUE(next.ok()) << next.message;
  EXPECT_EQ(ask(next, "SELECT 1"), "1");
  EXPECT_TRUE(release(next.lease).ok());
}

TEST_F(PoolInterrupt, WithoutItLeavesWhatIsLentAlone) {
  open("max = 1");
  Got got = acquire(pool());
  ASSERT_TRUE(got.ok()) << got.message;
  ASSERT_EQ(weir_clear(pool(), 0, nullptr), WEIR_OK);
  EXPECT_EQ(ask(got, "SELECT 1"), "1");
  EXPECT_TRUE(release(got.lease).ok());
  EXPECT_EQ(world_->await_rest(), "");
}

}  // namespace
}  // namespace weir::test
