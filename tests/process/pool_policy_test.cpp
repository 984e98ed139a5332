// A pool whose policy is a script: what it decides holds, what it gets wrong harms nobody, and it
// may change while everything runs. On the null driver, for faults on demand.
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "support/pool_on_null.h"

namespace weir::test {
namespace {

using namespace std::chrono_literals;

constexpr auto kLong = 20s;
constexpr auto kRefused = 100ms;

class PoolPolicy : public PoolOnNull {
 protected:
  /// The script in charge from the next tick on.
  void write(const std::string& body) {
    // In one step: nobody reads half of it.
    const std::string next = path() + ".next";
    std::ofstream(next) << body;
    std::filesystem::rename(next, path());
  }
  [[nodiscard]] static std::string sized(const std::string& decision) {
    return "return { name = 'tested', api = 1, size = function(view) return { " + decision +
           " } end }";
  }
  [[nodiscard]] std::string path() const { return (scripts_.path() / "policy.lua").string(); }

  Pool open_pool(int max, const std::string& keys = "", const std::string& more = "") {
    RuntimeOptions options;
    options.event = &PoolPolicy::take;
    options.event_context = this;
    runtime_.emplace(open(more.empty() ? server_.dsn() : server_.dsn_with(more), max,
                          "policy = \"" + path() + "\"\n" + keys, "one", options));
    return runtime_->pool("main");
  }
  static bool may_have(Pool& pool) {
    return code_of([&] { const Lease lease = pool.acquire({kRefused}); }) == WEIR_OK;
  }
  static std::vector<Lease> take(Pool& pool, int count) {
    std::vector<Lease> leases;
    for (int i = 0; i < count; ++i) leases.push_back(pool.acquire({kLong}));
    return leases;
  }

  std::atomic<int> told_{0};  // POLICY_ERROR
  TempFolder scripts_;
  std::optional<Runtime> runtime_;

