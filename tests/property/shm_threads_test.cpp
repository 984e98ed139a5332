// The segment's code as threads over one mapping: what the thread sanitizer can see, and what
// processes do to each other too. Bounded by counts, not by time.

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <numeric>
#include <random>
#include <thread>
#include <vector>

#include "shm/snapshot.h"
#include "shm/stats.h"
#include "support/counting_server.h"
#include "support/mover.h"
#include "support/room_user.h"
#include "support/shm_world.h"
#include "support/worker_process.h"

namespace weir::shm {
namespace {

using namespace std::chrono_literals;
using test::count_places;
using test::RoomUser;
using test::ShmWorld;

constexpr int kRounds = 600;

/// How many hold something, and how many at most ever did.
struct Gauge {
  std::atomic<std::uint32_t> now{0};
  std::atomic<std::uint32_t> most{0};

  void enter() {
    const std::uint32_t in_use = now.fetch_add(1) + 1;
    for (std::uint32_t seen = most.load(); seen < in_use;) {
      if (most.compare_exchange_weak(seen, in_use)) break;
    }
  }
  void leave() { now.fetch_sub(1); }
};

/// What the holders of a pool's rooms may touch: plain numbers, one for each place. Two holders at
/// once, or one that does not see what the one before did, are a data race and a wrong sum.
struct Held {
  Gauge gauge;
  Gauge* of_quota = nullptr;              // shared with other pools
  std::array<std::uint64_t, 64> turns{};  // guarded by holding the place

