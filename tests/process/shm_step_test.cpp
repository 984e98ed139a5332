// A worker killed, or standing still for a while, anywhere within a step of the protocol: the
// others go on, and in the end every place, permit and row of the line is free.
//
// Random kills hardly ever hit the windows that matter; these hit them all: before each access to
// the segment in turn. WEIR_STEP_STRIDE=n tries every n-th only.

#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "access_step.h"
#include "shm/permits.h"
#include "shm/reaper.h"
#include "support/room_user.h"
#include "support/shm_world.h"

namespace weir::shm {
namespace {

using namespace std::chrono_literals;
using test::AccessStep;
using test::count_places;
using test::Fate;
using test::RoomUser;
using test::ShmWorld;
using test::WorkerProcess;

/// One small segment with two pools of one place each: alone, or on one permit. Two casts act on
/// it: `actor`, in the traced child, and `me`, in the test.
struct Stage {
  explicit Stage(bool shared) : a(declare("a", shared)), b(declare("b", shared)) {}

  PoolRef declare(const char* name, bool shared) {
    PoolDeclaration declaration;
    declaration.name = name;
    declaration.driver = "fake";
    declaration.max = 1;
    declaration.quota = shared ? world.quota(me->id(), 1) : kNone;
    declaration.permit_quantum_ms = 0;
    return world.pool(me->id(), declaration);
  }
  bool is_clean() const {
    return count_places(a, PlaceState::kFree) == 1 && count_places(b, PlaceState::kFree) == 1 &&
           test::count_held_permits(a) == 0 && test::count_waiters(world.segment()) == 0;
  }

  ShmWorld world{{.workers = 4,
                  .waiters = 4,
                  .quotas = 1,
                  .pools = 2,
                  .places = 4,
                  .permits = 4,
                  .stats_per_worker = 1,
                  .events_per_worker = 1}};
  std::unique_ptr<Membership> me = world.join("me");
  PoolRef a, b;

  // The child's part; meaningless in the test.
  std::unique_ptr<Membership> actor;
  std::optional<Room> room;
  std::optional<Waiter> waiter;

