// What a listener is told: which events, in which order, once each; and what one that refuses or
// throws cannot break. On the null driver, for faults on demand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "support/pool_on_null.h"

namespace weir::test {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;

constexpr auto kLong = 20s;

/// One event as it came.
struct Told {
  std::int32_t kind = 0;
  std::uint64_t connection = 0;
  std::int32_t reason = 0;
  std::int32_t code = 0;
  std::uint64_t duration_ns = 0;
  std::uint64_t count = 0;
  std::string label, text;
};

/// Writes down what it is told, and answers what `answer` says.
class Listener {
 public:
  [[nodiscard]] RuntimeOptions options() {
    RuntimeOptions options;
    options.event = &Listener::take;
    options.event_context = this;
    return options;
  }
  std::vector<Told> told() {
    const std::lock_guard lock(mutex_);
    return told_;
  }
  std::vector<std::int32_t> kinds() {
    std::vector<std::int32_t> kinds;
    for (const Told& one : told()) kinds.push_back(one.kind);
    return kinds;
  }
  int count(std::int32_t kind) {
    const auto all = kinds();
    return static_cast<int>(std::count(all.begin(), all.end(), kind));
  }
  std::vector<Told> of(std::int32_t kind) {
    std::vector<Told> some;
    for (const Told& one : told())
      if (one.kind == kind) some.push_back(one);
    return some;
  }
  void forget() {
    const std::lock_guard lock(mutex_);
    told_.clear();
  }
  /// Set before anything is acquired.
  std::function<std::int32_t(const weir_event_t&)> answer;

 private:
  static std::int32_t take(void* self, const weir_event_t* event) {
    Listener& listener = *static_cast<Listener*>(self);
    {
      const std::lock_guard lock(listener.mutex_);
      listener.told_.push_back({event->kind, event->connection, event->reason, event->code,
                                event->duration_ns, event->count, event->label, event->text});
    }
    return listener.answer ? listener.answer(*event) : WEIR_OK;
  }
  std::mutex mutex_;
  std::vector<Told> told_;
};

class PoolEvents : public PoolOnNull {
 protected:
  Pool open_pool(int max, const std::string& keys = "", const std::string& more = "") {
    runtime_.emplace(open(more.empty() ? server_.dsn() : server_.dsn_with(more), max, keys, "one",
                          listener_.options()));
    return runtime_->pool("main");
  }
  static std::int32_t code_of_acquire(Pool& pool, const AcquireOptions& options) {
    return code_of([&] { const Lease lease = pool.acquire(options); });
  }
  Listener listener_;
  std::optional<Runtime> runtime_;
};

TEST_F(PoolEvents, OfAPoolBeginWithItsCreationAndTheOptionsGiven) {
  open_pool(7, "min = 2\n");
  const auto told = listener_.told();
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].kind, WEIR_EVENT_POOL_CREATED);
  EXPECT_NE(told[0].text.find("max=7"), std::string::npos) << told[0].text;
  EXPECT_EQ(told[0].text.find(server_.secret()), std::string::npos);
}

TEST_F(PoolEvents, OfALeaseComeInTheOrderInWhichThingsHappen) {
  Pool pool = open_pool(1);
  listener_.forget();
  { const Lease lease = pool.acquire({kLong, "GET /"}); }
  pool.close(kLong);
  EXPECT_THAT(listener_.kinds(),
              ElementsAre(WEIR_EVENT_CHECKOUT_STARTED, WEIR_EVENT_CONN_CREATED,
                          WEIR_EVENT_CONN_READY, WEIR_EVENT_CHECKED_OUT, WEIR_EVENT_CHECKED_IN,
                          WEIR_EVENT_POOL_CLOSED, WEIR_EVENT_CONN_CLOSED));
  EXPECT_EQ(listener_.of(WEIR_EVENT_CHECKOUT_STARTED)[0].label, "GET /");
  EXPECT_EQ(listener_.of(WEIR_EVENT_CONN_CLOSED)[0].reason, WEIR_CLOSE_POOL_CLOSED);
  for (const Told& one : listener_.told()) {
    const bool of_one =
        one.kind != WEIR_EVENT_CHECKOUT_STARTED && one.kind != WEIR_EVENT_POOL_CLOSED;
    EXPECT_EQ(one.connection, of_one ? 1u : 0u) << one.kind;
  }
  EXPECT_GT(listener_.of(WEIR_EVENT_CONN_READY)[0].duration_ns, 0u);
}

