// Standing in line: one wait, many sources. A connection given back in this worker comes as
// GRANTED, an empty place from anywhere as CLAIMED and an offer; both end in the same waiter word.
#include <algorithm>

#include "pool/pool.h"
#include "shm/lingering.h"
#include "shm/reaper.h"

namespace weir::pool {

using shm::Waiter;
using shm::WaiterState;
using shm::WaiterWord;

namespace {

// A woken waiter looks for what died between freeing and waking: the first in line often, since it
// is their turn; the rest rarely. After a kill the oldest waiter has the place 1.5 ms (median)
// later.
constexpr std::uint64_t kTickFirstNs = 2'000'000;
constexpr std::uint64_t kTickRestNs = 50'000'000;
constexpr std::uint32_t kFirst = 4;
// A giver is between claiming and offering for well below a microsecond unless it stopped or died.
constexpr std::uint64_t kClaimPatienceNs = 1'000'000;
// Every so many ticks a waiter reminds the one that has had an idle connection for longest; every
// so many everybody that has one.
constexpr unsigned kRingEvery = 5;
constexpr unsigned kRingAllEvery = 25;

}  // namespace

// What a waiter looks at by clock, because who should have told it may have died before telling.
void Pool::tick() {
  if (!ticking_ && keep_once_) keep_once_();  // what it waits for may be a close of our own
  const std::uint64_t now_ns = monotonic_ns();
  shm::raise_demand(ref());
  if (parts_.membership.is_sound()) {
    shm::reap_if_due(parts_.segment, self(), now_ns);
    if (const unsigned places = shm::settle_overdue(parts_.segment, self(), now_ns)) {
      parts_.log.info("places_reclaimed", {{"places", places}});
    }
  } else {
    wake_keeper();  // it fences this worker
  }
  receive();
  shm::revoke_offers(ref(), self(), now_ns);
  if (ref().has_quota()) shm::free_void_permits(ref());
  shm::match(ref(), self());
  serve_idle();
}

// Whether what a waiter was granted is still ours to lend: not if this worker was believed dead
// meanwhile, and the place settled.
Status Pool::is_granted(PlaceIndex place) const {
  const PlaceWord word(cell(place).load());
  if (is_valid() && word.state() == PlaceState::kUsed && word.belongs_to(self())) return Status();
  wake_keeper();  // it fences this worker, if that is so
  return Status(Code::kNotOpen,
                "pool " + config_.name + ": what this caller was given was taken away; try again");
}

Result<Loan> Pool::wait_in_line(const Request& request, std::uint64_t started_ns) {
  std::optional<Waiter> entered =
      Waiter::enter(ref(), self(), request.deadline, request.label, config_.max_waiting);
  if (!entered) {
    WEIR_TRY(is_open());  // or this worker is believed dead
    book_.add(shm::Counter::kTooManyWaiters);
    return not_available(Code::kTooManyWaiters, request, started_ns, "the line is full");
  }
  Waiter& waiter = *entered;
  waiter.set_local_only(at_worker_cap());
  const auto got_it = [&] {
    const std::uint64_t waited_ns = monotonic_ns() - started_ns;
    book_.add(shm::Counter::kAcquiresWaited);
    book_.add(shm::Counter::kWaitNs, waited_ns);
    book_.record(shm::Histogram::kWait, waited_ns);
  };

  shm::match(ref(), self());
  serve_idle();
  ring_whoever_has_idle(false);
  // What was left idle for a thread that then did not come is looked for when its time is over.
  std::uint64_t next_tick_ns =
      waiter.since_ns() +
      (handover_after_ns_ == 0 ? kTickFirstNs : std::min(kTickFirstNs, handover_after_ns_));
  std::uint64_t claimed_inc = UINT64_MAX, claimed_since_ns = 0;
  unsigned ticks = 0;

  while (true) {
    waiter.clear_wake();
    const WaiterWord seen = waiter.word();
    if (waiter.is_lost(seen)) {
      wake_keeper();  // it fences this worker
      return Status(Code::kNotOpen, "pool " + config_.name +
                                        ": this worker was believed dead while it waited; try "
                                        "again");
    }
    const std::uint64_t now_ns = monotonic_ns();
    const bool over = request.deadline.passed(now_ns) || is_closed() || !is_valid() ||
                      parts_.segment.is_poisoned();

    if (seen.state() == WaiterState::kGranted) {
      // The connection is ours: the grant was the handing over, whatever the clock says.
      const std::optional<PlaceIndex> place = ref().local(seen.what());
      if (!waiter.leave(seen)) continue;
      if (place) WEIR_TRY(is_granted(*place));
      if (!place)
        parts_.segment.poison("a waiter was granted place " + std::to_string(seen.what()));
      if (!place || !is_to_be_lent(*place)) return parts_.segment.usable();
      got_it();
      return lend(*place, request.label);
    }

    if (seen.state() == WaiterState::kClaimed) {
      std::optional<shm::Room> room = shm::accept_offer(ref(), self(), waiter, seen);
      if (!room && seen.inc() != claimed_inc) {
        claimed_inc = seen.inc();
        claimed_since_ns = now_ns;
      }
      const bool comes_live = !room && shm::is_on_its_way(ref(), self(), seen);
      if (comes_live) {
        receive();
        if (waiter.word() != seen) continue;
      }
      const std::uint64_t patience_ns = comes_live ? shm::kHandoverPatienceNs : kClaimPatienceNs;
      if (!room && !over && now_ns < claimed_since_ns + patience_ns) {
        waiter.wait(Deadline::at_ns(claimed_since_ns + patience_ns));
        continue;
      }
      const bool too_many = room && above_worker_cap();
      if (too_many) waiter.set_local_only(true);  // else it would be offered the next one
      const std::optional<shm::Turn> turn = room && !over && !too_many && is_vacant(room->place)
                                                ? shm::take_turn(ref(), self(), now_ns)
                                                : std::nullopt;
      if (turn) {
        // Ours and a turn to connect: out of the line. Only we leave CLAIMED.
        waiter.leave(seen);
        got_it();
        return connect(Opening{*room, *turn}, request, started_ns);
      }
      // No offer came, nobody may connect just now, or it is too late: back in line or out of it.
      // What had been offered is looked at once more afterwards, since the giver looks once more as
      // well.
      const bool out = over ? waiter.leave(seen) : waiter.take_back(seen);
      if (!out) {
        if (room) shm::leave_room(ref(), self(), room->place, room->word);
        continue;
      }
      if (!room) {
        book_.add(shm::Counter::kTakenBack);
        room = shm::accept_offer(ref(), self(), waiter, seen);
      }
      if (room) shm::leave_room(ref(), self(), room->place, room->word);
      receive();  // it may have been parked before its giver saw that nobody is claimed any more
      if (over) {
        shm::match(ref(), self());
        break;
      }
      shm::raise_demand(ref());
      shm::match(ref(), self());
      continue;
    }

    if (over) {
      if (waiter.leave(seen)) break;
      continue;
    }
    if (Status refused = refusal(); !refused.ok()) {
      if (!waiter.leave(seen)) continue;
      shm::match(ref(), self());
      return refused;
    }
    if (now_ns >= next_tick_ns) {
      waiter.set_local_only(at_worker_cap());
      tick();
      if (++ticks % kRingEvery == 0) ring_whoever_has_idle(ticks % kRingAllEvery == 0);
      next_tick_ns = monotonic_ns() + (waiter.ahead() < kFirst ? kTickFirstNs : kTickRestNs);
      continue;  // something may have come of it
    }
    waiter.wait(request.deadline.earlier_of(Deadline::at_ns(next_tick_ns)));
  }

  WEIR_TRY(is_open());
  book_.record(shm::Histogram::kWait, monotonic_ns() - started_ns);
  return too_late(request, started_ns, "the deadline passed in line");
}

}  // namespace weir::pool
