// What a pool's policy is told, beside what is known, and what goes on while it takes its time: a
// pool on the null driver whose keeper is this test, second by second, with no clock but the test's
// own.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "conformance/null_under_test.h"
#include "pool/keeper.h"
#include "pool/pool.h"
#include "support/shm_world.h"

namespace weir::test {
namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;

/// The last view there was, with what its spans showed.
struct Seen {
  policy::PoolView view;
  std::vector<policy::PoolShare> pools;
  std::vector<policy::WorkerShare> workers;
  std::vector<policy::ClassShare> classes;
  std::vector<std::string> names;  // of pools, then of classes

  std::function<void()> meanwhile;       // what its keeper wants to see to
  std::function<void()> takes_its_time;  // what the policy does besides
};

class Spy final : public policy::Policy {
 public:
  explicit Spy(Seen& seen) : seen_(seen) {}
  void see_to(std::function<void()> meanwhile) override { seen_.meanwhile = std::move(meanwhile); }
  [[nodiscard]] std::string_view name() const override { return "spy"; }
  policy::SizeDecision size(const policy::PoolView& view) override {
    seen_.view = view;
    seen_.pools.assign(view.pools.begin(), view.pools.end());
    seen_.workers.assign(view.worker_shares.begin(), view.worker_shares.end());
    seen_.classes.assign(view.classes.begin(), view.classes.end());
    seen_.names.clear();
    for (const auto& pool : view.pools) seen_.names.emplace_back(pool.name);
    for (const auto& klass : view.classes) seen_.names.emplace_back(klass.name);
    if (seen_.takes_its_time) seen_.takes_its_time();
    return policy::FixedPolicy::size_for(view);
  }
  policy::Eviction evict(const policy::ConnectionView& connection,
                         const policy::PoolView& view) override {
    return policy::FixedPolicy::eviction_for(connection, view);
  }
  policy::BreakerDecision breaker(const policy::PoolView& view) override {
    return policy::FixedPolicy::breaker_for(view);
  }

 private:
  Seen& seen_;
};

/// Drivers keep it, and stay loaded.
Log& lasting_log() {
  static Log& log = *new Log([](void*, std::int32_t, const char*) {}, nullptr);
  return log;
}

class AView : public testing::Test {
 protected:
  struct Worker {
    std::unique_ptr<shm::Membership> membership;
    Seen seen;
    std::unique_ptr<pool::Pool> pool;
  };

  AView() {
    auto driver = driver::Driver::load("null", {server_.directory()}, log_);
    if (!driver.ok()) throw std::runtime_error(driver.status().to_string());
    auto dsn = driver::Dsn::parse(*driver.value(), server_.dsn());
    if (!dsn.ok()) throw std::runtime_error(dsn.status().to_string());
    dsn_ = std::make_unique<driver::Dsn>(std::move(dsn).value());
    config_.name = "main";
    config_.driver = "null";
    config_.max = 4;
    config_.validate_after = std::nullopt;
    config_.permit_quantum = std::chrono::milliseconds(0);
    join(one_);
    join(two_);
  }
  ~AView() override {
    for (Worker* worker : {&one_, &two_}) {
      worker->pool->close();
      while (!worker->pool->is_empty()) worker->pool->keep(monotonic_ns());
    }
  }

  void join(Worker& worker) {
    worker.membership = world_.join();
    const shm::WorkerId id = worker.membership->id();
    shm::PoolDeclaration declaration;
    declaration.name = config_.name;
    declaration.driver = config_.driver;
    declaration.max = declaration.keep = config_.max;
    declaration.quota = world_.quota(id, 6);
    declaration.classes = {{"web", 1}, {"jobs", 0}};
    const shm::PoolRef ref = world_.pool(id, declaration);
    worker.pool = std::make_unique<pool::Pool>(
        config_, pool::Pool::Parts{world_.segment(), *worker.membership, ref, *dsn_, log_, nullptr,
                                   "test", std::make_unique<Spy>(worker.seen), events_});
  }
  /// A second passes, and what keepers see.
  const Seen& second() {
    now_ns_ += kSecond;
    two_.pool->keep(now_ns_);
    one_.pool->keep(now_ns_);
    return one_.seen;
  }
  pool::Loan acquire(Worker& worker, std::uint32_t klass = 0) {
    pool::Request request;
    request.deadline = Deadline::after(kPatience);
    request.klass = klass;
    auto loan = worker.pool->acquire(request);
    if (!loan.ok()) throw std::runtime_error(loan.status().to_string());
    return loan.value();
  }
  static constexpr Nanos kPatience = std::chrono::seconds(20);

