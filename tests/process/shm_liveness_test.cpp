// Who is alive, judged from outside: real processes that die, fork, stop and lose their
// descriptors.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shm/liveness.h"
#include "shm/reaper.h"
#include "shm/rooms.h"
#include "support/shm_world.h"
#include "support/worker_process.h"

namespace weir::shm {
namespace {

using test::die;
using test::place_word;
using test::poll_until;
using test::SharedCounter;
using test::ShmWorld;
using test::stop_here;
using test::WorkerProcess;

class Liveness : public ::testing::Test {
 protected:
  WorkerWord word_of(std::uint32_t row) const {
    return WorkerWord(world_.segment().workers()[row].word.load());
  }
  bool is_dead(std::uint32_t row) const {
    return is_certainly_dead(world_.segment(), row, word_of(row));
  }
  /// A child that joins (into row 1), occupies a place, does `then`, and stands still.
  WorkerProcess holder(const std::function<void()>& then = [] {}) {
    return WorkerProcess([this, then] {
      const auto worker = world_.join("holder");
      const auto room = take_room(pool_, worker->id());
      then();
      stop_here();
      return room ? 0 : 1;
    });
  }
  /// Forks again and leaves the child behind, whose pid `left_behind_` then tells.
  void leave_a_child_behind(bool by_raw_clone) {
    const pid_t child =
        by_raw_clone ? static_cast<pid_t>(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0)) : fork();
    if (child == 0) {
      while (true) pause();
    }
    left_behind_.add(static_cast<std::uint32_t>(child));
  }
  ~Liveness() override {
    if (left_behind_.value() != 0) kill(static_cast<pid_t>(left_behind_.value()), SIGKILL);
  }

