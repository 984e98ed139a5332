// Whoever makes or rebuilds a segment and is killed anywhere on the way leaves nothing that keeps
// the next one from it; one that stands still keeps others waiting no longer than they are ready
// to, and has the same segment in the end.

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "shm/segment.h"
#include "shm/snapshot.h"
#include "shm/worker_table.h"
#include "step_trials.h"
#include "support/shm_world.h"

namespace weir::test {
namespace {

using namespace std::chrono_literals;
using shm::Segment;

class BirthStep : public ::testing::Test {
 protected:
  [[nodiscard]] shm::SegmentOptions options(Nanos patience) const {
    shm::SegmentOptions options;
    options.folder = folder_.path().string();
    options.geometry = kSmallGeometry;
    options.patience = patience;
    return options;
  }
  [[nodiscard]] std::string path() const { return (folder_.path() / "default.weir").string(); }

  /// `first` says what the actor finds, before each trial.
  void lead_through(const char* name, const std::function<void()>& first) {
    if (!kSteppingWorks) GTEST_SKIP() << "x86-64 without sanitizers only";
    expect_one_to_work_with();  // what is computed once in a process is no part of it
    const StepReport report =
        run_trials({.name = name,
                    .survey =
                        [&] {
                          Survey found;
                          play(first, [&](SteppedWorker& child) {
                            child.start_survey();
                            child.await();
                            found = child.survey();
                          });
                          return found;
                        },
                    .try_at =
                        [&](Point point, Fate fate) {
                          Trial trial;
                          trial.recovery_ns = play(first, [&](SteppedWorker& child) {
                            trial.interrupted = child.run_to(point, fate);
                            if (fate == Fate::kStopped && trial.interrupted) go_on_without(child);
                          });
                          return trial;
                        },
                    .has_failed = [] { return HasFailure(); }});
    EXPECT_GE(report.deeds, 8u);
  }

 private:
  [[nodiscard]] std::uint32_t inode() const {
    struct stat st {};
    return stat(path().c_str(), &st) == 0 ? static_cast<std::uint32_t>(st.st_ino) : 0;
  }

  std::uint64_t play(const std::function<void()>& first,
                     const std::function<void(SteppedWorker&)>& lead) {
    for (const auto& left : std::filesystem::directory_iterator(folder_.path())) {
      std::filesystem::remove(left);
    }
    first();
    actor_has_.reset();
    SteppedWorker child({.prepare = [] {}, .act = [&] { open_as_the_actor(); }});
    lead(child);
    child.kill();
    const std::uint64_t began = monotonic_ns();
    expect_one_to_work_with();
    return monotonic_ns() - began;
  }

  void open_as_the_actor() {
    auto opened = Segment::open(options(kPatience));
    if (!opened.ok()) return;
    struct stat st {};
    fstat(opened.value()->fd(), &st);
    actor_has_.add(static_cast<std::uint32_t>(st.st_ino));
    (void)opened.value().release();  // it has it until it is killed
  }

  /// What I open meanwhile, if I may, is what it opens when it goes on.
  void go_on_without(SteppedWorker& child) {
    const auto early = Segment::open(options(1ms));
    child.finish();
    EXPECT_NE(actor_has_.value(), 0u) << "it opened none";
    EXPECT_EQ(actor_has_.value(), inode()) << "it has another one";
    struct stat st {};
    if (!early.ok() || fstat(early.value()->fd(), &st) != 0) return;
    EXPECT_EQ(static_cast<std::uint32_t>(st.st_ino), inode()) << "I have another one";
  }

  void expect_one_to_work_with() {
    auto segment = Segment::open(options(2s));
    ASSERT_TRUE(segment.ok()) << segment.status().to_string();
    EXPECT_EQ(shm::take_snapshot(*segment.value()).poison_reason, "");
    const auto worker = shm::Membership::join(*segment.value(), "next");
    ASSERT_TRUE(worker.ok()) << worker.status().to_string();
    EXPECT_EQ(worker.value()->id().row, 0u) << "there was nobody before";
  }

  SharedCounter actor_has_;  // the number of the file that it has, the low half
  TempFolder folder_{"/dev/shm/weir-test-"};
};

TEST_F(BirthStep, OfAWorkerThatMakesASegmentIsFinishedByTheNext) {
  lead_through("Create", [] {});
}

TEST_F(BirthStep, OfAWorkerThatRebuildsOneIsFinishedByTheNext) {
  lead_through("Rebuild", [&] {
    ASSERT_TRUE(Segment::open(options(2s)).ok());
    ASSERT_EQ(truncate(path().c_str(), 100), 0);
  });
}

TEST_F(BirthStep, OfAWorkerThatOpensOneHarmsNobody) {
  lead_through("Open", [&] { ASSERT_TRUE(Segment::open(options(2s)).ok()); });
}

}  // namespace
}  // namespace weir::test