TEST_F(PoolEvents, OfAnIdleConnectionThatIsLentAgainCreateNothing) {
  Pool pool = open_pool(1);
  { const Lease lease = pool.acquire({kLong}); }
  listener_.forget();
  { const Lease lease = pool.acquire({kLong}); }
  EXPECT_THAT(listener_.kinds(), ElementsAre(WEIR_EVENT_CHECKOUT_STARTED, WEIR_EVENT_CHECKED_OUT,
                                             WEIR_EVENT_CHECKED_IN));
}

TEST_F(PoolEvents, AFailedAcquireEndsInExactlyOneFailureWithItsReason) {
  Pool pool = open_pool(1);
  const Lease lease = pool.acquire({kLong});
  listener_.forget();
  EXPECT_EQ(code_of_acquire(pool, {20ms}), WEIR_TIMEOUT);
  EXPECT_FALSE(pool.try_acquire());
  pool.pause();
  EXPECT_EQ(code_of_acquire(pool, {kLong}), WEIR_PAUSED);
  pool.close();
  EXPECT_EQ(code_of_acquire(pool, {kLong}), WEIR_CLOSED);
  EXPECT_EQ(listener_.count(WEIR_EVENT_CHECKOUT_STARTED), 4);
  std::vector<std::int32_t> codes;
  for (const Told& one : listener_.of(WEIR_EVENT_CHECKOUT_FAILED)) codes.push_back(one.code);
  EXPECT_THAT(codes, ElementsAre(WEIR_TIMEOUT, WEIR_WOULD_BLOCK, WEIR_PAUSED, WEIR_CLOSED));
  EXPECT_GE(listener_.of(WEIR_EVENT_CHECKOUT_FAILED)[0].duration_ns, 20'000'000u);
}

TEST_F(PoolEvents, OfAnEstablishmentThatFailsEndInAClose) {
  Pool pool = open_pool(1, "", "connect=fail@1");
  listener_.forget();
  EXPECT_EQ(code_of_acquire(pool, {kLong}), WEIR_CONNECT_FAILED);
  EXPECT_THAT(listener_.kinds(), ElementsAre(WEIR_EVENT_CHECKOUT_STARTED, WEIR_EVENT_CONN_CREATED,
                                             WEIR_EVENT_CONN_CLOSED, WEIR_EVENT_CHECKOUT_FAILED));
  EXPECT_EQ(listener_.of(WEIR_EVENT_CONN_CLOSED)[0].reason, WEIR_CLOSE_ERROR);
}

TEST_F(PoolEvents, ACheckinComesBeforeTheCloseThatItCauses) {
  Pool pool = open_pool(1);
  Lease lease = pool.acquire({kLong});
  lease.mark_broken();
  listener_.forget();
  lease.release();
  EXPECT_THAT(listener_.kinds(), ElementsAre(WEIR_EVENT_CHECKED_IN, WEIR_EVENT_CONN_CLOSED));
}

TEST_F(PoolEvents, NumberConnectionsInTheOrderOfTheirCreationAndNeverAgain) {
  Pool pool = open_pool(2);
  for (int i = 0; i < 3; ++i) {
    Lease a = pool.acquire({kLong}), b = pool.acquire({kLong});
    a.discard();
    b.discard();
  }
  std::vector<std::uint64_t> numbers;
  for (const Told& one : listener_.of(WEIR_EVENT_CONN_CREATED)) numbers.push_back(one.connection);
  EXPECT_THAT(numbers, ElementsAre(1, 2, 3, 4, 5, 6));
}

TEST_F(PoolEvents, TellOfResetsChecksDetachesAndDecisions) {
  Pool pool = open_pool(2, "validate_after = \"0s\"\nreset = \"always\"\n");
  { const Lease lease = pool.acquire({kLong}); }
  { const Lease lease = pool.acquire({kLong}); }
  EXPECT_EQ(listener_.count(WEIR_EVENT_CONN_RESET), 2);
  EXPECT_EQ(listener_.count(WEIR_EVENT_CONN_VALIDATED), 1);
  {
    Lease lease = pool.acquire({kLong});
    lease.detach();
  }
  EXPECT_EQ(listener_.count(WEIR_EVENT_CONN_DETACHED), 1);
  listener_.forget();
  pool.pause();
  pool.pause();  // silent
  pool.resume();
  pool.resume();
  pool.drain();
  pool.clear(true);
  pool.resume();
  pool.resize(3, 0);
  std::vector<std::int32_t> decisions;
  for (const Told& one : listener_.told()) {
    if (one.kind <= WEIR_EVENT_POOL_CLOSED) decisions.push_back(one.kind);
  }
  EXPECT_THAT(decisions,
              ElementsAre(WEIR_EVENT_POOL_PAUSED, WEIR_EVENT_POOL_READY, WEIR_EVENT_POOL_DRAINED,
                          WEIR_EVENT_POOL_CLEARED, WEIR_EVENT_POOL_READY, WEIR_EVENT_POOL_RESIZED));
  EXPECT_EQ(listener_.of(WEIR_EVENT_POOL_CLEARED)[0].count, 1u);
}

