// The reserve: the last connections of a pool, for who has waited for too long.
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "support/pool_on_null.h"

namespace weir::test {
namespace {

using namespace std::chrono_literals;

class PoolReserve : public PoolOnNull {
 protected:
  // Three connections, one of them in reserve.
  Pool open_pool(const std::string& after, const std::string& more = "") {
    runtime_.emplace(
        open(server_.dsn(), 3, "reserve = 1\nreserve_after = \"" + after + "\"\n" + more));
    return runtime_->pool("main");
  }
  static AcquireOptions within(std::chrono::milliseconds timeout) {
    AcquireOptions options;
    options.timeout = timeout;
    return options;
  }
  std::optional<Runtime> runtime_;
};

TEST_F(PoolReserve, IsNotOpenedForWhoHasNotWaitedForLongEnough) {
  Pool pool = open_pool("1h");
  const Lease first = pool.acquire(within(20s)), second = pool.acquire(within(20s));
  EXPECT_EQ(code_of([&] { (void)pool.acquire(within(100ms)); }), WEIR_TIMEOUT);
  EXPECT_EQ(pool.stats().used, 2u);
}

TEST_F(PoolReserve, IsOpenedForWhoHas) {
  Pool pool = open_pool("50ms");
  const Lease first = pool.acquire(within(20s)), second = pool.acquire(within(20s));
  const std::uint64_t began_ns = monotonic_ns();
  const Lease third = pool.acquire(within(20s));
  EXPECT_GE(monotonic_ns() - began_ns, 50'000'000u);
  EXPECT_EQ(pool.stats().used, 3u);
}

TEST_F(PoolReserve, WithoutATimeIsForAllInLine) {
  Pool pool = open_pool("0s");
  std::vector<Lease> leases;
  for (int i = 0; i < 3; ++i) leases.push_back(pool.acquire(within(20s)));
  EXPECT_EQ(pool.stats().used, 3u);
}

TEST_F(PoolReserve, IsClosedAgainWhenItComesBackAndNobodyWaits) {
  Pool pool = open_pool("0s");
  std::vector<Lease> leases;
  for (int i = 0; i < 3; ++i) leases.push_back(pool.acquire(within(20s)));
  leases.clear();
  EXPECT_TRUE(soon([&] { return pool.stats().idle == 2 && pool.stats().total == 2; }));
  EXPECT_EQ(pool.stats().closed[WEIR_CLOSE_OVERFLOW], 1u);
}

TEST_F(PoolReserve, IsNotWarmedAhead) {
  Pool pool = open_pool("1h", "min = 2\n");
  pool.wait_ready(20s);
  EXPECT_EQ(pool.stats().total, 2u);
}

TEST_F(PoolReserve, AsLargeAsThePoolIsRefused) {
  EXPECT_EQ(code_of([&] { (void)open(server_.dsn(), 3, "reserve = 3\n"); }), WEIR_BAD_CONFIG);
  EXPECT_EQ(code_of([&] { (void)open(server_.dsn(), 3, "reserve = 1\nmin = 3\n"); }),
            WEIR_BAD_CONFIG);
}

}  // namespace
}  // namespace weir::test
