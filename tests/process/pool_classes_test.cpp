// Priority classes: floors that lend.
#include <gtest/gtest.h>

#include <atomic>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "support/pool_on_null.h"

namespace weir::test {
namespace {

using namespace std::chrono_literals;

constexpr auto kLong = 20s;
constexpr const char* kClasses = "class = [\"auth: 1\", \"jobs: 0\"]\nhandover_after = \"0s\"\n";

AcquireOptions of_class(const char* name) {
  AcquireOptions options;
  options.timeout = kLong;
  options.class_name = name;
  return options;
}

class PoolClasses : public PoolOnNull {
 protected:
  Pool open_pool(int max, const std::string& keys = kClasses) {
    runtime_.emplace(open(server_.dsn(), max, keys));
    return runtime_->pool("main");
  }
  /// Somebody gets in line; keeps what it gets until let_go().
  void wait_as(Pool pool, const char* name) {
    const std::uint32_t before = pool.stats().waiting;
    callers_.emplace_back([this, pool, name]() mutable {
      Lease lease = pool.acquire(of_class(name));
      const std::lock_guard lock(mutex_);
      served_.emplace_back(name == nullptr ? "" : name);
      kept_.push_back(std::move(lease));
    });
    ASSERT_TRUE(soon([&] { return pool.stats().waiting == before + 1; }));
  }
  std::vector<std::string> served() {
    const std::lock_guard lock(mutex_);
    return served_;
  }
  bool served_so_far(const std::vector<std::string>& order) {
    return soon([&] { return served().size() >= order.size(); }) && served() == order;
  }
  void let_one_go() {
    std::optional<Lease> lease;
    const std::lock_guard lock(mutex_);
    lease = std::move(kept_.front());
    kept_.pop_front();
  }
  void TearDown() override {
    while (served().size() < callers_.size() || !kept_.empty()) {
      if (soon([&] {
            const std::lock_guard lock(mutex_);
            return !kept_.empty();
          })) {
        let_one_go();
      }
    }
    for (std::thread& caller : callers_) caller.join();
  }

  std::optional<Runtime> runtime_;
  std::mutex mutex_;
  std::vector<std::string> served_;
  std::deque<Lease> kept_;
  std::vector<std::thread> callers_;
};

TEST_F(PoolClasses, BelowItsFloorAClassGoesBeforeThoseWhoWaitLonger) {
  Pool pool = open_pool(1);
  Lease lease = pool.acquire(of_class("jobs"));
  wait_as(pool, "jobs");
  wait_as(pool, nullptr);
  wait_as(pool, "auth");
  lease.release();
  EXPECT_TRUE(served_so_far({"auth"}));
  let_one_go();
  EXPECT_TRUE(served_so_far({"auth", "jobs"}));
  let_one_go();
  EXPECT_TRUE(served_so_far({"auth", "jobs", ""}));
}

TEST_F(PoolClasses, WithItsFloorAClassWaitsItsTurn) {
  Pool pool = open_pool(2);
  const Lease floor = pool.acquire(of_class("auth"));
  Lease lease = pool.acquire(of_class("jobs"));
  wait_as(pool, "jobs");
  wait_as(pool, "auth");
  lease.release();
  EXPECT_TRUE(served_so_far({"jobs"}));
}

TEST_F(PoolClasses, WithinAClassTheOldestGoesFirst) {
  Pool pool = open_pool(1, "class = [\"auth: 1\"]\nhandover_after = \"0s\"\n");
  Lease lease = pool.acquire(of_class(nullptr));
  std::vector<Ticket> tickets;
  std::vector<int> numbers = {0, 1, 2};
  for (int& number : numbers) tickets.push_back(pool.start(of_class("auth"), &number));
  lease.release();
  for (const int number : numbers) {
    std::optional<Runtime::Done> done;
    ASSERT_TRUE(soon([&] { return (done = runtime_->next_done()).has_value(); }));
    EXPECT_EQ(*static_cast<int*>(done->user_data), number);
    static_cast<void>(tickets[static_cast<std::size_t>(number)].finish());
  }
}

TEST_F(PoolClasses, WhileNobodyOfItWaitsAFloorIsLent) {
  Pool pool = open_pool(3, "class = [\"auth: 3\"]\n");
  std::vector<Lease> all;
  for (int i = 0; i < 3; ++i) all.push_back(pool.acquire({200ms}));
  EXPECT_EQ(pool.stats().used, 3u);
}

TEST_F(PoolClasses, TheFloorHoldsForAllWorkersTogether) {
  Pool here = open_pool(2);
  Runtime other = open(server_.dsn(), 2, kClasses, "two");
  Pool there = other.pool("main");
  const Lease floor = there.acquire(of_class("auth"));
  Lease lease = here.acquire(of_class("jobs"));
  wait_as(here, "jobs");
  wait_as(here, "auth");
  lease.release();
  EXPECT_TRUE(served_so_far({"jobs"})) << "the other worker's auth has the floor";
}

TEST_F(PoolClasses, AReturnedLeaseCountsForItsClassNoMore) {
  Pool pool = open_pool(1);
  { const Lease lease = pool.acquire(of_class("auth")); }
  Lease lease = pool.acquire(of_class("jobs"));
  wait_as(pool, "jobs");
  wait_as(pool, "auth");
  lease.release();
  EXPECT_TRUE(served_so_far({"auth"}));
}

TEST_F(PoolClasses, AnUnknownClassIsRefusedWithThoseThereAre) {
  Pool pool = open_pool(1);
  try {
    const Lease lease = pool.acquire(of_class("admin"));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), WEIR_BAD_ARGUMENT);
    EXPECT_NE(std::string(error.what()).find("auth, jobs"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace weir::test
