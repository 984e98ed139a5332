// Standing in line: one wait, many sources. A connection given back in this worker comes as
// GRANTED, an empty place from anywhere as CLAIMED and an offer; both end in the same waiter word.
#include <algorithm>

#include "pool/wait.h"
#include "shm/lingering.h"
#include "shm/reaper.h"

namespace weir::pool {

using shm::Waiter;
using shm::WaiterState;
using shm::WaiterWord;

namespace {

// A giver is between claiming and offering for well below a microsecond unless it stopped or died.
constexpr std::uint64_t kClaimPatienceNs = 1'000'000;

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

// Whether the pool has room and its quota has not.
bool Pool::lacks_only_a_permit() const {
  return shm::places_for(ref(), shm::kNotInLine) > 0 && !shm::may_have_permit(ref());
}

// Whether what a waiter was granted is still ours to lend: not if this worker was believed dead
// meanwhile, and the place settled.
Status Pool::is_granted(PlaceIndex place) const {
  const PlaceWord word(cell(place).load());
  if (is_valid() && word.state() == PlaceState::kUsed && word.belongs_to(self())) return Status();
  wake_keeper();  // it fences this worker, if that is so
  return Status(Code::kNotOpen,
                "pool " + config().name + ": what this caller was given was taken away; try again");
}

Result<Loan> Pool::wait_in_line(const Request& request, std::uint64_t started_ns) {
  Wait wait(*this, request, started_ns);
  WEIR_TRY(wait.enter());
  while (true) {
    switch (wait.step()) {
      case Wait::Next::kSleep:
        wait.waiter().wait(Deadline::at_ns(wait.sleeps_until_ns()));
        break;
      case Wait::Next::kGot:
        return wait.loan();
      case Wait::Next::kConnect:
        return connect(wait.opening(), request, started_ns);
      case Wait::Next::kFailed:
        return wait.status();
    }
  }
}

// ---- Wait -------------------------------------------------------------------------------------

Status Pool::Wait::enter() {
  waiter_ = Waiter::enter(pool_.ref(), pool_.self(), request_.deadline, request_.label,
                          pool_.config().max_waiting, request_.klass);
  if (!waiter_) {
    WEIR_TRY(pool_.is_open());  // or this worker is believed dead
    pool_.book_.add(shm::Counter::kTooManyWaiters);
    return pool_.not_available(Code::kTooManyWaiters, request_, started_ns_, "the line is full");
  }
  if (pool_.parts_.events.is_heard() && pool_.lacks_only_a_permit()) {
    pool_.tell({.kind = EventKind::kQuotaDenied, .label = request_.label});
  }
  waiter_->set_local_only(pool_.at_worker_cap());
  if (request_.cancellation != nullptr) {
    waking_.emplace(request_.cancellation, pool_.parts_.segment.waiters()[waiter_->row()].futex);
  }
  shm::match(pool_.ref(), pool_.self());
  pool_.serve_idle();
  pool_.ring_whoever_has_idle(false);
  // What was left idle for a thread that then did not come is looked for when its time is over.
  const std::uint64_t after_ns = pool_.handover_after_ns_;
  next_tick_ns_ =
      waiter_->since_ns() + (after_ns == 0 ? kTickFirstNs : std::min(kTickFirstNs, after_ns));
  return Status();
}

void Pool::Wait::leave_ticks_to_keeper() {
  ticks_ = false;
  waiter_->ring_keeper();
}

bool Pool::Wait::is_over(std::uint64_t now_ns) const {
  return gives_up_ || request_.deadline.passed(now_ns) || pool_.is_given_up(request_) ||
         pool_.is_closed() || pool_.is_paused() || !pool_.is_valid() ||
         pool_.parts_.segment.is_poisoned();
}

void Pool::Wait::got_it() {
  const std::uint64_t waited_ns = monotonic_ns() - started_ns_;
  pool_.book_.add(shm::Counter::kAcquiresWaited);
  pool_.book_.add(shm::Counter::kWaitNs, waited_ns);
  pool_.book_.record(shm::Histogram::kWait, waited_ns);
}

Pool::Wait::Next Pool::Wait::failed(Status status) {
  status_ = std::move(status);
  waking_.reset();
  return Next::kFailed;
}

Pool::Wait::Next Pool::Wait::give_up() {
  gives_up_ = true;
  while (true) {
    const Next next = step();
    if (next != Next::kSleep) return next;
    waiter_->wait(Deadline::at_ns(sleeps_until_ns_));  // for who has just claimed us: 1 ms at most
  }
}

Pool::Wait::Next Pool::Wait::step() {
  while (true) {
    waiter_->clear_wake();
    const WaiterWord seen = waiter_->word();
    if (waiter_->is_lost(seen)) {
      pool_.wake_keeper();  // it fences this worker
      return failed(Status(Code::kNotOpen, "pool " + pool_.config().name +
                                               ": this worker was believed dead while it waited; "
                                               "try again"));
    }
    const std::uint64_t now_ns = monotonic_ns();
    const bool over = is_over(now_ns);
    std::optional<Next> next;
    if (seen.state() == WaiterState::kGranted) {
      next = take_grant(seen);
    } else if (seen.state() == WaiterState::kClaimed) {
      next = take_claim(seen, now_ns, over);
    } else if (over) {
      if (waiter_->leave(seen)) next = leave_late();
    } else if (Status refused = pool_.refusal(); !refused.ok()) {
      if (waiter_->leave(seen)) next = leave_refused(std::move(refused));
    } else if (ticks_ && now_ns >= next_tick_ns_) {
      waiter_->set_local_only(pool_.at_worker_cap());
      pool_.tick();
      if (++tick_ % kRingEvery == 0) pool_.ring_whoever_has_idle(tick_ % kRingAllEvery == 0);
      next_tick_ns_ = monotonic_ns() + (waiter_->ahead() < kFirst ? kTickFirstNs : kTickRestNs);
      // something may have come of it
    } else {
      const Deadline tick = ticks_ ? Deadline::at_ns(next_tick_ns_) : Deadline::never();
      sleeps_until_ns_ = request_.deadline.earlier_of(tick).ns();
      next = Next::kSleep;
    }
    if (!next) continue;
    if (*next != Next::kSleep) waking_.reset();
    return *next;
  }
}

// The connection is ours: the grant was the handing over, whatever the clock says.
std::optional<Pool::Wait::Next> Pool::Wait::take_grant(WaiterWord seen) {
  const std::optional<PlaceIndex> place = pool_.ref().local(seen.what());
  if (!waiter_->leave(seen)) return std::nullopt;
  if (place) {
    Status granted = pool_.is_granted(*place);
    if (!granted.ok()) return failed(std::move(granted));
  } else {
    pool_.parts_.segment.poison("a waiter was granted place " + std::to_string(seen.what()));
  }
  if (!place || !pool_.is_to_be_lent(*place)) return failed(pool_.parts_.segment.usable());
  got_it();
  loan_ = pool_.lend(*place, request_.label, request_.klass, started_ns_);
  return Next::kGot;
}

std::optional<Pool::Wait::Next> Pool::Wait::take_claim(WaiterWord seen, std::uint64_t now_ns,
                                                       bool over) {
  const shm::PoolRef& ref = pool_.ref();
  const shm::WorkerId self = pool_.self();
  std::optional<shm::Room> room = shm::accept_offer(ref, self, *waiter_, seen);
  if (!room && seen.inc() != claimed_inc_) {
    claimed_inc_ = seen.inc();
    claimed_since_ns_ = now_ns;
  }
  const bool comes_live = !room && shm::is_on_its_way(ref, self, seen);
  if (comes_live) {
    pool_.receive();
    if (waiter_->word() != seen) return std::nullopt;
  }
  const std::uint64_t patience_ns = comes_live ? shm::kHandoverPatienceNs : kClaimPatienceNs;
  if (!room && !over && now_ns < claimed_since_ns_ + patience_ns) {
    sleeps_until_ns_ = claimed_since_ns_ + patience_ns;
    return Next::kSleep;
  }
  const bool too_many = room && pool_.above_worker_cap();
  if (too_many) waiter_->set_local_only(true);  // else it would be offered the next one
  const std::optional<shm::Turn> turn = room && !over && !too_many && pool_.is_vacant(room->place)
                                            ? shm::take_turn(ref, self, now_ns)
                                            : std::nullopt;
  if (turn) {
    // Ours and a turn to connect: out of the line. Only we leave CLAIMED.
    waiter_->leave(seen);
    got_it();
    opening_ = Opening{*room, *turn};
    return Next::kConnect;
  }
  // No offer came, nobody may connect just now, or it is too late: back in line or out of it. What
  // had been offered is looked at once more afterwards, since the giver looks once more as well.
  const bool out = over ? waiter_->leave(seen) : waiter_->take_back(seen);
  if (!out) {
    put_back(room);
    return std::nullopt;
  }
  if (!room) {
    pool_.book_.add(shm::Counter::kTakenBack);
    room = shm::accept_offer(ref, self, *waiter_, seen);
  }
  put_back(room);
  pool_.receive();  // it may have been parked before its giver saw that nobody is claimed any more
  if (!over) shm::raise_demand(ref);
  shm::match(ref, self);
  return over ? std::optional<Next>(leave_late()) : std::nullopt;
}

void Pool::Wait::put_back(const std::optional<shm::Room>& room) {
  if (room) shm::leave_room(pool_.ref(), pool_.self(), room->place, room->word);
}

// Nobody may connect, and nothing else could serve it. REQUIRES: it has left.
Pool::Wait::Next Pool::Wait::leave_refused(Status refused) {
  shm::match(pool_.ref(), pool_.self());
  return failed(std::move(refused));
}

// Out of the line without anything. REQUIRES: it has left.
Pool::Wait::Next Pool::Wait::leave_late() {
  if (gives_up_ || pool_.is_given_up(request_)) {
    return failed(pool_.cancelled(request_, started_ns_));
  }
  Status open = pool_.is_open();
  if (!open.ok()) return failed(std::move(open));
  pool_.book_.record(shm::Histogram::kWait, monotonic_ns() - started_ns_);
  return failed(pool_.too_late(request_, started_ns_, "the deadline passed in line"));
}

}  // namespace weir::pool
