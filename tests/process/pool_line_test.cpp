// One line for the whole machine, oldest first: who was in line before somebody else called is
// served before, whichever worker both are in.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <set>
#include <thread>
#include <vector>

#include "pool_on_postgres.h"

namespace weir::test {
namespace {

using namespace std::chrono_literals;
using shm::WaiterState;

// One connection, so that the order of leases is the order of turns.
constexpr const char* kStrict = "max = 1\npermit_quantum = \"0s\"\nhandover_after = \"0s\"";

class PoolLine : public PoolOnPostgres {
 protected:
  /// What becomes of one call, in numbers of one clock that ticks with each event of any process.
  struct Call {
    std::atomic<std::uint32_t> called{0}, in_line{0}, served{0};
  };
  template <std::size_t kCalls>
  struct Book {
    std::atomic<std::uint32_t> clock{0};
    std::array<Call, kCalls> calls{};
    std::uint32_t tick() { return clock.fetch_add(1) + 1; }
  };

  static std::string label_of(std::size_t call) { return "call " + std::to_string(call); }

  /// Whether, of a connection that this thread gives back while another waits for it, this thread
  /// can have the next lease first. One attempt; the machine may be too busy for it to succeed.
  bool passes_a_waiter() const {
    Got got = acquire(pool());
    require(got, "acquire");
    const std::uint64_t served = stats_of(pool()).acquires;
    std::thread other([this] {
      Got waited = acquire(pool());
      require(waited, "waiting");
      require(release(waited.lease), "releasing");
    });
    require(poll_until([this] { return stats_of(pool()).waiting == 1; }), "nobody in line");
    require(release(got.lease), "release");
    got = acquire(pool());
    require(got, "acquire again");
    const bool passed = stats_of(pool()).acquires == served + 1;
    require(release(got.lease), "release again");
    other.join();
    return passed;
  }
};

TEST_F(PoolLine, IsOneForTheMachineOldestFirst) {
  constexpr std::uint32_t kWorkers = 6;
  const std::string config = world_->config(kStrict);
  struct Order {
    std::atomic<std::uint32_t> next{0};
    std::array<std::atomic<std::uint32_t>, kWorkers> served_as{};
  };
  const Shared<Order> order;
  SharedCounter turn;
  std::vector<std::unique_ptr<WorkerProcess>> workers;
  for (std::uint32_t i = 0; i < kWorkers; ++i) {
    workers.push_back(std::make_unique<WorkerProcess>([&, i]() -> int {
      Weir own(config);
      require(turn.await(i + 1), "nobody called");
      Got got = acquire(own.pool());
      require(got, "acquire");
      order->served_as[i].store(order->next.fetch_add(1));
      require(release(got.lease), "release");
      return own.close().ok() ? 0 : 1;
    }));
  }
  Weir weir(config);
  Got held = acquire(weir.pool());
  ASSERT_TRUE(held.ok()) << held.message;
  for (std::uint32_t i = 0; i < kWorkers; ++i) {  // into the line one after the other
    turn.add();
    ASSERT_TRUE(poll_until([&] { return stats_of(weir.pool()).waiting == i + 1; }));
  }
  EXPECT_TRUE(release(held.lease).ok());
  for (auto& worker : workers) EXPECT_EQ(worker->wait_at_most(), 0);
  for (std::uint32_t i = 0; i < kWorkers; ++i) EXPECT_EQ(order->served_as[i], i);
}

TEST_F(PoolLine, WhoIsInItBeforeAnotherCallsIsServedBeforeWhicheverWorkerTheyAreIn) {
  constexpr std::size_t kWorkers = 4, kThreads = 3, kRounds = 20;
  constexpr std::size_t kCalls = kWorkers * kThreads * kRounds;
  const std::string config = world_->config(kStrict);
  const Shared<Book<kCalls>> book;
  SharedCounter ready, go;
  std::vector<std::unique_ptr<WorkerProcess>> workers;
  for (std::size_t worker = 0; worker < kWorkers; ++worker) {
    workers.push_back(std::make_unique<WorkerProcess>([&, worker]() -> int {
      Weir own(config);
      own.attach();
      ready.add();
      require(go.await(1), "nobody said go");
      const auto loop = [&](std::size_t thread) {
        for (std::size_t round = 0; round < kRounds; ++round) {
          const std::size_t id = (worker * kThreads + thread) * kRounds + round;
          Call& call = book->calls[id];
          call.called.store(book->tick());
          Got got = acquire(own.pool(), kPatience, label_of(id).c_str());
          require(got, label_of(id));
          call.served.store(book->tick());
          require(release(got.lease), "release");
        }
      };
      std::vector<std::thread> threads;
      for (std::size_t thread = 0; thread < kThreads; ++thread) threads.emplace_back(loop, thread);
      for (std::thread& thread : threads) thread.join();
      return 0;
    }));
  }
  ASSERT_TRUE(ready.await(kWorkers));
  go.add();
  // What the segment shows any reader: who stands in line. The clock ticks after the look, so
  // whoever calls from then on has called later.
  EXPECT_TRUE(poll_until([&] {
    const shm::Snapshot snapshot = world_->snapshot();
    const std::uint32_t now = book->tick();
    for (const shm::WaiterSnapshot& waiter : snapshot.waiters) {
      if (waiter.state != WaiterState::kWaiting) continue;
      for (std::size_t id = 0; id < kCalls; ++id) {
        Call& call = book->calls[id];
        if (waiter.label == label_of(id) && call.in_line == 0) call.in_line.store(now);
      }
    }
    return std::all_of(book->calls.begin(), book->calls.end(),
                       [](const Call& call) { return call.served != 0; });
  }));
  for (auto& worker : workers) EXPECT_EQ(worker->wait_at_most(), 0);

  std::size_t pairs = 0;
  for (const Call& before : book->calls) {
    for (const Call& after : book->calls) {
      if (before.in_line == 0 || after.called < before.in_line) continue;
      ++pairs;
      EXPECT_LT(before.served, after.served)
          << "in line at " << before.in_line << ", called at " << after.called;
    }
  }
  EXPECT_GT(pairs, kCalls) << "too few were seen in line for this to say anything";
}

TEST_F(PoolLine, OfThirtyTwoProcessesOnOneConnectionNobodyWaitsTwiceTheMedianOfTurns) {
  constexpr std::size_t kWorkers = 32, kRounds = 5;
  const std::string config = world_->config(kStrict);
  struct Turns {
    std::atomic<std::uint32_t> served{0};
    std::array<std::array<std::atomic<std::uint32_t>, kRounds>, kWorkers> waited{};
  };
  const Shared<Turns> turns;
  SharedCounter ready, go, done;
  std::vector<std::unique_ptr<WorkerProcess>> workers;
  for (std::size_t worker = 0; worker < kWorkers; ++worker) {
    workers.push_back(std::make_unique<WorkerProcess>([&, worker]() -> int {
      Weir own(config);
      own.attach();
      ready.add();
      require(go.await(1), "nobody said go");
      for (std::size_t round = 0; round < kRounds || done.value() < kWorkers; ++round) {
        const std::uint32_t before = turns->served.load();
        Got got = acquire(own.pool());
        require(got, "acquire");
        const std::uint32_t turn = turns->served.fetch_add(1);
        if (round < kRounds) turns->waited[worker][round].store(turn - before);
        require(release(got.lease), "release");
        if (round + 1 == kRounds) done.add();  // and goes on, so that the line stays as long
      }
      return 0;
    }));
  }
  ASSERT_TRUE(ready.await(kWorkers));
  go.add();
  for (auto& worker : workers) EXPECT_EQ(worker->wait_at_most(60s), 0);

  std::vector<std::uint32_t> waited;
  for (const auto& rounds : turns->waited) {
    // The first turn is that of a line which is only just forming.
    for (std::size_t round = 1; round < kRounds; ++round) waited.push_back(rounds[round]);
  }
  std::sort(waited.begin(), waited.end());
  const std::uint32_t median = waited[waited.size() / 2];
  EXPECT_GE(median, kWorkers / 2) << "not much of a line";
  EXPECT_LE(waited.back(), 2 * median);
}

TEST_F(PoolLine, AThreadThatComesAgainAtOnceMayPassAYoungWaiter) {
#if defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "under this sanitizer nobody comes again within 20 us";
#endif
  open("max = 1\nhandover_after = \"10s\"");
  EXPECT_TRUE(poll_until([this] { return passes_a_waiter(); }));
}

TEST_F(PoolLine, NobodyPassesItWhereHandoverAfterIsZero) {
  open("max = 1\nhandover_after = \"0s\"");
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(passes_a_waiter());
}

TEST_F(PoolLine, AThreadThatComesAgainAtOnceDoesNotKeepAWaiterForLong) {
  open("max = 1");  // as it is by default
  SharedCounter served;
  std::atomic<bool> stop{false};
  std::vector<std::thread> busy;
  for (int i = 0; i < 3; ++i) {
    busy.emplace_back([&] {
      while (!stop) {
        Got got = acquire(pool());
        require(got, "acquire");
        require(release(got.lease), "release");
      }
    });
  }
  for (int i = 0; i < 200; ++i) {
    Got got = acquire(pool());
    EXPECT_TRUE(got.ok()) << got.message;
    EXPECT_TRUE(release(got.lease).ok());
    std::this_thread::sleep_for(1ms);  // not one that comes again at once
  }
  stop = true;
  for (std::thread& thread : busy) thread.join();
  EXPECT_EQ(world_->await_rest(), "");
}

}  // namespace
}  // namespace weir::test