TEST_F(PoolEvents, TellOfALeakOnceWithItsLabelAndStack) {
  Pool pool = open_pool(1, "leak_after = \"1s\"\ncapture_stack = true\n");
  const Lease lease = pool.acquire({kLong, "GET /leaks"});
  ASSERT_TRUE(soon([&] { return listener_.count(WEIR_EVENT_LEAK_SUSPECTED) == 1; }));
  const Told leak = listener_.of(WEIR_EVENT_LEAK_SUSPECTED)[0];
  EXPECT_EQ(leak.label, "GET /leaks");
  EXPECT_EQ(leak.connection, lease.connection());
  EXPECT_GE(leak.duration_ns, 900'000'000u);
  EXPECT_NE(leak.text.find("libweir"), std::string::npos) << leak.text;
  EXPECT_EQ(pool.stats().leaks, 1u);
}

TEST_F(PoolEvents, AListenerMayCallWeir) {
  std::atomic<std::uint32_t> most = 0;
  std::optional<Pool> pool;
  listener_.answer = [&](const weir_event_t&) {
    if (pool) most = std::max<std::uint32_t>(most, pool->stats().used);
    return WEIR_OK;
  };
  pool = open_pool(1);
  { const Lease lease = pool->acquire({kLong}); }
  EXPECT_EQ(most, 1u);
  runtime_.reset();  // while there is what the listener looks at
}

TEST_F(PoolEvents, AListenerThatThrowsLosesNoConnection) {
  listener_.answer = [](const weir_event_t&) -> std::int32_t { throw std::runtime_error("no"); };
  Pool pool = open_pool(1);
  for (int i = 0; i < 3; ++i) const Lease lease = pool.acquire({kLong});
  EXPECT_EQ(pool.stats().connects, 1u);
  EXPECT_EQ(pool.stats().idle, 1u);
}

TEST_F(PoolEvents, AListenerThatRefusesALeaseGivesItsPlaceBack) {
  bool refuses = true;
  listener_.answer = [&](const weir_event_t& event) -> std::int32_t {
    return refuses && event.kind == WEIR_EVENT_CHECKED_OUT ? WEIR_NO_PERMISSION : WEIR_OK;
  };
  Pool pool = open_pool(1);
  EXPECT_EQ(code_of_acquire(pool, {kLong}), WEIR_NO_PERMISSION);
  EXPECT_EQ(pool.stats().idle, 1u);
  refuses = false;
  EXPECT_EQ(code_of_acquire(pool, {kLong}), WEIR_OK);
  runtime_.reset();  // while there is what the listener looks at
}

TEST_F(PoolEvents, AListenerThatRefusesANewConnectionHasItClosed) {
  int refusals = 1;
  listener_.answer = [&](const weir_event_t& event) -> std::int32_t {
    return event.kind == WEIR_EVENT_CONN_READY && refusals-- > 0 ? WEIR_NO_PERMISSION : WEIR_OK;
  };
  Pool pool = open_pool(1);
  EXPECT_EQ(code_of_acquire(pool, {kLong}), WEIR_NO_PERMISSION);
  EXPECT_EQ(code_of_acquire(pool, {kLong}), WEIR_OK);
  EXPECT_EQ(server_.counts().connects, 2u);
  runtime_.reset();  // while there is what the listener looks at
}

TEST_F(PoolEvents, GoToOneListenerAndThenToNobody) {
  Pool pool = open_pool(1);
  listener_.forget();
  Listener other;
  const RuntimeOptions options = other.options();
  runtime_->set_event_callback(options.event, options.event_context);
  { const Lease lease = pool.acquire({kLong}); }
  EXPECT_EQ(listener_.told().size(), 0u);
  EXPECT_EQ(other.count(WEIR_EVENT_CHECKED_OUT), 1);
  other.forget();
  runtime_->set_event_callback(nullptr);
  { const Lease lease = pool.acquire({kLong}); }
  EXPECT_EQ(other.told().size(), 0u);
}

