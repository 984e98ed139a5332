// Nothing is lost and nothing is too much when workers are killed: what a dead worker had lingers
// until the server has let go, and is then anybody's.
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <array>
#include <atomic>
#include <csignal>
#include <cstring>
#include <fstream>
#include <thread>

#include "pool_world.h"
#include "support/server_process.h"
#include "tight_quota.h"

namespace weir::test {
namespace {

using namespace std::chrono_literals;
using shm::PlaceState;

class PoolKill : public TightQuota {};

constexpr const char* kLongQuery = "SELECT pg_sleep(30)";

/// In a child: a lease with the long query running on it.
Got start_long_query(weir_pool_t* pool) {
  Got got = acquire(pool);
  require(got, "acquire");
  require(PQsendQuery(got.conn(), kLongQuery) == 1, "send");
  return got;
}

TEST_F(PoolKill, WhatAKilledWorkerHadComesBackAndItsQueriesEnd) {
  begin(5);
  const std::string config = world_->config("max = 5");
  Weir weir(config);
  Got ours = acquire(weir.pool());
  ASSERT_TRUE(ours.ok()) << ours.message;
  EXPECT_TRUE(release(ours.lease).ok());  // a spare to ask with
  SharedCounter ready;
  WorkerProcess victim([&]() -> int {
    Weir own(config);
    Got idle = acquire(own.pool());
    Got silent = acquire(own.pool());
    require(idle, "acquire");
    require(silent, "acquire");
    Got busy = start_long_query(own.pool());
    Got closing = start_long_query(own.pool());
    require(release(idle.lease), "release");
    require(discard(closing.lease), "discard");
    ready.add();
    while (true) pause();
  });
  ASSERT_TRUE(ready.await(1));
  ASSERT_TRUE(poll_until([&] { return running(kLongQuery) == 2; }));
  ASSERT_TRUE(poll_until([&] { return world_->pool().in(PlaceState::kClosing) == 1; }));
  victim.kill();
  std::uint32_t most_lingering = 0;
  EXPECT_TRUE(poll_until(
      [&] {
        const shm::PoolSnapshot now = world_->pool();
        most_lingering = std::max(most_lingering, now.in(PlaceState::kLingering));
        return now.in(PlaceState::kFree) == 4;
      },
      5s));
  EXPECT_GE(most_lingering, 1u);
  EXPECT_EQ(running(kLongQuery), 0) << "ended by a cancel request";
  EXPECT_EQ(world_->await_rest(), "");
  std::vector<Got> all;
  for (int i = 0; i < 5; ++i) {
    all.push_back(acquire(weir.pool()));
    EXPECT_TRUE(all.back().ok()) << all.back().message;
  }
  for (Got& got : all) EXPECT_TRUE(release(got.lease).ok());
}

TEST_F(PoolKill, ListenersOfTheOthersAreToldHowManyPlacesCameBack) {
  begin(3);
  const std::string config = world_->config("max = 3");
  Weir weir(config);
  std::atomic<std::uint64_t> reclaimed{0};
  const auto add = [](void* sum, const weir_event_t* event) -> std::int32_t {
    if (event->kind == WEIR_EVENT_QUOTA_RECLAIMED) {
      static_cast<std::atomic<std::uint64_t>*>(sum)->fetch_add(event->count);
    }
    return WEIR_OK;
  };
  weir_error_t error = WEIR_ERROR_INIT;
  ASSERT_EQ(weir_set_event_callback(weir.handle(), add, &reclaimed, &error), WEIR_OK);
  Got ours = acquire(weir.pool());
  ASSERT_TRUE(ours.ok()) << ours.message;
  SharedCounter ready;
  WorkerProcess victim([&]() -> int {
    Weir own(config);
    Got one = acquire(own.pool()), two = acquire(own.pool());
    require(one, "acquire");
    require(two, "acquire");
    ready.add();
    while (true) pause();
  });
  ASSERT_TRUE(ready.await(1));
  victim.kill();
  EXPECT_TRUE(poll_until([&] { return reclaimed.load() == 2; }, 5s)) << reclaimed.load();
  EXPECT_EQ(weir_set_event_callback(weir.handle(), nullptr, nullptr, &error), WEIR_OK);
  EXPECT_TRUE(release(ours.lease).ok());
}

TEST_F(PoolKill, PlacesComeBackAlsoWhileNobodyHasAnIdleConnectionToAskWith) {
  begin(3);
  const std::string config = world_->config("max = 3");
  Weir weir(config);
  SharedCounter ready;
  WorkerProcess victim([&]() -> int {
    Weir own(config);
    Got busy = start_long_query(own.pool());
    Got silent = acquire(own.pool());
    require(silent, "acquire");
    ready.add();
    while (true) pause();
  });
  ASSERT_TRUE(ready.await(1));
  // A cancel request that comes before the server has begun a statement does not end it.
  ASSERT_TRUE(poll_until([&] { return running(kLongQuery) == 1; }));
  // From now on the one connection that is left goes from hand to hand.
  std::atomic<bool> stop{false};
  std::atomic<int> failed{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      while (!stop) {
        Got got = acquire(weir.pool());
        if (!got.ok() || ask(got, "SELECT pg_sleep(0.002)").starts_with("error")) ++failed;
        if (!release(got.lease).ok()) ++failed;
      }
    });
  }
  ASSERT_TRUE(poll_until([&] { return stats_of(weir.pool()).waiting >= 5; }));
  victim.kill();
  EXPECT_TRUE(poll_until([&] { return stats_of(weir.pool()).worker_used == 3; }, 5s));
  stop = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failed, 0);
  EXPECT_EQ(world_->await_rest(), "");
}