  ShmWorld world_;
  std::unique_ptr<Membership> me_ = world_.join();
  PoolRef pool_ = world_.pool(me_->id(), 2);
  SharedCounter left_behind_;
  static constexpr std::uint32_t kRow = 1;
};

TEST_F(Liveness, EndsWithSigkill) {
  WorkerProcess child = holder();
  ASSERT_TRUE(child.await_stop());
  EXPECT_FALSE(is_dead(kRow));
  child.kill();
  EXPECT_TRUE(is_dead(kRow));
  EXPECT_EQ(reap(world_.segment(), me_->id()).places, 1u);
  EXPECT_EQ(place_word(pool_, 0).state(), PlaceState::kLingering);
}

TEST_F(Liveness, EndsWithAnExitThatRunsNoDestructors) {
  WorkerProcess child([this] {
    (void)world_.join("exits").release();  // _exit leaves it as it is
    return 0;
  });
  ASSERT_EQ(child.wait(), 0);
  EXPECT_TRUE(is_dead(kRow));
}

TEST_F(Liveness, EndsThoughAForkedChildLivesOn) {
  WorkerProcess child = holder([this] { leave_a_child_behind(false); });
  ASSERT_TRUE(child.await_stop());
  EXPECT_FALSE(is_dead(kRow));
  child.kill();
  EXPECT_TRUE(is_dead(kRow));
  EXPECT_EQ(kill(static_cast<pid_t>(left_behind_.value()), 0), 0);
}

TEST_F(Liveness, EndsThoughARawCloneLivesOn) {
  WorkerProcess child = holder([this] { leave_a_child_behind(true); });
  ASSERT_TRUE(child.await_stop());
  EXPECT_FALSE(is_dead(kRow));
  child.kill();
  EXPECT_TRUE(is_dead(kRow));
  EXPECT_EQ(kill(static_cast<pid_t>(left_behind_.value()), 0), 0);
}

TEST_F(Liveness, DoesNotEndWithAStop) {
  WorkerProcess child = holder();
  ASSERT_TRUE(child.await_stop());
  EXPECT_FALSE(is_dead(kRow));
  EXPECT_FALSE(reap(world_.segment(), me_->id()).anything());
  EXPECT_EQ(place_word(pool_, 0).state(), PlaceState::kOpening);
  child.resume();
  EXPECT_EQ(child.wait(), 0);
}

TEST_F(Liveness, DoesNotEndWhenTheHolderClosesAllItsDescriptors) {
  WorkerProcess child = holder([] { close_range(3, ~0u, 0); });
  ASSERT_TRUE(child.await_stop());
  EXPECT_FALSE(is_dead(kRow));
  child.kill();
  EXPECT_TRUE(is_dead(kRow));
}

TEST_F(Liveness, DoesNotEndWhenTheHolderOpensAndClosesTheSegment) {
  // What POSIX locks would be lost by.
  WorkerProcess child = holder([this] {
    close(::open(world_.segment().path().c_str(), O_RDWR | O_CLOEXEC));
    (void)Segment::open(world_.options());
  });
  ASSERT_TRUE(child.await_stop());
  EXPECT_FALSE(is_dead(kRow));
}

TEST_F(Liveness, EndsWhenTheHolderExecutesSomethingElse) {
  WorkerProcess child = holder([] { execl("/bin/sleep", "sleep", "60", nullptr); });
  EXPECT_TRUE(
      poll_until([&] { return word_of(kRow).state() == WorkerState::kLive && is_dead(kRow); }));
  EXPECT_EQ(kill(child.pid(), 0), 0);
}

TEST_F(Liveness, OfAChildIsNotItsParents) {
  WorkerProcess child([this] {
    // Nobody until it joins for itself; and its copy of the parent's membership does nothing.
    if (me_->is_valid() || !me_->is_forked()) return 1;
    me_.reset();
    const auto own = world_.join("child");
    if (!own->is_valid() || !own->is_sound() || own->id().row == 0) return 2;
    return take_room(pool_, own->id()) ? 0 : 3;
  });
  EXPECT_EQ(child.wait(), 0);
  EXPECT_TRUE(me_->is_valid());
  EXPECT_TRUE(me_->is_sound());
  EXPECT_EQ(word_of(0), WorkerWord(WorkerState::kLive, 1));
}

TEST_F(Liveness, OfARawCloneIsNotItsParents) {
  const auto child = static_cast<pid_t>(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
  ASSERT_GE(child, 0);
  if (child == 0) _exit(me_->is_valid() || !me_->is_forked() ? 1 : 0);
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_TRUE(me_->is_valid());
}

TEST_F(Liveness, OfOthersIsNotJudgedByAnObserverThatLostItsDescriptor) {
  WorkerProcess held = holder();
  ASSERT_TRUE(held.await_stop());
  // The observer closes everything, and the segment's number becomes a file whose bytes read free.
  WorkerProcess observer([this] {
    const auto own = world_.join("observer");
    const int was = world_.segment().fd();
    close_range(3, ~0u, 0);
    while (::open("/dev/zero", O_RDWR | O_CLOEXEC) < was) {
    }
    if (is_dead(kRow)) return 1;
    if (reap(world_.segment(), own->id()).anything()) return 2;
    if (!own->is_sound()) return 3;
    return reap(world_.segment(), own->id()).anything() ? 4 : 0;
  });
  EXPECT_EQ(observer.wait(), 0);
  EXPECT_EQ(word_of(kRow).state(), WorkerState::kLive);
  EXPECT_EQ(place_word(pool_, 0).state(), PlaceState::kOpening);
}

TEST_F(Liveness, IsKnownToThoseWhoOpenTheSegmentAnewAndReadOnly) {
  WorkerProcess child = holder();
  ASSERT_TRUE(child.await_stop());
  const auto monitor = Segment::open_read_only(world_.options());
  ASSERT_TRUE(monitor.ok());
  EXPECT_FALSE(is_certainly_dead(*monitor.value(), kRow, word_of(kRow)));
  child.kill();
  EXPECT_TRUE(is_certainly_dead(*monitor.value(), kRow, word_of(kRow)));
}

TEST_F(Liveness, OfMoreWorkersThanRowsIsRefusedUntilOneDies) {
  std::vector<WorkerProcess> children;
  for (std::uint32_t i = 1; i < test::kSmallGeometry.workers; ++i) {
    children.emplace_back([this] {
      (void)world_.join("one of many").release();
      stop_here();
      return 0;
    });
    ASSERT_TRUE(children.back().await_stop());
  }
  EXPECT_EQ(Membership::join(world_.segment(), "late").status().code(), Code::kShmFull);
  children[3].kill();
  const auto late = Membership::join(world_.segment(), "late");
  ASSERT_TRUE(late.ok());
  EXPECT_EQ(late.value()->id(), (WorkerId{4, 2}));
}

}  // namespace
}  // namespace weir::shm
