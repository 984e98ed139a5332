// Outages: a server that is stopped, that hangs, that comes back. What callers get meanwhile, how
// many attempts a machine makes, and how soon all is well again.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <sstream>
#include <thread>

#include "pool_on_postgres.h"
#include "support/mute_server.h"

namespace weir::test {
namespace {

using namespace std::chrono_literals;
using shm::BreakerState;
using shm::Counter;
using shm::PlaceState;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

Nanos since(std::uint64_t began_ns) { return Nanos(monotonic_ns() - began_ns); }
double to_ms(Nanos time) { return static_cast<double>(time.count()) / 1e6; }

/// An acquire with all that its error says.
struct Tried : Got {
  std::uint32_t retry_after_ms = 0;
  bool retryable = false;
  Nanos took{};
};
Tried try_once(weir_pool_t* pool, Nanos timeout) {
  Tried tried;
  weir_error_t error = WEIR_ERROR_INIT;
  weir_acquire_options_t options = WEIR_ACQUIRE_OPTIONS_INIT;
  options.timeout_ns = timeout.count();
  const std::uint64_t began_ns = monotonic_ns();
  const std::int32_t code = weir_acquire(pool, &options, &tried.lease, &error);
  tried.took = since(began_ns);
  static_cast<Answer&>(tried) = answer_of(code, error);
  tried.retry_after_ms = code == WEIR_OK ? 0 : error.retry_after_ms;
  tried.retryable = weir_code_is_retryable(code) != 0;
  return tried;
}

/// Acquires until the breaker is open for the caller; the codes before it.
std::vector<std::string> open_the_breaker(weir_pool_t* pool) {
  std::vector<std::string> before;
  static_cast<void>(poll_until([&] {
    const Tried tried = try_once(pool, 10s);
    if (tried.code == "breaker_open") return true;
    before.push_back(tried.code);
    return false;
  }));
  return before;
}

class PoolBreaker : public testing::Test {
 protected:
  void SetUp() override {
    if (!PostgresServer::is_installed()) {
      GTEST_SKIP() << "PostgreSQL's server programs are not installed";
    }
    server_.emplace();
    world_.emplace(server_->dsn());
  }
  Weir& open(const std::string& keys) { return weir_.emplace(world_->config(keys)); }
  [[nodiscard]] weir_pool_t* pool() const { return weir_->pool(); }
  [[nodiscard]] BreakerState breaker() const { return world_->pool().breaker; }
  [[nodiscard]] std::string socket() const { return server_->socket_folder() + "/.s.PGSQL.5432"; }

