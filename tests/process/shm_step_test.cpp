// A worker killed, or standing still for a while, anywhere within a step of the protocol: the
// others go on, nothing is over the quota, and in the end every place, permit, turn and row is free
// and the segment in service.
//
// Random kills hardly ever hit the windows that matter; these hit them all (step_trials.h).

#include <gtest/gtest.h>
#include <time.h>

#include <functional>
#include <optional>
#include <ostream>
#include <string>

#include "shm/snapshot.h"
#include "shm/stats.h"
#include "shm_step_scenarios.h"
#include "step_trials.h"

namespace weir::test {

std::ostream& operator<<(std::ostream& out, const ShmScenario& scenario) {
  return out << scenario.name;
}

namespace {

using namespace std::chrono_literals;

// How long a frozen worker stands still at the least.
constexpr Nanos kFrozen = 3ms;

class Step : public ::testing::TestWithParam<ShmScenario> {
 protected:
  [[nodiscard]] const ShmScenario& scenario() const { return GetParam(); }

  Survey survey() {
    Survey found;
    play([&](SteppedWorker& child) {
      child.start_survey();
      run_on(*stage_, child);
      if (child.is_through()) found = child.survey();
    });
    return found;
  }

  /// The child up to its point, then its fate, then what the others make of it.
  Trial try_at(Point point, Fate fate) {
    Trial trial;
    trial.recovery_ns = play([&](SteppedWorker& child) {
      child.start(point, fate);
      run_on(*stage_, child);
      trial.interrupted = !child.is_through();
      look_at_the_wreck(*stage_);
      if (fate == Fate::kStopped && trial.interrupted) go_on_without(*stage_, child);
    });
    return trial;
  }

  /// How many connections have arrived in all trials.
  [[nodiscard]] std::uint64_t moved() const {
    return sum_counter(stage_->a, shm::Counter::kHandedLive);
  }

 private:
  /// All of a scenario, with `lead` for the actor's part. How long it took the others to go on
  /// afterwards.
  std::uint64_t play(const std::function<void(SteppedWorker&)>& lead) {
    if (!stage_ || scenario().fresh) stage_.emplace(scenario().stage);
    ShmStage& stage = *stage_;
    stage.my_held.reset();
    stage.my_waiter.reset();
    stage.my_other_waiter.reset();
    stage.my_inbox.reset();
    scenario().first(stage);
    SteppedWorker child({.prepare =
                             [&] {
                               if (scenario().joins) stage.actor = stage.world.join("actor");
                               scenario().prepare(stage);
                             },
                         .act = [&] { scenario().act(stage); },
                         .memory = [&] { return memory_of(stage.world.segment()); }});
    scenario().then(stage);
    lead(child);
    child.kill();
    return recover(stage);
  }

  /// Whatever was left half done can be read.
  static void look_at_the_wreck(const ShmStage& stage) {
    EXPECT_EQ(shm::take_snapshot(stage.world.segment()).poison_reason, "");
  }

  [[nodiscard]] const shm::PoolRef& wanted(const ShmStage& stage) const {
    return stage.*scenario().wanted;
  }

  /// It may hold what I want: go on for a moment, then see it wake up in another world.
  void go_on_without(ShmStage& stage, SteppedWorker& child) {
    RoomUser me(wanted(stage), *stage.me, stage.confirm(), stage.my_inbox.get());
    if (!stage.my_waiter) stage.my_waiter = me.enter(Deadline::never());
    ASSERT_TRUE(stage.my_waiter);
    const auto early = me.wait(*stage.my_waiter, Deadline::after(kFrozen));
    stage.my_waiter.reset();
    std::optional<Held> mine;
    if (early) mine = use(stage, *early);
    child.resume();
    if (mine) {
      // It may want what I have, and wait: for as long as that, mine it stays.
      const Deadline while_mine = Deadline::after(1ms);
      while (child.is_running() && !while_mine.passed(monotonic_ns())) pause();
      EXPECT_EQ(place_word(wanted(stage), mine->room.place), mine->room.word)
          << "lost while it was mine";
      stage.close(wanted(stage), *stage.me, *mine);
    }
    run_on(stage, child);
  }

  static void pause() {
    const timespec moment{0, 20'000};
    nanosleep(&moment, nullptr);
  }

  /// Until it is at its point, or through.
  void run_on(ShmStage& stage, SteppedWorker& child) {
    const Deadline patience = Deadline::after(kPatience);
    while (child.is_running() && !patience.passed(monotonic_ns())) {
      if (scenario().meanwhile) scenario().meanwhile(stage);
      pause();
    }
    ASSERT_FALSE(child.is_running()) << "it got stuck";
    child.await();
  }

  Held use(ShmStage& stage, const shm::Room& room) const {
    const Held held = stage.open(wanted(stage), *stage.me, room);
    EXPECT_GE(held.session, 0) << "the server refused what the quota allowed";
    EXPECT_EQ(place_word(wanted(stage), room.place), held.room.word) << "not mine alone";
    return held;
  }

  /// The others go on. How long until who waits was served.
  std::uint64_t recover(ShmStage& stage) {
    const std::uint64_t began = monotonic_ns();
    if (stage.my_held) {
      stage.close(stage.a, *stage.me, *stage.my_held);
      stage.my_held.reset();
    }
    scenario().after(stage);
    RoomUser me(wanted(stage), *stage.me, stage.confirm(), stage.my_inbox.get());
    const Deadline patience = Deadline::after(10s);
    const auto room = stage.my_waiter ? me.wait(*stage.my_waiter, patience) : me.acquire(patience);
    const std::uint64_t served = monotonic_ns();
    EXPECT_TRUE(room) << "the one who waits got nothing";
    if (room) {
      Held held = use(stage, *room);
      stage.close(wanted(stage), *stage.me, held);
    }
    if (stage.my_other_waiter) {
      RoomUser other(stage.a, *stage.me, stage.confirm());
      if (const auto late = other.leave_line(*stage.my_other_waiter)) other.release(*late);
    }
    std::string unrest;
    EXPECT_TRUE(poll_until([&] {
      me.tick();
      return (unrest = stage.unrest()).empty();
    })) << unrest;
    EXPECT_TRUE(stage.world.segment().usable().ok());
    EXPECT_EQ(stage.server.tally().over_limit.load(), 0u) << "over the quota";
    return served - began;
  }

  std::optional<ShmStage> stage_;
};

TEST_P(Step, OfAWorkerThatIsInterruptedAnywhereLosesNothing) {
  if (!kSteppingWorks) GTEST_SKIP() << "x86-64 without sanitizers only";
  const StepReport report =
      run_trials({.name = scenario().name,
                  .most_deeds = scenario().most_deeds,
                  .survey = [&] { return survey(); },
                  .try_at = [&](Point point, Fate fate) { return try_at(point, fate); },
                  .has_failed = [] { return HasFailure(); }});
  EXPECT_GE(report.deeds, 2u) << "it was not led through";
  EXPECT_TRUE(!scenario().moves || moved() > 0) << "nothing has moved";
  RecordProperty("instructions", static_cast<int>(report.instructions));
  RecordProperty("trials", static_cast<int>(report.trials));
}

INSTANTIATE_TEST_SUITE_P(All, Step, ::testing::ValuesIn(shm_scenarios()),
                         [](const auto& one) { return std::string(one.param.name); });

}  // namespace
}  // namespace weir::test
