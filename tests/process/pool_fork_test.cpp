// A fork at any moment is safe: a child never uses, closes or speaks on its parent's connections;
// its leases answer "forked", and its pools attach anew.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <functional>
#include <thread>

#include "pool_on_postgres.h"

namespace weir::test {
namespace {

using namespace std::chrono_literals;

/// What the links in /proc/self/fd name: "socket:[12345]" ...
std::vector<std::string> open_files() {
  std::vector<std::string> names;
  std::error_code gone;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    names.push_back(std::filesystem::read_symlink(entry.path(), gone).string());
  }
  return names;
}

std::string file_of(int fd) {
  return std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(fd)).string();
}

/// What every child checks of a lease that it inherited.
void require_forked(weir_lease_t lease, const std::string& socket) {
  require(weir_lease_native(&lease) == nullptr, "an inherited lease has a native handle");
  require(release(lease).code == "forked", "release of an inherited lease");
  require(discard(lease).code == "forked", "discard of an inherited lease");
  require(weir_lease_native(&lease) == nullptr, "after release");
  const std::vector<std::string> files = open_files();
  require(std::find(files.begin(), files.end(), socket) == files.end(),
          "the parent's socket is open in its child");
}

/// A child's own life with the handles it inherited. Returns its backend.
int live(weir_pool_t* pool) {
  Got got = acquire(pool);
  require(got, "acquire");
  const std::string pid = ask(got, "SELECT pg_backend_pid()");
  require(pid == std::to_string(PQbackendPID(got.conn())), "query: " + pid);
  require(release(got.lease), "release");
  return std::stoi(pid);
}

/// A function of its own, since what the child does to its caller's variables stays done.
[[gnu::noinline]] pid_t vfork_shell(char* const* arguments) {
  const pid_t child = vfork();  // NOLINT(clang-analyzer-security.insecureAPI.vfork): under test
  if (child == 0) {
    execv("/bin/sh", arguments);
    _exit(127);
  }
  return child;
}

// The address sanitizer's allocator has a lock that fork() does not take: a child of a process
// whose threads allocate may wait for it for ever.
#if defined(__SANITIZE_ADDRESS__)
constexpr int kBusyThreads = 0;
#else
constexpr int kBusyThreads = 4;
#endif

class PoolFork : public PoolOnPostgres {
 protected:
  static void SetUpTestSuite() {
    PoolOnPostgres::SetUpTestSuite();
    if (server_ != nullptr) server_->ask("SELECT 1");  // our own session, before any fork
  }

  /// As a child: leaves without the parent's runtime being told.
  [[nodiscard]] int close_own() const {
    weir_error_t error = WEIR_ERROR_INIT;
    require(answer_of(weir_close(weir_->handle(), &error), error), "close");
    return 0;
  }
};

