#include "shm_step_scenarios.h"

#include <unistd.h>

#include "shm/lingering.h"
#include "shm/permits.h"
#include "shm/reaper.h"

namespace weir::test {
namespace {

using namespace std::chrono_literals;
using shm::PlaceState;
using shm::WaiterWord;

using Stage = ShmStage;

constexpr Stage::Options kShared{.shared = true};
constexpr Stage::Options kTwo{.max = 2, .limit = 2};
constexpr Stage::Options kTwoShared{.shared = true, .max = 2, .limit = 2};

// ---- what casts do ------------------------------------------------------------------------------

void hold(Stage& s) {
  s.room = take_room(s.a, s.actor->id());
  WEIR_CHECK(s.room.has_value());
  s.held = s.open(s.a, *s.actor, *s.room);
}
void hold_mine(Stage& s) {
  const auto room = take_room(s.a, s.me->id());
  WEIR_CHECK(room.has_value());
  s.my_held = s.open(s.a, *s.me, *room);
}
void give_mine(Stage& s) {
  if (s.my_held) s.close(s.a, *s.me, *s.my_held);
  s.my_held.reset();
}
void wait_in_a(Stage& s) { s.my_waiter = enter(s.a, *s.me); }
void wait_in_b(Stage& s) { s.my_waiter = enter(s.b, *s.me); }
void release(Stage& s) { s.close(s.a, *s.actor, *s.held); }
void enter_a(Stage& s) { s.waiter = enter(s.a, *s.actor); }
// Connects as a pool does: with a turn.
void connect(Stage& s) {
  const auto turn = take_turn(s.a, s.actor->id(), monotonic_ns());
  s.held = s.open(s.a, *s.actor, *s.room);
  if (turn) return_turn(s.a, *turn);
  match(s.a, s.actor->id());
}
void acquire(Stage& s, Deadline deadline) {
  s.room = RoomUser(s.a, *s.actor, s.confirm()).acquire(deadline);
  if (s.room) connect(s);
}
// Gives the actor what it waits for, once it does.
void give_once_it_waits(Stage& s) {
  if (count_waiters(s.world.segment()) > 0) give_mine(s);
}

// ---- live handover ------------------------------------------------------------------------------

std::unique_ptr<shm::Inbox> open_inbox(const Stage& s, const shm::Membership& of) {
  Result<std::unique_ptr<shm::Inbox>> inbox = shm::Inbox::open(s.world.segment(), of.id());
  WEIR_CHECK(inbox.ok());
  return std::move(inbox).value();
}
void open_mine(Stage& s) { s.my_inbox = open_inbox(s, *s.me); }
void hold_with_an_inbox(Stage& s) {
  s.inbox = open_inbox(s, *s.actor);
  hold(s);
}
void give(Stage& s) { (void)s.give(s.a, *s.actor, s.inbox->mailbox(), *s.held); }
void give_mine_live(Stage& s) {
  WEIR_CHECK(s.give(s.a, *s.me, s.my_inbox->mailbox(), *s.my_held));
  s.my_held.reset();
}
// As a pool: what came goes to who was claimed for it; he uses it, and gives it back.
void receive(Stage& s) {
  (void)s.inbox->receive(s.a);
  const auto came = s.inbox->take(s.a);
  if (!came) return;
  const bool granted = grant_claimed(s.a, s.actor->id(), came->place);
  const WaiterWord seen = s.waiter->word();
  if (granted) WEIR_CHECK(seen.state() == shm::WaiterState::kGranted);
  (void)s.waiter->leave(seen);
  s.held = Held{{came->place, place_word(s.a, came->place)}, dup(came->fd.get())};
  release(s);
}

// ---- what is declared ---------------------------------------------------------------------------

void declare_max_as(Stage& s, const shm::Membership& self, std::uint32_t max) {
  const shm::Segment& segment = s.world.segment();
  if (s.quota != shm::kNone) {
    WEIR_CHECK(
        declare_quota(segment, self.id(),
                      {.name = "shared", .limit = max, .on_conflict = shm::OnConflict::kReplace})
            .ok());
  }
  WEIR_CHECK(declare_pool(segment, self.id(), s.declaration("a", max)).ok());
}
ShmScenario::Part by_the_actor(std::uint32_t max) {
  return [max](Stage& s) { declare_max_as(s, *s.actor, max); };
}
// Whoever declares next finishes what was begun.
ShmScenario::Part by_me(std::uint32_t max) {
  return [max](Stage& s) { declare_max_as(s, *s.me, max); };
}
void declare_new(Stage& s, const shm::Membership& self) {
  const auto quota = declare_quota(s.world.segment(), self.id(), {.name = "new", .limit = 1});
  WEIR_CHECK(quota.ok() && quota.value().row == 0);
  shm::PoolDeclaration declaration = s.declaration("c", 1);
  declaration.quota = quota.value().row;
  const auto pool = declare_pool(s.world.segment(), self.id(), declaration);
  WEIR_CHECK(pool.ok() && pool.value().row == 2);
  s.b = *shm::PoolRef::find(s.world.segment(), pool.value().row);
}
// Another server under the name of pool b: possible since nobody else uses it.
void declare_anew(Stage& s, const shm::Membership& self) {
  shm::PoolDeclaration declaration = s.declaration("c", 1);
  declaration.driver = "other";
  declaration.fingerprint = 7;
  WEIR_CHECK(declare_pool(s.world.segment(), self.id(), declaration).ok());
}

}  // namespace

std::vector<ShmScenario> shm_scenarios() {
  return {
      // ---- acquire, wait, time out, cancel ----
      {.name = "Acquire", .stage = kShared, .act = [](Stage& s) { acquire(s, Deadline::never()); }},
      {.name = "TakeAndReleaseOfAQuota",
       .stage = kShared,
       .act =
           [](Stage& s) {
             acquire(s, Deadline::never());
             move_place(s.a, s.actor->id(), s.held->room, PlaceState::kIdle);
             move_place(s.a, s.actor->id(), s.held->room, PlaceState::kUsed);
             release(s);
           },
       .wanted = &Stage::b},
      {.name = "WaitAndBeServed",
       .first = hold_mine,
       .act = [](Stage& s) { acquire(s, Deadline::never()); },
       .meanwhile = give_once_it_waits},
      {.name = "WaitAndBeServedOnAQuota",
       .stage = kShared,
       .first = hold_mine,
       .act = [](Stage& s) { acquire(s, Deadline::never()); },
       .meanwhile = give_once_it_waits,
       .wanted = &Stage::b},
      {.name = "WaitAndTimeOut",
       .first = hold_mine,
       .act = [](Stage& s) { acquire(s, Deadline::after(3ms)); }},
      {.name = "Cancel",
       .first = hold_mine,
       .prepare = enter_a,
       .act =
           [](Stage& s) { s.room = RoomUser(s.a, *s.actor, s.confirm()).leave_line(*s.waiter); }},
      {.name = "CancelWhatWasOffered",
       .first = hold_mine,
       .prepare = enter_a,
       .then =
           [](Stage& s) {
             give_mine(s);
             wait_in_a(s);
           },
       .act =
           [](Stage& s) {
             RoomUser user(s.a, *s.actor, s.confirm());
             s.room = user.leave_line(*s.waiter);
             if (s.room) user.release(*s.room);
           }},
      {.name = "EnterAndMatch",
       .act =
           [](Stage& s) {
             enter_a(s);
             match(s.a, s.actor->id());
           }},
      {.name = "EnterAndMatchForAnother",
       .then = wait_in_a,
       .act =
           [](Stage& s) {
             enter_a(s);
             match(s.a, s.actor->id());
           }},
      {.name = "AcceptAnOffer",
       .first = hold_mine,
       .prepare = enter_a,
       .then = give_mine,
       .act =
           [](Stage& s) {
             s.room = accept_offer(s.a, s.actor->id(), *s.waiter, s.waiter->word());
             (void)s.waiter->leave(s.waiter->word());
             if (s.room) connect(s);  // else it stood still for too long, and it is another's
           }},
      {.name = "TakeBackAClaim",
       .prepare = enter_a,
       .then =
           [](Stage& s) {
             // A giver that died between claiming and offering; the place is free again.
             WEIR_CHECK(claim(s.a, *look_at_line(s.a, s.me->id()).oldest, 0));
             wait_in_a(s);
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

      // ---- release, give, match ----
      {.name = "ReleaseToAWaiter", .prepare = hold, .then = wait_in_a, .act = release},
      {.name = "ReleaseToAWaiterOfAnotherPool",
       .stage = kShared,
       .prepare = hold,
       .then = wait_in_b,
       .act = release,
       .wanted = &Stage::b},
      {.name = "GrantWithinTheWorker",
       .prepare =
           [](Stage& s) {
             hold(s);
             enter_a(s);
           },
       .then = wait_in_a,
       .act =
           [](Stage& s) {
             const auto view = look_at_line(s.a, s.actor->id());
             if (!view.oldest_own || !grant(s.a, *view.oldest_own, s.held->room.place)) return;
             (void)s.waiter->leave(s.waiter->word());
             release(s);
           }},
      {.name = "MatchForAnotherPool",
       .stage = kShared,
       .then = wait_in_b,
       .act = [](Stage& s) { match(s.a, s.actor->id()); },
       .wanted = &Stage::b},
      {.name = "RevokeAnOffer",
       .first =
           [](Stage& s) {
             hold_mine(s);
             s.my_other_waiter = enter(s.a, *s.me);  // is offered the place and does not take it
             give_mine(s);
           },
       .then = wait_in_a,
       .act =
           [](Stage& s) {
             revoke_offers(s.a, s.actor->id(), monotonic_ns() + 2 * shm::kOfferPatienceNs);
           }},
      {.name = "FreeVoidPermits",
       .stage = kShared,
       .first =
           [](Stage& s) {
             const auto room = take_room(s.a, s.me->id());
             s.a.places()[room->place].store(room->word.to_free().raw());
           },
       .then = wait_in_b,
       .act =
           [](Stage& s) {
             free_void_permits(s.a);
             match(s.a, s.actor->id());
           },
       .wanted = &Stage::b},

      // ---- live handover ----
      {.name = "GiveLive",
       .first = open_mine,
       .prepare = hold_with_an_inbox,
       .then = wait_in_a,
       .act = give,
       .moves = true},
      {.name = "GiveLiveToAFullMailbox",
       .first = open_mine,
       .prepare = hold_with_an_inbox,
       .then =
           [](Stage& s) {
             wait_in_a(s);
             const FileDescriptor any(dup(0));
             while (s.my_inbox->mailbox().send(s.me->id(), {}, any.get()) == shm::Sent::kSent)
               continue;
           },
       .act = give,
       .most_deeds = 40},
      {.name = "ReceiveLive",
       .first =
           [](Stage& s) {
             open_mine(s);
             hold_mine(s);
           },
       .prepare =
           [](Stage& s) {
             s.inbox = open_inbox(s, *s.actor);
             enter_a(s);
           },
       .then = give_mine_live,
       .act = receive,
       .moves = true},
      {.name = "ReceiveLiveNothing",  // its giver died before it sent
       .prepare =
           [](Stage& s) {
             s.inbox = open_inbox(s, *s.actor);
             hold(s);
             CountingServer::close(s.held->session);
             s.a.places()[0].store(s.held->room.word.to(PlaceState::kParked, s.actor->id()).raw());
           },
       .then = wait_in_a,
       .act = [](Stage& s) { (void)s.inbox->receive(s.a); }},
      {.name = "ReapAGiver",
       .first =
           [](Stage& s) {
             open_mine(s);
             wait_in_a(s);
           },
       .prepare = [](Stage& s) { s.let_a_giver_die(); },
       .act = [](Stage& s) { (void)reap(s.world.segment(), s.actor->id()); },
       .moves = true,
       .most_deeds = 50},
      {.name = "ReapAReceiver",
       .first =
           [](Stage& s) {
             open_mine(s);
             hold_mine(s);
           },
       .then =
           [](Stage& s) {
             s.let_a_receiver_die();
             wait_in_a(s);
           },
       .act = [](Stage& s) { (void)reap(s.world.segment(), s.actor->id()); },
       .most_deeds = 40},
      {.name = "OpenAndLeaveAMailbox",
       .then = wait_in_a,
       .act =
           [](Stage& s) {
             s.inbox = open_inbox(s, *s.actor);
             s.inbox->close();
             s.actor->leave();
           },
       .most_deeds = 40},

      // ---- what the dead left ----
      {.name = "Reap",
       .prepare = [](Stage& s) { s.let_somebody_die(); },
       .then = wait_in_a,
       .act = [](Stage& s) { (void)reap(s.world.segment(), s.actor->id()); }},
      {.name = "SettleWhatLingers",
       .stage = kShared,
       .prepare =
           [](Stage& s) {
             s.let_somebody_die();
             (void)reap(s.world.segment(), s.actor->id());
           },
       .then = wait_in_b,
       .act =
           [](Stage& s) {
             const auto seen = place_word(s.a, 0);
             while (!s.server.is_gone(s.a.global(0), seen.occ())) {
             }
             settle_lingering(s.a, s.actor->id(), 0, seen);
           },
       .wanted = &Stage::b},
      {.name = "SettleWhatIsOverdue",
       .stage = kShared,
       .prepare =
           [](Stage& s) {
             s.let_somebody_die();
             (void)reap(s.world.segment(), s.actor->id());
             const auto seen = place_word(s.a, 0);
             WEIR_CHECK(poll_until([&] { return s.server.is_gone(s.a.global(0), seen.occ()); }));
           },
       .then = wait_in_b,
       .act =
           [](Stage& s) {
             const std::uint64_t later = monotonic_ns() + 3'600'000'000'000u;
             shm::settle_overdue(s.world.segment(), s.actor->id(), later);
           },
       .wanted = &Stage::b},

      // ---- join, leave ----
      {.name = "Join", .joins = false, .act = [](Stage& s) { s.actor = s.world.join("actor"); }},
      {.name = "JoinInADeadOnesRow",
       .joins = false,
       .prepare = [](Stage& s) { s.let_somebody_die(); },
       .then = wait_in_a,
       .act = [](Stage& s) { s.actor = s.world.join("actor"); }},
      {.name = "Leave",
       .prepare =
           [](Stage& s) {
             hold(s);
             enter_a(s);
           },
       .then = wait_in_a,
       .act = [](Stage& s) { s.actor->leave(); }},

      // ---- declare, resize ----
      {.name = "Declare",
       .fresh = true,
       .act = [](Stage& s) { declare_new(s, *s.actor); },
       .after = [](Stage& s) { declare_new(s, *s.me); },
       .wanted = &Stage::b},
      {.name = "DeclareForAnotherServer",
       .fresh = true,
       .first =
           [](Stage& s) {
             // By somebody who is gone: what I declare myself I am believed to use.
             WorkerProcess other([&] {
               const auto worker = s.world.join("other");
               return declare_pool(s.world.segment(), worker->id(), s.declaration("c", 2)).ok() ? 0
                                                                                                : 1;
             });
             WEIR_CHECK(other.wait() == 0);
           },
       .act = [](Stage& s) { declare_anew(s, *s.actor); },
       .after = [](Stage& s) { declare_anew(s, *s.me); }},
      {.name = "Shrink",
       .stage = kTwoShared,
       .first = by_me(2),
       .act = by_the_actor(1),
       .after = by_me(1)},
      {.name = "ShrinkUnderLeases",
       .stage = kTwoShared,
       .first =
           [](Stage& s) {
             by_me(2)(s);
             const auto below = take_room(s.a, s.me->id());
             hold_mine(s);  // the place that goes out of service
             leave_room(s.a, s.me->id(), below->place, below->word);
           },
       .prepare = hold,
       .act = by_the_actor(1),
       .after = by_me(1)},
      {.name = "Grow",
       .stage = kTwoShared,
       .first = by_me(1),
       .act = by_the_actor(2),
       .after = by_me(2)},
      {.name = "GrowForAWaiter",
       .stage = kTwo,
       .first =
           [](Stage& s) {
             by_me(1)(s);
             hold_mine(s);
           },
       .then = wait_in_a,
       .act = by_the_actor(2),
       .after = by_me(2)},
      {.name = "ReleaseWhileItShrinks",
       .stage = kTwoShared,
       .first = by_me(2),
       .prepare = hold,
       .then = by_me(1),
       .act = release},
  };
}

}  // namespace weir::test