  // The test's part; meaningless in the child, except for what it held when the child was forked.
  std::optional<Room> my_room;
  std::optional<Waiter> my_waiter, my_other_waiter;
};

struct Scenario {
  const char* name;
  bool shared = false;
  std::function<void(Stage&)> first = [](Stage&) {};    // the test, before the child is there
  std::function<void(Stage&)> prepare = [](Stage&) {};  // the child, joined
  std::function<void(Stage&)> then = [](Stage&) {};     // the test, while the child stands before
  std::function<void(Stage&)> act;                      // the child, step by step
  // The pool in which the test waits, or wants a room, at the end.
  PoolRef Stage::*wanted = &Stage::a;
};

std::optional<Waiter> enter(const PoolRef& pool, const Membership& worker) {
  return Waiter::enter(pool, worker.id(), Deadline::never(), "step", 0);
}

void leave(const PoolRef& pool, const Membership& worker, const Room& room) {
  leave_room(pool, worker.id(), room.place, room.word);
}

// A worker that occupied the place of pool a and died.
void let_somebody_die_with_the_place(Stage& stage) {
  WorkerProcess victim([&] {
    const auto worker = stage.world.join("victim");
    const bool took = take_room(stage.a, worker->id()).has_value();
    raise(SIGKILL);
    return took ? 0 : 1;
  });
  WEIR_CHECK(victim.wait() == -SIGKILL);
}

std::vector<Scenario> scenarios() {
  return {
      {.name = "ReleaseToAWaiter",
       .prepare = [](Stage& s) { s.room = take_room(s.a, s.actor->id()); },
       .then = [](Stage& s) { s.my_waiter = enter(s.a, *s.me); },
       .act = [](Stage& s) { leave(s.a, *s.actor, *s.room); }},
      {.name = "ReleaseToAWaiterOfAnotherPool",
       .shared = true,
       .prepare = [](Stage& s) { s.room = take_room(s.a, s.actor->id()); },
       .then = [](Stage& s) { s.my_waiter = enter(s.b, *s.me); },
       .act = [](Stage& s) { leave(s.a, *s.actor, *s.room); },
       .wanted = &Stage::b},
      {.name = "TakeAndReleaseOfAQuota",
       .shared = true,
       .act =
           [](Stage& s) {
             s.room = take_room(s.a, s.actor->id());
             if (s.room) leave(s.a, *s.actor, *s.room);
           },
       .wanted = &Stage::b},
      {.name = "AcceptAnOffer",
       .first = [](Stage& s) { s.my_room = take_room(s.a, s.me->id()); },
       .prepare = [](Stage& s) { s.waiter = enter(s.a, *s.actor); },
       .then = [](Stage& s) { leave(s.a, *s.me, *s.my_room); },
       .act =
           [](Stage& s) {
             s.room = accept_offer(s.a, s.actor->id(), *s.waiter, s.waiter->word());
             (void)s.waiter->leave(s.waiter->word());
           }},
      {.name = "EnterAndMatch",
       .act =
           [](Stage& s) {
             s.waiter = enter(s.a, *s.actor);
             match(s.a, s.actor->id());
           }},
      {.name = "EnterAndMatchForAnother",
       .then = [](Stage& s) { s.my_waiter = enter(s.a, *s.me); },
       .act =
           [](Stage& s) {
             s.waiter = enter(s.a, *s.actor);
             match(s.a, s.actor->id());
           }},
      {.name = "MatchForAnotherPool",
       .shared = true,
       .then = [](Stage& s) { s.my_waiter = enter(s.b, *s.me); },
       .act = [](Stage& s) { match(s.a, s.actor->id()); },
       .wanted = &Stage::b},
      {.name = "TakeBackAClaim",
       .prepare = [](Stage& s) { s.waiter = enter(s.a, *s.actor); },
       .then =
           [](Stage& s) {
             // A giver that died between claiming and offering; the place is free again.
             WEIR_CHECK(claim(s.a, *look_at_line(s.a, s.me->id()).oldest, 0));
             s.my_waiter = enter(s.a, *s.me);
           },
       .act =
           [](Stage& s) {
             const WaiterWord seen = s.waiter->word();
             if (s.waiter->take_back(seen)) {
               s.room = accept_offer(s.a, s.actor->id(), *s.waiter, seen);
               raise_demand(s.a);
               match(s.a, s.actor->id());
             }
           }},
      {.name = "RevokeAnOffer",
       .first =
           [](Stage& s) {
             s.my_room = take_room(s.a, s.me->id());
             s.my_other_waiter = enter(s.a, *s.me);  // is offered the place and does not take it
             leave(s.a, *s.me, *s.my_room);
           },
       .then = [](Stage& s) { s.my_waiter = enter(s.a, *s.me); },
       .act =
           [](Stage& s) {
             revoke_offers(s.a, s.actor->id(), monotonic_ns() + 2 * kOfferPatienceNs);
           }},
      {.name = "Reap",
       .prepare = let_somebody_die_with_the_place,
       .then = [](Stage& s) { s.my_waiter = enter(s.a, *s.me); },
       .act = [](Stage& s) { (void)reap(s.world.segment(), s.actor->id()); }},
      {.name = "SettleWhatLingers",
       .shared = true,
       .prepare =
           [](Stage& s) {
             let_somebody_die_with_the_place(s);
             (void)reap(s.world.segment(), s.actor->id());
           },
       .then = [](Stage& s) { s.my_waiter = enter(s.b, *s.me); },
       .act = [](Stage& s) { settle_lingering(s.a, s.actor->id(), 0, test::place_word(s.a, 0)); },
       .wanted = &Stage::b},
  };
}

struct Case {
  Scenario scenario;
  Fate fate;
};

std::ostream& operator<<(std::ostream& out, const Case& tried) {
  return out << tried.scenario.name;
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const Scenario& scenario : scenarios()) {
    all.push_back({scenario, Fate::kKilled});
    all.push_back({scenario, Fate::kStopped});
  }
  return all;
}

class Step : public ::testing::TestWithParam<Case> {
 protected:
  /// The child up to its access number `n`, then its fate, then what the others make of it. False
  /// if its part was over before.
  bool try_at(Stage& stage, std::uint32_t n) {
    const Scenario& scenario = GetParam().scenario;
    stage.my_room.reset();
    stage.my_waiter.reset();
    stage.my_other_waiter.reset();
    scenario.first(stage);
    AccessStep child(
        stage.world.segment(),
        [&] {
          stage.actor = stage.world.join("actor");
          scenario.prepare(stage);
        },
        [&] { scenario.act(stage); });
    scenario.then(stage);
    const bool midway = child.run_to(n, GetParam().fate);

    const PoolRef& pool = stage.*scenario.wanted;
    RoomUser me(pool, *stage.me);
    if (GetParam().fate == Fate::kStopped && midway) {
      // It may hold what I want: go on without it for a moment, then see it wake up in another
      // world.
      if (!stage.my_waiter) stage.my_waiter = me.enter(Deadline::never());
      const auto early = me.wait(*stage.my_waiter, Deadline::after(3ms));
      stage.my_waiter.reset();
      child.finish();
      if (early) {
        EXPECT_EQ(test::place_word(pool, early->place), early->word) << "lost while it was mine";
        me.release(*early);
      }
    }
    child.kill();

    const Deadline patience = Deadline::after(10s);
    const auto room = stage.my_waiter ? me.wait(*stage.my_waiter, patience) : me.acquire(patience);
    EXPECT_TRUE(room) << "the one who waits got nothing";
    if (room) me.release(*room);
    if (stage.my_other_waiter) {
      RoomUser other(stage.a, *stage.me);
      if (const auto late = other.leave_line(*stage.my_other_waiter)) other.release(*late);
    }
    EXPECT_TRUE(test::poll_until([&] {
      me.tick();
      return stage.is_clean();
    })) << "something is lost";
    EXPECT_TRUE(stage.world.segment().usable().ok());
    return midway;
  }
};

TEST_P(Step, OfAWorkerThatIsInterruptedAnywhereLosesNothing) {
  if (!test::kAccessStepWorks) GTEST_SKIP() << "x86-64 without sanitizers only";
  const char* asked = std::getenv("WEIR_STEP_STRIDE");  // NOLINT(concurrency-mt-unsafe)
  const auto stride = static_cast<std::uint32_t>(std::max(1, asked ? std::atoi(asked) : 1));
  Stage stage(GetParam().scenario.shared);
  std::uint32_t n = 1;
  while (try_at(stage, n)) {
    if (HasFailure()) FAIL() << "interrupted before access " << n;
    n += stride;
  }
  EXPECT_GE(n, 5u);  // it was led through, and was more than a word or two
  RecordProperty("accesses", static_cast<int>(n));
}

INSTANTIATE_TEST_SUITE_P(All, Step, ::testing::ValuesIn(cases()), [](const auto& one) {
  return std::string(one.param.scenario.name) +
         (one.param.fate == Fate::kKilled ? "Killed" : "Stopped");
});

// ---- the pairs that exclude lost wake-ups
// --------------------------------------------------------
//
// One side stands still before each of its accesses in turn, the other does all of its part, then
// the first goes on. No tick comes to anybody's help: one of the two must have seen the other.

class Pair : public ::testing::Test {
 protected:
  struct Sides {
    bool shared = false;
    std::function<void(Stage&)> first = [](Stage&) {};    // the test, before
    std::function<void(Stage&)> prepare = [](Stage&) {};  // the child, joined
    std::function<void(Stage&)> slow;                     // the child's part
    std::function<void(Stage&)> quick;                    // the test's part, all of it at once
    std::function<void(Stage&)> judge;                    // the test, after both
  };

