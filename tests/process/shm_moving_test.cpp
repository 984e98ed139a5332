// Connections that move between real processes, which are killed and stopped, against a server that
// counts.
//
// The storm kills and stops at random while connections move; the other tests stop one worker where
// it hurts most and look at the rest. WEIR_STORM_SECONDS makes each storm longer than the usual two
// seconds.

#include <gtest/gtest.h>
#include <time.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <ostream>
#include <random>
#include <string>
#include <vector>

#include "shm/reaper.h"
#include "shm/stats.h"
#include "support/mover.h"
#include "support/room_user.h"
#include "support/shm_world.h"
#include "support/worker_process.h"

namespace weir::shm {
namespace {

using namespace std::chrono_literals;
using test::count_places;
using test::CountingServer;
using test::Mover;
using test::place_word;
using test::RoomUser;
using test::SharedCounter;
using test::ShmWorld;
using test::WorkerProcess;

void pause_for(Nanos duration) {
  const timespec time{0, static_cast<long>(duration.count())};
  nanosleep(&time, nullptr);
}

Nanos storm_length() {
  const char* seconds = std::getenv("WEIR_STORM_SECONDS");  // NOLINT(concurrency-mt-unsafe)
  return seconds == nullptr ? Nanos(2s) : Nanos(std::chrono::seconds(std::atoi(seconds)));
}

class Moving : public ::testing::Test {
 protected:
  explicit Moving(std::uint32_t quota)
      : quota_(quota),
        world_({.workers = 48,
                .waiters = 64,
                .quotas = 1,
                .pools = 1,
                .places = 64,
                .permits = 1,
                .stats_per_worker = 1,
                .events_per_worker = 1}),
        me_(world_.join("judge")),
        server_(world_.folder(), quota, 500us),
        pool_(world_.pool(me_->id(), quota)) {}

  [[nodiscard]] RoomUser::Confirm confirm() const {
    return [this](const PoolRef& of, PlaceIndex place, PlaceWord word) {
      return server_.is_gone(of.global(place), word.occ());
    };
  }
  /// What any keeper would do, until nothing is left.
  void expect_everything_is_free() {
    EXPECT_TRUE(test::poll_until([&] {
      RoomUser(pool_, *me_, confirm()).tick();
      return count_places(pool_, PlaceState::kFree) == quota_ && test::count_turns(pool_) == 0 &&
             test::count_waiters(world_.segment()) == 0;
    })) << count_places(pool_, PlaceState::kGiving)
        << " giving, " << count_places(pool_, PlaceState::kParked) << " parked, "
        << count_places(pool_, PlaceState::kUsed) << " used, "
        << count_places(pool_, PlaceState::kLingering) << " lingering";
    EXPECT_EQ(server_.tally().over_limit.load(), 0u);
    EXPECT_LE(server_.tally().most_open.load(), quota_);
    EXPECT_TRUE(world_.segment().usable().ok());
  }
  [[nodiscard]] std::uint64_t counted(Counter counter) const { return sum_counter(pool_, counter); }

  const std::uint32_t quota_;
  ShmWorld world_;
  std::unique_ptr<Membership> me_;
  CountingServer server_;
  PoolRef pool_;
  SharedCounter stop_, used_, stuck_, robbed_;
};

// ---- storms ---------------------------------------------------------------------------------

struct Storm {
  const char* name;
  int processes;
  std::uint32_t quota;
};
std::ostream& operator<<(std::ostream& out, const Storm& storm) { return out << storm.name; }

class MovingStorm : public Moving, public ::testing::WithParamInterface<Storm> {
 protected:
  MovingStorm() : Moving(GetParam().quota) {}

