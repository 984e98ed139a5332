// A worker killed, or left standing for a while, anywhere within an acquire, a release, a pass of
// its keeper, attaching or closing: another one gets what it had, and the server never has a
// session too many.

#include <gtest/gtest.h>
#include <time.h>

#include <functional>
#include <optional>
#include <ostream>
#include <string>
#include <thread>
#include <vector>

#include "pool_step_stage.h"
#include "step_trials.h"

namespace weir::test {

struct PoolScenario {
  using Part = std::function<void(PoolStage&)>;

  const char* name;
  const char* wanted = "main";
  std::uint32_t limit = 2;
  bool steps = true;  // off: it does another thing when it is slow, so only its deeds are surveyed
  bool deeds = true;  // off: another thread uses the segment too; single-stepped all the way
  Part first = [](PoolStage&) {};      // before the actor is there
  Part prepare = [](PoolStage&) {};    // the actor, at full speed
  Part then = [](PoolStage&) {};       // while it stands before its part
  Part act;                            // the actor, step by step
  Part meanwhile = [](PoolStage&) {};  // over and over while it does
  Part after = [](PoolStage&) {};      // once it is dead or through
};

std::ostream& operator<<(std::ostream& out, const PoolScenario& scenario) {
  return out << scenario.name;
}

namespace {

using namespace std::chrono_literals;
using Stage = PoolStage;

// The actor's lease; meaningless in the test.
Got lease;

void attach(Stage& s) { s.weir().attach(); }
void take(Stage& s) {
  lease = acquire(s.pool());
  require(lease, "the actor");
}
void attach_and_take(Stage& s) {
  attach(s);
  take(s);
}
void give_back(Stage&) { require(release(lease.lease), "the actor's release"); }
void want_in_line(Stage& s) {
  s.want();
  s.await_line();
}
void let_the_other_have_it(Stage& s) {
  s.want();
  WEIR_CHECK(s.await_other());
}
// Both have waited: the other gives what it has as soon as the actor stands in line.
void give_once_it_waits(Stage& s) {
  if (s.wants_it() && s.has_it() && s.in_line() > 0) s.give();
}
void give_away(Stage& s) {
  give_back(s);
  s.keep_a_while();
}

std::vector<PoolScenario> scenarios() {
  return {
      {.name = "Attach", .steps = false, .act = attach},
      {.name = "AcquireAndReleaseAnIdleOne",
       .prepare =
           [](Stage& s) {
             attach_and_take(s);
             give_back(s);
           },
       .act =
           [](Stage& s) {
             take(s);
             give_back(s);
           }},
      {.name = "AcquireInAnEmptyPlace", .prepare = attach, .act = take},
      {.name = "WaitAndBeServed",
       .steps = false,
       .first = let_the_other_have_it,
       .prepare = attach,
       .act = take,
       .meanwhile = give_once_it_waits},
      {.name = "WaitForAnotherPoolsPermit",
       .wanted = "mate",
       .steps = false,
       .first = let_the_other_have_it,
       .prepare = attach,
       .act = take,
       .meanwhile = give_once_it_waits},
      {.name = "WaitAndTimeOut",
       .steps = false,
       .first = let_the_other_have_it,
       .prepare = attach,
       .act = [](Stage& s) { static_cast<void>(acquire(s.pool(), 3ms)); }},
      {.name = "Release", .prepare = attach_and_take, .act = give_back},
      {.name = "ReleaseToACallerOfTheSameWorker",
       .deeds = false,
       .prepare =
           [](Stage& s) {
             attach_and_take(s);
             std::thread([&s] {
               Got next = acquire(s.pool());
               if (next.ok()) release(next.lease);
             }).detach();
             s.await_line();
           },
       .act = give_back},
      {.name = "GiveAway",
       .steps = false,
       .prepare = attach_and_take,
       .then = want_in_line,
       .act = give_away},
      {.name = "GiveAwayToAnotherPool",
       .wanted = "mate",
       .steps = false,
       .prepare = attach_and_take,
       .then = want_in_line,
       .act = give_away},
      {.name = "Discard",
       .steps = false,
       .prepare = attach_and_take,
       .act =
           [](Stage& s) {
             require(discard(lease.lease), "the actor's discard");
             s.keep_a_while();
           }},
      {.name = "KeepAndAskAboutTheDead",
       .limit = 3,
       .steps = false,
       .first = [](Stage& s) { s.stop_asker(); },
       .prepare =
           [](Stage& s) {
             attach_and_take(s);
             give_back(s);
             s.let_somebody_die();
           },
       .act = [](Stage& s) { s.keep_a_while(); },
       .after = [](Stage& s) { s.resume_asker(); }},
      {.name = "Close",
       .steps = false,
       .prepare =
           [](Stage& s) {
             attach_and_take(s);
             give_back(s);
           },
       .act =
           [](Stage& s) {
             weir_error_t error = WEIR_ERROR_INIT;
             weir_close(s.weir().handle(), &error);
           }},
  };
}

// How long a frozen worker stands still.
constexpr Nanos kFrozen = 3ms;

class PoolStep : public testing::TestWithParam<PoolScenario> {
 protected:
  [[nodiscard]] const PoolScenario& scenario() const { return GetParam(); }

