// What a pool counts: each end of an acquire, each reason for a close, once and under its own name.
// On the null driver, for faults on demand.
#include <gtest/gtest.h>

#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "support/pool_on_null.h"

namespace weir::test {
namespace {

using namespace std::chrono_literals;

constexpr auto kLong = 20s;

class PoolCounters : public PoolOnNull {
 protected:
  Pool open_pool(int max, const std::string& keys = "", const std::string& script = "") {
    runtime_.emplace(open(script.empty() ? server_.dsn() : server_.dsn_with(script), max, keys));
    return runtime_->pool("main");
  }
  static std::int32_t code_of_acquire(Pool& pool, const AcquireOptions& options) {
    return code_of([&] { const Lease lease = pool.acquire(options); });
  }
  static std::uint64_t closed(const Pool& pool, weir_close_reason why) {
    return pool.stats().closed[why];
  }
  std::optional<Runtime> runtime_;
};

TEST_F(PoolCounters, TellEachEndOfAnAcquireApart) {
  Pool pool = open_pool(1, "max_waiting = 1\n");
  Lease lease = pool.acquire({kLong});
  EXPECT_EQ(code_of_acquire(pool, {5ms, ""}), WEIR_TIMEOUT);
  Cancellation cancellation;
  std::thread waiter([&] {
    AcquireOptions options{kLong};
    options.cancellation = &cancellation;
    EXPECT_EQ(code_of_acquire(pool, options), WEIR_CANCELLED);
  });
  ASSERT_TRUE(soon([&] { return pool.stats().waiting == 1; }));
  EXPECT_EQ(code_of_acquire(pool, {kLong}), WEIR_TOO_MANY_WAITERS);
  cancellation.cancel();
  waiter.join();
  pool.pause();
  EXPECT_EQ(code_of_acquire(pool, {kLong}), WEIR_PAUSED);
  pool.resume();
  std::thread served([&] { const Lease other = pool.acquire({kLong}); });
  ASSERT_TRUE(soon([&] { return pool.stats().waiting == 1; }));
  lease.release();
  served.join();

  const weir_pool_stats_t stats = pool.stats();
  EXPECT_EQ(stats.acquires, 2u) << "what failed or was cancelled does not count as served";
  EXPECT_EQ(stats.acquires_waited, 1u);
  EXPECT_GT(stats.wait_ns, 0u);
  EXPECT_EQ(stats.timeouts, 1u);
  EXPECT_EQ(stats.cancelled, 1u);
  EXPECT_EQ(stats.too_many_waiters, 1u);
  EXPECT_EQ(stats.refused, 1u);
}

TEST_F(PoolCounters, TellConnectsThatFailedFromThoseThatDidNot) {
  Pool pool = open_pool(2, "", "connect=fail:auth_failed@1");
  EXPECT_EQ(code_of_acquire(pool, {kLong}), WEIR_AUTH_FAILED);
  { const Lease lease = pool.acquire({kLong}); }
  const weir_pool_stats_t stats = pool.stats();
  EXPECT_EQ(stats.connect_failures, 1u);
  EXPECT_EQ(stats.connect_refusals, 1u);
  EXPECT_EQ(stats.connects, 1u);
  EXPECT_GT(stats.connect_ns, 0u);
  EXPECT_EQ(closed(pool, WEIR_CLOSE_ERROR), 1u);
}

TEST_F(PoolCounters, TellResetsThatFailedFromThoseThatDidNot) {
  Pool pool = open_pool(1, "reset = \"always\"\n", "reset=fail@2");
  { const Lease lease = pool.acquire({kLong}); }
  { const Lease lease = pool.acquire({kLong}); }
  EXPECT_EQ(pool.stats().resets, 1u);
  EXPECT_EQ(pool.stats().reset_failures, 1u);
  EXPECT_EQ(closed(pool, WEIR_CLOSE_RESET_FAILED), 1u);
}

TEST_F(PoolCounters, AddUpTheTimeOnLoan) {
  Pool pool = open_pool(1);
  const Lease lease = pool.acquire({kLong});
  EXPECT_TRUE(soon([&] { return pool.stats().use_ns > 0; }));
}

TEST_F(PoolCounters, NumberEachGenerationAndSayWhetherItIsPaused) {
  Pool pool = open_pool(2, "min = 1\n");
  EXPECT_EQ(pool.stats().max, 2u);
  EXPECT_EQ(pool.stats().min, 1u);
  EXPECT_EQ(pool.stats().paused, 0u);
  const std::uint32_t generation = pool.stats().generation;
  pool.drain();
  EXPECT_EQ(pool.stats().generation, generation + 1);
  pool.clear(false);
  EXPECT_EQ(pool.stats().generation, generation + 2);
  EXPECT_EQ(pool.stats().paused, 1u);
}

struct Reason {
  const char* name;
  weir_close_reason why;
  const char* keys;
  const char* script;
  std::function<void(Pool&)> bring_about;
};

class ACloseFor : public PoolCounters, public testing::WithParamInterface<Reason> {};

TEST_P(ACloseFor, IsCountedUnderItsReasonAndNoOther) {
  const Reason& reason = GetParam();
  Pool pool = open_pool(2, reason.keys, reason.script);
  reason.bring_about(pool);
  EXPECT_TRUE(soon([&] { return closed(pool, reason.why) == 1; }));
  const weir_pool_stats_t stats = pool.stats();
  std::uint64_t all = 0;
  for (const std::uint64_t count : stats.closed) all += count;
  EXPECT_EQ(all, 1u);
}

void use(Pool& pool) { const Lease lease = pool.acquire({kLong}); }

INSTANTIATE_TEST_SUITE_P(
    EachReason, ACloseFor,
    testing::Values(Reason{"idle", WEIR_CLOSE_IDLE, "idle_timeout = \"1ms\"\n", "", use},
                    Reason{"lifetime", WEIR_CLOSE_LIFETIME, "max_lifetime = \"1ms\"\n", "", use},
                    Reason{"stale", WEIR_CLOSE_STALE, "", "",
                           [](Pool& pool) {
                             use(pool);
                             pool.drain();
                           }},
                    Reason{"error", WEIR_CLOSE_ERROR, "", "",
                           [](Pool& pool) {
                             Lease lease = pool.acquire({kLong});
                             lease.mark_broken();
                           }},
                    Reason{"invalid", WEIR_CLOSE_INVALID, "", "ping=fail",
                           [](Pool& pool) {
                             use(pool);
                             (void)pool.check(kLong);
                           }},
                    Reason{"invalidated", WEIR_CLOSE_INVALIDATED, "", "",
                           [](Pool& pool) {
                             Lease lease = pool.acquire({kLong});
                             lease.discard();
                           }},
                    Reason{"overflow", WEIR_CLOSE_OVERFLOW, "keep = 0\n", "", use},
                    Reason{"detached", WEIR_CLOSE_DETACHED, "", "",
                           [](Pool& pool) {
                             Lease lease = pool.acquire({kLong});
                             lease.detach();
                           }},
                    Reason{"quota_reclaim", WEIR_CLOSE_QUOTA_RECLAIM, "", "",
                           [](Pool& pool) {
                             const Lease one = pool.acquire({kLong}), two = pool.acquire({kLong});
                             pool.resize(1, 0);
                           }},
                    Reason{"pool_closed", WEIR_CLOSE_POOL_CLOSED, "", "",
                           [](Pool& pool) {
                             use(pool);
                             pool.close(kLong);
                           }}),
    [](const auto& tested) { return std::string(tested.param.name); });

TEST_F(PoolCounters, CountThePingsThatKeepaliveAsksFor) {
  Pool pool = open_pool(1, "keepalive = \"1ms\"\n");
  use(pool);
  EXPECT_TRUE(soon([&] { return pool.stats().pings >= 2; }));
  EXPECT_EQ(pool.stats().connects, 1u);
}

}  // namespace
}  // namespace weir::test
