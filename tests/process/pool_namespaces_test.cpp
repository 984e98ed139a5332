// Workers in containers of their own: they share nothing but the segment's file and the server's
// socket, see one another under other pids and other paths, and keep one quota all the same.
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <functional>

#include "pool_on_postgres.h"

namespace weir::test {
namespace {

using namespace std::chrono_literals;

/// Namespaces of one's own, in which mounts are seen here only. False: this user may not make them,
/// or stands in a root that is no mount (chroot), whose mounts cannot be kept here.
bool enter_namespaces() {
  return unshare(CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET) == 0 &&
         mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
}

/// Runs `body` as the first process of PID, mount and network namespaces of its own, where `folder`
/// is to be found under another path as well. `pid` becomes its pid as seen from outside.
int contain(const std::string& folder, const std::string& other_path, std::atomic<pid_t>& pid,
            const std::function<int()>& body) {
  require(enter_namespaces(), "namespaces");
  require(mount(folder.c_str(), other_path.c_str(), nullptr, MS_BIND, nullptr) == 0, "bind mount");
  const pid_t first = fork();
  require(first >= 0, "fork");
  if (first == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    require(getpid() == 1, "not the first process of its namespace");
    return body();
  }
  pid.store(first);
  int status = -1;
  require(waitpid(first, &status, 0) == first, "waitpid");
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

bool may_contain() {
  WorkerProcess probe([] { return enter_namespaces() ? 0 : 1; });
  return probe.wait() == 0;
}

class PoolNamespaces : public PoolOnPostgres {
 protected:
  void SetUp() override {
    PoolOnPostgres::SetUp();
    if (IsSkipped()) return;
    if (!may_contain()) GTEST_SKIP() << "no namespaces can be made here";
    sampler_.emplace(*server_);
  }
  /// A worker in namespaces of its own. `pid` as in contain().
  std::unique_ptr<WorkerProcess> worker(const std::string& keys, std::atomic<pid_t>& pid,
                                        const std::function<void(weir_pool_t*)>& work) {
    return std::make_unique<WorkerProcess>([&, keys, work]() -> int {
      return contain(world_->folder(), elsewhere_.path().string(), pid, [&]() -> int {
        Weir own(world_->config_in(elsewhere_.path().string(), keys));
        work(own.pool());
        return own.close().ok() ? 0 : 1;
      });
    });
  }

  TempFolder elsewhere_{"/tmp/weir-elsewhere-"};
  std::optional<SessionSampler> sampler_;
};

TEST_F(PoolNamespaces, OfTheirOwnDoNotKeepWorkersFromSharingOneQuota) {
  const std::string keys = "max = 2\npermit_quantum = \"0s\"";
  const auto work = [](weir_pool_t* pool) {
    for (int i = 0; i < 20; ++i) {
      Got got = acquire(pool);
      require(got, "acquire");
      require(ask(got, "SELECT 1") == "1", "query");
      require(release(got.lease), "release");
    }
  };
  std::array<Shared<std::atomic<pid_t>>, 3> pids;
  std::vector<std::unique_ptr<WorkerProcess>> workers;
  for (auto& pid : pids) workers.push_back(worker(keys, *pid, work));
  {
    const Weir outside(world_->config(keys));
    work(outside.pool());
    for (auto& contained : workers) EXPECT_EQ(contained->wait_at_most(), 0);
    EXPECT_EQ(world_->await_rest(), "");
    // Who left while something was on its way to it is settled by the next look.
    EXPECT_TRUE(poll_until([&] { return world_->snapshot().workers.size() == 1; }))
        << "one segment for all";
  }
  EXPECT_LE(sampler_->most(), 2u);
}

TEST_F(PoolNamespaces, OfTheirOwnDoNotHideWhoDiesNorMakeDeadWhoStandsStill) {
  const std::string keys = "max = 1\npermit_quantum = \"0s\"";
  SharedCounter holding;
  const Shared<std::atomic<pid_t>> pid;
  const auto contained = worker(keys, *pid, [&](weir_pool_t* pool) {
    Got got = acquire(pool);
    require(got, "acquire");
    holding.add();
    while (true) pause();
  });
  ASSERT_TRUE(holding.await(1));
  Weir outside(world_->config(keys));
  ASSERT_EQ(::kill(*pid, SIGSTOP), 0);
  EXPECT_EQ(acquire(outside.pool(), 300ms).code, "timeout");
  ASSERT_EQ(::kill(*pid, SIGKILL), 0);
  Got got = acquire(outside.pool());
  EXPECT_TRUE(got.ok()) << got.message;

  // And the other way round: one in there sees that one out here has died.
  EXPECT_TRUE(release(got.lease).ok());
  EXPECT_TRUE(outside.close().ok());
  const auto victim = idle_worker(world_->config(keys));
  SharedCounter served;
  const Shared<std::atomic<pid_t>> observer;
  victim->stop();
  const auto observing = worker(keys, *observer, [&](weir_pool_t* pool) {
    require(acquire(pool, 300ms).code == "timeout", "taken from one who stands still");
    served.add();
    Got seen = acquire(pool);
    require(seen, "after the death");
    require(release(seen.lease), "release");
  });
  EXPECT_TRUE(served.await(1));
  victim->kill();
  EXPECT_EQ(observing->wait_at_most(), 0);
  EXPECT_LE(sampler_->most(), 1u);
}

}  // namespace
}  // namespace weir::test