TEST_F(PoolKill, TheLastPlaceComesBackWithoutAnybodyToAskAfterLingerMax) {
  begin(1);
  const std::string config = world_->config("max = 1\nlinger_max = \"300ms\"");
  Weir weir(config);
  SharedCounter ready;
  WorkerProcess victim([&]() -> int {
    Weir own(config);
    Got busy = start_long_query(own.pool());
    ready.add();
    while (true) pause();
  });
  ASSERT_TRUE(ready.await(1));
  ASSERT_TRUE(poll_until([&] { return running(kLongQuery) == 1; }));
  const std::uint64_t start = monotonic_ns();
  victim.kill();
  Got got = acquire(weir.pool(), 10s);
  EXPECT_TRUE(got.ok()) << got.message;
  EXPECT_GE(Nanos(monotonic_ns() - start), 300ms);
  EXPECT_LT(Nanos(monotonic_ns() - start), 3s);
  EXPECT_TRUE(release(got.lease).ok());
}

// Nobody has a connection to ask over: the server ends the statement when it is told to, and the
// place counts as free soon after.
TEST_F(PoolKill, TheLastPlaceComesBackWithoutAnybodyToAskSoonAfterItsQueryWasEnded) {
  begin(1);
  const std::string config = world_->config("max = 1");
  Weir weir(config);
  weir.attach();
  for (int round = 0; round < 5; ++round) {
    SharedCounter ready;
    WorkerProcess victim([&]() -> int {
      Weir own(config);
      Got busy = start_long_query(own.pool());
      ready.add();
      while (true) pause();
    });
    ASSERT_TRUE(ready.await(1));
    ASSERT_TRUE(poll_until([&] { return running(kLongQuery) == 1; }));
    const std::uint64_t start = monotonic_ns();
    victim.kill();
    Got got = acquire(weir.pool(), 10s);
    EXPECT_TRUE(got.ok()) << got.message;
    EXPECT_LT(Nanos(monotonic_ns() - start), 1s);  // not the statement's 30
    EXPECT_TRUE(release(got.lease).ok());
    EXPECT_TRUE(poll_until([&] { return sampler_->now() == 1; }));
    EXPECT_TRUE(discard((got = acquire(weir.pool())).lease).ok());
  }
}

TEST_F(PoolKill, TheLastPlaceOfAnIdleSessionComesBackAtOnce) {
  begin(1);
  const std::string config = world_->config("max = 1");
  Weir weir(config);
  weir.attach();
  for (int round = 0; round < 5; ++round) {
    const auto victim = idle_worker(config);
    const std::uint64_t start = monotonic_ns();
    victim->kill();
    Got got = acquire(weir.pool(), 10s);
    EXPECT_TRUE(got.ok()) << got.message;
    EXPECT_LT(Nanos(monotonic_ns() - start), 1s);
    EXPECT_TRUE(discard(got.lease).ok());
    EXPECT_EQ(world_->await_rest(), "");
  }
}

// In bytes; 0 if the kernel does not say.
std::size_t available_memory() {
  std::ifstream info("/proc/meminfo");
  std::string name;
  for (std::size_t kib = 0; info >> name >> kib; info.ignore(80, '\n')) {
    if (name == "MemAvailable:") return kib * 1024;
  }
  return 0;
}

