#include "shm/breaker.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <array>
#include <optional>

#include "shm/reaper.h"
#include "shm/turns.h"
#include "support/shm_world.h"

namespace weir::shm {
namespace {

using test::ShmWorld;

constexpr std::uint64_t kMs = 1'000'000;
constexpr std::uint64_t kTimeoutMs = 1'000;

PoolRef declare(const ShmWorld& world, const Membership& me) {
  PoolDeclaration declaration;
  declaration.name = "main";
  declaration.driver = "fake";
  declaration.max = 8;
  declaration.connect_concurrency = 2;
  declaration.connect_timeout_ms = kTimeoutMs;
  return world.pool(me.id(), declaration);
}

class TheBreaker : public ::testing::Test {
 protected:
  /// Opens after three, for 50 ms.
  BreakerChange fail(bool by_probe = false) {
    return note_no_answer(pool_, by_probe, [this](BreakerWord counted) {
      const bool opens = !counted.is_closed() || counted.failures() >= 3;
      return opens ? BreakerVerdict{BreakerState::kOpen, now_ / kMs + 50} : BreakerVerdict{};
    });
  }
  void open() {
    while (breaker_of(pool_).is_closed()) fail();
  }
  std::optional<Turn> take(const Membership& who) { return take_turn(pool_, who.id(), now_); }

