// One segment, whoever makes it, however many at once, and whatever kills them on the way.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <set>

#include "shm/declare.h"
#include "shm/file_locks.h"
#include "shm/reaper.h"
#include "shm/segment.h"
#include "shm/segment_file.h"
#include "shm/worker_table.h"
#include "support/shm_world.h"
#include "support/worker_process.h"

namespace weir::shm {
namespace {

using namespace std::chrono_literals;
using test::SharedCounter;
using test::TempFolder;
using test::WorkerProcess;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr int kCrowd = 100;  // each process of a sanitizer has tables of its own to copy
#else
constexpr int kCrowd = 1000;
#endif

class Creation : public ::testing::Test {
 protected:
  SegmentOptions options() const {
    SegmentOptions options;
    options.folder = folder_.path().string();
    options.geometry = test::kSmallGeometry;
    return options;
  }
  std::string path() const { return (folder_.path() / "default.weir").string(); }
  std::uint64_t inode() const {
    struct stat st {};
    return stat(path().c_str(), &st) == 0 ? st.st_ino : 0;
  }
  /// `count` processes open the segment at the same moment, and keep it. How many have the one that
  /// is there at the end.
  int open_at_once(int count) {
    SharedCounter ready, go, done, same, leave;
    std::vector<WorkerProcess> openers;
    for (int i = 0; i < count; ++i) {
      openers.emplace_back([&] {
        ready.add();
        if (!go.await(1)) return 1;
        const auto segment = Segment::open(options());
        if (!segment.ok()) std::fprintf(stderr, "%s\n", segment.status().to_string().c_str());
        done.add();
        if (!segment.ok() || !done.await(static_cast<std::uint32_t>(count))) return 2;
        struct stat st {};
        if (fstat(segment.value()->fd(), &st) == 0 && st.st_ino == inode()) same.add();
        return 0;
      });
    }
    EXPECT_TRUE(ready.await(static_cast<std::uint32_t>(count)));
    go.add();
    for (WorkerProcess& opener : openers) EXPECT_EQ(opener.wait_at_most(), 0);
    return static_cast<int>(same.value());
  }

  TempFolder folder_{"/dev/shm/weir-test-"};
};

TEST_F(Creation, ByAThousandAtOnceMakesOneSegment) {
  EXPECT_EQ(open_at_once(kCrowd), kCrowd);
  for (int round = 0; round < 3; ++round) {
    std::filesystem::remove(path());
    EXPECT_EQ(open_at_once(50), 50);
  }
  // And none of the losers left anything.
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_.path()), {}), 1);
}

TEST_F(Creation, ByFiftyWhoFindABrokenSegmentMakesOneNewOne) {
  for (int round = 0; round < 3; ++round) {
    ASSERT_TRUE(Segment::open(options()).ok());
    const std::uint64_t broken = inode();
    // Still open here, so that the number of the inode is not given out again.
    const FileDescriptor fd(::open(path().c_str(), O_RDWR | O_CLOEXEC));
    ASSERT_EQ(ftruncate(fd.get(), 100), 0);
    EXPECT_EQ(open_at_once(50), 50);
    EXPECT_NE(inode(), broken);
  }
}

/// Lets a child run until its `n`-th system call has returned since it stopped itself, and kills it
/// there. False if it ended before.
bool kill_after_system_calls(const std::function<int()>& body, int n) {
  WorkerProcess child([&] {
    ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
    test::stop_here();
    return body();
  });
  if (!child.await_stop()) return false;
  for (int i = 0; i < 2 * n; ++i) {  // each stops on the way in and on the way out
    ptrace(PTRACE_SYSCALL, child.pid(), nullptr, nullptr);
    if (!child.await_stop()) return false;
  }
  child.kill();
  return true;
}

/// Kills children at each system call of `body` in turn; `check` follows each. Returns how many.
int kill_at_every_system_call(const std::function<int()>& body,
                              const std::function<void(int n)>& check) {
  int n = 0;
  while (kill_after_system_calls(body, n)) {
    check(n);
    if (::testing::Test::HasFailure() || n > 500) break;
    ++n;
  }
  return n;
}

TEST_F(Creation, KilledAtAnySystemCallIsFinishedByTheNext) {
  const int calls = kill_at_every_system_call(
      [&] { return Segment::open(options()).ok() ? 0 : 1; },
      [&](int n) {
        SegmentOptions impatient = options();
        impatient.patience = 10ms;
        const auto segment = Segment::open(impatient);
        ASSERT_TRUE(segment.ok()) << "killed after " << n << ": " << segment.status().to_string();
        std::filesystem::remove(path());
      });
  EXPECT_GT(calls, 8);
}

TEST_F(Creation, KilledWhileRebuildingIsFinishedByTheNext) {
  const auto break_it = [&] {
    ASSERT_TRUE(Segment::open(options()).ok());
    ASSERT_EQ(truncate(path().c_str(), 100), 0);
  };
  break_it();
  const int calls = kill_at_every_system_call(
      [&] { return Segment::open(options()).ok() ? 0 : 1; },
      [&](int n) {
        SegmentOptions impatient = options();
        impatient.patience = 10ms;
        const auto segment = Segment::open(impatient);
        ASSERT_TRUE(segment.ok()) << "killed after " << n << ": " << segment.status().to_string();
        break_it();
      });
  EXPECT_GT(calls, 12);
}

TEST_F(Creation, KilledWhileJoiningLeavesNoRowBehind) {
  auto segment = Segment::open(options());
  ASSERT_TRUE(segment.ok());
  const auto me = Membership::join(*segment.value(), "me");
  ASSERT_TRUE(me.ok());
  const int calls = kill_at_every_system_call(
      [&] {
        // Joins and leaves.
        return Membership::join(*segment.value(), "child").ok() ? 0 : 1;
      },
      [&](int n) {
        (void)reap(*segment.value(), me.value()->id());
        const auto next = Membership::join(*segment.value(), "next");
        ASSERT_TRUE(next.ok()) << n;
        EXPECT_EQ(next.value()->id().row, 1u) << "killed after " << n;
      });
  EXPECT_GT(calls, 8);
}

TEST_F(Creation, KilledWhileDeclaringHoldsUpNobody) {
  auto segment = Segment::open(options());
  ASSERT_TRUE(segment.ok());
  const auto me = Membership::join(*segment.value(), "me");
  ASSERT_TRUE(me.ok());
  PoolDeclaration declaration;
  declaration.name = "main";
  declaration.driver = "fake";
  declaration.max = 5;
  const int calls = kill_at_every_system_call(
      [&] {
        return declare_pool(*segment.value(), {7, 1}, declaration).ok() ? 0 : 1;
      },
      [&](int n) {
        const auto declared = declare_pool(*segment.value(), me.value()->id(), declaration);
        ASSERT_TRUE(declared.ok()) << n << declared.status().to_string();
        EXPECT_EQ(declared.value().row, 0u);
        const auto pool = PoolRef::find(*segment.value(), 0);
        EXPECT_EQ(test::count_places(*pool, PlaceState::kFree), 5u) << "killed after " << n;
      });
  EXPECT_GT(calls, 2);
}

}  // namespace
}  // namespace weir::shm