  void try_everywhere(const Sides& sides) {
    if (!test::kAccessStepWorks) GTEST_SKIP() << "x86-64 without sanitizers only";
    bool midway = true;
    for (std::uint32_t n = 1; midway && !HasFailure(); ++n) {
      Stage stage(sides.shared);
      sides.first(stage);
      AccessStep child(
          stage.world.segment(),
          [&] {
            stage.actor = stage.world.join("actor");
            sides.prepare(stage);
          },
          [&] { sides.slow(stage); });
      midway = child.run_to(n, Fate::kStopped);
      sides.quick(stage);
      if (midway) child.finish();
      SCOPED_TRACE("the slow side stood before access " + std::to_string(n));
      sides.judge(stage);
    }
  }
  static bool is_offered_to(const Stage& stage, const Waiter& waiter) {
    return test::place_word(stage.a, 0).offers_to(waiter.row(), waiter.word().inc());
  }
};

TEST_F(Pair, WhoReleasesSeesWhoEntersOrTheOtherWayRound) {
  try_everywhere({.prepare = [](Stage& s) { s.room = take_room(s.a, s.actor->id()); },
                  .slow = [](Stage& s) { leave(s.a, *s.actor, *s.room); },
                  .quick =
                      [](Stage& s) {
                        s.my_waiter = enter(s.a, *s.me);
                        match(s.a, s.me->id());
                      },
                  .judge = [](Stage& s) { EXPECT_TRUE(is_offered_to(s, *s.my_waiter)); }});
}

TEST_F(Pair, WhoEntersSeesWhoReleasesOrTheOtherWayRound) {
  try_everywhere(
      {.first = [](Stage& s) { s.my_room = take_room(s.a, s.me->id()); },
       .slow =
           [](Stage& s) {
             s.waiter = enter(s.a, *s.actor);
             match(s.a, s.actor->id());
           },
       .quick = [](Stage& s) { leave(s.a, *s.me, *s.my_room); },
       .judge =
           [](Stage& s) { EXPECT_EQ(test::place_word(s.a, 0).state(), PlaceState::kOffered); }});
}

TEST_F(Pair, WhoOffersSeesWhoLeavesTheLineOrTheOtherWayRound) {
  try_everywhere(
      {.first = [](Stage& s) { s.my_waiter = enter(s.a, *s.me); },
       .prepare = [](Stage& s) { s.room = take_room(s.a, s.actor->id()); },
       .slow = [](Stage& s) { leave(s.a, *s.actor, *s.room); },
       .quick =
           [](Stage& s) {
             const WaiterWord seen = s.my_waiter->word();
             ASSERT_TRUE(s.my_waiter->leave(seen));
             if (seen.state() != WaiterState::kClaimed) return;
             const auto room = accept_offer(s.a, s.me->id(), *s.my_waiter, seen);
             if (room) leave(s.a, *s.me, *room);
           },
       .judge = [](Stage& s) { EXPECT_EQ(test::place_word(s.a, 0).state(), PlaceState::kFree); }});
}

TEST_F(Pair, WhoOffersSeesWhoTakesTheClaimBackOrTheOtherWayRound) {
  try_everywhere({.first = [](Stage& s) { s.my_waiter = enter(s.a, *s.me); },
                  .prepare = [](Stage& s) { s.room = take_room(s.a, s.actor->id()); },
                  .slow = [](Stage& s) { leave(s.a, *s.actor, *s.room); },
                  .quick =
                      [](Stage& s) {
                        const WaiterWord seen = s.my_waiter->word();
                        if (seen.state() != WaiterState::kClaimed) return;
                        s.my_room = accept_offer(s.a, s.me->id(), *s.my_waiter, seen);
                        if (s.my_room) return;
                        ASSERT_TRUE(s.my_waiter->take_back(seen));
                        s.my_room = accept_offer(s.a, s.me->id(), *s.my_waiter, seen);
                        if (s.my_room) return;
                        raise_demand(s.a);
                        match(s.a, s.me->id());
                      },
                  .judge =
                      [](Stage& s) {
                        if (s.my_room) {
                          EXPECT_EQ(test::place_word(s.a, 0), s.my_room->word);
                        } else {
                          EXPECT_TRUE(is_offered_to(s, *s.my_waiter));
                        }
                      }});
}

TEST_F(Pair, WhoSaysThatNobodyWaitsSeesWhoEnters) {
  try_everywhere({.first =
                      [](Stage& s) {
                        s.my_room = take_room(s.a, s.me->id());
                        raise_demand(s.a);
                      },
                  .slow = [](Stage& s) { match(s.a, s.actor->id()); },
                  .quick = [](Stage& s) { s.my_waiter = enter(s.a, *s.me); },
                  .judge = [](Stage& s) { EXPECT_EQ(s.a.row().demand.load(), 1u); }});
}

TEST_F(Pair, WhoFreesAPermitSeesWhoNeedsItInAnotherPoolOrTheOtherWayRound) {
  try_everywhere(
      {.shared = true,
       .prepare = [](Stage& s) { s.room = take_room(s.a, s.actor->id()); },
       .slow = [](Stage& s) { leave(s.a, *s.actor, *s.room); },
       .quick =
           [](Stage& s) {
             s.my_waiter = enter(s.b, *s.me);
             match(s.b, s.me->id());
           },
       .judge =
           [](Stage& s) { EXPECT_EQ(test::place_word(s.b, 0).state(), PlaceState::kOffered); }});
}

TEST_F(Pair, WhoNeedsAPermitSeesWhoFreesItInAnotherPoolOrTheOtherWayRound) {
  try_everywhere(
      {.shared = true,
       .first = [](Stage& s) { s.my_room = take_room(s.a, s.me->id()); },
       .slow =
           [](Stage& s) {
             s.waiter = enter(s.b, *s.actor);
             match(s.b, s.actor->id());
           },
       .quick = [](Stage& s) { leave(s.a, *s.me, *s.my_room); },
       .judge =
           [](Stage& s) { EXPECT_EQ(test::place_word(s.b, 0).state(), PlaceState::kOffered); }});
}

TEST_F(Pair, WhoFreesAVoidPermitTakesItFromNobodyWhoHasItSince) {
  try_everywhere({.shared = true,
                  .first =
                      [](Stage& s) {
                        const auto room = take_room(s.a, s.me->id());
                        s.a.places()[room->place].store(room->word.to_free().raw());
                      },
                  .slow = [](Stage& s) { free_void_permits(s.a); },
                  .quick =
                      [](Stage& s) {
                        free_void_permits(s.b);
                        s.my_room = take_room(s.b, s.me->id());
                      },
                  .judge =
                      [](Stage& s) {
                        ASSERT_TRUE(s.my_room);
                        EXPECT_EQ(test::count_held_permits(s.b), 1u);
                      }});
}

TEST_F(Pair, WhoReapsSaysSinceWhenAPlaceLingersBeforeItDoes) {
  // Else it would look as if it had lingered since the dead worker last touched it.
  try_everywhere(
      {.prepare =
           [](Stage& s) {
             let_somebody_die_with_the_place(s);
             s.a.info(0).since_ns.store(1);  // long ago
           },
       .slow = [](Stage& s) { (void)reap(s.world.segment(), s.actor->id()); },
       .quick =
           [](Stage& s) {
             if (test::place_word(s.a, 0).state() == PlaceState::kLingering) {
               EXPECT_GT(s.a.info(0).since_ns.load(), 1u);
             }
           },
       .judge =
           [](Stage& s) { EXPECT_EQ(test::place_word(s.a, 0).state(), PlaceState::kLingering); }});
}

TEST_F(Pair, WhoReapsIsNotKeptFromItByWhoJoinsInADeadOnesRow) {
  // Who joins holds the row's byte. While it stands still the dead one before must not look alive.
  try_everywhere({.prepare = [](Stage& s) { let_somebody_die_with_the_place(s); },
                  .slow = [](Stage& s) { EXPECT_TRUE(s.world.join("late")->is_valid()); },
                  .quick =
                      [](Stage& s) {
                        (void)reap(s.world.segment(), s.me->id());
                        EXPECT_EQ(test::place_word(s.a, 0).state(), PlaceState::kLingering);
                      },
                  .judge = [](Stage&) {}});
}

}  // namespace
}  // namespace weir::shm