TEST_F(PoolFork, SixteenChildrenOfAPreloadingParentNeitherUseNorDisturbWhatItHolds) {
  open("max = 8\nmin = 2\nvalidate_after = \"0s\"\npermit_quantum = \"10ms\"");
  Got busy = acquire(pool(), kPatience, "parent");
  Got quiet = acquire(pool());
  ASSERT_TRUE(busy.ok()) << busy.message;
  ASSERT_TRUE(quiet.ok()) << quiet.message;
  EXPECT_EQ(ask(busy, "BEGIN; CREATE TEMP TABLE basket AS SELECT 42 AS n"), "");
  const std::string socket = file_of(PQsocket(busy.conn()));
  // Threads inside weir: acquiring, releasing, connecting, in line.
  std::atomic<bool> stop{false};
  std::atomic<int> failed{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kBusyThreads; ++t) {
    threads.emplace_back([&, t] {
      while (!stop) {
        Got got = acquire(pool());
        if (!got.ok() || ask(got, "SELECT 1") != "1") ++failed;
        if (!(t == 0 ? discard(got.lease) : release(got.lease)).ok()) ++failed;
      }
    });
  }
  SharedCounter alive, done;
  std::vector<std::unique_ptr<WorkerProcess>> children;
  for (int c = 0; c < 16; ++c) {
    children.push_back(std::make_unique<WorkerProcess>([&]() -> int {
      require_forked(busy.lease, socket);
      require_forked(quiet.lease, socket);
      for (int i = 0; i < 5; ++i) live(pool());
      Got got = acquire(pool());
      require(got, "acquire");
      bool shown = false;
      for (const shm::PlaceSnapshot& place : world_->pool().places) {
        if (place.holder_pid != static_cast<std::uint32_t>(getpid())) continue;
        shown |= place.state == shm::PlaceState::kUsed &&
                 place.holder_thread == static_cast<std::uint32_t>(syscall(SYS_gettid));
      }
      require(shown, "the segment shows somebody else as the holder");
      require(release(got.lease), "release");
      require(close_own() == 0, "close");
      alive.add();
      require(done.await(1), "nobody told us to end");
      require_forked(busy.lease, socket);
      return 0;
    }));
    EXPECT_EQ(ask(busy, "SELECT n FROM basket"), "42") << "the parent's next query";
  }
  EXPECT_TRUE(alive.await(16));
  stop = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failed, 0);
  EXPECT_EQ(ask(busy, "SELECT n FROM basket"), "42");
  EXPECT_EQ(ask(quiet, "SELECT 1"), "1");
  done.add();
  for (auto& child : children) EXPECT_EQ(child->wait_at_most(), 0);
  EXPECT_EQ(ask(busy, "SELECT n FROM basket"), "42") << "after the children's end";
  EXPECT_EQ(PQtransactionStatus(busy.conn()), PQTRANS_INTRANS);
  EXPECT_TRUE(release(busy.lease).ok());
  EXPECT_TRUE(release(quiet.lease).ok());
  EXPECT_EQ(world_->await_rest(), "");
  EXPECT_TRUE(weir_->close().ok());
  EXPECT_EQ(server_->count_sessions(), 0);
}

TEST_F(PoolFork, AnIdleConnectionOfTheParentStaysItsOwn) {
  open("max = 4\nvalidate_after = \"0s\"");
  Got got = acquire(pool());
  ASSERT_TRUE(got.ok()) << got.message;
  const int pid = PQbackendPID(got.conn());
  EXPECT_TRUE(release(got.lease).ok());
  for (int c = 0; c < 3; ++c) {
    WorkerProcess child([&]() -> int {
      require(try_acquire(pool()).code == "would_block", "the parent's was lent");
      require(live(pool()) != pid, "the parent's session was used");
      return close_own();
    });
    EXPECT_EQ(child.wait_at_most(), 0);
    got = acquire(pool());
    ASSERT_TRUE(got.ok()) << got.message;
    EXPECT_EQ(PQbackendPID(got.conn()), pid);
    EXPECT_EQ(ask(got, "SELECT 1"), "1");
    EXPECT_TRUE(release(got.lease).ok());
  }
}

TEST_F(PoolFork, WhileOtherThreadsAreConnectingAChildGetsWhatItNeedsAndKeepsNothing) {
  open("max = 6\nconnect_concurrency = 3\npermit_quantum = \"10ms\"");
  std::atomic<bool> stop{false};
  std::atomic<int> failed{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      while (!stop) {
        Got got = acquire(pool());
        if (!got.ok() || !discard(got.lease).ok()) ++failed;
      }
    });
  }
  for (int round = 0; round < 50; ++round) {
    WorkerProcess child([&]() -> int {
      live(pool());
      return close_own();
    });
    ASSERT_EQ(child.wait_at_most(), 0) << "round " << round;
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failed, 0);
  EXPECT_EQ(world_->await_rest(), "");
}

TEST_F(PoolFork, WhatAKilledParentHadEndsAlthoughItsChildLivesOn) {
  const std::string config = world_->config("max = 3");
  SharedCounter forked;
  Shared<std::atomic<pid_t>> orphan;
  WorkerProcess parent([&]() -> int {
    Weir weir(config);
    Got lent = acquire(weir.pool());
    Got idle = acquire(weir.pool());
    require(lent, "acquire");
    require(idle, "acquire");
    require(release(idle.lease), "release");
    const pid_t child = fork();
    if (child == 0) {
      forked.add();
      while (true) pause();
    }
    orphan->store(child);
    while (true) pause();
  });
  ASSERT_TRUE(forked.await(1));
  ASSERT_TRUE(poll_until([&] { return orphan->load() > 0; }));
  EXPECT_EQ(server_->count_sessions(), 2);
  parent.kill();
  EXPECT_TRUE(poll_until([] { return server_->count_sessions() == 0; }));
  ::kill(orphan->load(), SIGKILL);
  Weir weir(config);
  EXPECT_GT(live(weir.pool()), 0);
  EXPECT_EQ(world_->await_rest(), "");
}