  ShmWorld world_{shm::Geometry{}};
  NullUnderTest server_;
  Log& log_ = lasting_log();
  pool::EventSink events_;
  std::unique_ptr<driver::Dsn> dsn_;
  config::PoolConfig config_;
  Worker one_, two_;
  std::uint64_t now_ns_ = monotonic_ns();
};

TEST_F(AView, ShowsWhoSharesThePoolAndItsQuota) {
  shm::PoolDeclaration mate;
  mate.name = "mate";
  mate.driver = "null";
  mate.max = 3;
  mate.quota = world_.quota(one_.membership->id(), 6);
  (void)world_.pool(one_.membership->id(), mate);
  const auto web = one_.pool->class_of("web");
  const pool::Loan mine = acquire(one_, web.value()), other = acquire(two_), third = acquire(two_);
  ASSERT_TRUE(two_.pool->release(third).ok());

  const Seen& seen = second();
  EXPECT_EQ(seen.view.name, "main");
  EXPECT_EQ(seen.view.quota_limit, 6u);
  EXPECT_EQ(seen.view.quota_in_use, 3u);
  EXPECT_EQ(seen.names, (std::vector<std::string>{"main", "mate", "web", "jobs"}));
  ASSERT_EQ(seen.pools.size(), 2u);
  EXPECT_EQ(seen.pools[0].max, 4u);
  EXPECT_EQ(seen.pools[0].used, 2u);
  EXPECT_EQ(seen.pools[0].idle, 1u);
  EXPECT_EQ(seen.pools[1].max, 3u);
  EXPECT_EQ(seen.pools[1].used + seen.pools[1].idle, 0u);
  ASSERT_EQ(seen.workers.size(), 2u);
  EXPECT_TRUE(seen.workers[0].is_here);
  EXPECT_FALSE(seen.workers[1].is_here);
  EXPECT_EQ(seen.workers[0].used, 1u);
  EXPECT_EQ(seen.workers[1].used, 1u);
  EXPECT_EQ(seen.workers[1].idle, 1u);
  ASSERT_EQ(seen.classes.size(), 2u);
  EXPECT_EQ(seen.classes[0].floor, 1u);
  EXPECT_EQ(seen.classes[0].used, 1u);
  EXPECT_EQ(seen.classes[1].used, 0u);
  EXPECT_TRUE(one_.pool->release(mine).ok());
  EXPECT_TRUE(two_.pool->release(other).ok());
}

TEST_F(AView, HasTheRatesOfTheWholeMachineInItsWindows) {
  second();
  for (int s = 0; s < 12; ++s) {
    for (int i = 0; i < 5; ++i) {
      EXPECT_TRUE(one_.pool->release(acquire(one_)).ok());
      if (s < 2) continue;
      EXPECT_TRUE(two_.pool->release(acquire(two_)).ok());
    }
    second();
  }
  const policy::PoolView& view = one_.seen.view;
  EXPECT_EQ(view.last.length_ms, 10'000u);
  EXPECT_DOUBLE_EQ(view.last.acquires_per_s, 10);
  EXPECT_DOUBLE_EQ(view.last.use.count, 100) << "each is timed, of those who lend so seldom";
  EXPECT_GT(view.last.use.p99, 0);
  EXPECT_EQ(view.last.wait.p99, 0) << "nobody waited";
  EXPECT_EQ(view.minute.length_ms, 12'000u);
  EXPECT_DOUBLE_EQ(view.minute.acquires_per_s, 110 / 12.0);
  EXPECT_DOUBLE_EQ(view.minute.connect.count, 2);
}

TEST_F(AView, KnowsHowManyAreLentOnAverageAndAtMost) {
  const pool::Loan kept = acquire(one_);
  second();
  for (int s = 0; s < 4; ++s) second();
  const pool::Loan second_one = acquire(two_);
  second();
  EXPECT_TRUE(two_.pool->release(second_one).ok());
  second();
  EXPECT_EQ(one_.seen.view.last.used_most, 2u);
  EXPECT_NEAR(one_.seen.view.last.used_mean, 7.0 / 6, 0.01);
  EXPECT_TRUE(one_.pool->release(kept).ok());
}

TEST_F(AView, BeginsItsRatesAnewWhenSomebodyPopsTheCounters) {
  second();
  for (int s = 0; s < 4; ++s) {
    for (int i = 0; i < 20; ++i) EXPECT_TRUE(one_.pool->release(acquire(one_)).ok());
    if (s == 2) (void)two_.pool->pop_stats();
    second();
  }
  second();
  EXPECT_LE(one_.seen.view.last.acquires_per_s, 20) << "no burst that never was";
  EXPECT_GE(one_.seen.view.last.acquires_per_s, 40 / 5.0);
}

// The keeper of each worker looks once a second at what 256 of them have counted.
TEST_F(AView, OfAFullSegmentTakesWellBelowAMillisecond) {
  std::vector<std::unique_ptr<shm::Membership>> others;
  const shm::PoolRef ref = *shm::PoolRef::find(world_.segment(), 0);
  while (others.size() < 254) {
    others.push_back(world_.join());
    shm::StatsBook(ref, others.back()->id()).add(shm::Counter::kPings);
  }
  std::uint64_t least_ns = UINT64_MAX;
  for (int i = 0; i < 10; ++i) {
    now_ns_ += kSecond;
    const std::uint64_t begin_ns = monotonic_ns();
    one_.pool->keep(now_ns_);
    least_ns = std::min(least_ns, monotonic_ns() - begin_ns);
  }
  EXPECT_EQ(one_.seen.view.workers, 256u);
  EXPECT_EQ(one_.seen.workers.size(), 256u);
  RecordProperty("keep_us", static_cast<int>(least_ns / 1'000));
  EXPECT_LT(least_ns, 20'000'000u) << "unoptimized, on a machine that does other things too";
}

TEST_F(AView, TakesItsTimeWhileTheKeeperServesWhoWaitsElsewhere) {
  std::vector<pool::Loan> loans;
  for (std::uint32_t i = 0; i < config_.max; ++i) loans.push_back(acquire(one_));
  for (const pool::Loan& loan : loans) ASSERT_TRUE(one_.pool->release(loan).ok());
  pool::Keeper keeper(world_.segment(), *one_.membership, nullptr, log_, {one_.pool.get()});
  std::atomic<bool> is_served{false};
  std::thread caller;
  one_.seen.takes_its_time = [&] {
    if (caller.joinable()) return;
    caller = std::thread([&] {
      const pool::Loan loan = acquire(two_);
      is_served = true;
      (void)two_.pool->release(loan);
    });
    const Deadline patience = Deadline::after(kPatience);
    while (!is_served && !patience.passed(monotonic_ns())) one_.seen.meanwhile();
  };
  (void)keeper.keep_once();
  EXPECT_TRUE(is_served) << "one of those that are idle in the worker whose policy takes so long";
  caller.join();
  one_.seen.takes_its_time = nullptr;
}

// How often the calling thread gave its processor up by itself.
long rests() {
  rusage used{};
  getrusage(RUSAGE_THREAD, &used);
  return used.ru_nvcsw;
}

TEST_F(AView, ThatTakesLongLeavesTheProcessorToOthersInBetweenInTheKeepersOwnThreadOnly) {
  constexpr std::uint64_t kLongNs = 30'000'000;
  std::atomic<long> rested{-1};
  one_.seen.takes_its_time = [&] {
    const long before = rests();
    const std::uint64_t began_ns = monotonic_ns();
    while (monotonic_ns() < began_ns + kLongNs) one_.seen.meanwhile();
    rested = rests() - before;
  };
  pool::Keeper keeper(world_.segment(), *one_.membership, nullptr, log_, {one_.pool.get()});
  (void)keeper.keep_once();
  EXPECT_EQ(rested, 0) << "a host's thread has other things to do";
  rested = -1;
  ASSERT_TRUE(keeper.start().ok());
  const Deadline patience = Deadline::after(kPatience);
  while (rested < 0 && !patience.passed(monotonic_ns())) std::this_thread::yield();
  keeper.stop();
  EXPECT_GE(rested, 2) << "milliseconds each, of thirty";
  one_.seen.takes_its_time = nullptr;
}

}  // namespace
}  // namespace weir::test