  std::optional<PostgresServer> server_;
  std::optional<PoolWorld> world_;
  std::optional<Weir> weir_;
};

// ---- what callers get -------------------------------------------------------------------------

TEST_F(PoolBreaker, AfterThreeFailuresCallersFailAtOnceAndAreToldWhenToTryAgain) {
  open("max = 4");
  server_->stop();
  const std::vector<std::string> before = open_the_breaker(pool());
  EXPECT_GE(before.size(), 3u);
  EXPECT_THAT(before, testing::Each("connect_failed"));
  std::uint32_t refused = 0, attempts = 0;
  const std::uint64_t began_ns = monotonic_ns();
  while (since(began_ns) < 500ms) {
    const Tried tried = try_once(pool(), 10s);
    EXPECT_LT(tried.took, 2s) << "of ten: " << tried.message;
    EXPECT_TRUE(tried.retryable);
    if (tried.code == "connect_failed") {
      ++attempts;
      continue;
    }
    ++refused;
    ASSERT_EQ(tried.code, "breaker_open") << tried.message;
    ASSERT_GE(tried.retry_after_ms, 1u);
    ASSERT_LE(tried.retry_after_ms, 1'000u);
    ASSERT_THAT(tried.message,
                AllOf(HasSubstr("pool main: the server is believed to be down"),
                      HasSubstr(server_->socket_folder()),
                      HasSubstr("try again in " + std::to_string(tried.retry_after_ms) + " ms")));
  }
  EXPECT_GT(refused, 3u);
  EXPECT_LE(attempts, 12u) << "attempts in half a second; its pauses double from 100 ms";
  const shm::PoolSnapshot pool = world_->pool();
  EXPECT_NE(pool.breaker, BreakerState::kClosed);
  EXPECT_EQ(pool.breaker_failures, before.size() + attempts);
  EXPECT_EQ(pool.counter(Counter::kBreakerOpenings), 1u);
  EXPECT_THAT(weir_->log_of("breaker_opened"), SizeIs(1));
}

TEST_F(PoolBreaker, ACallerWhoCanHaveAnIdleConnectionIsServedWhileItIsOpen) {
  open("max = 4\nvalidate_after = \"never\"");
  Got kept = acquire(pool());
  ASSERT_TRUE(kept.ok()) << kept.message;
  std::filesystem::rename(socket(), socket() + ".away");  // sessions live on, nobody new gets in
  open_the_breaker(pool());
  ASSERT_TRUE(release(kept.lease).ok());
  for (int i = 0; i < 100; ++i) {
    Got got = acquire(pool());
    ASSERT_TRUE(got.ok()) << got.message;
    EXPECT_EQ(ask(got, "SELECT 1"), "1");
    EXPECT_TRUE(release(got.lease).ok());
  }
  std::filesystem::rename(socket() + ".away", socket());
}

TEST_F(PoolBreaker, EachFailedAttemptFailsItsOwnCallerAndTheRestFailWhenItOpens) {
  server_->stop();
  MuteServer mute(socket(), 0s);
  mute.be_silent(true);
  open("max = 8\nconnect_concurrency = 1\nconnect_timeout = \"200ms\"");
  std::vector<Tried> all(8);
  std::vector<std::thread> callers;
  for (Tried& one : all) {
    callers.emplace_back([&] { one = try_once(pool(), 20s); });
  }
  for (std::thread& caller : callers) caller.join();
  const auto count = [&](const std::string& code) {
    return std::count_if(all.begin(), all.end(),
                         [&](const Tried& one) { return one.code == code; });
  };
  EXPECT_GE(count("connect_failed"), 3) << "one each";
  EXPECT_GE(count("breaker_open"), 3);
  EXPECT_EQ(count("connect_failed") + count("breaker_open"), 8);
  for (const Tried& one : all) EXPECT_LT(one.took, 15s) << one.code << ": " << one.message;
  EXPECT_EQ(world_->await_rest(), "");
}

TEST_F(PoolBreaker, RetryingUntilTheDeadlineEndsWithTheCauseAndNotWithATimeout) {
  open("max = 1\non_connect_error = \"retry_until_deadline\"");
  server_->stop();
  const Tried late = try_once(pool(), 700ms);
  EXPECT_EQ(late.code, "connect_failed") << late.message;
  EXPECT_THAT(late.message, HasSubstr(server_->socket_folder()));
  EXPECT_GE(late.took, 690ms);
  EXPECT_LT(late.took, 5s);
  // Others, in line behind, who made no attempt of their own.
  std::vector<Tried> all(4);
  std::vector<std::thread> callers;
  for (Tried& one : all) {
    callers.emplace_back([&] { one = try_once(pool(), 300ms); });
  }
  for (std::thread& caller : callers) caller.join();
  for (const Tried& one : all) {
    EXPECT_EQ(one.code, "connect_failed") << one.message;
    EXPECT_THAT(one.message, HasSubstr(server_->socket_folder()));
  }
  server_->start();
  Got got = acquire(pool());
  ASSERT_TRUE(got.ok()) << got.message;
  EXPECT_EQ(breaker(), BreakerState::kClosed);
  EXPECT_EQ(try_once(pool(), 50ms).code, "timeout") << "a full pool is another matter";
  EXPECT_TRUE(release(got.lease).ok());
  EXPECT_EQ(world_->await_rest(), "");
}

TEST_F(PoolBreaker, RetryingCallersAreServedOnceTheServerIsBack) {
  open("max = 3\non_connect_error = \"retry_until_deadline\"");
  server_->stop();
  weir_->attach();
  std::vector<Tried> all(12);
  std::vector<std::thread> callers;
  for (Tried& one : all) {
    callers.emplace_back([&] {
      one = try_once(pool(), 20s);
      if (one.ok()) release(one.lease);
    });
  }
  ASSERT_TRUE(poll_until([&] { return breaker() != BreakerState::kClosed; }));
  ASSERT_TRUE(poll_until([&] { return world_->pool().breaker_failures >= 5; }));
  server_->start();
  const std::uint64_t back_ns = monotonic_ns();
  for (std::thread& caller : callers) caller.join();
  const Nanos took = since(back_ns);
  for (const Tried& one : all) EXPECT_TRUE(one.ok()) << one.message;
  std::printf("12 callers in line served %.0f ms after the server was back\n", to_ms(took));
  EXPECT_LT(took, 10s);
  EXPECT_THAT(weir_->log_of("breaker_closed"), SizeIs(1));
}

// ---- what counts as an outage -----------------------------------------------------------------

TEST_F(PoolBreaker, AWrongPasswordNeverOpensIt) {
  PostgresSettings settings;
  settings.auth = "scram-sha-256";
  PostgresServer strict(settings);
  strict.ask("CREATE ROLE bob LOGIN PASSWORD 'right-7Qx'");
  const PoolWorld world(strict.dsn_as("bob") + " password=wrong-9Zk");
  Weir weir(world.config("max = 4"));
  for (int i = 0; i < 8; ++i) EXPECT_EQ(try_once(weir.pool(), 10s).code, "auth_failed");
  EXPECT_EQ(world.pool().breaker, BreakerState::kClosed);
  EXPECT_EQ(world.pool().counter(Counter::kBreakerOpenings), 0u);
}

TEST_F(PoolBreaker, ADatabaseThatIsNotThereAndStatementsThatFailNeverOpenIt) {
  const PoolWorld nowhere(server_->dsn() + " dbname=nowhere");
  Weir first(nowhere.config("max = 4"));
  for (int i = 0; i < 8; ++i) EXPECT_EQ(try_once(first.pool(), 10s).code, "database_error");
  EXPECT_EQ(nowhere.pool().breaker, BreakerState::kClosed);
  open("max = 4\non_connect = [\"SELECT no_such_column\"]");
  for (int i = 0; i < 8; ++i) EXPECT_EQ(try_once(pool(), 10s).code, "database_error");
  EXPECT_EQ(breaker(), BreakerState::kClosed);
}

TEST_F(PoolBreaker, SessionsThatARestartEndedDoNotOpenItAgainstAServerThatIsBack) {
  open("max = 8\nvalidate_after = \"0s\"");
  std::vector<Got> leases;
  for (int i = 0; i < 8; ++i) leases.push_back(acquire(pool()));
  for (Got& got : leases) ASSERT_TRUE(release(got.lease).ok());
  server_->stop();
  server_->start();
  Got got = acquire(pool());
  EXPECT_TRUE(got.ok()) << got.message;
  EXPECT_TRUE(release(got.lease).ok());
  EXPECT_EQ(world_->pool().counter(Counter::kBreakerOpenings), 0u);
}

TEST_F(PoolBreaker, PingsThatGetNoAnswerOpenIt) {
  open("max = 3\nvalidate_after = \"0s\"\nconnect_timeout = \"1s\"");
  std::vector<Got> leases;
  for (int i = 0; i < 3; ++i) {
    leases.push_back(acquire(pool()));
    ASSERT_TRUE(leases.back().ok()) << leases.back().message;
  }
  for (Got& got : leases) ASSERT_TRUE(release(got.lease).ok());
  server_->freeze();
  const Tried tried = try_once(pool(), 20s);
  server_->thaw();
  EXPECT_EQ(tried.code, "breaker_open") << tried.message;
  EXPECT_LT(tried.took, 10s) << "nobody has anything that could come back";
  EXPECT_EQ(world_->pool().counter(Counter::kBreakerOpenings), 1u) << tried.code << tried.message;
  EXPECT_EQ(world_->pool().counter(Counter::kPingFailures), 3u);
}

// ---- one attempt for all ----------------------------------------------------------------------

TEST_F(PoolBreaker, OneAttemptAtATimeIsMadeForAllWorkersOfTheMachine) {
  server_->stop();
  // Three failures open it; a fourth handshake may have begun by then.
  MuteServer mute(socket(), 20ms, 4);
  const std::string config = world_->config("max = 32\nconnect_concurrency = 2");
  constexpr int kWorkers = 16;
  SharedCounter go;
  Shared<std::atomic<std::uint32_t>> refused;
  std::vector<std::unique_ptr<WorkerProcess>> workers;
  for (int i = 0; i < kWorkers; ++i) {
    workers.push_back(std::make_unique<WorkerProcess>([&]() -> int {
      Weir weir(config);
      weir.attach();
      require(go.await(1), "the start");
      const std::uint64_t began_ns = monotonic_ns();
      while (since(began_ns) < 2s) {
        const Tried tried = try_once(weir.pool(), 5s);
        require(tried.code == "breaker_open" || tried.code == "connect_failed", tried.message);
        if (tried.code == "breaker_open") refused->fetch_add(1);
        std::this_thread::sleep_for(2ms);
      }
      return 0;
    }));
  }
  go.add();
  for (auto& worker : workers) EXPECT_EQ(worker->wait_at_most(), 0);
  const auto& tally = mute.tally();
  std::printf("%u attempts of %d workers in 2 s, %u refusals\n", tally.accepted.load(), kWorkers,
              refused->load());
  EXPECT_LE(tally.most_open.load(), 2u) << "connect_concurrency";
  EXPECT_LE(tally.most_open_later.load(), 1u) << "one probe";
  EXPECT_GE(tally.accepted.load(), 4u);
  EXPECT_LE(tally.accepted.load(), 30u);
  EXPECT_GT(refused->load(), 100u);
}

enum class Fate { kKilled, kStopped };
class WhoseProbeEnds : public PoolBreaker, public testing::WithParamInterface<Fate> {};

TEST_P(WhoseProbeEnds, BlocksNobodyForLongerThanConnectTimeout) {
  const std::string keys = "max = 4\nconnect_timeout = \"1s\"";
  open(keys);
  weir_->attach();
  server_->stop();
  MuteServer mute(socket(), 0s);
  open_the_breaker(pool());
  mute.be_silent(true);
  // A worker that takes the probe, and hangs in it.
  const std::string config = world_->config(keys);
  WorkerProcess prober([&]() -> int {
    Weir weir(config);
    while (true) {
      static_cast<void>(try_once(weir.pool(), 20s));
      std::this_thread::sleep_for(1ms);
    }
  });
  ASSERT_TRUE(poll_until([&] { return mute.tally().open.load() == 1; }));
  ASSERT_EQ(breaker(), BreakerState::kHalfOpen);
  GetParam() == Fate::kKilled ? prober.kill() : prober.stop();
  const std::uint64_t ended_ns = monotonic_ns();
  EXPECT_EQ(try_once(pool(), 20s).code, "breaker_open") << "somebody else has the probe";
  mute.stop();
  server_->start();
  const std::uint64_t back_ns = monotonic_ns();
  const bool is_back = poll_until([&] {
    Tried tried = try_once(pool(), 1s);
    if (tried.ok()) release(tried.lease);
    return tried.ok();
  });
  const Nanos took = since(ended_ns);
  EXPECT_TRUE(is_back);
  std::printf("back %.0f ms after the prober %s\n", to_ms(took),
              GetParam() == Fate::kKilled ? "was killed" : "stopped");
  EXPECT_LT(since(back_ns), 1s + 3s) << "connect_timeout, a pause, and a busy machine";
  EXPECT_EQ(breaker(), BreakerState::kClosed);
  prober.kill();
  EXPECT_EQ(world_->await_rest(), "");
}
INSTANTIATE_TEST_SUITE_P(All, WhoseProbeEnds, testing::Values(Fate::kKilled, Fate::kStopped),
                         [](const auto& one) {
                           return one.param == Fate::kKilled ? "Killed" : "Stopped";
                         });

// ---- coming back ------------------------------------------------------------------------------

/// The most handshakes that the server had in progress at once, as its log says: from "connection
/// received" to the end of kOnConnect or to an error that ends the process.
constexpr const char* kOnConnect = "SELECT pg_sleep(0.01)";
int most_handshakes(const std::string& log) {
  std::map<std::string, bool> in_progress;
  int now = 0, most = 0;
  std::istringstream lines(log);
  for (std::string line; std::getline(lines, line);) {
    const std::string pid = line.substr(0, line.find(' '));
    if (line.find("connection received") != std::string::npos) {
      in_progress[pid] = true;
      most = std::max(most, ++now);
    } else if (line.find(kOnConnect) != std::string::npos ||
               line.find("FATAL") != std::string::npos) {
      if (std::exchange(in_progress[pid], false)) --now;
    }
  }
  return most;
}

class AfterARestart : public testing::TestWithParam<const char*> {};

TEST_P(AfterARestart, ThirtyTwoWorkersAreBackWithinTwoSecondsAndAFewHandshakesAtATime) {
  if (!PostgresServer::is_installed()) GTEST_SKIP() << "PostgreSQL is not installed";
  PostgresSettings settings;
  settings.extra = {
      {"log_connections", "on"}, {"log_line_prefix", "%p "}, {"log_min_duration_statement", "0"}};
  PostgresServer server(settings);
  const PoolWorld world(server.dsn());
  constexpr std::uint32_t kWorkers = 32;
  const std::string config =
      world.config("max = 32\nconnect_concurrency = 4\non_connect = \"" + std::string(kOnConnect) +
                   "\"\non_connect_error = \"" + std::string(GetParam()) + "\"");
  SharedCounter have_one, down, failed, back, done;
  const std::uint64_t began_ns = monotonic_ns();
  std::vector<std::unique_ptr<WorkerProcess>> workers;
  for (std::uint32_t i = 0; i < kWorkers; ++i) {
    workers.push_back(std::make_unique<WorkerProcess>([&]() -> int {
      Weir weir(config);
      Got got = acquire(weir.pool());
      require(got, "acquire");
      have_one.add();
      require(down.await(1, 60s), "the outage");
      require(ask(got, "SELECT 1").starts_with("error"), "the server is still there");
      require(release(got.lease), "release");
      failed.add();
      while (true) {  // as a server's requests would come
        Tried tried = try_once(weir.pool(), 20s);
        if (tried.ok()) {
          require(ask(tried, "SELECT 1") == "1", "the session does not work");
          back.add();
          require(done.await(1, 60s), "the end");  // each has one: 32 handshakes
          require(release(tried.lease), "release");
          return 0;
        }
        require(tried.retryable, tried.code + ": " + tried.message);
        std::this_thread::sleep_for(5ms);
      }
    }));
  }
  ASSERT_TRUE(have_one.await(kWorkers, 60s));
  const Nanos without = since(began_ns);  // what the same handshakes take here and now
  server.stop();
  down.add();
  ASSERT_TRUE(failed.await(kWorkers));
  ASSERT_TRUE(poll_until([&] { return world.pool().breaker_failures >= 7; }))
      << "pauses of up to a second by now";
  const std::size_t logged = server.log().size();
  server.start();
  const std::uint64_t back_ns = monotonic_ns();
  ASSERT_TRUE(back.await(1));
  const Nanos first = since(back_ns);
  ASSERT_TRUE(back.await(kWorkers, 60s));
  const Nanos all = since(back_ns);
  done.add();
  for (auto& worker : workers) EXPECT_EQ(worker->wait_at_most(), 0);
  const int handshakes = most_handshakes(server.log().substr(logged));
  std::printf(
      "%s: first back after %.0f ms, all 32 after %.0f ms (without an outage %.0f ms); "
      "at most %d handshakes at once\n",
      GetParam(), to_ms(first), to_ms(all), to_ms(without), handshakes);
  EXPECT_LE(handshakes, 4);
  EXPECT_GE(handshakes, 2) << "each lasts 10 ms: the count would see more";
  EXPECT_LT(all, 2s + 3 * without) << "on a quiet machine the second term is next to nothing";
  EXPECT_EQ(world.pool().counter(Counter::kBreakerOpenings), 1u);
}
INSTANTIATE_TEST_SUITE_P(All, AfterARestart, testing::Values("fail_fast", "retry_until_deadline"),
                         [](const auto& one) {
                           return std::string(one.param) == "fail_fast"
                                      ? "FailingFast"
                                      : "RetryingUntilTheDeadline";
                         });

TEST_F(PoolBreaker, AWarmFloorIsFilledWithoutAnyCallerOnceTheServerIsBack) {
  server_->stop();
  open("max = 4\nmin = 3");
  weir_->attach();
  ASSERT_TRUE(poll_until([&] { return breaker() != BreakerState::kClosed; }));
  server_->start();
  const std::uint64_t back_ns = monotonic_ns();
  EXPECT_TRUE(poll_until([&] { return world_->pool().in(PlaceState::kIdle) >= 3; }));
  std::printf("warm %.0f ms after the server was back\n", to_ms(since(back_ns)));
  EXPECT_LT(since(back_ns), 10s);
  EXPECT_EQ(breaker(), BreakerState::kClosed);
}

}  // namespace
}  // namespace weir::test
