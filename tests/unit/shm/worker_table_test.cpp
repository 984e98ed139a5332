#include "shm/worker_table.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "shm/file_locks.h"
#include "shm/reaper.h"
#include "shm/segment_file.h"
#include "support/shm_world.h"

namespace weir::shm {
namespace {

using test::ShmWorld;

class Workers : public ::testing::Test {
 protected:
  WorkerWord row_word(std::uint32_t row) const {
    return WorkerWord(world_.segment().workers()[row].word.load());
  }
  bool is_locked(std::uint32_t row) const {
    return is_byte_locked_elsewhere(world_.segment().fd(), kWorkerBytes + row);
  }
  bool is_dead(std::uint32_t row) const {
    return is_certainly_dead(world_.segment(), row, row_word(row));
  }

  ShmWorld world_;
};

TEST_F(Workers, AreInTheirRowAndHoldItsByteFromJoiningToLeaving) {
  auto worker = world_.join("web");
  const WorkerId id = worker->id();
  EXPECT_EQ(id, (WorkerId{0, 1}));
  EXPECT_EQ(row_word(0), WorkerWord(WorkerState::kLive, 1));
  EXPECT_EQ(worker->row().pid.load(), static_cast<std::uint32_t>(getpid()));
  EXPECT_EQ(worker->row().service.load(), "web");
  EXPECT_TRUE(is_locked(0));
  EXPECT_TRUE(worker->is_valid());
  EXPECT_FALSE(worker->is_forked());
  EXPECT_TRUE(worker->is_sound());
  EXPECT_FALSE(is_dead(0));
  worker.reset();
  EXPECT_EQ(row_word(0), WorkerWord(WorkerState::kFree, 1));
  EXPECT_FALSE(is_locked(0));
}

TEST_F(Workers, OfOneRowNeverShareAGeneration) {
  for (std::uint32_t gen = 1; gen < 5; ++gen) {
    EXPECT_EQ(world_.join()->id(), (WorkerId{0, gen}));
  }
}

TEST_F(Workers, EachTakeTheLowestRowNobodyLivesIn) {
  auto a = world_.join(), b = world_.join(), c = world_.join();
  EXPECT_EQ(b->id().row, 1u);
  EXPECT_EQ(c->id().row, 2u);
  b.reset();
  EXPECT_EQ(world_.join()->id(), (WorkerId{1, 2}));
  EXPECT_EQ(world_.segment().header().workers_high.load(), 3u);
}

TEST_F(Workers, AreRefusedWhenAllRowsAreTakenByTheLiving) {
  std::vector<std::unique_ptr<Membership>> all;
  for (std::uint32_t i = 0; i < test::kSmallGeometry.workers; ++i) all.push_back(world_.join());
  const auto one_more = Membership::join(world_.segment(), "late");
  EXPECT_EQ(one_more.status().code(), Code::kShmFull);
  test::die(all[5]);
  const auto instead = world_.join();
  EXPECT_EQ(instead->id(), (WorkerId{5, 2}));
}

TEST_F(Workers, JoiningADeadOnesRowSettleItFirst) {
  auto dead = world_.join();
  const PoolRef pool = world_.pool(dead->id(), 2);
  Room room = *take_room(pool, dead->id());
  ASSERT_TRUE(test::move_place(pool, dead->id(), room, PlaceState::kUsed));
  test::die(dead);
  EXPECT_TRUE(is_dead(0));
  const auto next = world_.join();
  EXPECT_EQ(next->id(), (WorkerId{0, 2}));
  EXPECT_EQ(test::place_word(pool, 0).state(), PlaceState::kLingering);
}

TEST_F(Workers, LeavingSettleThemselves) {
  auto leaver = world_.join();
  const PoolRef pool = world_.pool(leaver->id(), 2);
  const Room room = *take_room(pool, leaver->id());
  leaver.reset();
  EXPECT_EQ(test::place_word(pool, room.place).state(), PlaceState::kLingering);
}

TEST_F(Workers, FencedAreInvalidButKeepTheirRowUntilTheyGo) {
  auto worker = world_.join();
  worker->fence();
  EXPECT_FALSE(worker->is_valid());
  EXPECT_FALSE(worker->is_forked());
  EXPECT_EQ(row_word(0).state(), WorkerState::kLive);
  EXPECT_TRUE(is_locked(0));
}

TEST_F(Workers, FencedLeaveNoLockBehind) {
  auto worker = world_.join();
  worker->fence();
  worker.reset();
  EXPECT_FALSE(is_locked(0));
  EXPECT_TRUE(is_dead(0));
}

TEST_F(Workers, AreNotDeadWhileTheirByteIsHeldNorWhenTheirRowIsFree) {
  auto worker = world_.join();
  EXPECT_FALSE(is_dead(0));
  worker.reset();
  EXPECT_FALSE(is_dead(0));
}

TEST_F(Workers, AreNotDeadWhenOnlyAnEarlierGenerationIs) {
  auto first = world_.join();
  const WorkerWord seen = row_word(0);
  test::die(first);
  const auto second = world_.join();
  EXPECT_FALSE(is_certainly_dead(world_.segment(), 0, seen));
}

TEST_F(Workers, AreNotJudgedThroughADescriptorThatIsAnotherFile) {
  const auto worker = world_.join();
  const auto observer = world_.join();
  Segment& segment = world_.segment();
  const int was = segment.fd();
  const FileDescriptor other(::open("/dev/zero", O_RDWR | O_CLOEXEC));
  ASSERT_EQ(dup2(other.get(), was), was);
  // Every byte of that file reads free.
  EXPECT_FALSE(is_dead(worker->id().row));
  EXPECT_EQ(reap(segment, observer->id()).workers, 0u);
  EXPECT_TRUE(observer->is_sound());  // mends the descriptor
  EXPECT_NE(segment.fd(), was);
  EXPECT_EQ(reap(segment, observer->id()).workers, 0u);
  close(was);
}

TEST_F(Workers, CanJoinAfterTheirProcessLostTheDescriptor) {
  Segment& segment = world_.segment();
  const int was = segment.fd();
  const FileDescriptor other(::open("/dev/zero", O_RDWR | O_CLOEXEC));
  ASSERT_EQ(dup2(other.get(), was), was);
  const auto worker = world_.join();
  close(was);
  EXPECT_TRUE(worker->is_sound());
  EXPECT_TRUE(is_locked(worker->id().row));
}

TEST_F(Workers, AreUnsoundWhenTheirOwnLockIsGone) {
  const auto worker = world_.join();
  EXPECT_FALSE(is_sound_observer(world_.segment(), worker->id().row + 1));
}

TEST_F(Workers, AreRungByCounting) {
  const auto worker = world_.join();
  const std::uint32_t before = worker->row().doorbell.load();
  ring(world_.segment(), worker->id().row);
  EXPECT_EQ(worker->row().doorbell.load(), before + 1);
}

}  // namespace
}  // namespace weir::shm