  Survey survey() {
    Survey found;
    play([&](SteppedWorker& child) {
      child.start_survey(scenario().steps);
      run_on(child, false);
      if (child.is_through()) found = child.survey();
    });
    return found;
  }

  Trial try_at(Point point, Fate fate) {
    Trial trial;
    trial.recovery_ns = play([&](SteppedWorker& child) {
      child.start(point, fate);
      run_on(child, false);
      trial.interrupted = !child.is_through();
      if (fate == Fate::kKilled || !trial.interrupted) return;
      // It may have what the other wants; then they go on side by side.
      if (!stage_.wants_it()) stage_.want();
      static_cast<void>(stage_.await_other(kFrozen));
      child.resume();
      run_on(child, true);
    });
    return trial;
  }

 private:
  /// All of a scenario, with `lead` for the actor's part. How long until the other was served
  /// afterwards.
  std::uint64_t play(const std::function<void(SteppedWorker&)>& lead) {
    scenario().first(stage_);
    SteppedWorker child({.prepare = [&] { scenario().prepare(stage_); },
                         .act = [&] { scenario().act(stage_); },
                         .memory = [&] { return stage_.memory(); },
                         .deeds = scenario().deeds});
    scenario().then(stage_);
    lead(child);
    child.kill();
    const std::uint64_t began = monotonic_ns();
    scenario().after(stage_);
    if (stage_.wants_it() && stage_.has_it()) stage_.give();
    if (!stage_.wants_it()) stage_.want();
    EXPECT_TRUE(stage_.await_other()) << "the one who waits got nothing";
    const std::uint64_t served = monotonic_ns();
    if (!HasFailure()) stage_.give();
    EXPECT_EQ(stage_.await_rest(), "");
    EXPECT_EQ(stage_.server().tally().over_limit.load(), 0u) << "over the quota";
    return served - began;
  }

  /// Until it is at its point, or through. `shares`: what the other gets it gives on.
  void run_on(SteppedWorker& child, bool shares) {
    const Deadline patience = Deadline::after(3 * kPatience);  // a survey takes long
    while (child.is_running() && !patience.passed(monotonic_ns())) {
      const timespec moment{0, 50'000};
      nanosleep(&moment, nullptr);
      scenario().meanwhile(stage_);
      if (shares && stage_.wants_it() && stage_.has_it()) stage_.give();
    }
    ASSERT_FALSE(child.is_running()) << "it got stuck";
    child.await();
  }

  PoolStage stage_{GetParam().wanted, GetParam().limit};
};

TEST_P(PoolStep, OfAWorkerThatIsInterruptedAnywhereLosesNothing) {
  if (!kSteppingWorks) GTEST_SKIP() << "x86-64 without sanitizers only";
  const StepReport report =
      run_trials({.name = std::string("Pool") + scenario().name,
                  .most_deeds = 20,
                  .usual_trials = 8,  // a trial takes longer than one of the segment alone
                  .survey = [&] { return survey(); },
                  .try_at = [&](Point point, Fate fate) { return try_at(point, fate); },
                  .has_failed = [] { return HasFailure(); }});
  EXPECT_GE(report.instructions + report.deeds, 20u) << "it was not led through";
  RecordProperty("instructions", static_cast<int>(report.instructions));
  RecordProperty("trials", static_cast<int>(report.trials));
}

INSTANTIATE_TEST_SUITE_P(All, PoolStep, testing::ValuesIn(scenarios()),
                         [](const auto& one) { return std::string(one.param.name); });

}  // namespace
}  // namespace weir::test