 private:
  static std::int32_t take(void* self, const weir_event_t* event) {
    if (event->kind == WEIR_EVENT_POLICY_ERROR) ++static_cast<PoolPolicy*>(self)->told_;
    return WEIR_OK;
  }
};

TEST_F(PoolPolicy, SaysHowManyMayBeOpened) {
  write(sized("max = 2"));
  Pool pool = open_pool(4);
  { const Lease first = pool.acquire({kLong}); }
  ASSERT_TRUE(soon([&] { return pool.stats().policy_errors == 0 && pool.stats().idle == 1; }));
  EXPECT_TRUE(soon([&] {
    std::vector<Lease> two = take(pool, 2);
    return !may_have(pool);
  }));
  EXPECT_LE(pool.stats().total, 3u) << "one more may have come before it was asked";
}

TEST_F(PoolPolicy, TakesEffectWhenItsFileChangesAndDropsNoLease) {
  write(sized("max = 1"));
  Pool pool = open_pool(3);
  const Lease kept = pool.acquire({kLong});
  ASSERT_TRUE(soon([&] { return !may_have(pool); }));
  write(sized("max = 3"));
  const Lease second = pool.acquire({kLong}), third = pool.acquire({kLong});
  EXPECT_EQ(pool.stats().used, 3u);
  EXPECT_NE(kept.native<void>(), nullptr);
  EXPECT_EQ(told_.load(), 0);
}

TEST_F(PoolPolicy, ThatIsBadNeverReplacesAGoodOne) {
  write(sized("warm = 2"));
  Pool pool = open_pool(4);
  { const Lease first = pool.acquire({kLong}); }
  ASSERT_TRUE(soon([&] { return pool.stats().idle == 2; }));
  write("return {");
  ASSERT_TRUE(soon([&] { return pool.stats().policy_errors == 1; }));
  pool.dispose();
  EXPECT_TRUE(soon([&] { return pool.stats().idle == 2; })) << "it still wants two";
  EXPECT_EQ(told_.load(), 1);
  write(sized("warm = 3"));
  EXPECT_TRUE(soon([&] { return pool.stats().idle == 3; }));
}

TEST_F(PoolPolicy, WhoseFileIsGoneStaysInCharge) {
  write(sized("warm = 2"));
  Pool pool = open_pool(4);
  { const Lease first = pool.acquire({kLong}); }
  ASSERT_TRUE(soon([&] { return pool.stats().idle == 2; }));
  std::filesystem::remove(path());
  ASSERT_TRUE(soon([&] { return pool.stats().policy_errors == 1; }));
  pool.dispose();
  EXPECT_TRUE(soon([&] { return pool.stats().idle == 2; }));
}

TEST_F(PoolPolicy, ThatFailsGivesWayToTheBuiltInOneUntilTheNextGoodOne) {
  write(sized("warm = 'many'"));
  Pool pool = open_pool(4, "min = 1\n");
  { const Lease first = pool.acquire({kLong}); }
  ASSERT_TRUE(soon([&] { return pool.stats().policy_errors >= 3; }));
  EXPECT_TRUE(soon([&] { return pool.stats().idle == 1; }));
  write(sized("warm = 3"));
  EXPECT_TRUE(soon([&] { return pool.stats().idle == 3; }));
}

TEST_F(PoolPolicy, ClosesWhatIdlesAboveItsTarget) {
  write(sized("target = 4"));
  Pool pool = open_pool(4);
  take(pool, 4).clear();
  ASSERT_TRUE(soon([&] { return pool.stats().idle == 4; }));
  write(sized("target = 1"));
  EXPECT_TRUE(soon([&] { return pool.stats().total == 1; }));
  EXPECT_EQ(pool.stats().closed[WEIR_CLOSE_OVERFLOW], 3u);
}

TEST_F(PoolPolicy, CapsWhatOneWorkerMayHave) {
  write(sized("max_per_worker = 1"));
  Pool pool = open_pool(4);
  const Lease lease = pool.acquire({kLong});
  EXPECT_TRUE(soon([&] {
    pool.dispose();  // what was opened before it was asked
    return !may_have(pool);
  }));
}

TEST_F(PoolPolicy, SaysWhatBecomesOfIdleOnes) {
  write("return { name = 'tested', api = 1, evict = function(conn) return 'check' end }");
  Pool pool = open_pool(1);
  take(pool, 1).clear();
  EXPECT_TRUE(soon([&] { return pool.stats().pings >= 1; }));
  EXPECT_EQ(pool.stats().idle, 1u);
  write(
      "return { name = 'tested', api = 1, evict = function(conn) "
      "return conn.leases > 0 and 'close' or 'keep' end }");
  EXPECT_TRUE(soon([&] { return pool.stats().closed[WEIR_CLOSE_IDLE] == 1; }));
}

TEST_F(PoolPolicy, WithABreakerOfItsOwnSaysWhenItOpensAndForHowLong) {
  write(
      "return { name = 'tested', api = 1, breaker = function(view) "
      "if view.breaker.attempt_failed then return 'open', 60000 end "
      "return view.breaker.state, view.breaker.retry_ms end }");
  Pool pool = open_pool(2, "", "connect=ok@1,fail");
  { const Lease first = pool.acquire({kLong}); }
  // Asked at a tick for the first time, it is in charge.
  ASSERT_TRUE(soon([&] {
    pool.dispose();
    try {
      const Lease lease = pool.acquire({kRefused});
    } catch (const Error& error) {
      return error.code() == WEIR_BREAKER_OPEN && error.retry_after() > 50s;
    }
    return false;
  }));
}

TEST_F(PoolPolicy, CannotGoBeyondWhatIsConfigured) {
  write(sized("max = 1000, warm = 1000, target = 1000"));
  Pool pool = open_pool(2);
  std::vector<Lease> two = take(pool, 2);
  EXPECT_FALSE(may_have(pool));
  EXPECT_EQ(pool.stats().total, 2u);
}

struct Hostile {
  const char* name;
  const char* body;
};

class AHostilePolicy : public PoolPolicy, public testing::WithParamInterface<Hostile> {};

// Whatever it does, callers are served, and no more are open than may be.
TEST_P(AHostilePolicy, StopsNobodyAndExceedsNothing) {
  write(std::string("return { name = 'hostile', api = 1, size = function(view) ") +
        GetParam().body +
        " end, evict = function(conn, view) while true do end end, "
        "breaker = function(view) return 'open', 3600000 + 1 end }");
  Pool pool = open_pool(3, "min = 1\n");
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> served{0}, failed{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      while (!stop.load()) {
        try {
          const Lease lease = pool.acquire({kLong});
          ++served;
        } catch (const Error&) {
          ++failed;
        }
      }
    });
  }
  EXPECT_TRUE(soon([&] { return pool.stats().policy_errors >= 3; }));
  const std::uint64_t before = served.load();
  EXPECT_TRUE(soon([&] { return served.load() > before + 1'000; }));
  stop = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failed.load(), 0u);
  EXPECT_LE(server_.counts().most_sessions, 3);
  write(sized("warm = 2"));
  EXPECT_TRUE(soon([&] { return pool.stats().idle >= 2; })) << "and a good one is taken again";
}

INSTANTIATE_TEST_SUITE_P(
    OfEachKind, AHostilePolicy,
    testing::Values(Hostile{"loops", "while true do end"},
                    Hostile{"swallows",
                            "while true do pcall(function() while true do end end) end"},
                    Hostile{"grows", "local t = {} while true do t[#t + 1] = {} end"},
                    Hostile{"recurses", "local function f() return 1 + f() end return f()"},
                    Hostile{"raises", "error({})"},
                    Hostile{"answers_nonsense", "return { max = 0/0 }"}),
    [](const auto& tested) { return std::string(tested.param.name); });

}  // namespace
}  // namespace weir::test
