// What is decided for a pool as a whole, and for a lease: pause, clear, drain, dispose, resize,
// check, close; invalidate, detach, replace; and giving up an acquire. Two workers are two runtimes
// of this process.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/pool_on_null.h"

namespace weir::test {
namespace {

using namespace std::chrono_literals;

constexpr auto kLong = 20s;

class PoolDeciding : public PoolOnNull {
 protected:
  Pool open_pool(int max, const std::string& keys = "", const std::string& more = "") {
    runtime_.emplace(open(more.empty() ? server_.dsn() : server_.dsn_with(more), max, keys));
    return runtime_->pool("main");
  }
  Pool open_other(int max, const std::string& keys = "") {
    other_.emplace(open(server_.dsn(), max, keys, "two"));
    return other_->pool("main");
  }
  static std::int32_t code_of_acquire(Pool& pool, const AcquireOptions& options) {
    return code_of([&] { const Lease lease = pool.acquire(options); });
  }
  std::int64_t session_of(const Lease& lease) { return server_.session_of(lease.native()); }
  std::uint64_t closed(const Pool& pool, weir_close_reason why) { return pool.stats().closed[why]; }
  /// A caller who waits for what cannot come.
  struct Caller {
    explicit Caller(Pool pool, AcquireOptions options = {kLong, "waits"})
        : thread([this, pool, options]() mutable {
            code = code_of([&] {
              const Lease lease = pool.acquire(options);
              native = lease.native();
            });
            ended_ns = monotonic_ns();
          }) {}
    ~Caller() { thread.join(); }
    std::int32_t end() {
      soon([&] { return ended_ns.load() != 0; });
      return code.load();
    }
    std::atomic<std::int32_t> code{-1};
    std::atomic<void*> native{nullptr};
    std::atomic<std::uint64_t> ended_ns{0};
    std::thread thread;
  };

