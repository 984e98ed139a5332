// Limits that change while processes take and give back, and resizers that are killed anywhere: no
// more are ever in use than the larger of the old and the new limit, whatever is left half done is
// finished by whoever comes next, and in the end exactly the limit can be had.

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <time.h>

#include <atomic>
#include <memory>
#include <new>
#include <ostream>
#include <random>
#include <string>
#include <vector>

#include "shm/admin.h"
#include "shm/excess.h"
#include "shm/in_force.h"
#include "shm/permits.h"
#include "stepped_worker.h"
#include "support/room_user.h"
#include "support/shm_world.h"
#include "support/worker_process.h"

namespace weir::shm {
namespace {

using namespace std::chrono_literals;
using test::Fate;
using test::RoomUser;
using test::SharedCounter;
using test::ShmWorld;
using test::SteppedWorker;
using test::WorkerProcess;

constexpr std::uint32_t kMost = 12;

/// A quota with two pools on it, or one pool alone: what "limit" names.
struct Town {
  explicit Town(bool is_shared) : shared(is_shared) {
    const std::uint32_t quota = shared ? world.quota(me->id(), 4, "limit") : kNone;
    if (shared) {
      pools = {declare("a", kMost, quota), declare("b", kMost, quota)};
    } else {
      pools = {declare("limit", 4, quota)};
    }
  }
  PoolRef declare(const char* name, std::uint32_t max, std::uint32_t quota) const {
    PoolDeclaration declaration;
    declaration.name = name;
    declaration.driver = "fake";
    declaration.max = max;
    declaration.quota = quota;
    declaration.permit_quantum_ms = 0;
    declaration.connect_concurrency = kMaxHandshakes;
    return world.pool(me->id(), declaration);
  }
  [[nodiscard]] std::uint32_t limit() const {
    return shared ? world.segment().quotas()[pools[0].quota()].limit.load()
                  : pools[0].row().max.load();
  }
  [[nodiscard]] std::uint32_t excess() const {
    return shared ? excess_permits(pools[0]) : excess_places(pools[0]);
  }
  [[nodiscard]] bool is_in_force() const {
    return shared
               ? are_permits_in_force(world.segment(), world.segment().quotas()[pools[0].quota()])
               : are_places_in_force(world.segment(), pools[0].row());
  }
  /// Whether nothing is in use, and exactly the limit can be had.
  [[nodiscard]] bool is_whole() const {
    std::vector<std::pair<std::size_t, Room>> rooms;
    for (std::size_t p = 0; p < pools.size(); ++p) {
      while (auto room = take_room(pools[p], me->id())) rooms.emplace_back(p, *room);
    }
    for (const auto& [p, room] : rooms) leave_room(pools[p], me->id(), room.place, room.word);
    return rooms.size() == limit() && excess() == 0;
  }

  bool shared;
  ShmWorld world{{.workers = 16,
                  .waiters = 32,
                  .quotas = 2,
                  .pools = 2,
                  .places = 256,
                  .permits = 256,
                  .stats_per_worker = 1,
                  .events_per_worker = 1}};
  std::unique_ptr<Membership> me = world.join("judge");
  std::vector<PoolRef> pools;
};

class Resize : public ::testing::TestWithParam<bool> {};

// ---- killed before each of its deeds in turn ----------------------------------------------------

struct Change {
  std::uint32_t from, to;
  int held;  // rooms that are out meanwhile
};

TEST_P(Resize, KilledAnywhereIsFinishedByWhoeverComesNext) {
  if (!test::kSteppingWorks) GTEST_SKIP() << "x86-64 without sanitizers only";
  for (const Change& change : {Change{4, 7, 2}, Change{7, 3, 6}, Change{5, 2, 1}}) {
    Town town(GetParam());
    const Segment& segment = town.world.segment();
    bool midway = true;
    std::uint32_t half_done = 0;
    for (std::uint32_t n = 1; midway && !HasFailure(); ++n) {
      ASSERT_TRUE(set_limit(segment, "limit", change.from).ok());
      std::vector<Room> held;
      for (int i = 0; i < change.held; ++i) {
        held.push_back(*take_room(town.pools[0], town.me->id()));
      }
      SteppedWorker resizer(
          {.prepare = [] {},
           .act = [&] { WEIR_CHECK(set_limit(segment, "limit", change.to).ok()); },
           .memory = [&] { return test::memory_of(segment); }});
      midway = resizer.run_to({.deed = n}, Fate::kKilled);
      resizer.kill();

      const std::uint32_t limit = town.limit();
      EXPECT_TRUE(limit == change.from || limit == change.to) << limit;
      half_done += town.is_in_force() ? 0 : 1;
      // Somebody takes and gives back before anybody has finished it.
      for (int i = 0; i < change.held / 2; ++i) {
        leave_room(town.pools[0], town.me->id(), held.back().place, held.back().word);
        held.pop_back();
      }
      std::vector<Room> more;
      while (auto room = take_room(town.pools[0], town.me->id())) more.push_back(*room);
      EXPECT_LE(held.size() + more.size(),
                std::max({change.from, change.to, static_cast<std::uint32_t>(change.held)}));
      finish_resizes(segment);
      EXPECT_TRUE(town.is_in_force());
      held.insert(held.end(), more.begin(), more.end());
      for (const Room& room : held) {
        leave_room(town.pools[0], town.me->id(), room.place, room.word);
      }
      EXPECT_TRUE(town.is_whole())
          << "killed before deed " << n << " of " << change.from << " to " << change.to;
    }
    EXPECT_GE(half_done, 1u);
  }
}

// ---- a storm ------------------------------------------------------------------------------------

struct Gauge {
  std::atomic<std::uint32_t> now{0}, served{0}, stuck{0};

