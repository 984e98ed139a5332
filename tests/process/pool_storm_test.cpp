// A storm of kills and stops: whatever workers are doing when they die, the quota holds as the
// server counts it, nobody who lives is harmed, nothing that the living do together stays half
// done, and in the end nothing is missing.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <random>
#include <thread>

#include "pool_world.h"
#include "support/segment_watch.h"
#include "tight_quota.h"

namespace weir::test {
namespace {

using namespace std::chrono_literals;

struct Storm {
  const char* name;
  int quota;
  bool two_pools;
};
// GoogleTest's name for it.
void PrintTo(const Storm& storm, std::ostream* out) {  // NOLINT(readability-identifier-naming)
  *out << storm.name;
}

class PoolStorm : public TightQuota, public testing::WithParamInterface<Storm> {
 protected:
  struct Tally {
    std::atomic<std::uint32_t> served{0}, failed{0};
  };

  /// Until it is killed: everything a worker does with a pool, by two threads.
  static int live(const std::string& config, bool two_pools, Tally& tally) {
    Weir weir(config);
    const std::array<weir_pool_t*, 2> pools = {weir.pool(),
                                               two_pools ? weir.pool("jobs") : weir.pool()};
    const auto loop = [&](unsigned seed) {
      std::minstd_rand random(seed);
      while (true) {
        Got got = acquire(pools[random() % 2], 10s);
        if (!got.ok()) {
          std::fprintf(stderr, "%s: %s\n", got.code.c_str(), got.message.c_str());
          tally.failed.fetch_add(1);
          continue;
        }
        const auto what = random() % 10;
        const char* statement = what < 6   ? "SELECT pg_sleep(0.002)"
                                : what < 8 ? "SET work_mem = '3MB'"
                                           : "BEGIN";
        const std::string answer = ask(got, statement);
        if (answer.starts_with("error")) {
          std::fprintf(stderr, "%s\n", answer.c_str());
          tally.failed.fetch_add(1);
        }
        const Answer back = what == 5 ? discard(got.lease) : release(got.lease);
        require(back, "giving back");
        tally.served.fetch_add(1);
      }
    };
    const auto seed = static_cast<unsigned>(getpid()) * 2;
    std::thread second([&] { loop(seed + 1); });
    loop(seed);
    return 0;
  }

  // One that nobody waits for: where it is stopped, all that is offered to it is for the others to
  // revoke. None if each of them has a connection whenever it is looked at.
  [[nodiscard]] WorkerProcess* stop_one_without_a_place(std::vector<WorkerProcess>& workers) const {
    WorkerProcess* stopped = nullptr;
    static_cast<void>(poll_until(
        [&] {
          for (WorkerProcess& worker : workers) {
            worker.stop();
            const shm::Snapshot now = world_->snapshot();
            const auto row = std::find_if(
                now.workers.begin(), now.workers.end(), [&](const shm::WorkerSnapshot& one) {
                  return one.pid == static_cast<std::uint32_t>(worker.pid());
                });
            const bool has_none = row != now.workers.end() && row->waiting > 0 &&
                                  row->idle + row->used + row->connecting + row->closing == 0;
            if (has_none) {
              stopped = &worker;
              return true;
            }
            worker.resume();
          }
          return false;
        },
        2s));
    return stopped;
  }
};

TEST_P(PoolStorm, OfKillsAndStopsNeverExceedsTheQuotaAndLosesNothing) {
  const Storm storm = GetParam();
  begin(storm.quota);
  const std::string quota = std::to_string(storm.quota);
  // Nobody is left to ask when all workers were killed: then time has to do, and a busy machine has
  // been seen to keep a backend from running for more than a second.
  const std::string keys =
      "permit_quantum = \"10ms\"\nconnect_concurrency = 3\nlinger_max = \"2s\"\n";
  const std::string config =
      storm.two_pools ? world_->config("quota = \"pg\"\nmax = " + quota + "\n" + keys,
                                       "[pool.jobs]\ndriver = \"postgres\"\ndsn = \"" +
                                           world_->dsn() + "\"\nquota = \"pg\"\nmax = " + quota +
                                           "\n" + keys + "[quota.pg]\nlimit = " + quota + "\n")
                      : world_->config("max = " + quota + "\n" + keys);
  const Shared<Tally> tally;
  std::vector<WorkerProcess> workers;
  const auto new_worker = [&] {
    return WorkerProcess([&] { return live(config, storm.two_pools, *tally); });
  };
  for (int w = 0; w < 8; ++w) workers.push_back(new_worker());
  ASSERT_TRUE(poll_until([&] { return tally->served > 30; }));

  shm::SegmentOptions where;
  where.folder = world_->folder();
  SegmentWatch watch(where, {});
  WorkerProcess* sleeper = stop_one_without_a_place(workers);
  const std::uint64_t wake_ns = monotonic_ns() + 5'000'000'000u;  // its callers wait for 10 s

  std::minstd_rand random(20);
  std::size_t stopped = workers.size();  // which one stands still; none
  std::uint32_t kills = 0;
  const std::uint64_t end_ns = monotonic_ns() + 2'000'000'000u;
  for (std::uint64_t next_ns = monotonic_ns(); next_ns < end_ns; next_ns += 30'000'000u) {
    ASSERT_TRUE(poll_until([&] { return monotonic_ns() >= next_ns; }));
    const std::size_t who = random() % workers.size();
    if (sleeper != nullptr && monotonic_ns() > wake_ns) {
      sleeper->resume();
      sleeper = nullptr;
    }
    if (&workers[who] == sleeper) continue;
    if (stopped < workers.size() && random() % 2 == 0) {
      workers[stopped].resume();
      stopped = workers.size();
    } else if (stopped == workers.size() && random() % 3 == 0) {
      stopped = who;
      workers[who].stop();
    } else {
      if (who == stopped) stopped = workers.size();  // killed while it stands still
      workers[who].kill();
      workers[who] = new_worker();
      ++kills;
    }
  }
  EXPECT_EQ(watch.stop(), "");
  std::printf("%s\n", watch.summary().c_str());
  if (stopped < workers.size()) workers[stopped].resume();
  if (sleeper != nullptr) sleeper->resume();
  EXPECT_GE(kills, 15u);

  // Those who are left go on as if nothing had happened.
  const std::uint32_t before = tally->served;
  EXPECT_TRUE(poll_until([&] { return tally->served > before + 50; }));
  EXPECT_EQ(tally->failed, 0u);

  // And when all are gone, one that comes finds everything there.
  workers.clear();
  Weir weir(config);
  for (const char* name : {"main", "jobs"}) {
    if (!storm.two_pools && name == std::string("jobs")) continue;
    std::vector<Got> all;
    for (int i = 0; i < storm.quota; ++i) {
      all.push_back(acquire(weir.pool(name)));
      EXPECT_TRUE(all.back().ok()) << all.back().message;
    }
    for (Got& got : all) EXPECT_TRUE(release(got.lease).ok());
  }
  EXPECT_EQ(world_->await_rest(), "");
}

INSTANTIATE_TEST_SUITE_P(Quotas, PoolStorm,
                         testing::Values(Storm{"three places", 3, false},
                                         Storm{"eight places", 8, false},
                                         Storm{"two pools on a quota of four", 4, true}));

}  // namespace
}  // namespace weir::test