  int work(unsigned seed) {
    std::minstd_rand random(seed);
    const auto self = world_.join("storm");
    {
      Mover mover(pool_, *self, server_);
      while (stop_.value() == 0) {
        const bool impatient = random() % 4 == 0;
        const auto lease =
            mover.acquire(Deadline::after(impatient ? Nanos(random() % 3'000'000) : Nanos(60s)));
        if (!lease) {
          if (!impatient) stuck_.add();
          continue;
        }
        if (random() % 2 == 0) pause_for(Nanos(random() % 400'000));
        mover.release(*lease, random() % 8 != 0);
        used_.add();
        if (!self->is_sound()) robbed_.add();
      }
      for (unsigned i = 0; i < mover.robbed(); ++i) robbed_.add();
    }
    return 0;
  }
};

TEST_P(MovingStorm, NeverExceedsTheQuotaAndLosesNothing) {
  constexpr int kFewestKills = 50;
  unsigned seed = 1;
  std::vector<WorkerProcess> workers;
  const auto start = [&] {
    ++seed;
    return WorkerProcess([this, seed] { return work(seed); });
  };
  for (int i = 0; i < GetParam().processes; ++i) workers.push_back(start());

  std::minstd_rand random(7);
  const Deadline end = Deadline::after(storm_length());
  int kills = 0;
  while (!end.passed(monotonic_ns()) || kills < kFewestKills) {
    pause_for(Nanos(random() % 10'000'000));
    WorkerProcess& victim = workers[random() % workers.size()];
    if (random() % 4 == 0) {
      victim.stop();
      pause_for(Nanos(random() % 30'000'000));
      victim.resume();
    } else {
      victim.kill();
      ++kills;
      victim = start();
    }
  }
  stop_.add();
  for (WorkerProcess& worker : workers) EXPECT_EQ(worker.wait_at_most(), 0);
  expect_everything_is_free();
  EXPECT_EQ(stuck_.value(), 0u);
  EXPECT_EQ(robbed_.value(), 0u);
  EXPECT_GT(used_.value(), 100u);
  EXPECT_GT(counted(Counter::kHandedLive), 50u);
  std::printf("kills %d, leases %u, connections %u, moved %llu, failed to %llu, most open %u\n",
              kills, used_.value(), server_.tally().accepted.load(),
              static_cast<unsigned long long>(counted(Counter::kHandedLive)),
              static_cast<unsigned long long>(counted(Counter::kHandoverFailures)),
              server_.tally().most_open.load());
}

INSTANTIATE_TEST_SUITE_P(All, MovingStorm,
                         ::testing::Values(Storm{"FourOnOne", 4, 1}, Storm{"EightOnThree", 8, 3},
                                           Storm{"SixteenOnEight", 16, 8}),
                         [](const auto& storm) { return std::string(storm.param.name); });

// ---- one that stands still ------------------------------------------------------------------

class MovingWithOneStopped : public Moving {
 protected:
  MovingWithOneStopped() : Moving(2) {}

  // A worker that waits in line until it is served, once, and gives back what it got.
  int wait_once(const char* name) {
    const auto self = world_.join(name);
    Mover mover(pool_, *self, server_);
    const auto lease = mover.acquire(Deadline::after(30s));
    if (!lease) return 1;
    used_.add();
    mover.release(*lease, false);
    return mover.robbed() == 0 ? 0 : 2;
  }
  void expect_waiting(std::uint32_t count) {
    ASSERT_TRUE(test::poll_until([&] { return look_at_line(pool_, me_->id()).waiting == count; }));
  }
};

TEST_F(MovingWithOneStopped, AReceiverKeepsOneConnectionAndNotMore) {
  Mover mine(pool_, *me_, server_);
  const auto first = mine.acquire(Deadline::after(5s)), second = mine.acquire(Deadline::after(5s));
  ASSERT_TRUE(first && second);
  WorkerProcess stopped([&] { return wait_once("stopped"); });
  expect_waiting(1);
  stopped.stop();
  WorkerProcess other([&] { return wait_once("other"); });
  expect_waiting(2);
  mine.release(*first, false);  // to the oldest, which stands still
  EXPECT_EQ(count_places(pool_, PlaceState::kParked), 1u);
  mine.release(*second, false);  // to the other
  EXPECT_EQ(other.wait_at_most(), 0);
  EXPECT_EQ(used_.value(), 1u);
  EXPECT_EQ(count_places(pool_, PlaceState::kParked), 1u) << "as if lent";
  stopped.resume();
  EXPECT_EQ(stopped.wait_at_most(), 0);
  EXPECT_EQ(used_.value(), 2u);
  EXPECT_EQ(counted(Counter::kHandedLive), 2u);
  EXPECT_EQ(server_.tally().accepted.load(), 2u) << "nobody connected again";
  expect_everything_is_free();
}

TEST_F(MovingWithOneStopped, AReceiverThatDiesThereHoldsUpNobody) {
  Mover mine(pool_, *me_, server_);
  const auto first = mine.acquire(Deadline::after(5s)), second = mine.acquire(Deadline::after(5s));
  ASSERT_TRUE(first && second);
  WorkerProcess stopped([&] { return wait_once("stopped"); });
  expect_waiting(1);
  stopped.stop();
  mine.release(*first, false);
  EXPECT_EQ(count_places(pool_, PlaceState::kParked), 1u);
  stopped.kill();
  const auto again = mine.acquire(Deadline::after(5s));
  ASSERT_TRUE(again) << "its place came back once the server had let go";
  mine.release(*again, false);
  mine.release(*second, false);
  expect_everything_is_free();
}

TEST_F(MovingWithOneStopped, AGiverKeepsOneConnectionAndTheWaiterIsServedByAnother) {
  WorkerProcess giver([&] {
    const auto self = world_.join("giver");
    Mover mover(pool_, *self, server_);
    const auto lease = mover.acquire(Deadline::after(5s));
    if (!lease) return 1;
    if (!test::poll_until([&] { return look_at_line(pool_, self->id()).oldest.has_value(); })) {
      return 2;
    }
    std::optional<Giving> giving = Giving::claim(pool_, self->id(), lease->room.place,
                                                 *look_at_line(pool_, self->id()).oldest);
    if (!giving || !giving->begin()) return 3;
    test::stop_here();
    if (giving->send(mover.mailbox(), {"fake", ""}, lease->session) == Sent::kSent) {
      giving->park(lease->session);  // to one that left: it keeps the connection for the next
      ::close(lease->session);
      return 0;
    }
    if (!giving->withdraw()) return 4;
    mover.close(*lease);
    return 0;
  });
  Mover mine(pool_, *me_, server_);
  const auto held = mine.acquire(Deadline::after(5s));
  ASSERT_TRUE(held);
  WorkerProcess waiter([&] { return wait_once("waiter"); });
  ASSERT_TRUE(giver.await_stop());
  // The claim is taken back after a while; then what I have goes there: by closing, since GIVING
  // names that worker.
  expect_waiting(1);
  mine.release(*held, false);
  EXPECT_EQ(waiter.wait_at_most(), 0);
  EXPECT_EQ(used_.value(), 1u);
  giver.resume();
  EXPECT_EQ(giver.wait_at_most(), 0);
  expect_everything_is_free();
}

TEST_F(MovingWithOneStopped, AMailboxWhoseNameIsGoneOnlyCostsAReconnect) {
  Mover mine(pool_, *me_, server_);
  const auto first = mine.acquire(Deadline::after(5s)), second = mine.acquire(Deadline::after(5s));
  ASSERT_TRUE(first && second);
  WorkerProcess other([&] { return wait_once("other"); });
  expect_waiting(1);
  for (const auto& entry : std::filesystem::directory_iterator(mailbox_folder(world_.segment()))) {
    std::filesystem::remove(entry);
  }
  mine.release(*first, false);
  EXPECT_EQ(other.wait_at_most(), 0);
  EXPECT_EQ(counted(Counter::kHandedLive), 0u);
  EXPECT_EQ(counted(Counter::kHandoverFailures), 1u);
  EXPECT_EQ(server_.tally().accepted.load(), 3u);
  mine.release(*second, false);
  expect_everything_is_free();
}

}  // namespace
}  // namespace weir::shm