  void enter() {
    // Who counted before a begin() and is only now back on its processor has nothing to say.
    std::uint64_t seen = most_since_.load();
    const std::uint64_t epoch = seen >> 32;
    const std::uint64_t in_use = now.fetch_add(1) + 1;
    while (seen >> 32 == epoch && (seen & 0xffff'ffff) < in_use) {
      if (most_since_.compare_exchange_weak(seen, epoch << 32 | in_use)) break;
    }
  }
  /// From now on most() counts from `least`.
  void begin(std::uint32_t least) {
    most_since_.store(((most_since_.load() >> 32) + 1) << 32 | least);
  }
  [[nodiscard]] std::uint32_t most() const {
    return static_cast<std::uint32_t>(most_since_.load() & 0xffff'ffff);
  }

 private:
  std::atomic<std::uint64_t> most_since_{0};  // epoch:32 | most:32
};

/// A gauge that children share.
Gauge& new_shared_gauge() {
  void* const memory =
      mmap(nullptr, sizeof(Gauge), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  WEIR_CHECK(memory != MAP_FAILED);
  return *new (memory) Gauge();
}

void spin_for(std::uint64_t ns) {
  for (const std::uint64_t end = monotonic_ns() + ns; monotonic_ns() < end;) {
  }
}

TEST_P(Resize, InAStormOfKilledResizersNeverLetsInMoreThanTheLargerLimit) {
  Town town(GetParam());
  const Segment& segment = town.world.segment();
  Gauge& gauge = new_shared_gauge();
  SharedCounter stop, resizes;
  std::vector<WorkerProcess> workers;
  for (unsigned w = 0; w < 6; ++w) {
    workers.emplace_back([&, w]() -> int {
      std::minstd_rand random(w + 1);
      const auto self = town.world.join("storm");
      while (stop.value() == 0) {
        const PoolRef& pool = town.pools[random() % town.pools.size()];
        RoomUser user(pool, *self);
        const auto room = user.acquire(Deadline::after(20s));
        if (!room) {
          gauge.stuck.fetch_add(1);
          continue;
        }
        gauge.enter();
        spin_for(random() % 100'000);
        if (random() % 64 == 0) {
          const timespec longer{0, 3'000'000};
          nanosleep(&longer, nullptr);
        }
        gauge.now.fetch_sub(1);
        user.release(*room);
        gauge.served.fetch_add(1);
      }
      return 0;
    });
  }

  std::minstd_rand random(7);
  std::uint32_t bound = town.limit(), changed = 0, half_done = 0, settled = 0;
  constexpr int kRounds = 400;
  for (int round = 0; round < kRounds && !HasFailure(); ++round) {
    const std::uint32_t from = town.limit(), to = static_cast<std::uint32_t>(1 + random() % kMost);
    // What an earlier shrink has left counts until it is gone.
    bound = std::max({from, to, town.excess() > 0 || !town.is_in_force() ? bound : 0});
    const std::uint32_t resizes_before = resizes.value();
    gauge.begin(gauge.now.load());
    {
      // To and fro, so that it is killed in the middle of it more often than not.
      WorkerProcess resizer([&]() -> int {
        while (true) {
          for (const std::uint32_t limit : {to, from}) {
            if (!set_limit(segment, "limit", limit).ok()) return 1;
            resizes.add();
          }
        }
      });
      ASSERT_TRUE(resizes.await(resizes_before + 1));
      spin_for(random() % 200'000);
      resizer.kill();
    }
    changed += town.limit() == to && from != to ? 1 : 0;
    half_done += town.is_in_force() ? 0 : 1;
    if (random() % 2 == 0) finish_resizes(segment);
    EXPECT_LE(gauge.most(), bound) << "round " << round << ", " << from << " to " << to;
    if (round % 20 != 0) continue;
    // At rest for a moment: what is above the limit goes, and nobody gets more.
    finish_resizes(segment);
    EXPECT_TRUE(test::poll_until([&] { return town.excess() == 0; }));
    bound = town.limit();
    const std::uint32_t before = gauge.served.load();
    gauge.begin(0);
    EXPECT_TRUE(test::poll_until([&] { return gauge.served.load() > before + 100; }));
    EXPECT_LE(gauge.most(), bound);
    ++settled;
  }
  stop.add();
  for (WorkerProcess& worker : workers) EXPECT_EQ(worker.wait_at_most(), 0);
  finish_resizes(segment);
  EXPECT_TRUE(test::poll_until([&] {
    for (const PoolRef& pool : town.pools) RoomUser(pool, *town.me).tick();  // offers to who left
    return town.is_whole();
  })) << town.limit();
  EXPECT_EQ(gauge.stuck.load(), 0u);
  EXPECT_TRUE(segment.usable().ok());
  EXPECT_GT(changed, 40u);
  std::printf("%d resizers killed, %u resizes, %u left half done, %u rests, %u served\n", kRounds,
              resizes.value(), half_done, settled, gauge.served.load());
}

INSTANTIATE_TEST_SUITE_P(Of, Resize, ::testing::Values(true, false), [](const auto& one) {
  return one.param ? std::string("AQuota") : std::string("APool");
});

}  // namespace
}  // namespace weir::shm
