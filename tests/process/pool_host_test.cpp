// What weir asks of the process it lives in: no system call for an idle acquire and release, and no
// thread where the host forbids it.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>
#include <filesystem>
#include <thread>

#include "pool_on_postgres.h"
#include "shm/layout.h"

namespace weir::test {
namespace {

using namespace std::chrono_literals;
using shm::PlaceState;

class PoolHost : public PoolOnPostgres {
 protected:
  Weir& open(const std::string& keys, bool no_threads = true) {
    return weir_.emplace(world_->config(keys), no_threads);
  }
  /// One pass of the keeper; returns when it wants the next.
  Nanos keep() const {
    std::int64_t next_ns = -1;
    weir_error_t error = WEIR_ERROR_INIT;
    const std::uint64_t start = monotonic_ns();
    const Answer answer = answer_of(weir_keep(weir_->handle(), &next_ns, &error), error);
    EXPECT_TRUE(answer.ok()) << answer.message;
    EXPECT_LT(Nanos(monotonic_ns() - start), 100ms) << "it must not block";
    EXPECT_GE(next_ns, 0);
    return Nanos(next_ns);
  }
  [[nodiscard]] bool keep_until(const std::function<bool()>& condition) const {
    return poll_until(
        [&] {
          keep();
          return condition();
        },
        10s);
  }
};

// ---- system calls -----------------------------------------------------------------------------

std::atomic<int>* forbidden_call;  // in memory shared with the test

/// _exit() and nothing else: the address sanitizer makes a system call before what never returns.
void end_process(int status) { syscall(SYS_exit_group, status); }

void on_forbidden_call(int /*signal*/, siginfo_t* info, void* /*context*/) {
  forbidden_call->store(info->si_syscall);
  end_process(1);
}

/// From now on any system call of this thread but exit_group is caught.
void forbid_system_calls() {
  struct sigaction action {};
  action.sa_sigaction = on_forbidden_call;
  action.sa_flags = SA_SIGINFO;
  require(sigaction(SIGSYS, &action, nullptr) == 0, "sigaction");
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
  };
  const sock_fprog program = {sizeof filter / sizeof filter[0], filter};
  require(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "no_new_privs");
  require(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0, "seccomp");
}

TEST_F(PoolHost, AnIdleAcquireAndReleaseMakeNoSystemCall) {
  const Shared<std::atomic<int>> caught;
  forbidden_call = &*caught;
  for (const bool no_threads : {false, true}) {
    SCOPED_TRACE(no_threads ? "without a keeper thread" : "with a keeper thread");
    caught->store(-1);
    WorkerProcess worker([&]() -> int {
      Weir own(world_->config("max = 2"), no_threads);
      weir_pool_t* const pool = own.pool();
      std::atomic<bool> stop{false};
      std::thread second([&] {  // else the C library leaves out its atomic operations
        while (!stop) std::this_thread::yield();
      });
      const auto pairs = [pool](int count, const weir_acquire_options_t* options) {
        weir_lease_t lease;
        for (int i = 0; i < count; ++i) {
          if (weir_acquire(pool, options, &lease, nullptr) != WEIR_OK) return false;
          if (weir_release(&lease, nullptr) != WEIR_OK) return false;
        }
        return true;
      };
      weir_acquire_options_t options = WEIR_ACQUIRE_OPTIONS_INIT;
      options.label = "GET /users";
      options.timeout_ns = 1'000'000'000;
      require(pairs(1000, nullptr) && pairs(1000, &options), "warming up");
      forbid_system_calls();
      const bool good = pairs(100'000, nullptr) && pairs(100'000, &options);
      end_process(good ? 0 : 2);
      return 3;
    });
    EXPECT_EQ(worker.wait_at_most(), 0) << "system call " << caught->load();
  }
}

// ---- attaching --------------------------------------------------------------------------------

/// A process that holds a lock of the segment's file, as one stopped in the middle would.
class LockHolder {
 public:
  LockHolder(const std::string& file, std::int64_t byte)
      : process_([file, byte]() -> int {
          const int fd = ::open(file.c_str(), O_RDWR);
          struct flock lock {};
          lock.l_type = F_WRLCK;
          lock.l_start = byte;
          lock.l_len = 1;
          require(fcntl(fd, F_OFD_SETLK, &lock) == 0, "lock");
          stop_here();
          return 0;
        }) {
    EXPECT_TRUE(process_.await_stop());
  }