  void hold(PlaceIndex place) {
    gauge.enter();
    if (of_quota != nullptr) of_quota->enter();
    const std::uint64_t before = turns[place];
    std::this_thread::yield();
    turns[place] = before + 1;
    if (of_quota != nullptr) of_quota->leave();
    gauge.leave();
  }
  [[nodiscard]] std::uint64_t sum() const {
    return std::accumulate(turns.begin(), turns.end(), std::uint64_t{0});
  }
};

class Threads : public ::testing::Test {
 protected:
  /// Acquires, holds and releases `kRounds` times; every third time with hardly any patience.
  /// Returns how often it had a room.
  static std::uint64_t use(const PoolRef& pool, const Membership& worker, Held& held,
                           unsigned seed) {
    RoomUser user(pool, worker);
    std::minstd_rand random(seed);
    std::uint64_t got = 0;
    for (int i = 0; i < kRounds; ++i) {
      const Nanos patience = i % 3 == 0 ? Nanos(random() % 200'000) : Nanos(60s);
      const auto room = user.acquire(Deadline::after(patience));
      if (!room) {
        EXPECT_LT(patience, 1s) << "a waiter with a minute's patience got nothing";
        continue;
      }
      ++got;
      held.hold(room->place);
      if (random() % 4 == 0) std::this_thread::sleep_for(Nanos(random() % 50'000));
      user.release(*room);
    }
    return got;
  }

  void expect_all_free(const PoolRef& pool) {
    EXPECT_EQ(count_places(pool, PlaceState::kFree), pool.row().max.load());
    EXPECT_EQ(test::count_waiters(world_.segment()), 0u);
    EXPECT_FALSE(world_.segment().is_poisoned());
  }

  ShmWorld world_;
  std::array<std::unique_ptr<Membership>, 2> workers_ = {world_.join(), world_.join()};
};

TEST_F(Threads, OfTwoWorkersShareOnePool) {
  for (const std::uint32_t max : {1u, 3u}) {
    PoolDeclaration declaration;
    declaration.name = "max" + std::to_string(max);
    declaration.driver = "fake";
    declaration.max = max;
    const PoolRef pool = world_.pool(workers_[0]->id(), declaration);
    Held held;
    std::atomic<std::uint64_t> got{0};
    std::vector<std::thread> threads;
    for (unsigned t = 0; t < 6; ++t) {
      threads.emplace_back([&, t] { got.fetch_add(use(pool, *workers_[t % 2], held, t + 1)); });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(held.sum(), got.load());
    EXPECT_LE(held.gauge.most.load(), max);
    EXPECT_GE(got.load(), 6u * kRounds * 2 / 3);
    expect_all_free(pool);
  }
}

TEST_F(Threads, OfTwoPoolsShareOneQuota) {
  const std::uint32_t quota = world_.quota(workers_[0]->id(), 3);
  const auto shared = [&](const char* name) {
    PoolDeclaration declaration;
    declaration.name = name;
    declaration.driver = "fake";
    declaration.max = 2;
    declaration.quota = quota;
    declaration.permit_quantum_ms = 1;
    return world_.pool(workers_[0]->id(), declaration);
  };
  const std::array<PoolRef, 2> pools = {shared("a"), shared("b")};
  Gauge of_quota;
  std::array<Held, 2> held;
  for (Held& one : held) one.of_quota = &of_quota;
  std::atomic<std::uint64_t> got{0};
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 8; ++t) {
    threads.emplace_back(
        [&, t] { got.fetch_add(use(pools[t / 2 % 2], *workers_[t % 2], held[t / 2 % 2], t + 1)); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(held[0].sum() + held[1].sum(), got.load());
  EXPECT_LE(held[0].gauge.most.load(), 2u);
  EXPECT_LE(held[1].gauge.most.load(), 2u);
  EXPECT_LE(of_quota.most.load(), 3u);
  for (const PoolRef& pool : pools) {
    expect_all_free(pool);
    EXPECT_EQ(test::count_held_permits(pool), 0u);
  }
}

TEST_F(Threads, GoOnWhileOthersDieAndAMonitorLooks) {
  const PoolRef pool = world_.pool(workers_[0]->id(), 3);
  Held held;
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> got{0};
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] { got.fetch_add(use(pool, *workers_[t % 2], held, t + 1)); });
  }
  std::thread mortal([&] {
    while (!stop.load()) {
      auto worker = world_.join("mortal");
      RoomUser user(pool, *worker);
      const auto room = take_room(pool, worker->id());
      const auto waiter = user.enter(Deadline::never());
      match(pool, worker->id());
      test::die(worker);
      std::this_thread::sleep_for(200us);
      (void)room;
      (void)waiter;
    }
  });
  std::thread monitor([&] {
    const auto segment = Segment::open_read_only(world_.options());
    ASSERT_TRUE(segment.ok());
    while (!stop.load()) {
      const Snapshot snapshot = take_snapshot(*segment.value());
      const PoolSnapshot* seen = snapshot.pool("main");
      ASSERT_NE(seen, nullptr);
      ASSERT_EQ(seen->occupied() + seen->in(PlaceState::kFree), 3u);
      std::this_thread::sleep_for(1ms);
    }
  });
  for (std::thread& thread : threads) thread.join();
  stop.store(true);
  mortal.join();
  monitor.join();
  EXPECT_EQ(held.sum(), got.load());
  EXPECT_LE(held.gauge.most.load(), 3u);
  // What the last of the dead left is settled by whoever ticks.
  RoomUser user(pool, *workers_[0]);
  EXPECT_TRUE(test::poll_until([&] {
    user.tick();
    return count_places(pool, PlaceState::kFree) == 3;
  }));
  expect_all_free(pool);
}

// Threads of two workers, whose connections move between them: what one wrote while it had the
// connection, the next one sees, in whichever worker.
TEST_F(Threads, OfTwoWorkersMoveTheirConnections) {
  constexpr std::uint32_t kMax = 2;
  constexpr unsigned kThreads = 6;
  const test::CountingServer server(world_.folder(), kMax, 100us);
  const PoolRef pool = world_.pool(workers_[0]->id(), kMax);
  Held held;
  std::atomic<unsigned> done{0};
  {
    test::Mover first(pool, *workers_[0], server), second(pool, *workers_[1], server);
    std::vector<std::thread> threads;
    for (unsigned t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        test::Mover& mover = t % 2 == 0 ? first : second;
        std::minstd_rand random(t + 1);
        for (int i = 0; i < kRounds;) {
          const bool impatient = random() % 4 == 0;
          const auto lease =
              mover.acquire(Deadline::after(impatient ? Nanos(random() % 200'000) : Nanos(60s)));
          EXPECT_TRUE(lease || impatient) << "a waiter with a minute's patience got nothing";
          if (!lease) {
            i += impatient ? 0 : kRounds;
            continue;
          }
          held.hold(lease->room.place);
          mover.release(*lease, false);
          ++i;
        }
        done.fetch_add(1);
        while (done.load() < kThreads) {
          mover.tick();
          std::this_thread::sleep_for(1ms);
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(first.robbed() + second.robbed(), 0u);
  }
  EXPECT_EQ(held.sum(), kThreads * kRounds);
  EXPECT_LE(held.gauge.most.load(), kMax);
  EXPECT_GT(sum_counter(pool, Counter::kHandedLive), 50u);
  EXPECT_EQ(server.tally().over_limit.load(), 0u);
  expect_all_free(pool);
}

}  // namespace
}  // namespace weir::shm
