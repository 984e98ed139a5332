// A whole weir on database files: workers that share one file and one quota, what a killed worker
// leaves behind, and what a driver without a descriptor asks of the pool.
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <new>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "support/temp_folder.h"
#include "support/worker_process.h"
#include "weir/weir.hpp"

namespace weir::test {
namespace {

using namespace std::chrono_literals;

std::string ask(sqlite3* db, const std::string& statements) {
  std::string answer;
  char* error = nullptr;
  sqlite3_exec(
      db, statements.c_str(),
      [](void* into, int columns, char** values, char**) {
        *static_cast<std::string*>(into) = columns > 0 && values[0] != nullptr ? values[0] : "";
        return 0;
      },
      &answer, &error);
  if (error != nullptr) answer = std::string("error: ") + error;
  sqlite3_free(error);
  return answer;
}
std::string ask(const Lease& lease, const std::string& statements) {
  return ask(lease.native<sqlite3>(), statements);
}

/// How many leases there are at once, in all processes together.
struct Count {
  std::atomic<int> now{0}, most{0};
  static Count& shared() {
    void* const memory =
        mmap(nullptr, sizeof(Count), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return *new (memory) Count;
  }
  void enter() {
    const int here = ++now;
    for (int seen = most; seen < here && !most.compare_exchange_weak(seen, here);) {
    }
  }
};

class PoolOnSqlite : public testing::Test {
 protected:
  [[nodiscard]] std::string file() const { return (folder_.path() / "app.db").string(); }
  [[nodiscard]] std::string segments() const { return (folder_.path() / "segments").string(); }
  [[nodiscard]] Runtime open(const std::string& keys, const std::string& options = "",
                             bool no_threads = false) const {
    RuntimeOptions how;
    how.no_threads = no_threads;
    return Runtime::from_text("[runtime]\nfolder = \"" + segments() +
                                  "\"\naliases = false\nplugin_path = [\"" WEIR_PLUGIN_DIRECTORY
                                  "\"]\n[pool.main]\ndriver = \"sqlite\"\ndsn = \"sqlite:" +
                                  file() + options + "\"\n" + keys,
                              how);
  }
  /// Makes the file, by SQLite alone, in a process of its own: nothing of it is inherited later.
  void prepare(const std::string& statements) const {
    EXPECT_EQ(WorkerProcess([&] {
                sqlite3* db = nullptr;
                sqlite3_open(file().c_str(), &db);
                const bool worked = ask(db, statements).rfind("error", 0) != 0;
                sqlite3_close(db);
                return worked ? 0 : 1;
              }).wait_at_most(),
              0);
  }
  /// Descriptors of the file in this process.
  [[nodiscard]] int open_here() const {
    struct stat wanted {};
    if (stat(file().c_str(), &wanted) != 0) return 0;
    int count = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
      struct stat found {};
      if (stat(entry.path().c_str(), &found) != 0) continue;
      count += found.st_dev == wanted.st_dev && found.st_ino == wanted.st_ino ? 1 : 0;
    }
    return count;
  }
  /// Takes away the page that this worker's lock lives by: to everybody else it is dead.
  void lose_life() const {
    std::ifstream maps("/proc/self/maps");
    int found = 0;
    for (std::string line; std::getline(maps, line);) {
      std::istringstream fields(line);
      std::string range, mode;
      fields >> range >> mode;
      if (!line.ends_with(segments() + "/default.weir") || mode != "r--s") continue;
      const std::uintptr_t from = std::stoull(range, nullptr, 16);
      // The address comes as text. NOLINTNEXTLINE(performance-no-int-to-ptr)
      munmap(reinterpret_cast<void*>(from), static_cast<std::size_t>(sysconf(_SC_PAGESIZE)));
      ++found;
    }
    ASSERT_EQ(found, 1);
  }