 private:
  WorkerProcess process_;
};

TEST_F(PoolHost, TheDeadlineCoversWaitingForSomebodyWhoDeclares) {
  open("max = 1", false);
  weir_->attach();
  const LockHolder declaring(world_->folder() + "/default.weir", shm::kDeclareByte);
  Weir other(world_->config("max = 1\nidle_timeout = \"599s\""));
  std::uint64_t start = monotonic_ns();
  EXPECT_EQ(acquire(other.pool(), 10ms).code, "timeout");
  EXPECT_LT(Nanos(monotonic_ns() - start), 500ms);

  // Nor does one who has time stand in the way of one who has not.
  std::thread patient([&] { EXPECT_EQ(acquire(other.pool(), 5s).code, "timeout"); });
  std::this_thread::sleep_for(100ms);
  start = monotonic_ns();
  EXPECT_EQ(acquire(other.pool(), 10ms).code, "timeout");
  EXPECT_LT(Nanos(monotonic_ns() - start), 500ms);
  patient.join();
}

TEST_F(PoolHost, AThreadThatCannotBeStartedIsSaidAndTriedAgain) {
  WorkerProcess worker([&]() -> int {
    Weir own(world_->config("max = 1\nmin = 1"));
    pthread_attr_t normal, vast;
    require(pthread_getattr_default_np(&normal) == 0, "attributes");
    require(pthread_attr_init(&vast) == 0, "attributes");
    require(pthread_attr_setstacksize(&vast, std::size_t{1} << 46) == 0, "stack size");
    require(pthread_setattr_default_np(&vast) == 0, "attributes");
    Got got = acquire(own.pool());
    require(got.code == "system_error", got.code + ": " + got.message);
    require(got.message.find("keeper thread: start") != std::string::npos, got.message);
    sigset_t blocked;
    require(pthread_sigmask(SIG_BLOCK, nullptr, &blocked) == 0, "signal mask");
    require(sigismember(&blocked, SIGUSR1) == 0, "signals are still blocked");
    require(pthread_setattr_default_np(&normal) == 0, "attributes");
    got = acquire(own.pool());
    require(got, "acquire");
    require(discard(got.lease), "discard");
    // Only a keeper closes it and opens another one.
    require(poll_until([&] { return stats_of(own.pool()).idle == 1; }), "there is no keeper");
    return 0;
  });
  EXPECT_EQ(worker.wait_at_most(), 0);
}

// ---- no threads -------------------------------------------------------------------------------

TEST_F(PoolHost, WithoutThreadsNoneIsStartedAndKeepDoesItAll) {
  const auto threads = [] {
    const std::filesystem::directory_iterator tasks("/proc/self/task");
    return std::distance(begin(tasks), end(tasks));
  };
  const auto before = threads();
  open("max = 4\nmin = 2\nidle_timeout = \"100ms\"");
  EXPECT_TRUE(keep_until([&] { return stats_of(pool()).idle == 2; })) << "the warm floor";
  std::vector<Got> leases;
  for (int i = 0; i < 4; ++i) leases.push_back(acquire(pool()));
  for (Got& got : leases) {
    ASSERT_TRUE(got.ok()) << got.message;
    EXPECT_EQ(ask(got, "SELECT 1"), "1");
  }
  EXPECT_TRUE(discard(leases[0].lease).ok());
  EXPECT_TRUE(keep_until([&] { return stats_of(pool()).total == 3; })) << "a close";
  for (int i = 1; i < 4; ++i) {
    EXPECT_TRUE(release(leases[static_cast<std::size_t>(i)].lease).ok());
  }
  EXPECT_TRUE(keep_until([&] { return stats_of(pool()).total == 2; })) << "expiry";
  EXPECT_LE(keep(), 1s);
  EXPECT_EQ(threads(), before);
  EXPECT_TRUE(weir_->close().ok());
  EXPECT_EQ(server_->count_sessions(), 0);
}

TEST_F(PoolHost, WithoutThreadsKeepGivesToOtherWorkersAndReapsTheDead) {
  const std::string config = world_->config("max = 1\npermit_quantum = \"10ms\"");
  SharedCounter go, served;
  WorkerProcess other([&]() -> int {
    Weir own(config);
    require(go.await(1), "nobody called");
    Got got = acquire(own.pool());
    require(got, "acquire");
    served.add();
    while (true) pause();
  });
  weir_.emplace(config, true);
  Got got = acquire(pool());
  ASSERT_TRUE(got.ok()) << got.message;
  EXPECT_TRUE(release(got.lease).ok());
  go.add();
  EXPECT_TRUE(keep_until([&] { return served.value() == 1; }));
  EXPECT_EQ(stats_of(pool()).handed_live, 1u);
  other.kill();
  EXPECT_TRUE(keep_until([&] { return stats_of(pool()).lingering == 1; }));
}

TEST_F(PoolHost, WithoutThreadsAConnectThatItsCallerLeftIsFinishedByKeep) {
  PostgresServer server;
  const PoolWorld world(server.dsn());
  Weir weir(world.config("max = 1"), true);
  weir.attach();
  server.freeze();
  EXPECT_EQ(acquire(weir.pool(), 50ms).code, "timeout");
  std::int64_t next_ns = 0;
  const std::uint64_t start = monotonic_ns();
  for (int i = 0; i < 10; ++i) EXPECT_EQ(weir_keep(weir.handle(), &next_ns, nullptr), WEIR_OK);
  EXPECT_LT(Nanos(monotonic_ns() - start), 200ms) << "it does not wait for the server";
  server.thaw();
  EXPECT_TRUE(poll_until([&] {
    EXPECT_EQ(weir_keep(weir.handle(), &next_ns, nullptr), WEIR_OK);
    return stats_of(weir.pool()).idle == 1;
  }));
}

TEST_F(PoolHost, WithoutThreadsACallerWhoWaitsSeesToWhatOnlyItCanWaitFor) {
  // One thread, one place, and that is just being closed: nobody else is there to call weir_keep.
  open("max = 1");
  for (int round = 0; round < 3; ++round) {
    Got got = acquire(pool(), 5s);
    ASSERT_TRUE(got.ok()) << got.message;
    EXPECT_TRUE(discard(got.lease).ok());
  }
  EXPECT_EQ(stats_of(pool()).connects, 3u);
}

TEST_F(PoolHost, KeepBesideTheKeeperThreadIsHarmless) {
  open("max = 3\nmin = 1", false);
  std::atomic<bool> stop{false};
  std::atomic<int> failed{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back([&] {
      while (!stop) {
        if (weir_keep(weir_->handle(), nullptr, nullptr) != WEIR_OK) ++failed;
      }
    });
  }
  for (int i = 0; i < 50; ++i) {
    Got got = acquire(pool());
    if (!got.ok() || ask(got, "SELECT 1") != "1") ++failed;
    if (!(i % 5 == 0 ? discard(got.lease) : release(got.lease)).ok()) ++failed;
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failed, 0);
  EXPECT_EQ(world_->await_rest(), "");
}

TEST_F(PoolHost, WithoutThreadsALeaseThatComesBackAfterTheEndIsClosedAllTheSame) {
  open("max = 1");
  Got got = acquire(pool());
  ASSERT_TRUE(got.ok()) << got.message;
  EXPECT_TRUE(weir_->close().ok());
  EXPECT_TRUE(release(got.lease).ok());
  EXPECT_TRUE(poll_until([&] { return server_->count_sessions() == 0; }));
  EXPECT_EQ(world_->pool().in(PlaceState::kFree), 1u);
}

}  // namespace
}  // namespace weir::test