TEST_F(PoolFork, AForkOfAForkHasNothingOfEither) {
  open("max = 4");
  Got got = acquire(pool());
  ASSERT_TRUE(got.ok()) << got.message;
  const std::string socket = file_of(PQsocket(got.conn()));
  WorkerProcess child([&]() -> int {
    Got own = acquire(pool());
    require(own, "acquire");
    const std::string own_socket = file_of(PQsocket(own.conn()));
    {
      WorkerProcess grandchild([&]() -> int {
        require_forked(got.lease, socket);
        require_forked(own.lease, own_socket);
        live(pool());
        return close_own();
      });
      require(grandchild.wait_at_most() == 0, "the grandchild failed");
    }
    require_forked(got.lease, socket);
    require(ask(own, "SELECT 1") == "1", "disturbed by its child");
    require(release(own.lease), "release");
    return close_own();
  });
  EXPECT_EQ(child.wait_at_most(), 0);
  EXPECT_EQ(ask(got, "SELECT 1"), "1");
  EXPECT_TRUE(release(got.lease).ok());
}

TEST_F(PoolFork, AChildThatEndsOrExecutesAtOnceDisturbsNothing) {
  open("max = 4\nvalidate_after = \"0s\"");
  Got lent = acquire(pool());
  Got idle = acquire(pool());
  ASSERT_TRUE(lent.ok()) << lent.message;
  ASSERT_TRUE(idle.ok()) << idle.message;
  const int idle_pid = PQbackendPID(idle.conn());
  EXPECT_TRUE(release(idle.lease).ok());
  for (int c = 0; c < 4; ++c) {
    WorkerProcess child([&]() -> int {
      if (c % 2 == 1) execl("/bin/true", "true", nullptr);
      return 0;
    });
    EXPECT_EQ(child.wait_at_most(), 0);
  }
  EXPECT_EQ(ask(lent, "SELECT 1"), "1");
  idle = acquire(pool());
  EXPECT_EQ(PQbackendPID(idle.conn()), idle_pid);
  EXPECT_EQ(ask(idle, "SELECT 1"), "1");
  EXPECT_TRUE(release(idle.lease).ok());
  EXPECT_TRUE(release(lent.lease).ok());
}

// vfork and posix_spawn lend the parent's very memory to the child until it executes: what marks a
// fork must not mistake that for one.
TEST_F(PoolFork, WhatAParentSpawnsInheritsNothingAndTheParentGoesOn) {
  open("max = 4\nvalidate_after = \"0s\"");
  Got lent = acquire(pool());
  Got idle = acquire(pool());
  ASSERT_TRUE(lent.ok()) << lent.message;
  ASSERT_TRUE(idle.ok()) << idle.message;
  const int idle_pid = PQbackendPID(idle.conn());
  EXPECT_TRUE(release(idle.lease).ok());
  // Fails if a descriptor of a database's socket, or of the segment, got through.
  const char* const script =
      "for fd in /proc/self/fd/*; do case \"$(readlink $fd)\" in socket:*|*.weir*) exit 1;; esac; "
      "done";
  std::string shell = "sh", option = "-c", text = script;
  const std::array<char*, 4> arguments = {shell.data(), option.data(), text.data(), nullptr};
  for (int round = 0; round < 4; ++round) {
    pid_t child = -1;
    if (round % 2 == 0) {
      ASSERT_EQ(posix_spawn(&child, "/bin/sh", nullptr, nullptr, arguments.data(), environ), 0);
    } else {
      child = vfork_shell(arguments.data());
    }
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    EXPECT_EQ(ask(lent, "SELECT 1"), "1");
  }
  idle = acquire(pool());
  EXPECT_EQ(PQbackendPID(idle.conn()), idle_pid);
  EXPECT_TRUE(release(idle.lease).ok());
  EXPECT_TRUE(release(lent.lease).ok());
  EXPECT_EQ(stats_of(pool()).worker_idle, 2u);
}

