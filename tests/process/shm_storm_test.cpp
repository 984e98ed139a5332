// Workers that connect, hold, close and are killed or stopped at random, against a server that
// counts.
//
// The server is the judge: it must never see more sessions than the quota, although sessions
// outlive their clients a little. Each worker does what a pool and its keeper do, on the segment
// alone: it gives a place back only when the server has let go, and settles what lingers only when
// the server says that the session is gone. One worker stands still through most of it, so that
// what it is offered in line is for the others to revoke; a monitor watches. WEIR_STORM_SECONDS
// makes each storm longer than the usual two seconds.

#include <gtest/gtest.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <cstdlib>
#include <ostream>
#include <random>
#include <string>
#include <vector>

#include "shm/permits.h"
#include "shm/reaper.h"
#include "shm/turns.h"
#include "support/counting_server.h"
#include "support/room_user.h"
#include "support/segment_watch.h"
#include "support/shm_world.h"
#include "support/worker_process.h"

namespace weir::shm {
namespace {

using namespace std::chrono_literals;
using test::count_places;
using test::CountingServer;
using test::RoomUser;
using test::SegmentWatch;
using test::SharedCounter;
using test::ShmWorld;
using test::WorkerProcess;

struct Storm {
  const char* name;
  int processes;
  std::uint32_t quota;
  int pools;
};

std::ostream& operator<<(std::ostream& out, const Storm& storm) { return out << storm.name; }

constexpr int kFewestKills = 50;

void pause_for(Nanos duration) {
  const timespec time{0, static_cast<long>(duration.count())};
  nanosleep(&time, nullptr);
}

Nanos storm_length() {
  const char* seconds = std::getenv("WEIR_STORM_SECONDS");  // NOLINT(concurrency-mt-unsafe)
  return seconds == nullptr ? Nanos(2s) : Nanos(std::chrono::seconds(std::atoi(seconds)));
}

class KillStorm : public ::testing::TestWithParam<Storm> {
 protected:
  /// One connection's life. False if the patience of a minute was over.
  bool use_one(const PoolRef& pool, const Membership& self, std::minstd_rand& random) {
    const auto confirm = [&](const PoolRef& of, PlaceIndex place, PlaceWord word) {
      return server_.is_gone(of.global(place), word.occ());
    };
    RoomUser user(pool, self, confirm);
    const bool impatient = random() % 4 == 0;
    auto room = user.acquire(Deadline::after(impatient ? Nanos(random() % 3'000'000) : Nanos(60s)));
    if (!room) return impatient;

    std::optional<Turn> turn;
    while (!(turn = take_turn(pool, self.id(), monotonic_ns()))) {
      pause_for(100us);
      user.tick();
    }
    const int session = server_.connect(pool.global(room->place), room->word.occ());
    return_turn(pool, *turn);
    match(pool, self.id());
    if (session < 0) {
      user.release(*room);
      return true;
    }
    const auto go = [&](PlaceState state) {
      if (!test::move_place(pool, self.id(), *room, state)) robbed_.add();
    };
    go(PlaceState::kUsed);
    pause_for(Nanos(random() % 600'000));
    if (random() % 2 == 0) {
      go(PlaceState::kIdle);
      go(PlaceState::kUsed);
    }
    go(PlaceState::kClosing);
    CountingServer::close(session);
    user.release(*room);
    used_.add();
    return true;
  }

  int work(unsigned seed) {
    std::minstd_rand random(seed);
    const auto self = world_.join("storm");
    while (stop_.value() == 0) {
      if (!use_one(pools_[random() % pools_.size()], *self, random)) stuck_.add();
      if (!self->is_sound()) robbed_.add();
    }
    return 0;
  }

  PoolRef declare(const std::string& name, std::uint32_t quota_row) {
    PoolDeclaration declaration;
    declaration.name = name;
    declaration.driver = "fake";
    declaration.max = GetParam().quota;
    declaration.quota = quota_row;
    declaration.permit_quantum_ms = 2;
    return world_.pool(me_->id(), declaration);
  }

  std::vector<PoolRef> declare_pools() {
    if (GetParam().pools == 1) return {declare("a", kNone)};
    const std::uint32_t quota = world_.quota(me_->id(), GetParam().quota);
    return {declare("a", quota), declare("b", quota)};
  }

  bool has_a_place(pid_t pid) {
    for (const PoolRef& pool : pools_) {
      for (PlaceIndex i = 0; i < pool.capacity(); ++i) {
        const PlaceWord word = test::place_word(pool, i);
        if (!word.names_worker() || word.idx() >= world_.segment().workers().size()) continue;
        if (world_.segment().workers()[word.idx()].pid.load() == static_cast<std::uint32_t>(pid)) {
          return true;
        }
      }
    }
    return false;
  }

  // At a moment when it has nothing that the others need to go on.
  void stop_without_a_place(WorkerProcess& worker) {
    ASSERT_TRUE(test::poll_until([&] {
      worker.stop();
      if (!has_a_place(worker.pid())) return true;
      worker.resume();
      return false;
    }));
  }

  bool is_all_free() {
    for (const PoolRef& pool : pools_) {
      if (count_places(pool, PlaceState::kFree) != pool.row().max.load() ||
          test::count_held_permits(pool) != 0 || test::count_turns(pool) != 0) {
        return false;
      }
    }
    return test::count_waiters(world_.segment()) == 0;
  }

  ShmWorld world_{{.workers = 96,
                   .waiters = 128,
                   .quotas = 4,
                   .pools = 4,
                   .places = 8192,
                   .permits = 4096,
                   .stats_per_worker = 1,
                   .events_per_worker = 1}};
  std::unique_ptr<Membership> me_ = world_.join("judge");
  CountingServer server_{world_.folder(), GetParam().quota, 500us};
  std::vector<PoolRef> pools_ = declare_pools();
  SharedCounter stop_, used_, stuck_, robbed_;
};

TEST_P(KillStorm, NeverExceedsTheQuotaAndLosesNothing) {
  unsigned seed = 1;
  std::vector<WorkerProcess> workers;
  const auto start = [&] {
    ++seed;
    return WorkerProcess([this, seed] { return work(seed); });
  };
  for (int i = 0; i < GetParam().processes; ++i) workers.push_back(start());

  SegmentWatch watch(world_.options(), {.servers = {server_.pid()}});
  ASSERT_TRUE(test::poll_until([&] { return used_.value() > 20; }));
  WorkerProcess& sleeper = workers.front();
  if (GetParam().quota < static_cast<std::uint32_t>(GetParam().processes)) {
    ASSERT_NO_FATAL_FAILURE(stop_without_a_place(sleeper));
  }

  std::minstd_rand random(7);
  const Deadline end = Deadline::after(storm_length());
  int kills = 0;
  while (!end.passed(monotonic_ns()) || kills < kFewestKills) {  // a busy machine kills slowly
    pause_for(Nanos(random() % 5'000'000));
    WorkerProcess& victim = workers[1 + random() % (workers.size() - 1)];
    if (random() % 8 == 0) {
      victim.stop();
      pause_for(Nanos(random() % 30'000'000));
      victim.resume();
    } else {
      victim.kill();
      ++kills;
      victim = start();
    }
  }
  EXPECT_EQ(watch.stop(), "");
  sleeper.resume();
  stop_.add();
  for (WorkerProcess& worker : workers) EXPECT_EQ(worker.wait_at_most(), 0);

  // Nobody is left but the judge, who does what any keeper would.
  const auto confirm = [&](const PoolRef& of, PlaceIndex place, PlaceWord word) {
    return server_.is_gone(of.global(place), word.occ());
  };
  EXPECT_TRUE(test::poll_until([&] {
    for (const PoolRef& pool : pools_) RoomUser(pool, *me_, confirm).tick();
    return is_all_free();
  }));
  EXPECT_EQ(server_.tally().over_limit.load(), 0u);
  EXPECT_LE(server_.tally().most_open.load(), GetParam().quota);
  EXPECT_EQ(stuck_.value(), 0u);
  EXPECT_EQ(robbed_.value(), 0u);
  EXPECT_TRUE(world_.segment().usable().ok());
  EXPECT_GT(used_.value(), 100u);
  std::printf("kills %d, connections %u, most open %u, questions %u\n", kills,
              server_.tally().accepted.load(), server_.tally().most_open.load(),
              server_.tally().questions.load());
  std::printf("%s\n", watch.summary().c_str());
}

INSTANTIATE_TEST_SUITE_P(
    All, KillStorm,
    ::testing::Values(Storm{"EightOnOne", 8, 1, 1}, Storm{"EightOnThree", 8, 3, 1},
                      Storm{"EightOnEight", 8, 8, 1}, Storm{"SixteenOnOne", 16, 1, 1},
                      Storm{"SixteenOnThree", 16, 3, 1}, Storm{"SixteenOnEight", 16, 8, 1},
                      Storm{"EightInTwoPoolsOnOne", 8, 1, 2},
                      Storm{"EightInTwoPoolsOnThree", 8, 3, 2},
                      Storm{"SixteenInTwoPoolsOnThree", 16, 3, 2},
                      Storm{"SixteenInTwoPoolsOnEight", 16, 8, 2},
                      Storm{"SixtyFourOnOne", 64, 1, 1}, Storm{"SixtyFourOnThree", 64, 3, 1},
                      Storm{"SixtyFourOnAThousand", 64, 1000, 1},
                      Storm{"SixtyFourInTwoPoolsOnAThousand", 64, 1000, 2}),
    [](const auto& storm) { return std::string(storm.param.name); });

}  // namespace
}  // namespace weir::shm