  ShmWorld world_;
  std::unique_ptr<Membership> me_ = world_.join();
  std::unique_ptr<Membership> other_ = world_.join();
  PoolRef pool_ = declare(world_, *me_);
  std::uint64_t now_ = 1'000'000 * kMs;
};

TEST_F(TheBreaker, CountsFailuresInARowAndForgetsThemWithAnAnswer) {
  fail();
  EXPECT_EQ(breaker_of(pool_).failures(), 1u);
  EXPECT_FALSE(note_answer(pool_).closed()) << "it was not open";
  EXPECT_EQ(breaker_of(pool_).raw(), 0u);
  fail();
  EXPECT_FALSE(fail().opened());
  EXPECT_TRUE(fail().opened());
  EXPECT_EQ(breaker_of(pool_).failures(), 3u);
  EXPECT_TRUE(note_answer(pool_).closed());
  EXPECT_EQ(breaker_of(pool_).raw(), 0u);
}

TEST_F(TheBreaker, GivesNobodyATurnWhileItIsOpenAndOneWhenItIsTime) {
  open();
  EXPECT_FALSE(take(*me_));
  EXPECT_EQ(free_turns(pool_, now_), 0u);
  EXPECT_FALSE(is_due_for_probe(pool_, now_));
  now_ += 50 * kMs;
  EXPECT_TRUE(is_due_for_probe(pool_, now_));
  EXPECT_EQ(free_turns(pool_, now_), 1u);
  const auto probe = take(*me_);
  ASSERT_TRUE(probe);
  EXPECT_TRUE(has_probe(pool_, *probe));
  EXPECT_EQ(breaker_of(pool_).state(), BreakerState::kHalfOpen);
  EXPECT_FALSE(take(*other_)) << "though a turn is free";
  EXPECT_EQ(free_turns(pool_, now_), 0u);
}

TEST_F(TheBreaker, OpensAgainWhenTheProbeFailsAndNotWhenOneFromBeforeDoes) {
  const auto early = take(*other_);
  open();
  now_ += 50 * kMs;
  const auto probe = take(*me_);
  ASSERT_TRUE(early && probe);
  const BreakerWord half = breaker_of(pool_);
  EXPECT_FALSE(fail(has_probe(pool_, *early)).opened());
  EXPECT_EQ(breaker_of(pool_), half);
  EXPECT_TRUE(fail(has_probe(pool_, *probe)).opened());
  EXPECT_EQ(breaker_of(pool_).failures(), 4u);
  return_turn(pool_, *probe);
  EXPECT_FALSE(take(*me_)) << "its time is not over";
  now_ += 50 * kMs;
  EXPECT_TRUE(take(*other_));
}

TEST_F(TheBreaker, ClosesWithAnyAnswerBeItThatOfOneFromBefore) {
  const auto early = take(*other_);
  open();
  EXPECT_TRUE(note_answer(pool_).closed());
  return_turn(pool_, *early);
  EXPECT_EQ(free_turns(pool_, now_), 2u);
}

TEST_F(TheBreaker, LetsTheProbeOfTheDeadBeTakenOver) {
  open();
  now_ += 50 * kMs;
  ASSERT_TRUE(take(*other_));
  test::die(other_);
  EXPECT_FALSE(take(*me_)) << "perhaps alive";
  EXPECT_EQ(reap(world_.segment(), me_->id()).workers, 1u);
  EXPECT_TRUE(take(*me_));
}

TEST_F(TheBreaker, LetsTheProbeOfTheStoppedBeTakenOverAfterConnectTimeout) {
  open();
  now_ += 50 * kMs;
  const auto stopped = take(*other_);
  ASSERT_TRUE(stopped);
  now_ += kTimeoutMs * kMs;
  EXPECT_FALSE(take(*me_)) << "ages are coarse, and it must not be too early";
  now_ += 2 * TurnWord::kUnitNs;
  const auto probe = take(*me_);
  ASSERT_TRUE(probe);
  EXPECT_FALSE(has_probe(pool_, *stopped));
  return_turn(pool_, *stopped);
  EXPECT_TRUE(has_probe(pool_, *probe)) << "who was overtaken gives back nothing";
}

TEST_F(TheBreaker, GivesTheProbeBackWhereNoHandshakeIsToBeHad) {
  ASSERT_TRUE(take(*other_) && take(*other_));
  open();
  now_ += 50 * kMs;
  EXPECT_FALSE(take(*me_)) << "both turns hang in the server";
  EXPECT_FALSE(TurnWord(pool_.row().probe.load()).taken());
  EXPECT_EQ(breaker_of(pool_).state(), BreakerState::kHalfOpen);
  EXPECT_TRUE(is_due_for_probe(pool_, now_)) << "the next one tries";
}

TEST_F(TheBreaker, OfAnImpossibleStateLetsEverybodyThrough) {
  pool_.row().breaker.store(0xffffffffffffff77u);
  EXPECT_TRUE(take(*me_));
  EXPECT_EQ(free_turns(pool_, now_), 1u);
  EXPECT_FALSE(note_answer(pool_).closed());
}

TEST_F(TheBreaker, FollowsAPolicyUnlessTheWordChangedMeanwhile) {
  const BreakerWord seen = breaker_of(pool_);
  EXPECT_TRUE(put_breaker(pool_, seen, {BreakerState::kOpen, now_ / kMs + 70}).opened());
  EXPECT_EQ(breaker_of(pool_).retry_in_ms(now_), 70u);
  EXPECT_FALSE(put_breaker(pool_, seen, {BreakerState::kClosed, 0}).closed());
  EXPECT_EQ(breaker_of(pool_).state(), BreakerState::kOpen);
}

// What the breaker should do, in as few lines as possible: a state, a count, a time, and who
// probes.
struct Model {
  BreakerState state = BreakerState::kClosed;
  std::uint32_t failures = 0;
  std::uint64_t retry_ms = 0;
  std::optional<std::size_t> prober;
};

RC_GTEST_PROP(TheBreakerUnderAnyDeeds, IsWhatAModelOfAFewLinesSays, ()) {
  constexpr std::size_t kWorkers = 3;
  ShmWorld world;
  std::array<std::unique_ptr<Membership>, kWorkers> workers;
  for (auto& worker : workers) worker = world.join();
  const PoolRef pool = declare(world, *workers[0]);
  pool.row().connect_concurrency.store(kWorkers);
  std::array<std::optional<Turn>, kWorkers> turns;
  Model model;
  std::uint64_t now_ms = 1'000'000;

  const auto steps = *rc::gen::inRange(1, 60);
  for (int step = 0; step < steps; ++step) {
    const auto who = *rc::gen::inRange<std::size_t>(0, kWorkers);
    switch (*rc::gen::inRange(0, 4)) {
      case 0: {  // time passes, less than connect_timeout in all
        now_ms += *rc::gen::inRange<std::uint64_t>(0, 15);
        break;
      }
      case 1: {  // begins to connect
        if (turns[who]) break;
        turns[who] = take_turn(pool, workers[who]->id(), now_ms * kMs);
        const bool may =
            model.state == BreakerState::kClosed || (!model.prober && now_ms >= model.retry_ms);
        RC_ASSERT(turns[who].has_value() == may);
        if (!may || model.state == BreakerState::kClosed) break;
        model.state = BreakerState::kHalfOpen;
        model.prober = who;
        break;
      }
      case 2: {  // fails
        if (!turns[who]) break;
        const bool by_probe = has_probe(pool, *turns[who]);
        RC_ASSERT(by_probe == (model.prober == who));
        const auto pause_ms = *rc::gen::inRange<std::uint64_t>(0, 30);
        (void)note_no_answer(pool, by_probe, [&](BreakerWord counted) {
          const bool opens = !counted.is_closed() || counted.failures() >= 2;
          return opens ? BreakerVerdict{BreakerState::kOpen, now_ms + pause_ms} : BreakerVerdict{};
        });
        return_turn(pool, *turns[who]);
        turns[who].reset();
        if (model.state == BreakerState::kClosed || model.prober == who) {
          ++model.failures;
          const bool opens = model.state != BreakerState::kClosed || model.failures >= 2;
          model.state = opens ? BreakerState::kOpen : BreakerState::kClosed;
          model.retry_ms = opens ? now_ms + pause_ms : 0;
        }
        if (model.prober == who) model.prober.reset();
        break;
      }
      default: {  // is answered
        if (!turns[who]) break;
        (void)note_answer(pool);
        return_turn(pool, *turns[who]);
        turns[who].reset();
        const auto prober = model.prober == who ? std::nullopt : model.prober;
        model = Model{};
        model.prober = prober;  // whose attempt goes on, to no effect
        break;
      }
    }
    const BreakerWord word = breaker_of(pool);
    RC_ASSERT(word.state() == model.state);
    RC_ASSERT(word.failures() == model.failures);
    if (model.state == BreakerState::kOpen) RC_ASSERT(word.retry_at_ms() == model.retry_ms);
    RC_ASSERT(TurnWord(pool.row().probe.load()).taken() == model.prober.has_value());
  }
}

}  // namespace
}  // namespace weir::shm