// Who was forked, by whichever way, judges others' deaths as its parent would.
TEST_F(PoolFork, AChildOfAnyKindSeesWhoDiesAndWhoOnlyStandsStill) {
  open("max = 1\npermit_quantum = \"0s\"");
  using Leave = std::function<void()>;
  const std::vector<std::pair<const char*, Leave>> ways = {
      {"fork", [] {}},
      {"fork of a fork",
       [] {
         const pid_t child = fork();
         require(child >= 0, "fork");
         int status = -1;
         if (child == 0) return;
         _exit(waitpid(child, &status, 0) == child && status == 0 ? 0 : 1);
       }},
      {"daemon", [] {
         require(setsid() > 0, "setsid");
         closefrom(3);
         for (int i = 0; i < 8; ++i) {
           require(::open("/dev/null", O_RDWR | O_CLOEXEC) >= 0, "/dev/null");
         }
       }}};
  for (const auto& [name, leave] : ways) {
    SharedCounter holding, refused;
    WorkerProcess holder([&]() -> int {
      Got got = acquire(pool());
      require(got, "the holder's");
      holding.add();
      while (true) pause();
    });
    ASSERT_TRUE(holding.await(1)) << name;
    WorkerProcess child([&, &leave = leave]() -> int {
      leave();
      require(acquire(pool(), 200ms).code == "timeout", "taken from one who stands still");
      refused.add();
      live(pool());
      return close_own();
    });
    holder.stop();
    EXPECT_TRUE(refused.await(1)) << name;
    holder.kill();
    EXPECT_EQ(child.wait_at_most(), 0) << name;
  }
  EXPECT_EQ(world_->await_rest(), "");
}

TEST_F(PoolFork, AChildOfARawCloneIsToldSoToo) {
  open("max = 4");
  Got got = acquire(pool());
  ASSERT_TRUE(got.ok()) << got.message;
  const auto child = static_cast<pid_t>(syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, 0));
  ASSERT_GE(child, 0);
  if (child == 0) {
    const bool told = weir_lease_native(&got.lease) == nullptr &&
                      weir_release(&got.lease, nullptr) == WEIR_FORKED &&
                      weir_discard(&got.lease, nullptr) == WEIR_FORKED;
    _exit(told ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(ask(got, "SELECT 1"), "1");
  EXPECT_TRUE(release(got.lease).ok());
  EXPECT_EQ(stats_of(pool()).worker_idle, 1u);
}

TEST_F(PoolFork, AChildThatClosesAllDescriptorsLikeADaemonWorksAndDisturbsNothing) {
  open("max = 4\nvalidate_after = \"0s\"");
  Got lent = acquire(pool());
  Got idle = acquire(pool());
  ASSERT_TRUE(lent.ok()) << lent.message;
  EXPECT_TRUE(release(idle.lease).ok());
  WorkerProcess daemon([&]() -> int {
    require(setsid() > 0, "setsid");
    closefrom(3);
    // The numbers are somebody else's now.
    for (int i = 0; i < 8; ++i) require(::open("/dev/null", O_RDWR | O_CLOEXEC) >= 0, "/dev/null");
    live(pool());
    require(weir_lease_native(&lent.lease) == nullptr, "the parent's lease");
    return close_own();
  });
  EXPECT_EQ(daemon.wait_at_most(), 0);
  EXPECT_EQ(ask(lent, "SELECT 1"), "1");
  EXPECT_TRUE(release(lent.lease).ok());
  EXPECT_EQ(stats_of(pool()).worker_idle, 2u);
}

TEST_F(PoolFork, AMasterThatOpenedButNeverUsedItHasNoThreadAndItsChildrenAttachForThemselves) {
  const auto threads = [] {
    const std::filesystem::directory_iterator tasks("/proc/self/task");
    return std::distance(begin(tasks), end(tasks));
  };
  const auto before = threads();
  open("max = 4");
  EXPECT_EQ(threads(), before);
  EXPECT_FALSE(std::filesystem::exists(world_->folder() + "/default.weir"));
  std::vector<std::unique_ptr<WorkerProcess>> children;
  for (int c = 0; c < 4; ++c) {
    children.push_back(std::make_unique<WorkerProcess>([&]() -> int {
      live(pool());
      return close_own();
    }));
  }
  for (auto& child : children) EXPECT_EQ(child->wait_at_most(), 0);
  EXPECT_EQ(server_->count_sessions(), 0);
  EXPECT_EQ(world_->await_rest(), "");
}

}  // namespace
}  // namespace weir::test
