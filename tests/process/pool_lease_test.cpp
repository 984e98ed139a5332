// What one process may rely on when it acquires and releases: through weir.h, on a real server.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "pool_on_postgres.h"

namespace weir::test {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::Each;
using testing::HasSubstr;
using testing::Not;

Nanos since(std::uint64_t start_ns) { return Nanos(monotonic_ns() - start_ns); }

class PoolLease : public PoolOnPostgres {
 protected:
  static bool has_backend(int pid) {
    return server_->ask("SELECT count(*) FROM pg_stat_activity WHERE pid = " +
                        std::to_string(pid)) == "1";
  }
};

TEST_F(PoolLease, AReleasedConnectionIsLentAgainWithoutReconnecting) {
  open("max = 3");
  int first = 0;
  for (int i = 0; i < 5; ++i) {
    Got got = acquire(pool());
    ASSERT_TRUE(got.ok()) << got.message;
    EXPECT_EQ(ask(got, "SELECT 42"), "42");
    if (i == 0) first = PQbackendPID(got.conn());
    EXPECT_EQ(PQbackendPID(got.conn()), first);
    EXPECT_TRUE(release(got.lease).ok());
    EXPECT_EQ(got.lease.owner, nullptr) << "a lease is all zero once it is given back";
  }
  EXPECT_EQ(stats_of(pool()).connects, 1u);
  EXPECT_EQ(stats_of(pool()).acquires, 5u);
}

TEST_F(PoolLease, TheSegmentShowsWhoHoldsAConnectionAndWhatFor) {
  open("max = 3");
  Got got = acquire(pool(), kPatience, "GET /users");
  ASSERT_TRUE(got.ok()) << got.message;
  shm::PoolSnapshot seen = world_->pool();
  ASSERT_EQ(seen.in(shm::PlaceState::kUsed), 1u);
  EXPECT_EQ(seen.places[0].label, "GET /users");
  EXPECT_EQ(seen.places[0].holder_thread, static_cast<std::uint32_t>(syscall(SYS_gettid)));
  EXPECT_EQ(seen.places[0].holder_pid, static_cast<std::uint32_t>(getpid()));
  EXPECT_EQ(seen.places[0].leases, 1u);
  ASSERT_TRUE(release(got.lease).ok());

  std::thread([&] {
    Got unlabelled = acquire(pool());
    seen = world_->pool();
    EXPECT_EQ(seen.places[0].label, "") << "the label of the lease before";
    EXPECT_EQ(seen.places[0].holder_thread, static_cast<std::uint32_t>(syscall(SYS_gettid)));
    EXPECT_TRUE(release(unlabelled.lease).ok());
  }).join();
}

TEST_F(PoolLease, ASecondReleaseIsRefusedAndAltersNothing) {
  open("max = 1");
  Got first = acquire(pool());
  ASSERT_TRUE(first.ok()) << first.message;
  weir_lease_t copy = first.lease;
  ASSERT_TRUE(release(first.lease).ok());
  EXPECT_EQ(weir_lease_native(&copy), nullptr);
  EXPECT_EQ(release(copy).code, "not_checked_out");

  // Now the same connection is somebody else's.
  Got second = acquire(pool());
  ASSERT_TRUE(second.ok()) << second.message;
  EXPECT_EQ(release(copy).code, "not_checked_out");
  EXPECT_EQ(discard(copy).code, "not_checked_out");
  EXPECT_EQ(weir_lease_native(&copy), nullptr);
  EXPECT_EQ(stats_of(pool()).used, 1u);
  EXPECT_EQ(ask(second, "SELECT 1"), "1");
  EXPECT_EQ(try_acquire(pool()).code, "would_block");
  EXPECT_TRUE(release(second.lease).ok());
}

TEST_F(PoolLease, ALeaseThatNeverWasIsRefused) {
  weir_lease_t none{};
  EXPECT_EQ(weir_lease_native(&none), nullptr);
  EXPECT_EQ(weir_lease_native(nullptr), nullptr);
  EXPECT_EQ(release(none).code, "not_checked_out");
  EXPECT_EQ(discard(none).code, "not_checked_out");
  EXPECT_EQ(weir_release(nullptr, nullptr), WEIR_NOT_CHECKED_OUT);
}

TEST_F(PoolLease, ALeaseIsRefusedAlsoAfterItsRuntimeIsGone) {
  Got got = acquire(open("max = 1").pool());
  ASSERT_TRUE(got.ok()) << got.message;
  weir_lease_t copy = got.lease;
  ASSERT_TRUE(release(got.lease).ok());
  ASSERT_TRUE(weir_->close().ok());
  EXPECT_EQ(weir_lease_native(&copy), nullptr);
  EXPECT_EQ(release(copy).code, "not_checked_out");
  EXPECT_EQ(discard(copy).code, "not_checked_out");
}

TEST_F(PoolLease, ADiscardedConnectionIsClosedAndReplacedWithoutWaitingForTheClose) {
  open("max = 1");
  Got got = acquire(pool());
  ASSERT_TRUE(got.ok()) << got.message;
  const int pid = PQbackendPID(got.conn());
  EXPECT_TRUE(discard(got.lease).ok());
  EXPECT_EQ(got.lease.owner, nullptr);
  got = acquire(pool());
  ASSERT_TRUE(got.ok()) << got.message;
  EXPECT_NE(PQbackendPID(got.conn()), pid);
  EXPECT_FALSE(has_backend(pid));
  EXPECT_TRUE(release(got.lease).ok());
  EXPECT_EQ(stats_of(pool()).closes, 1u);
}

TEST_F(PoolLease, ATimeoutSaysWhichPoolWhatLimitAndHowLong) {
  open("max = 1");
  Got got = acquire(pool());
  ASSERT_TRUE(got.ok()) << got.message;
  const std::uint64_t start = monotonic_ns();
  const Got late = acquire(pool(), 120ms, "report");
  EXPECT_EQ(late.code, "timeout");
  EXPECT_GE(since(start), 120ms);
  EXPECT_LT(since(start), 120ms + 50ms);
  EXPECT_THAT(late.message, AllOf(HasSubstr("pool main"), HasSubstr("max 1"), HasSubstr("12"),
                                  HasSubstr(" ms"), HasSubstr("1 used"), HasSubstr("report")));
  EXPECT_EQ(late.lease.owner, nullptr);
  EXPECT_EQ(stats_of(pool()).timeouts, 1u);
  EXPECT_EQ(stats_of(pool()).waiting, 0u);
  // It takes nothing later: the connection goes back and stays.
  EXPECT_TRUE(release(got.lease).ok());
  EXPECT_EQ(stats_of(pool()).idle, 1u);
}

TEST_F(PoolLease, AcquireTimeoutOfThePoolCountsWhereTheCallGivesNone) {
  open("max = 1\nacquire_timeout = \"80ms\"");
  Got got = acquire(pool());
  ASSERT_TRUE(got.ok()) << got.message;
  const std::uint64_t start = monotonic_ns();
  EXPECT_EQ(acquire(pool(), kDefaultTimeout).code, "timeout");
  EXPECT_GE(since(start), 80ms);
  EXPECT_LT(since(start), 80ms + 50ms);
  EXPECT_TRUE(release(got.lease).ok());
}

TEST_F(PoolLease, TryAcquireLendsOnlyWhatIsIdleHere) {
  open("max = 2");
  EXPECT_EQ(try_acquire(pool()).code, "would_block");
  EXPECT_EQ(server_->count_sessions(), 0);
  Got got = acquire(pool());
  ASSERT_TRUE(got.ok()) << got.message;
  EXPECT_EQ(try_acquire(pool()).code, "would_block") << "one place is free, but nothing is idle";
  ASSERT_TRUE(release(got.lease).ok());
  got = try_acquire(pool());
  ASSERT_TRUE(got.ok()) << got.message;
  EXPECT_EQ(ask(got, "SELECT 1"), "1");
  EXPECT_TRUE(release(got.lease).ok());
}

TEST_F(PoolLease, WhoMustNotWaitGetsAConnectionThatIsDueForACheckIfItsSocketLooksGood) {
  open("max = 1\nvalidate_after = \"0s\"");
  for (int round = 0; round < 4; ++round) {
    SCOPED_TRACE(round);
    const auto without_waiting = [&] {
      return round % 2 == 0 ? try_acquire(pool()) : acquire(pool(), 0ns);
    };
    Got got = acquire(pool());
    ASSERT_TRUE(got.ok()) << got.message;
    const int pid = PQbackendPID(got.conn());
    ASSERT_TRUE(release(got.lease).ok());
    got = without_waiting();
    ASSERT_TRUE(got.ok()) << got.message;
    EXPECT_EQ(PQbackendPID(got.conn()), pid);
    ASSERT_TRUE(release(got.lease).ok());
    server_->ask("SELECT pg_terminate_backend(" + std::to_string(pid) + ")");
    ASSERT_TRUE(poll_until([&] { return !has_backend(pid); }));
    EXPECT_FALSE(without_waiting().ok()) << "the server hung up";
    EXPECT_EQ(world_->await_rest(), "");
  }
}

TEST_F(PoolLease, ATimeoutOfZeroLendsWhatIsIdleAndWaitsForNothing) {
  open("max = 2");
  const std::uint64_t start = monotonic_ns();
  EXPECT_EQ(acquire(pool(), 0ns).code, "timeout");
  EXPECT_EQ(acquire(pool(), -1s).code, "timeout");
  EXPECT_LT(since(start), 50ms);
  Got got = acquire(pool());
  ASSERT_TRUE(got.ok()) << got.message;
  ASSERT_TRUE(release(got.lease).ok());
  got = acquire(pool(), 0ns);
  EXPECT_TRUE(got.ok()) << got.message;
  EXPECT_TRUE(release(got.lease).ok());
}

TEST_F(PoolLease, TheDeadlineIsKeptThoughTheServerHangsAndTheConnectIsNotLost) {
  open("max = 1");
  ASSERT_EQ(stats_of(pool()).total, 0u);
  server_->freeze();
  const std::uint64_t start = monotonic_ns();
  const Got late = acquire(pool(), 150ms);
  const Nanos took = since(start);
  server_->thaw();
  EXPECT_EQ(late.code, "timeout") << late.message;
  EXPECT_GE(took, 150ms);
  EXPECT_LT(took, 150ms + 50ms);
  // The keeper ends the handshake, and the connection is there for the next one.
  EXPECT_TRUE(poll_until([&] { return stats_of(pool()).idle == 1; }));
  Got got = acquire(pool());
  EXPECT_TRUE(got.ok()) << got.message;
  EXPECT_EQ(stats_of(pool()).connects, 1u);
  EXPECT_TRUE(release(got.lease).ok());
}

TEST_F(PoolLease, TheDeadlineIsKeptThoughACheckHangsAndTheConnectionIsNotLost) {
  open("max = 1\nvalidate_after = \"0s\"");
  Got got = acquire(pool());
  ASSERT_TRUE(got.ok()) << got.message;
  const int pid = PQbackendPID(got.conn());
  ASSERT_TRUE(release(got.lease).ok());
  server_->freeze();
  const std::uint64_t start = monotonic_ns();
  const Got late = acquire(pool(), 150ms);
  const Nanos took = since(start);
  server_->thaw();
  EXPECT_EQ(late.code, "timeout") << late.message;
  EXPECT_GE(took, 150ms);
  EXPECT_LT(took, 150ms + 50ms);
  got = acquire(pool());
  ASSERT_TRUE(got.ok()) << got.message;
  EXPECT_EQ(PQbackendPID(got.conn()), pid) << "a slow check is not a failed one";
  EXPECT_TRUE(release(got.lease).ok());
}

TEST_F(PoolLease, AFullLineSaysSoAtOnce) {
  open("max = 1\nmax_waiting = 2");
  Got got = acquire(pool());
  ASSERT_TRUE(got.ok()) << got.message;
  std::vector<std::thread> waiters;
  std::vector<Got> served(2);
  for (Got& one : served) {
    waiters.emplace_back([&] {
      one = acquire(pool());
      release(one.lease);
    });
  }
  ASSERT_TRUE(poll_until([&] { return stats_of(pool()).waiting == 2; }));
  const std::uint64_t start = monotonic_ns();
  const Got refused = acquire(pool());
  EXPECT_EQ(refused.code, "too_many_waiters");
  EXPECT_THAT(refused.message, HasSubstr("pool main"));
  EXPECT_LT(since(start), 50ms);
  EXPECT_TRUE(release(got.lease).ok());
  for (std::thread& thread : waiters) thread.join();
  EXPECT_THAT(served, Each(testing::Field("code", &Got::code, "ok")));
  EXPECT_EQ(stats_of(pool()).too_many_waiters, 1u);
}

TEST_F(PoolLease, AWrongPasswordIsToldApartAndNotRepeated) {
  PostgresSettings settings;
  settings.auth = "scram-sha-256";
  PostgresServer strict(settings);
  strict.ask("CREATE ROLE bob LOGIN PASSWORD 'right-7Qx'");
  const PoolWorld world(strict.dsn_as("bob") + " password=wrong-9Zk");
  Weir weir(world.config("max = 1"));
  const Got got = acquire(weir.pool());
  EXPECT_EQ(got.code, "auth_failed");
  EXPECT_THAT(got.message, AllOf(HasSubstr("pool main"), HasSubstr("bob"), Not(HasSubstr("9Zk"))));
  EXPECT_THAT(weir.log(), Each(Not(HasSubstr("9Zk"))));
  EXPECT_EQ(world.await_rest(), "");
}

TEST_F(PoolLease, AServerThatIsDownIsToldApartAndTheNextAcquireTriesAgain) {
  PostgresServer server;
  const PoolWorld world(server.dsn());
  Weir weir(world.config("max = 1"));
  server.stop();
  const std::uint64_t start = monotonic_ns();
  const Got got = acquire(weir.pool());
  EXPECT_EQ(got.code, "connect_failed");
  EXPECT_THAT(got.message, AllOf(HasSubstr("pool main"), HasSubstr(server.socket_folder())));
  EXPECT_LT(since(start), 5s) << "fails as soon as the server has refused";
  EXPECT_EQ(world.await_rest(), "");
  server.start();
  Got again = acquire(weir.pool());
  EXPECT_TRUE(again.ok()) << again.message;
  EXPECT_TRUE(release(again.lease).ok());
}

TEST_F(PoolLease, AServerFullOfOtherSessionsIsAskedAgainUntilTheDeadline) {
  PostgresSettings settings;
  settings.max_connections = 5;
  settings.superuser_reserved_connections = 3;
  PostgresServer small(settings);
  const PoolWorld world(small.dsn());
  Weir weir(world.config("max = 1"));
  std::vector<std::unique_ptr<PGconn, decltype(&PQfinish)>> others;
  for (int i = 0; i < 2; ++i) others.emplace_back(PQconnectdb(small.dsn().c_str()), &PQfinish);
  const std::uint64_t start = monotonic_ns();
  const Got refused = acquire(weir.pool(), 250ms);
  EXPECT_EQ(refused.code, "server_full") << refused.message;
  EXPECT_THAT(refused.message,
              AllOf(HasSubstr("pool main"), HasSubstr("0 of its sessions are ours")));
  EXPECT_GE(since(start), 100ms) << "no second try";
  EXPECT_LT(since(start), 250ms + 50ms);

  Got got;
  std::thread waiting([&] { got = acquire(weir.pool()); });
  ASSERT_TRUE(poll_until([&] { return stats_of(weir.pool()).connect_failures >= 5; }));
  EXPECT_EQ(world.pool().breaker, shm::BreakerState::kClosed) << "a full server is there";
  others.clear();
  waiting.join();
  EXPECT_TRUE(got.ok()) << got.message;
  EXPECT_TRUE(release(got.lease).ok());
}

TEST_F(PoolLease, ClosingFailsWaitersAtOnceAndLetsLeasesThatAreOutFinish) {
  open("max = 1\nclose_timeout = \"100ms\"");
  weir_pool_t* const pool = this->pool();
  Got got = acquire(pool);
  ASSERT_TRUE(got.ok()) << got.message;
  const int pid = PQbackendPID(got.conn());
  std::vector<Got> failed(3);
  std::vector<std::thread> waiters;
  for (Got& one : failed) waiters.emplace_back([&one, pool] { one = acquire(pool); });
  ASSERT_TRUE(poll_until([&] { return stats_of(pool).waiting == 3; }));
  const std::uint64_t start = monotonic_ns();
  EXPECT_TRUE(weir_->close().ok());
  for (std::thread& thread : waiters) thread.join();
  EXPECT_LT(since(start), 2s);
  EXPECT_THAT(failed, Each(testing::Field("code", &Got::code, "closed")));

  EXPECT_EQ(ask(got, "SELECT 7"), "7");
  EXPECT_TRUE(release(got.lease).ok());
  EXPECT_TRUE(poll_until([&] { return !has_backend(pid); }));
  EXPECT_EQ(world_->await_rest(), "");
}

TEST_F(PoolLease, ClosingWithNothingOpenDoesNotPullTheRugFromUnderWaiters) {
  // Everything the waiters wait for is in another worker, so nothing of ours keeps the runtime up.
  Got elsewhere;
  SharedCounter holding, done;
  const WorkerProcess holder([&]() -> int {
    Weir weir(world_->config("max = 1"));
    Got got = acquire(weir.pool());
    require(got, "acquire");
    holding.add();
    require(done.await(1), "nobody told us to stop");
    return release(got.lease).ok() ? 0 : 1;
  });
  ASSERT_TRUE(holding.await(1));
  for (int round = 0; round < 20; ++round) {
    open("max = 1");
    weir_pool_t* const pool = this->pool();
    std::vector<Got> failed(4);
    std::vector<std::thread> waiters;
    for (Got& one : failed) waiters.emplace_back([&one, pool] { one = acquire(pool); });
    ASSERT_TRUE(poll_until([&] { return stats_of(pool).waiting == 4; }));
    EXPECT_TRUE(weir_->close().ok());
    for (std::thread& thread : waiters) thread.join();
    EXPECT_THAT(failed, Each(testing::Field("code", &Got::code, "closed")));
  }
  done.add();
}

TEST_F(PoolLease, ClosingLeavesNoSessionAndOpeningAgainStartsAnew) {
  for (int round = 0; round < 3; ++round) {
    open("max = 3");
    std::vector<Got> leases;
    for (int i = 0; i < 3; ++i) leases.push_back(acquire(pool()));
    for (Got& got : leases) {
      EXPECT_EQ(ask(got, "SELECT 1"), "1");
      EXPECT_TRUE(release(got.lease).ok());
    }
    EXPECT_TRUE(weir_->close().ok());
    EXPECT_EQ(server_->count_sessions(), 0);
    EXPECT_TRUE(world_->snapshot().workers.empty()) << "it has left the segment";
  }
}

// Bytes of shared memory that this process keeps in use (statm(5): the third figure, less what
// files on disk take of it, which does not change here).
std::uint64_t shared_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::uint64_t size = 0, resident = 0, shared = 0;
  statm >> size >> resident >> shared;
  return shared * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

TEST_F(PoolLease, AClosedRuntimeKeepsNothingOfTheSegmentInMemory) {
  const auto once = [&] {
    open("max = 1");
    Got got = acquire(pool());
    EXPECT_TRUE(release(got.lease).ok());
    EXPECT_TRUE(weir_->close().ok());
  };
  once();
  const std::uint64_t before = shared_bytes();
  constexpr int kRounds = 20;
  for (int round = 0; round < kRounds; ++round) once();
  const std::uint64_t segment = std::filesystem::file_size(world_->folder() + "/default.weir");
  EXPECT_LT(shared_bytes(), before + kRounds * segment / 10);
}

TEST_F(PoolLease, OpeningAgainWhileALeaseOfTheOldRuntimeIsOutWorksBesideIt) {
  open("max = 2\nclose_timeout = \"50ms\"");
  Got old = acquire(pool());
  ASSERT_TRUE(old.ok()) << old.message;
  ASSERT_TRUE(weir_->close().ok());
  open("max = 2\nclose_timeout = \"50ms\"");
  Got fresh = acquire(pool());
  ASSERT_TRUE(fresh.ok()) << fresh.message;
  EXPECT_EQ(ask(old, "SELECT 1"), "1");
  EXPECT_EQ(server_->count_sessions(), 2);
  EXPECT_TRUE(release(old.lease).ok());
  EXPECT_TRUE(poll_until([] { return server_->count_sessions() == 1; }));
  EXPECT_TRUE(release(fresh.lease).ok());
}

TEST_F(PoolLease, OpenedTwiceItIsOneRuntimeToBeClosedTwice) {
  open("max = 1");
  Weir second(world_->config("max = 1"));
  EXPECT_EQ(second.handle(), weir_->handle());
  EXPECT_EQ(second.pool(), weir_->pool());
  Got got = acquire(pool());
  ASSERT_TRUE(got.ok()) << got.message;
  EXPECT_TRUE(release(got.lease).ok());
  EXPECT_TRUE(second.close().ok());
  got = acquire(pool());
  EXPECT_TRUE(got.ok()) << "closed once of two: " << got.message;
  EXPECT_TRUE(release(got.lease).ok());
  weir_runtime_t* const handle = weir_->handle();
  EXPECT_TRUE(weir_->close().ok());
  EXPECT_EQ(weir_close(handle, nullptr), WEIR_BAD_ARGUMENT);
}

TEST_F(PoolLease, ArgumentsThatMakeNoSenseAreRefusedByName) {
  open("max = 1");
  weir_error_t error = WEIR_ERROR_INIT;
  weir_pool_t* none = nullptr;
  EXPECT_EQ(weir_pool(weir_->handle(), "jobs", &none, &error), WEIR_NOT_FOUND);
  EXPECT_THAT(error.message, AllOf(HasSubstr("jobs"), HasSubstr("main")));
  weir_lease_t lease{};
  EXPECT_EQ(weir_acquire(nullptr, nullptr, &lease, &error), WEIR_BAD_ARGUMENT);
  EXPECT_EQ(weir_acquire(pool(), nullptr, nullptr, &error), WEIR_BAD_ARGUMENT);
  weir_acquire_options_t old = WEIR_ACQUIRE_OPTIONS_INIT;
  old.struct_size = 4;
  EXPECT_EQ(weir_acquire(pool(), &old, &lease, &error), WEIR_BAD_ARGUMENT);
  EXPECT_THAT(error.message, HasSubstr("struct_size"));
  weir_pool_stats_t stats{};
  EXPECT_EQ(weir_pool_stats(pool(), &stats, &error), WEIR_BAD_ARGUMENT);
  // A program of before connections moved: it gets what it knows of, and nothing behind it.
  stats.struct_size = offsetof(weir_pool_stats_t, handed_live);
  stats.handed_live = 4711;
  EXPECT_EQ(weir_pool_stats(pool(), &stats, &error), WEIR_OK);
  EXPECT_EQ(stats.max, stats_of(pool()).max);
  EXPECT_EQ(stats.handed_live, 4711u);
}

TEST_F(PoolLease, TheErrorIsLeftAsItIsWhereThereIsNone) {
  open("max = 1");
  weir_error_t error = WEIR_ERROR_INIT;
  error.code = 99;
  for (const char* way : {"slow", "fast"}) {
    weir_lease_t lease;
    EXPECT_EQ(weir_acquire(pool(), nullptr, &lease, &error), WEIR_OK);
    EXPECT_EQ(weir_release(&lease, &error), WEIR_OK);
    EXPECT_EQ(error.code, 99) << way;
  }
}

TEST_F(PoolLease, LookingNeitherAttachesNorStartsAThread) {
  const auto threads = [] {
    const std::filesystem::directory_iterator tasks("/proc/self/task");
    return std::distance(begin(tasks), end(tasks));
  };
  const auto before = threads();
  open("max = 7\nmin = 2");
  EXPECT_EQ(stats_of(pool()).max, 7u) << "as configured: there is no segment yet";
  EXPECT_EQ(stats_of(pool()).total, 0u);
  EXPECT_FALSE(std::filesystem::exists(world_->folder() + "/default.weir"));

  SharedCounter lent;
  const WorkerProcess other([&]() -> int {
    Weir own(world_->config("max = 7"));
    const Got got = acquire(own.pool());
    require(got, "acquire");
    lent.add();
    while (true) pause();
  });
  ASSERT_TRUE(lent.await(1));
  const weir_pool_stats_t seen = stats_of(pool());
  EXPECT_EQ(seen.used, 1u);
  EXPECT_EQ(seen.acquires, 1u);
  EXPECT_EQ(seen.worker_used, 0u);
  EXPECT_EQ(world_->snapshot().workers.size(), 1u);
  EXPECT_EQ(threads(), before);
}

TEST_F(PoolLease, CallsThatRaceWithTheLastCloseEndWithClosed) {
  for (int round = 0; round < 5; ++round) {
    Weir own(world_->config("max = 2\nidle_timeout = \"" + std::to_string(60 + round) + "s\""));
    weir_pool_t* const pool = own.pool();
    std::atomic<int> running{0};
    std::vector<std::string> last(4);
    std::vector<std::thread> threads;
    for (std::string& end : last) {
      threads.emplace_back([&, pool] {
        bool first = true;
        for (Got got = acquire(pool); (end = got.code) == "ok"; got = acquire(pool)) {
          release(got.lease);
          if (first) ++running;
          first = false;
        }
      });
    }
    EXPECT_TRUE(poll_until([&] { return running == 4; }));
    EXPECT_TRUE(own.close().ok());
    for (std::thread& thread : threads) thread.join();
    EXPECT_THAT(last, Each("closed"));
    EXPECT_EQ(try_acquire(pool).code, "closed");
  }
}

TEST_F(PoolLease, ManyThreadsShareFewConnectionsAndNeverOne) {
  open("max = 3");
  constexpr int kThreads = 8, kRounds = 200;
  std::array<std::atomic<int>, 3> holders{};
  std::atomic<int> doubly_held{0}, failed{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < kRounds; ++i) {
        Got got = acquire(pool());
        if (!got.ok()) {
          ++failed;
          continue;
        }
        if (holders[got.lease.place].fetch_add(1) != 0) ++doubly_held;
        if (i % 10 == 0 && ask(got, "SELECT 1") != "1") ++failed;
        holders[got.lease.place].fetch_sub(1);
        if (!release(got.lease).ok()) ++failed;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failed, 0);
  EXPECT_EQ(doubly_held, 0);
  EXPECT_LE(stats_of(pool()).connects, 3u);
  EXPECT_EQ(stats_of(pool()).acquires, std::uint64_t{kThreads} * kRounds);
  EXPECT_EQ(world_->await_rest(), "");
}

}  // namespace
}  // namespace weir::test
