// The pairs of steps that exclude lost wake-ups. One side stands still before each access to the
// segment and each system call in turn, the other does all of its part, then the first goes on. No
// tick comes to anybody's help: one of the two must have seen the other.

#include <gtest/gtest.h>

#include <functional>
#include <optional>
#include <string>

#include "shm/permits.h"
#include "shm/reaper.h"
#include "shm_step_stage.h"
#include "stepped_worker.h"

namespace weir::shm {
namespace {

using test::enter;
using test::Fate;
using test::SteppedWorker;

struct Stage : test::ShmStage {
  explicit Stage(bool shared) : ShmStage({.shared = shared}) {}
  std::optional<Room> my_room;
};

void leave(const PoolRef& pool, const Membership& worker, const Room& room) {
  leave_room(pool, worker.id(), room.place, room.word);
}

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
    if (!test::kSteppingWorks) GTEST_SKIP() << "x86-64 without sanitizers only";
    bool midway = true;
    for (std::uint32_t n = 1; midway && !HasFailure(); ++n) {
      Stage stage(sides.shared);
      sides.first(stage);
      SteppedWorker child({.prepare =
                               [&] {
                                 stage.actor = stage.world.join("actor");
                                 sides.prepare(stage);
                               },
                           .act = [&] { sides.slow(stage); },
                           .memory = [&] { return test::memory_of(stage.world.segment()); }});
      midway = child.run_to({n, 0}, Fate::kStopped);
      sides.quick(stage);
      if (midway) child.finish();
      SCOPED_TRACE("the slow side stood before deed " + std::to_string(n));
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
             s.let_somebody_die();
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
  try_everywhere({.prepare = [](Stage& s) { s.let_somebody_die(); },
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