// It takes the kernel hundreds of milliseconds to take such a one apart, and its sockets come last.
TEST_F(PoolKill, OfAWorkerWithGigabytesComesBackOnceItIsGoneAndNotBefore) {
  constexpr std::size_t kMemory = std::size_t{3} << 29;  // 1.5 GiB
  if (available_memory() < 3 * kMemory) GTEST_SKIP() << "too little memory on this machine";
  begin(2);
  const std::string config = world_->config("max = 2");
  Weir weir(config);
  weir.attach();
  SharedCounter ready;
  WorkerProcess victim([&]() -> int {
    Weir own(config);
    Got idle = acquire(own.pool());
    Got silent = acquire(own.pool());
    require(idle, "acquire");
    require(silent, "acquire");
    require(release(idle.lease), "release");
    void* const memory =
        mmap(nullptr, kMemory, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    require(memory != MAP_FAILED, "no memory");
    madvise(memory, kMemory, MADV_NOHUGEPAGE);  // page by page: so it is taken apart slowly as well
    std::memset(memory, 1, kMemory);
    ready.add();
    while (true) pause();
  });
  ASSERT_TRUE(ready.await(1, 3 * kPatience));
  std::atomic<std::uint64_t> served_ns{0};
  std::array<Got, 2> got;
  std::thread waiter([&] {  // in line all the while
    for (Got& one : got) {
      one = acquire(weir.pool(), 3 * kPatience);
      if (served_ns == 0) served_ns = monotonic_ns();
    }
  });
  EXPECT_TRUE(poll_until([&] { return stats_of(weir.pool()).waiting == 1; }));
  const std::uint64_t killed_ns = monotonic_ns();
  kill(victim.pid(), SIGKILL);
  EXPECT_TRUE(poll_until([&] { return has_ended(victim.pid()); }, 3 * kPatience));
  const std::uint64_t gone_ns = monotonic_ns();
  waiter.join();
  for (Got& one : got) EXPECT_TRUE(one.ok()) << one.message;
  std::printf("gone after %.1f ms, the first place back %.1f ms after the kill\n",
              static_cast<double>(gone_ns - killed_ns) / 1e6,
              static_cast<double>(served_ns - killed_ns) / 1e6);
  // TearDown: the server was never asked for a session too many.
  for (Got& one : got) EXPECT_TRUE(release(one.lease).ok());
  EXPECT_EQ(world_->await_rest(), "");
}

TEST_F(PoolKill, ADiscardedConnectionKeepsItsPlaceUntilTheServerHasEndedItsQuery) {
  begin(1);
  Weir weir(world_->config("max = 1\nclose_timeout = \"100ms\"\nlinger_max = \"30s\""));
  Got got = start_long_query(weir.pool());
  ASSERT_TRUE(poll_until([&] { return running(kLongQuery) == 1; }));
  EXPECT_TRUE(discard(got.lease).ok());
  // Nobody can be asked, so it takes as long as it takes; but the query ends.
  EXPECT_EQ(acquire(weir.pool(), 400ms).code, "timeout");
  EXPECT_TRUE(poll_until([&] { return running(kLongQuery) == 0; }));
  EXPECT_EQ(world_->pool().in(PlaceState::kLingering), 1u);
}

TEST_F(PoolKill, AWorkerKilledWhileItsSessionIsBeingPreparedLeavesNoSessionUncounted) {
  begin(2);
  const std::string config =
      world_->config("max = 2\non_connect = [\"" + std::string(kLongQuery) + "\"]");
  const std::string quick = world_->config("max = 2");
  Weir weir(quick);
  Got ours = acquire(weir.pool());
  ASSERT_TRUE(ours.ok()) << ours.message;
  EXPECT_TRUE(release(ours.lease).ok());
  WorkerProcess victim([&]() -> int {
    Weir own(config);
    return acquire(own.pool()).ok() ? 0 : 1;
  });
  ASSERT_TRUE(poll_until([&] { return running(kLongQuery) == 1; }));
  victim.kill();
  EXPECT_EQ(world_->await_rest(10s), "");  // asked over the one that idles
  std::vector<Got> both;
  for (int i = 0; i < 2; ++i) {
    both.push_back(acquire(weir.pool(), 10s));
    EXPECT_TRUE(both.back().ok()) << both.back().message;
  }
  for (Got& got : both) EXPECT_TRUE(release(got.lease).ok());
  EXPECT_EQ(running(kLongQuery), 0);
}

}  // namespace
}  // namespace weir::test