// What the events say, the counters say, and every snapshot adds up while all of it happens.
TEST_F(PoolEvents, AndCountersTellTheSameStory) {
  Pool pool = open_pool(4, "validate_after = \"0s\"\nreset = \"always\"\nconnect_concurrency = 4\n",
                        "connect=delay:500us,fail@10%&ping=fail@5%&reset=fail@3%&seed=3");
  pool.pop_stats();
  listener_.forget();
  std::atomic<bool> over = false;
  std::atomic<int> unsound = 0;
  std::thread looks([&] {
    while (!over) {
      const weir_pool_stats_t now = pool.stats();
      const std::uint32_t sum = now.idle + now.used + now.connecting + now.closing + now.lingering;
      if (now.total != sum || now.total > 4) ++unsound;
    }
  });
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 6; ++caller) {
    callers.emplace_back([&, caller] {
      for (int i = 0; i < 60; ++i) {
        code_of([&] {
          Lease lease = pool.acquire({i % 7 == 0 ? 1ms : 10s, "caller"});
          if ((i + caller) % 11 == 0) lease.mark_broken();
          if ((i + caller) % 13 == 0) lease.discard();
        });
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  over = true;
  looks.join();
  pool.close(kLong);
  ASSERT_TRUE(soon([&] { return pool.stats().total == 0; }));
  EXPECT_EQ(unsound, 0);

  const weir_pool_stats_t counted = pool.stats();
  EXPECT_EQ(listener_.count(WEIR_EVENT_CHECKOUT_STARTED), 6 * 60);
  EXPECT_EQ(listener_.count(WEIR_EVENT_CHECKED_OUT) + listener_.count(WEIR_EVENT_CHECKOUT_FAILED),
            6 * 60);
  EXPECT_EQ(listener_.count(WEIR_EVENT_CHECKED_OUT), listener_.count(WEIR_EVENT_CHECKED_IN));
  EXPECT_EQ(listener_.count(WEIR_EVENT_CHECKED_OUT), static_cast<int>(counted.acquires));
  EXPECT_EQ(listener_.count(WEIR_EVENT_CONN_READY), static_cast<int>(counted.connects));
  std::map<std::int32_t, std::uint64_t> reasons;
  for (const Told& one : listener_.of(WEIR_EVENT_CONN_CLOSED)) ++reasons[one.reason];
  for (int reason = 0; reason < WEIR_CLOSE_REASONS; ++reason) {
    EXPECT_EQ(reasons[reason], counted.closed[reason]) << "reason " << reason;
  }
  // Each connection is created, then ready or closed, and closed once.
  std::map<std::uint64_t, std::vector<std::int32_t>> lives;
  for (const Told& one : listener_.told()) {
    if (one.kind == WEIR_EVENT_CONN_CREATED || one.kind == WEIR_EVENT_CONN_READY ||
        one.kind == WEIR_EVENT_CONN_CLOSED) {
      lives[one.connection].push_back(one.kind);
    }
  }
  for (const auto& [connection, life] : lives) {
    const bool whole =
        life == std::vector<std::int32_t>{WEIR_EVENT_CONN_CREATED, WEIR_EVENT_CONN_READY,
                                          WEIR_EVENT_CONN_CLOSED};
    const bool failed =
        life == std::vector<std::int32_t>{WEIR_EVENT_CONN_CREATED, WEIR_EVENT_CONN_CLOSED};
    EXPECT_TRUE(whole || failed) << "connection " << connection;
  }
  std::uint64_t next = 1;
  for (const auto& [connection, life] : lives) EXPECT_EQ(connection, next++);
}

TEST_F(PoolEvents, TellWhoIsInLineForWantOfAPermitAlone) {
  Pool pool = open_pool(2,
                        "quota = \"q\"\n[quota.q]\nlimit = 2\n[pool.other]\ndriver = \"null\"\n"
                        "quota = \"q\"\nmax = 2\ndsn = \"" +
                            server_.dsn() + "\"\n");
  Pool other = runtime_->pool("other");
  const Lease one = other.acquire({kLong}), two = other.acquire({kLong});
  EXPECT_EQ(code_of_acquire(pool, {20ms, "GET /"}), WEIR_TIMEOUT);
  const auto denied = listener_.of(WEIR_EVENT_QUOTA_DENIED);
  ASSERT_EQ(denied.size(), 1u);
  EXPECT_EQ(denied[0].label, "GET /");
}

TEST_F(PoolEvents, TellNothingOfTheQuotaWhereThePoolItselfIsFull) {
  Pool pool = open_pool(1);
  const Lease lease = pool.acquire({kLong});
  EXPECT_EQ(code_of_acquire(pool, {20ms, ""}), WEIR_TIMEOUT);
  EXPECT_EQ(listener_.count(WEIR_EVENT_QUOTA_DENIED), 0);
}

}  // namespace
}  // namespace weir::test
