// A worker that can no longer prove that it lives fences itself: it lends nothing more, closes what
// it has, and joins anew. One whose descriptor of the segment became another file only opens it
// again.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "pool_on_postgres.h"

namespace weir::test {
namespace {

using namespace std::chrono_literals;
using shm::PlaceState;

class PoolFence : public PoolOnPostgres {
 protected:
  void SetUp() override {
    PoolOnPostgres::SetUp();
    if (world_) sampler_.emplace(*server_);
  }
  [[nodiscard]] std::string segment() const { return world_->folder() + "/default.weir"; }

  /// Takes away the page that our lock lives by: to everybody we are dead.
  void lose_life() const {
    std::ifstream maps("/proc/self/maps");
    int found = 0;
    for (std::string line; std::getline(maps, line);) {
      std::istringstream fields(line);
      std::string range, mode, path;
      fields >> range >> mode;
      if (!line.ends_with(segment()) || mode != "r--s") continue;
      const std::size_t dash = range.find('-');
      const std::uintptr_t from = std::stoull(range.substr(0, dash), nullptr, 16);
      const std::uintptr_t to = std::stoull(range.substr(dash + 1), nullptr, 16);
      ASSERT_EQ(to - from, 4096u);
      // The address comes as text. NOLINTNEXTLINE(performance-no-int-to-ptr)
      munmap(reinterpret_cast<void*>(from), to - from);
      ++found;
    }
    ASSERT_EQ(found, 1);
  }
  /// What closefrom() and the next open() do to our descriptor of the segment.
  void lose_descriptor() const {
    int found = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
      std::error_code gone;
      if (std::filesystem::read_symlink(entry.path(), gone) != segment()) continue;
      const int other = ::open("/dev/null", O_RDWR | O_CLOEXEC);
      dup2(other, std::stoi(entry.path().filename().string()));
      close(other);
      ++found;
    }
    ASSERT_EQ(found, 1);
  }