 private:
  TempFolder folder_;
};

}  // namespace

TEST_F(PoolOnSqlite, WorkersShareOneFileAndOneQuotaAndLoseNoWrite) {
  prepare("CREATE TABLE t (n INTEGER); INSERT INTO t VALUES (0)");
  constexpr int kWorkers = 4, kThreads = 3, kEach = 20;
  Count& leases = Count::shared();
  const auto work = [&] {
    Runtime runtime = open("max = 2\nacquire_timeout = \"60s\"\n", "?journal=wal&busy_timeout=30s");
    Pool pool = runtime.pool("main");
    std::atomic<int> failed = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&] {
        for (int turn = 0; turn < kEach; ++turn) {
          try {
            Lease lease = pool.acquire();
            leases.enter();
            if (!ask(lease, "BEGIN IMMEDIATE; UPDATE t SET n = n + 1; COMMIT").empty()) ++failed;
            --leases.now;
          } catch (const Error& error) {
            std::fprintf(stderr, "%s\n", error.what());
            ++failed;
          }
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    runtime.close();
    return failed.load();
  };
  std::vector<WorkerProcess> workers;
  for (int i = 0; i < kWorkers; ++i) workers.emplace_back(work);
  for (WorkerProcess& worker : workers) EXPECT_EQ(worker.wait_at_most(60s), 0);
  EXPECT_GE(leases.most, 1);
  EXPECT_LE(leases.most, 2);
  Runtime runtime = open("max = 2\n", "?journal=wal&busy_timeout=30s");
  Lease lease = runtime.pool("main").acquire();
  EXPECT_EQ(ask(lease, "SELECT n FROM t"), std::to_string(kWorkers * kThreads * kEach));
}

TEST_F(PoolOnSqlite, WhatAKilledWorkerHadIsFreeAtOnceAndWhatItWroteIsRolledBack) {
  prepare("CREATE TABLE t (n INTEGER); INSERT INTO t VALUES (0)");
  SharedCounter ready;
  WorkerProcess victim([&] {
    Runtime runtime = open("max = 2\n");
    Pool pool = runtime.pool("main");
    Lease writing = pool.acquire();
    { const Lease idle = pool.acquire(); }
    if (!ask(writing, "BEGIN IMMEDIATE; UPDATE t SET n = 7").empty()) return 1;
    ready.add();
    stop_here();
    return 0;
  });
  ASSERT_TRUE(ready.await(1));
  Runtime runtime = open("max = 2\n");
  Pool pool = runtime.pool("main");
  EXPECT_THROW(pool.acquire({0ms, nullptr}), Error) << "both are taken";
  victim.kill();
  const auto start = std::chrono::steady_clock::now();
  Lease one = pool.acquire({20s, nullptr});
  Lease other = pool.acquire({20s, nullptr});
  // A session in use that nobody can be asked about lingers for a minute otherwise.
  EXPECT_LT(std::chrono::steady_clock::now() - start, 5s);
  EXPECT_EQ(ask(one, "SELECT n FROM t"), "0");
  EXPECT_EQ(ask(other, "UPDATE t SET n = 1; SELECT n FROM t"), "1");
}

TEST_F(PoolOnSqlite, ALeaseFindsNothingOfTheOneBefore) {
  Runtime runtime = open("max = 1\non_connect = [\"PRAGMA cache_size = 17\"]\n");
  Pool pool = runtime.pool("main");
  void* first = nullptr;
  {
    Lease lease = pool.acquire();
    first = lease.native<sqlite3>();
    EXPECT_EQ(ask(lease,
                  "CREATE TABLE t (n); CREATE TEMP TABLE mine (n); PRAGMA cache_size = 3;"
                  "ATTACH ':memory:' AS other; BEGIN; INSERT INTO t VALUES (1)"),
              "");
  }
  {
    Lease lease = pool.acquire();
    EXPECT_EQ(lease.native<sqlite3>(), first) << "the same connection, made clean";
    EXPECT_EQ(ask(lease, "SELECT count(*) FROM t"), "0");
    EXPECT_EQ(ask(lease, "SELECT * FROM mine"), "error: no such table: mine");
    EXPECT_EQ(ask(lease, "PRAGMA cache_size"), "17") << "on_connect is run again";
    EXPECT_EQ(ask(lease, "PRAGMA locking_mode = exclusive; INSERT INTO t VALUES (1)"), "exclusive");
  }
  Lease lease = pool.acquire();
  EXPECT_EQ(ask(lease, "PRAGMA locking_mode"), "normal") << "by another connection";
}

TEST_F(PoolOnSqlite, AReadOnlyPoolLendsConnectionsThatCannotWrite) {
  prepare("CREATE TABLE t (n INTEGER); INSERT INTO t VALUES (7)");
  Runtime runtime = open("max = 1\n", "?mode=ro");
  Lease lease = runtime.pool("main").acquire();
  EXPECT_EQ(ask(lease, "SELECT n FROM t"), "7");
  EXPECT_EQ(ask(lease, "DELETE FROM t"), "error: attempt to write a readonly database");
}

TEST_F(PoolOnSqlite, AChildIsToldThatItCannotOpenWhatItsParentHasOpen) {
  Runtime runtime = open("max = 2\n");
  Pool pool = runtime.pool("main");
  { const Lease idle = pool.acquire(); }
  EXPECT_EQ(WorkerProcess([&] {
              try {
                Lease lease = pool.acquire({5s, nullptr});
                return 1;
              } catch (const Error& error) {
                const bool is_told = std::string(error.what()).find(file()) != std::string::npos;
                return error.code() == WEIR_FORKED && is_told ? 0 : 2;
              }
            }).wait_at_most(),
            0);
  Lease lease = pool.acquire();
  EXPECT_EQ(ask(lease, "CREATE TABLE t (n); SELECT count(*) FROM t"), "0");
}

TEST_F(PoolOnSqlite, AWorkerWithoutDescriptorsThatWasBelievedDeadClosesWhatItHad) {
  prepare("CREATE TABLE t (n INTEGER)");
  SharedCounter attached, done;
  WorkerProcess other([&] {
    Runtime runtime = open("max = 2\n");
    { const Lease idle = runtime.pool("main").acquire(); }
    attached.add();
    return done.await(1) ? 0 : 1;
  });
  ASSERT_TRUE(attached.await(1));
  Runtime runtime = open("max = 2\n", "", true);
  Pool pool = runtime.pool("main");
  { const Lease idle = pool.acquire(); }
  ASSERT_EQ(open_here(), 1);
  lose_life();
  // The other one settles our place, idle as it is, and gives it to nobody we know of.
  EXPECT_TRUE(poll_until([&] { return pool.stats().total == 1; }));
  EXPECT_TRUE(poll_until([&] {
    runtime.keep();
    return open_here() == 0;
  })) << "what it had is open for ever";
  done.add();
  EXPECT_EQ(other.wait_at_most(), 0);
}

}  // namespace weir::test