  std::optional<Runtime> runtime_, other_;
};

// ---- pause and resume ---------------------------------------------------------------------------

TEST_F(PoolDeciding, APausedPoolLendsNothingInAnyWorkerUntilItIsResumed) {
  Pool here = open_pool(2), there = open_other(2);
  { const Lease lease = here.acquire({kLong}); }
  there.pause();
  EXPECT_EQ(code_of_acquire(here, {kLong}), WEIR_PAUSED);
  EXPECT_EQ(code_of_acquire(there, {kLong}), WEIR_PAUSED);
  EXPECT_EQ(code_of([&] { static_cast<void>(here.try_acquire()); }), WEIR_PAUSED);
  EXPECT_EQ(here.stats().paused, 1u);
  EXPECT_EQ(here.stats().idle, 1u) << "pausing closes nothing";
  here.resume();
  EXPECT_EQ(here.stats().paused, 0u);
  const Lease lease = here.acquire({kLong});
  EXPECT_EQ(here.stats().connects, 1u);
}

TEST_F(PoolDeciding, PausedIsRetryableAndNoTimeout) {
  Pool pool = open_pool(1);
  pool.pause();
  try {
    const Lease lease = pool.acquire({kLong});
    FAIL();
  } catch (const Error& error) {
    EXPECT_TRUE(error.is_retryable());
    EXPECT_FALSE(error.is_timeout());
    EXPECT_NE(std::string(error.what()).find("main"), std::string::npos) << error.what();
  }
}

TEST_F(PoolDeciding, WhoeverWaitsWhenThePoolIsPausedFailsAtOnce) {
  Pool here = open_pool(1), there = open_other(1);
  Lease lease = here.acquire({kLong});
  Caller near(here), far(there);
  ASSERT_TRUE(soon([&] { return here.stats().waiting == 2; }));
  const std::uint64_t paused_ns = monotonic_ns();
  here.pause();
  EXPECT_EQ(near.end(), WEIR_PAUSED);
  EXPECT_EQ(far.end(), WEIR_PAUSED);
  EXPECT_LT(near.ended_ns - paused_ns, 5'000'000'000u);
  EXPECT_EQ(here.stats().waiting, 0u);
  EXPECT_TRUE(server_.query(lease.native())) << "what is lent stays usable";
}

TEST_F(PoolDeciding, NothingThatComesBackToAPausedPoolIsLentToWhoWaits) {
  Pool pool = open_pool(1);
  for (int round = 0; round < 30; ++round) {
    std::optional<Lease> lease = pool.acquire({kLong});
    Caller caller(pool);
    ASSERT_TRUE(soon([&] { return pool.stats().waiting == 1; }));
    pool.pause();
    lease.reset();  // the caller may not have woken yet
    EXPECT_EQ(caller.end(), WEIR_PAUSED);
    pool.resume();
  }
}

TEST_F(PoolDeciding, APoolCanBeCreatedPaused) {
  Pool pool = open_pool(1, "start_paused = true\nmin = 1\n");
  EXPECT_EQ(code_of_acquire(pool, {kLong}), WEIR_PAUSED);
  EXPECT_EQ(server_.counts().connects, 0u) << "background filling stops while paused";
  pool.resume();
  pool.wait_ready(kLong);
  EXPECT_EQ(server_.counts().connects, 1u);
}

// ---- clear and drain ----------------------------------------------------------------------------

TEST_F(PoolDeciding, ClearClosesIdleOnesNowAndLentOnesWhenTheyComeBackInAllWorkers) {
  Pool here = open_pool(4), there = open_other(4);
  std::optional<Lease> lent = here.acquire({kLong});
  std::optional<Lease> far = there.acquire({kLong});
  { const Lease idle_here = here.acquire({kLong}); }
  { const Lease idle_there = there.acquire({kLong}); }
  ASSERT_EQ(server_.count_sessions(), 4);
  here.clear();
  EXPECT_TRUE(soon([&] { return server_.count_sessions() == 2; }));
  EXPECT_TRUE(server_.query(lent->native()));
  lent.reset();
  far.reset();
  EXPECT_TRUE(soon([&] { return server_.count_sessions() == 0; }));
  EXPECT_EQ(closed(here, WEIR_CLOSE_STALE), 4u);
  EXPECT_EQ(code_of_acquire(here, {kLong}), WEIR_PAUSED) << "cleared is paused";
  here.resume();
  const Lease lease = there.acquire({kLong});
  EXPECT_EQ(here.stats().generation, 1u);
}

TEST_F(PoolDeciding, ClearOfAPausedPoolChangesNothing) {
  Pool pool = open_pool(1);
  { const Lease lease = pool.acquire({kLong}); }
  pool.pause();
  pool.clear(true);
  EXPECT_EQ(pool.stats().generation, 0u);
  EXPECT_EQ(pool.stats().idle, 1u);
}

TEST_F(PoolDeciding, ClearWithInterruptBreaksOffHandshakes) {
  Pool pool = open_pool(1, "", "connect=delay:60s");
  Caller caller(pool, {60s, "connects"});
  ASSERT_TRUE(soon([&] { return pool.stats().connecting == 1; }));
  pool.clear(true);
  EXPECT_EQ(caller.end(), WEIR_PAUSED);
  EXPECT_TRUE(soon([&] { return pool.stats().total == 0; }));
  EXPECT_EQ(closed(pool, WEIR_CLOSE_INTERRUPTED), 1u);
}

TEST_F(PoolDeciding, WhatIsOpenedWhileThePoolIsDrainedIsNotLent) {
  Pool pool = open_pool(1, "", "connect=delay:300ms@1");
  Caller caller(pool);
  ASSERT_TRUE(soon([&] { return pool.stats().connecting == 1; }));
  pool.drain();
  EXPECT_EQ(caller.end(), WEIR_OK);
  EXPECT_EQ(pool.stats().connects, 2u) << "the first one was of the old generation";
}

TEST_F(PoolDeciding, DrainClosesWhatWasOpenedBeforeAndGoesOnLending) {
  Pool here = open_pool(3), there = open_other(3);
  std::optional<Lease> lent = here.acquire({kLong});
  const std::int64_t old = session_of(*lent);
  { const Lease idle = there.acquire({kLong}); }
  here.drain();
  EXPECT_TRUE(soon([&] { return server_.count_sessions() == 1; })) << "idle ones go at once";
  { const Lease lease = there.acquire({kLong}); }
  lent.reset();
  EXPECT_TRUE(soon([&] { return here.stats().total == 1; }));
  const Lease next = here.acquire({kLong});
  EXPECT_NE(session_of(next), old);
  EXPECT_EQ(here.stats().paused, 0u);
}

TEST_F(PoolDeciding, NothingThatWasOpenedBeforeADrainIsLentAfterIt) {
  Pool here = open_pool(4), there = open_other(4);
  for (int round = 0; round < 50; ++round) {
    std::int64_t newest = 0;
    {
      const Lease a = here.acquire({kLong}), b = there.acquire({kLong});
      newest = std::max(session_of(a), session_of(b));
    }
    (round % 2 == 0 ? here : there).drain();
    const Lease a = here.acquire({kLong}), b = there.acquire({kLong});
    EXPECT_GT(session_of(a), newest);
    EXPECT_GT(session_of(b), newest);
  }
}

TEST_F(PoolDeciding, DisposeClosesIdleOnesOnlyAndLeasesAreLentAgain) {
  Pool pool = open_pool(2);
  std::optional<Lease> lent = pool.acquire({kLong});
  { const Lease idle = pool.acquire({kLong}); }
  const std::int64_t kept = session_of(*lent);
  pool.dispose();
  EXPECT_TRUE(soon([&] { return server_.count_sessions() == 1; }));
  lent.reset();
  EXPECT_EQ(session_of(pool.acquire({kLong})), kept);
}

// ---- size ---------------------------------------------------------------------------------------

TEST_F(PoolDeciding, ShrinkingTakesEffectAsLeasesComeBackOneByOne) {
  Pool pool = open_pool(3);
  std::vector<Lease> leases;
  for (int i = 0; i < 3; ++i) leases.push_back(pool.acquire({kLong}));
  pool.resize(1, 0);
  EXPECT_EQ(pool.stats().max, 1u);
  EXPECT_EQ(pool.stats().used, 3u) << "nothing is taken away";
  leases.pop_back();
  EXPECT_TRUE(soon([&] { return pool.stats().total == 2; }));
  leases.clear();
  EXPECT_TRUE(soon([&] { return pool.stats().total <= 1; }));
}

TEST_F(PoolDeciding, GrowingServesThoseWhoWait) {
  Pool here = open_pool(1), there = open_other(1);
  const Lease lease = here.acquire({kLong});
  Caller near(here), far(there);
  ASSERT_TRUE(soon([&] { return here.stats().waiting == 2; }));
  here.resize(3, 0);
  EXPECT_EQ(near.end(), WEIR_OK);
  EXPECT_EQ(far.end(), WEIR_OK);
}

TEST_F(PoolDeciding, AResizeThatCannotBeIsRefusedAndChangesNothing) {
  Pool pool = open_pool(4, "min = 1\n");
  pool.wait_ready(kLong);
  EXPECT_EQ(code_of([&] { pool.resize(0, 0); }), WEIR_BAD_CONFIG);
  EXPECT_EQ(code_of([&] { pool.resize(2, 3); }), WEIR_BAD_CONFIG);
  EXPECT_EQ(code_of([&] { pool.resize(10'000'000, 3); }), WEIR_BAD_CONFIG);
  EXPECT_EQ(pool.stats().max, 4u);
  EXPECT_EQ(pool.stats().min, 1u);
}

TEST_F(PoolDeciding, ResizingBackAndForthNeverOverflows) {
  Pool pool = open_pool(8);
  std::atomic<bool> over = false;
  std::vector<std::thread> callers;
  for (int i = 0; i < 4; ++i) {
    callers.emplace_back([&] {
      while (!over) code_of([&] { const Lease lease = pool.acquire({kLong}); });
    });
  }
  for (int i = 0; i < 100; ++i) {
    pool.resize(1 + static_cast<std::uint32_t>(i) % 8, 0);
    EXPECT_LE(pool.stats().total, 8u);
  }
  over = true;
  for (std::thread& caller : callers) caller.join();
  EXPECT_LE(server_.counts().most_sessions, 8);
}

// ---- readiness and checks -----------------------------------------------------------------------

TEST_F(PoolDeciding, WaitReadyEndsWhenAsManyAsMinAreOpenAndCanBeAskedAgain) {
  Pool pool = open_pool(4, "min = 3\n", "connect=delay:20ms");
  pool.wait_ready(kLong);
  EXPECT_EQ(pool.stats().idle, 3u);
  pool.wait_ready(0s);
}

TEST_F(PoolDeciding, WaitReadySaysHowFarItCame) {
  Pool pool = open_pool(2, "min = 2\n", "connect=fail");
  try {
    pool.wait_ready(300ms);
    FAIL();
  } catch (const Error& error) {
    EXPECT_TRUE(error.is_timeout());
    EXPECT_NE(std::string(error.what()).find("0 connections are ready, 2 (min)"), std::string::npos)
        << error.what();
  }
}

TEST_F(PoolDeciding, APoolThatCannotFillItselfIsPausedIfSoConfigured) {
  Pool pool = open_pool(2, "min = 1\npause_on_populate_error = true\n", "connect=fail@1");
  EXPECT_EQ(code_of([&] { pool.wait_ready(kLong); }), WEIR_PAUSED);
  pool.resume();
  pool.wait_ready(kLong);
}

TEST_F(PoolDeciding, CheckClosesTheDeadAndOpensAsMany) {
  Pool pool = open_pool(3);
  std::vector<Lease> leases;
  for (int i = 0; i < 3; ++i) leases.push_back(pool.acquire({kLong}));
  const std::int64_t dead = session_of(leases[1]);
  leases.clear();
  server_.terminate(dead);
  const Pool::Checked checked = pool.check(kLong);
  EXPECT_EQ(checked.good, 2u);
  EXPECT_EQ(checked.dead, 1u);
  EXPECT_TRUE(soon([&] { return pool.stats().idle == 3; }));
  EXPECT_EQ(pool.stats().connects, 4u);
  EXPECT_EQ(closed(pool, WEIR_CLOSE_INVALID), 1u);
}

// ---- close --------------------------------------------------------------------------------------

TEST_F(PoolDeciding, AClosedPoolFailsWaitersAtOnceAndLeavesLeasesUsableUntilTheyAreReturned) {
  Pool pool = open_pool(1);
  std::optional<Lease> lent = pool.acquire({kLong});
  Caller caller(pool);
  ASSERT_TRUE(soon([&] { return pool.stats().waiting == 1; }));
  pool.close();
  EXPECT_EQ(caller.end(), WEIR_CLOSED);
  EXPECT_TRUE(server_.query(lent->native()));
  EXPECT_EQ(code_of_acquire(pool, {kLong}), WEIR_CLOSED);
  lent.reset();
  EXPECT_TRUE(soon([&] { return server_.count_sessions() == 0; }));
  pool.close();  // closing again is allowed
}

TEST_F(PoolDeciding, AnEstablishmentInFlightWhenThePoolIsClosedIsClosedWhenItArrives) {
  Pool pool = open_pool(1, "", "connect=delay:300ms");
  Caller caller(pool, {100ms, "leaves early"});
  EXPECT_EQ(caller.end(), WEIR_TIMEOUT);
  pool.close();
  EXPECT_TRUE(soon([&] { return pool.stats().total == 0; }));
  EXPECT_EQ(server_.count_sessions(), 0);
}

TEST_F(PoolDeciding, WhoConnectsWhenThePoolIsClosedFailsAtOnce) {
  Pool pool = open_pool(2, "connect_timeout = \"2s\"\n", "connect=delay:60s");
  Caller caller(pool, {60s, "connects"});
  Ticket ticket = pool.start({60s});
  ASSERT_TRUE(soon([&] { return pool.stats().connecting == 2; }));
  pool.close();
  EXPECT_EQ(caller.end(), WEIR_CLOSED);
  EXPECT_EQ(code_of([&] { static_cast<void>(ticket.finish()); }), WEIR_CLOSED);
}

TEST_F(PoolDeciding, CloseCanWaitForLeasesAndSaysIfSomeAreStillOut) {
  Pool pool = open_pool(2);
  std::optional<Lease> lent = pool.acquire({kLong});
  EXPECT_EQ(code_of([&] { pool.close(50ms); }), WEIR_TIMEOUT);
  std::thread returns([&] {
    const timespec pause{0, 20'000'000};
    nanosleep(&pause, nullptr);
    lent.reset();
  });
  pool.close(kLong);
  returns.join();
  EXPECT_EQ(code_of([&] { runtime_->close_within(kLong); }), WEIR_OK);
}

TEST_F(PoolDeciding, AClosedPoolOfOneWorkerIsOpenInTheOthers) {
  Pool here = open_pool(1), there = open_other(1);
  here.close();
  const Lease lease = there.acquire({kLong});
}

// ---- leases -------------------------------------------------------------------------------------

TEST_F(PoolDeciding, AHardInvalidateClosesAtOnceAndReturningItIsASilentNoOp) {
  Pool pool = open_pool(1);
  weir_lease_t lease{};
  weir_error_t error = WEIR_ERROR_INIT;
  ASSERT_EQ(weir_acquire(pool.get(), nullptr, &lease, &error), WEIR_OK) << error.message;
  ASSERT_EQ(weir_invalidate(&lease, 0, &error), WEIR_OK) << error.message;
  EXPECT_EQ(weir_lease_native(&lease), nullptr);
  EXPECT_EQ(weir_release(&lease, &error), WEIR_OK);
  EXPECT_EQ(weir_release(&lease, &error), WEIR_NOT_CHECKED_OUT) << "but only once";
  const Lease next = pool.acquire({kLong});
  EXPECT_EQ(server_.counts().connects, 2u);
  EXPECT_EQ(closed(pool, WEIR_CLOSE_INVALIDATED), 1u);
}

TEST_F(PoolDeciding, AHardInvalidateWakesWhoeverWaits) {
  Pool pool = open_pool(1);
  Lease lease = pool.acquire({kLong});
  Caller caller(pool);
  ASSERT_TRUE(soon([&] { return pool.stats().waiting == 1; }));
  lease.discard();
  EXPECT_EQ(caller.end(), WEIR_OK);
}

TEST_F(PoolDeciding, ASoftInvalidateLeavesItUsableUntilItIsReturnedAndThenReplacesIt) {
  Pool pool = open_pool(1);
  std::optional<Lease> lease = pool.acquire({kLong});
  const std::int64_t old = session_of(*lease);
  lease->invalidate_softly();
  EXPECT_TRUE(server_.query(lease->native()));
  lease.reset();
  EXPECT_NE(session_of(pool.acquire({kLong})), old);
  EXPECT_EQ(closed(pool, WEIR_CLOSE_INVALIDATED), 1u);
}

TEST_F(PoolDeciding, OneMarkedBrokenIsClosedOnReturnAsAnError) {
  Pool pool = open_pool(1);
  {
    Lease lease = pool.acquire({kLong});
    lease.mark_broken();
  }
  EXPECT_TRUE(soon([&] { return server_.count_sessions() == 0; }));
  EXPECT_EQ(closed(pool, WEIR_CLOSE_ERROR), 1u);
}

TEST_F(PoolDeciding, ADetachedConnectionKeepsItsPlaceUntilItIsClosed) {
  Pool pool = open_pool(1, "leak_after = \"1s\"\n");
  std::optional<Lease> lease = pool.acquire({kLong});
  lease->detach();
  EXPECT_EQ(pool.stats().detached, 1u);
  EXPECT_EQ(code_of_acquire(pool, {50ms}), WEIR_TIMEOUT) << "it counts against max";
  EXPECT_TRUE(server_.query(lease->native()));
  lease.reset();
  EXPECT_TRUE(soon([&] { return server_.count_sessions() == 0; }));
  EXPECT_EQ(closed(pool, WEIR_CLOSE_DETACHED), 1u);
  const Lease next = pool.acquire({kLong});
}

TEST_F(PoolDeciding, AReplacedConnectionIsAnotherInTheSamePlaceOutOfLine) {
  Pool pool = open_pool(1);
  Lease lease = pool.acquire({kLong});
  const std::int64_t old = session_of(lease);
  const std::uint64_t number = lease.connection();
  Caller caller(pool);
  ASSERT_TRUE(soon([&] { return pool.stats().waiting == 1; }));
  lease.replace({kLong});
  EXPECT_NE(session_of(lease), old);
  EXPECT_EQ(lease.connection(), number + 1);
  EXPECT_EQ(server_.count_sessions(), 1) << "the old one had gone first";
  EXPECT_EQ(server_.counts().most_sessions, 1);
  EXPECT_EQ(pool.stats().waiting, 1u);
  lease.release();
  EXPECT_EQ(caller.end(), WEIR_OK);
}

TEST_F(PoolDeciding, AReplaceThatCannotConnectEndsTheLeaseAndFreesItsPlace) {
  Pool pool = open_pool(1, "", "connect=fail@2");
  Lease lease = pool.acquire({kLong});
  EXPECT_EQ(code_of([&] { lease.replace({kLong}); }), WEIR_CONNECT_FAILED);
  EXPECT_EQ(lease.native(), nullptr);
  const Lease next = pool.acquire({kLong});
  EXPECT_EQ(pool.stats().total, 1u);
}

TEST_F(PoolDeciding, ALeaseOfAnotherPoolIsRefusedAndNothingChanges) {
  Pool here = open_pool(1), there = open_other(1);
  weir_lease_t lease{};
  weir_error_t error = WEIR_ERROR_INIT;
  ASSERT_EQ(weir_acquire(here.get(), nullptr, &lease, &error), WEIR_OK) << error.message;
  EXPECT_EQ(weir_release_to(there.get(), &lease, &error), WEIR_FOREIGN_CONNECTION);
  EXPECT_EQ(here.stats().used, 1u);
  EXPECT_NE(weir_lease_native(&lease), nullptr);
  EXPECT_EQ(weir_release_to(here.get(), &lease, &error), WEIR_OK) << error.message;
}

// ---- giving up ----------------------------------------------------------------------------------

TEST_F(PoolDeciding, AnAcquireThatWasCancelledBeforeNeverSpeaksToTheServer) {
  Pool pool = open_pool(1);
  Cancellation cancellation;
  cancellation.cancel();
  EXPECT_EQ(code_of_acquire(pool, {kLong, nullptr, &cancellation}), WEIR_CANCELLED);
  EXPECT_EQ(server_.counts().connects, 0u);
  EXPECT_EQ(pool.stats().cancelled, 1u);
  EXPECT_EQ(pool.stats().acquires, 0u);
}

TEST_F(PoolDeciding, AWaiterThatIsCancelledHasLeftTheLineAndTakesNothingLater) {
  Pool pool = open_pool(1);
  std::optional<Lease> lease = pool.acquire({kLong});
  Cancellation cancellation;
  Caller cancelled(pool, {kLong, "cancelled", &cancellation});
  ASSERT_TRUE(soon([&] { return pool.stats().waiting == 1; }));
  Caller stays(pool);
  ASSERT_TRUE(soon([&] { return pool.stats().waiting == 2; }));
  cancellation.cancel();
  EXPECT_EQ(cancelled.end(), WEIR_CANCELLED);
  EXPECT_EQ(pool.stats().waiting, 1u);
  lease.reset();
  EXPECT_EQ(stays.end(), WEIR_OK);
  EXPECT_EQ(pool.stats().timeouts, 0u);
}

TEST_F(PoolDeciding, AConnectionWhoseCallerCancelledIsKeptAsIdle) {
  Pool pool = open_pool(1, "", "connect=delay:200ms@1");
  Cancellation cancellation;
  Caller caller(pool, {kLong, "cancelled", &cancellation});
  ASSERT_TRUE(soon([&] { return pool.stats().connecting == 1; }));
  cancellation.cancel();
  EXPECT_EQ(caller.end(), WEIR_CANCELLED);
  EXPECT_TRUE(soon([&] { return pool.stats().idle == 1; }));
}

TEST_F(PoolDeciding, CancellingAfterTheLeaseWasHadChangesNothing) {
  Pool pool = open_pool(1);
  Cancellation cancellation;
  const Lease lease = pool.acquire({kLong, nullptr, &cancellation});
  cancellation.cancel();
  EXPECT_TRUE(server_.query(lease.native()));
}

// ---- order --------------------------------------------------------------------------------------

class PoolOrder : public PoolDeciding {
 protected:
  // Sessions in the order in which they come back, and in which they are lent again.
  std::pair<std::vector<std::int64_t>, std::vector<std::int64_t>> orders(const std::string& order) {
    Pool pool = open_pool(4, "handover_after = \"0s\"\norder = \"" + order + "\"\n");
    std::vector<Lease> leases;
    for (int i = 0; i < 4; ++i) leases.push_back(pool.acquire({kLong}));
    std::vector<std::int64_t> returned, lent;
    for (const int i : {2, 0, 3, 1}) {
      returned.push_back(session_of(leases[static_cast<std::size_t>(i)]));
      leases[static_cast<std::size_t>(i)].release();
    }
    leases.clear();
    for (int i = 0; i < 4; ++i) {
      leases.push_back(pool.acquire({kLong}));
      lent.push_back(session_of(leases.back()));
    }
    return {returned, lent};
  }
};

TEST_F(PoolOrder, OfFifoLendsWhatCameBackFirst) {
  const auto [returned, lent] = orders("fifo");
  EXPECT_EQ(lent, returned);
}

TEST_F(PoolOrder, OfLifoLendsWhatCameBackLast) {
  auto [returned, lent] = orders("lifo");
  std::reverse(lent.begin(), lent.end());
  EXPECT_EQ(lent, returned);
}

// ---- counters -----------------------------------------------------------------------------------

TEST_F(PoolDeciding, CountersCanBeReadAndSetToZeroInOneStep) {
  Pool here = open_pool(2), there = open_other(2);
  for (int i = 0; i < 3; ++i) const Lease lease = here.acquire({kLong});
  { const Lease lease = there.acquire({kLong}); }
  const weir_pool_stats_t first = here.pop_stats();
  EXPECT_EQ(first.acquires, 4u);
  EXPECT_EQ(first.connects, 2u);
  const weir_pool_stats_t second = there.stats();
  EXPECT_EQ(second.acquires, 0u);
  EXPECT_EQ(second.connects, 0u);
  EXPECT_EQ(second.idle, 2u) << "gauges stay";
}

}  // namespace
}  // namespace weir::test