  std::optional<SessionSampler> sampler_;
};

TEST_F(PoolFence, AWorkerThatLostItsLockClosesWhatItHadAndStartsAnew) {
  open("max = 2\nlinger_max = \"3s\"");
  Got lent = acquire(pool());
  Got idle = acquire(pool());
  ASSERT_TRUE(lent.ok()) << lent.message;
  ASSERT_TRUE(idle.ok()) << idle.message;
  const int idle_pid = PQbackendPID(idle.conn());
  EXPECT_TRUE(release(idle.lease).ok());
  lose_life();
  EXPECT_TRUE(poll_until([&] { return weir_->log_of("worker_fenced").size() == 1; }, 5s));

  Got fresh = acquire(pool(), 5s);
  ASSERT_TRUE(fresh.ok()) << fresh.message;
  EXPECT_NE(PQbackendPID(fresh.conn()), idle_pid);
  EXPECT_EQ(ask(fresh, "SELECT 1"), "1");
  EXPECT_EQ(ask(lent, "SELECT 1"), "1") << "a lease that is out stays usable";
  EXPECT_TRUE(release(lent.lease).ok());
  EXPECT_TRUE(release(fresh.lease).ok());
  EXPECT_EQ(world_->await_rest(), "");
  EXPECT_TRUE(poll_until([&] { return server_->count_sessions() == 1 + 1; }))
      << "the new one's, and the sampler's";
  EXPECT_LE(sampler_->most(), 2u);
  EXPECT_EQ(world_->snapshot().workers.size(), 1u);
  EXPECT_TRUE(weir_->close().ok());
}

TEST_F(PoolFence, WhoWaitsInItsLineMeanwhileGoesOnWaitingInTheNewOne) {
  open("max = 1\nlinger_max = \"3s\"");
  Got lent = acquire(pool());
  ASSERT_TRUE(lent.ok()) << lent.message;
  std::vector<Got> served(3);
  std::vector<std::thread> threads;
  for (Got& one : served) {
    threads.emplace_back([&] {
      one = acquire(pool());
      if (one.ok()) release(one.lease);
    });
  }
  ASSERT_TRUE(poll_until([&] { return stats_of(pool()).waiting == 3; }));
  lose_life();
  EXPECT_TRUE(poll_until([&] { return weir_->log_of("worker_fenced").size() == 1; }, 5s));
  EXPECT_TRUE(release(lent.lease).ok());
  for (std::thread& thread : threads) thread.join();
  for (const Got& got : served) EXPECT_TRUE(got.ok()) << got.code << ": " << got.message;
  EXPECT_LE(sampler_->most(), 1u);
  EXPECT_EQ(world_->await_rest(), "");
}

TEST_F(PoolFence, OneWhoseDescriptorBecameAnotherFileOpensTheSegmentAgainAndTakesNobodyForDead) {
  const std::string config = world_->config("max = 3");
  SharedCounter ready, done;
  WorkerProcess other([&]() -> int {
    Weir own(config);
    Got got = acquire(own.pool());
    require(got, "acquire");
    ready.add();
    require(done.await(1), "nobody told us to end");
    require(ask(got, "SELECT 1") == "1", "the session was ended");
    require(release(got.lease), "release");
    return own.close().ok() ? 0 : 1;
  });
  ASSERT_TRUE(ready.await(1));
  weir_.emplace(config);
  Got got = acquire(pool());
  ASSERT_TRUE(got.ok()) << got.message;
  EXPECT_TRUE(release(got.lease).ok());
  lose_descriptor();
  const auto beat = [&] { return world_->snapshot().workers.size() == 2; };
  const std::uint64_t began = monotonic_ns();
  EXPECT_TRUE(poll_until([&] { return beat() && monotonic_ns() > began + 1'200'000'000u; }));
  const shm::PoolSnapshot now = world_->pool();
  EXPECT_EQ(now.in(PlaceState::kUsed), 1u);
  EXPECT_EQ(now.in(PlaceState::kLingering), 0u);
  EXPECT_TRUE(weir_->log_of("worker_fenced").empty());
  got = acquire(pool());
  EXPECT_TRUE(got.ok()) << got.message;
  EXPECT_TRUE(release(got.lease).ok());
  done.add();
  EXPECT_EQ(other.wait_at_most(), 0);
  EXPECT_LE(sampler_->most(), 3u);
}

TEST_F(PoolFence, OneWhoseSegmentWasReplacedBehindItsBackClosesWhatItHadAndJoinsTheNewOne) {
  open("max = 2\nlinger_max = \"3s\"");
  Got got = acquire(pool());
  ASSERT_TRUE(got.ok()) << got.message;
  EXPECT_TRUE(release(got.lease).ok());
  lose_descriptor();
  ASSERT_TRUE(std::filesystem::remove(segment()));
  EXPECT_TRUE(poll_until([&] { return weir_->log_of("worker_fenced").size() == 1; }, 5s));
  got = acquire(pool());
  ASSERT_TRUE(got.ok()) << got.message;
  EXPECT_EQ(ask(got, "SELECT 1"), "1");
  EXPECT_EQ(world_->pool().in(PlaceState::kUsed), 1u) << "in the new segment";
  EXPECT_TRUE(poll_until([&] { return sampler_->now() == 1; })) << "what it had is closed";
  EXPECT_TRUE(release(got.lease).ok());
  EXPECT_LE(sampler_->most(), 2u);
}

TEST_F(PoolFence, OneWhoseRowAnotherProcessTookStartsAnewAndTheQuotaHolds) {
  const std::string keys = "max = 2\nlinger_max = \"3s\"";
  open(keys);
  Got got = acquire(pool());
  ASSERT_TRUE(got.ok()) << got.message;
  EXPECT_TRUE(release(got.lease).ok());
  lose_life();
  const auto other = idle_worker(world_->config(keys));
  std::vector<Got> held;
  for (int i = 0; i < 4; ++i) {
    held.push_back(acquire(pool(), 1s));
    if (!held.back().ok()) held.pop_back();
  }
  EXPECT_TRUE(poll_until([&] { return weir_->log_of("worker_fenced").size() == 1; }, 5s));
  EXPECT_LE(held.size(), 2u);
  EXPECT_LE(sampler_->most(), 2u);
  for (Got& one : held) EXPECT_TRUE(release(one.lease).ok());
}

TEST_F(PoolFence, ACallerWhoIsConnectingMeanwhileKeepsItsConnectionToItself) {
  const std::string keys =
      "max = 1\norphans = \"wait\"\nlinger_max = \"5s\"\nclose_timeout = \"1s\"\n";
  open(keys);
  SharedCounter lost;
  WorkerProcess victim([&]() -> int {
    Weir own(world_->config(keys + "on_connect = [\"SELECT pg_sleep(3)\"]"));
    own.attach();
    std::thread caller([&] { static_cast<void>(acquire(own.pool(), 10s)); });
    require(poll_until([&] { return world_->pool().in(PlaceState::kOpening) == 1; }), "opening");
    require(poll_until([&] { return !world_->pool().places[0].token.empty(); }), "in on_connect");
    lose_life();
    lost.add();
    caller.join();
    return 0;
  });
  ASSERT_TRUE(lost.await(1));
  Got got = acquire(pool(), 10s);  // has the victim's words settled
  ASSERT_TRUE(got.ok()) << got.message;
  EXPECT_TRUE(release(got.lease).ok());
  EXPECT_EQ(victim.wait_at_most(), 0);
  EXPECT_LE(sampler_->most(), 1u);
}

}  // namespace
}  // namespace weir::test
