#include "pool_step_stage.h"

#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>

#include "shm/segment.h"

namespace weir::test {
namespace {

using namespace std::chrono_literals;

// How long the server keeps a session whose client is gone, at the most.
constexpr Nanos kLag = 200us;

// Few of everything, so that scans are short.
constexpr shm::Geometry kRoom{.workers = 6,
                              .waiters = 6,
                              .quotas = 2,
                              .pools = 3,
                              .places = 16,
                              .permits = 16,
                              .stats_per_worker = 4,
                              .events_per_worker = 1};

void make_small_segment(const std::string& folder) {
  shm::SegmentOptions how;
  how.folder = folder;
  how.geometry = kRoom;
  WEIR_CHECK(shm::Segment::open(how).ok());
}

void pause_a_moment() {
  const timespec moment{0, 300'000};
  nanosleep(&moment, nullptr);
}

}  // namespace

PoolStage::PoolStage(const std::string& wanted, std::uint32_t limit)
    : limit_(limit), server_(world_.folder(), limit, kLag) {
  make_small_segment(world_.folder());
  // The one with the settings that count first, so that they are in force.
  other_ = std::make_unique<WorkerProcess>([&] { return serve_as_other(wanted); });
  want();
  WEIR_CHECK(await_other());
  give();
  asker_ = idle_worker(config("1h"));  // keeps what it has, whoever wants it
  weir_.emplace(config("0s"), true);
}

PoolStage::~PoolStage() {
  asker_->kill();
  other_->kill();
}

std::string PoolStage::config(const char* permit_quantum) const {
  const std::string both = "driver = \"counting\"\ndsn = \"counting://" + world_.folder() +
                           "\"\nquota = \"all\"\nconnect_concurrency = 1\nlinger_max = \"100ms\"\n"
                           "permit_quantum = \"" +
                           permit_quantum + "\"\nmax = " + std::to_string(limit_) + "\n";
  return "[runtime]\nservice = \"steps\"\naliases = false\nfolder = \"" + world_.folder() +
         "\"\nplugin_path = [\"" WEIR_TEST_PLUGINS_DIR "\"]\n[quota.all]\nlimit = " +
         std::to_string(limit_) + "\n[pool.main]\n" + both + "[pool.mate]\n" + both;
}

int PoolStage::serve_as_other(const std::string& wanted) {
  const Weir own(config("0s"));
  weir_pool_t* const pool = own.pool(wanted.c_str());
  for (std::uint32_t round = 1;; ++round) {
    while (!want_.await(round, 1h)) {
    }
    Got got = acquire(pool);
    require(got, "the other");
    taken_.add();
    while (!give_.await(round, 1h)) {
    }
    require(discard(got.lease), "the other gives");
    given_.add();
  }
}

void PoolStage::want() {
  ++wants_;
  want_.add();
}

void PoolStage::give() {
  ++gives_;
  give_.add();
  WEIR_CHECK(given_.await(gives_));
}

std::uint32_t PoolStage::in_line() const {
  return static_cast<std::uint32_t>(world_.snapshot().waiters.size());
}

void PoolStage::await_line() const {
  WEIR_CHECK(poll_until([&] { return in_line() > 0; }));
}

std::span<std::byte> PoolStage::memory() const {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    unsigned long begin = 0, end = 0;
    char rights[5] = "";
    if (std::sscanf(line.c_str(), "%lx-%lx %4s", &begin, &end, rights) != 3) continue;
    // The proof of life is a page of the same file, mapped for reading.
    if (std::string(rights) != "rw-s" || line.find(world_.folder()) == std::string::npos) continue;
    return {reinterpret_cast<std::byte*>(begin), end - begin};  // NOLINT(performance-no-int-to-ptr)
  }
  return {};
}

void PoolStage::keep_a_while() const {
  for (int pass = 0; pass < 3; ++pass) {
    weir().attach();
    pause_a_moment();
  }
}

void PoolStage::let_somebody_die() const {
  WorkerProcess victim([&] {
    const Got got = acquire(pool());
    if (!got.ok()) return 1;
    raise(SIGKILL);
    return 2;
  });
  WEIR_CHECK(victim.wait() == -SIGKILL);
}

std::string PoolStage::await_rest() const {
  std::string last = world_.await_rest();
  if (!last.empty()) return last;
  static_cast<void>(poll_until([&] {
    const shm::Snapshot now = world_.snapshot();
    std::uint32_t open = 0, turns = 0;
    for (const shm::PoolSnapshot& pool : now.pools) {
      open += pool.occupied();
      turns += pool.handshakes;
    }
    last.clear();
    if (open != 1) last = std::to_string(open) + " open";
    if (turns != 0) last = "a turn is taken";
    // A dead one that holds nothing may stay in its row until a keeper looks, once a second.
    const auto living = std::count_if(now.workers.begin(), now.workers.end(),
                                      [](const auto& worker) { return !worker.dead; });
    if (living != 2) last = std::to_string(living) + " workers";
    return last.empty();
  }));
  return last;
}

}  // namespace weir::test
