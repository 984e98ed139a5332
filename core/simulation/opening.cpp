// Connects, with their turns, and the breaker: the rules of core/pool/opening.cpp, breaking.cpp and
// shm/turns.h. And the server, which may go away.
#include <algorithm>

#include "simulation/machine.h"

namespace weir::simulation {

using policy::BreakerState;

// ---- room ---------------------------------------------------------------------------------------

bool Machine::has_room(std::uint32_t worker) const {
  return places_.open() < std::min(limit_, workers_[worker].size.max);
}

bool Machine::is_at_cap(std::uint32_t worker) const {
  const std::uint32_t cap = workers_[worker].size.max_per_worker;
  return cap != 0 && places_.of(worker) >= cap;
}

std::uint32_t Machine::free_turns() const {
  const std::uint32_t turns = settings_.pool.connect_concurrency;
  const std::uint32_t free = turns - std::min(turns, turns_out_);
  if (breaker_.is_closed()) return free;
  return breaker_.lets_try(now_us_) ? std::min(free, 1u) : 0;
}

std::uint32_t Machine::take_room(std::uint32_t worker) {
  const std::optional<std::uint32_t> place = places_.first_free();
  if (!place || free_turns() == 0) return kNobody;
  ++turns_out_;
  has_probe_[*place] = breaker_.begin() ? 1 : 0;
  places_[*place] = Place();
  places_[*place].call = kNobody;
  places_.move(*place, PlaceState::kOpening, worker);
  return *place;
}

std::uint32_t Machine::take_opening(std::uint32_t worker) {
  if (line_.anybody() || is_at_cap(worker) || !has_room(worker)) return kNobody;
  return take_room(worker);
}

void Machine::leave_room(std::uint32_t place) {
  --turns_out_;
  breaker_.end(has_probe_[place] != 0);
  places_.move(place, PlaceState::kFree, 0);
}

// Free room to those who wait, oldest first, as far as there are turns.
void Machine::match() {
  while (line_.anybody() && free_turns() > 0) {
    const std::optional<Waiter> who = line_.oldest(short_classes(), [this](std::uint32_t worker) {
      return !is_at_cap(worker) && has_room(worker);
    });
    if (!who) return;
    const std::uint32_t place = take_room(worker_of(who->call));
    if (place == kNobody) return;
    leave_line(who->call);
    calls_[who->call].state = CallState::kClaimed;
    calls_[who->call].place = place;
    events_.add(now_us_ + settings_.mechanics.wake_us, EventKind::kConnect, who->call, place);
  }
}

// ---- a connect ----------------------------------------------------------------------------------

void Machine::connect_offered(std::uint32_t call, std::uint32_t place) {
  if (calls_[call].state == CallState::kClaimed && calls_[call].place == place) {
    return begin_connect(place, call);
  }
  leave_room(place);  // it ran out of time meanwhile
  match();
}

/// `call` kNobody: ahead of demand.
void Machine::begin_connect(std::uint32_t place, std::uint32_t call) {
  if (call != kNobody) {
    calls_[call].state = CallState::kConnecting;
    calls_[call].place = place;
  }
  Place& one = places_[place];
  one.call = call;
  one.session = session_;
  one.opened_us = now_us_;
  const Mechanics& takes = settings_.mechanics;
  events_.add(now_us_ + (is_up_ ? takes.connect_us : takes.refuse_us), EventKind::kConnected, 0,
              place);
}

void Machine::connected(std::uint32_t place) {
  if (!is_up_ || is_broken(place)) return connect_failed(place);
  Place& one = places_[place];
  --turns_out_;
  breaker_.end(has_probe_[place] != 0);
  const bool was_closed = breaker_.is_closed();
  breaker_.note_answer();
  ++ledger_.counts().opens;
  windows_.note(now_us_, Happened::kConnect);
  windows_.note_connect(now_us_, now_us_ - one.opened_us);
  one.opened_us = one.checked_us = one.idle_since_us = now_us_;
  // Up to a tenth is taken off each one's life (core/pool/opening.cpp).
  const auto life_us =
      static_cast<double>(settings_.pool.max_lifetime_ms) * 1000 * (1 - draw() / 10);
  one.expires_us = settings_.pool.max_lifetime_ms == 0
                       ? 0
                       : now_us_ + static_cast<std::uint64_t>(std::min(life_us, 1e15));
  workers_[one.worker].last_connect_us = now_us_;
  places_.move(place, PlaceState::kUsed, one.worker);
  const std::uint32_t call = one.call;
  if (call != kNobody && calls_[call].state == CallState::kConnecting &&
      calls_[call].place == place) {
    got(call, place, true);
  } else {
    serve(place);
  }
  note_breaker(was_closed);
  match();
}

void Machine::connect_failed(std::uint32_t place) {
  const std::uint32_t worker = places_[place].worker, call = places_[place].call;
  ++ledger_.counts().connect_failures;
  windows_.note(now_us_, Happened::kConnectFailure);
  note_no_answer(worker, has_probe_[place] != 0);
  leave_room(place);
  if (call == kNobody) {
    // Exponential with full jitter, as Pool::backoff_ns, while the breaker does not say when.
    const std::uint32_t doublings = std::min(breaker_.failures(), 9u);
    const double most_us = std::min(100e3 * static_cast<double>(1u << doublings), 30e6);
    workers_[worker].next_fill_us =
        breaker_.is_closed() ? now_us_ + static_cast<std::uint64_t>(draw() * most_us) : 0;
  } else if (calls_[call].state == CallState::kConnecting && calls_[call].place == place) {
    if (!settings_.pool.retries_connects) {
      finish(call, End::kFailed);
    } else if (breaker_.is_closed()) {
      constexpr std::uint64_t kPauseUs = 4'000;  // core/pool/pool.cpp: find
      calls_[call].state = CallState::kPausing;
      events_.add(now_us_ + kPauseUs, EventKind::kRetry, call);
    } else {
      find(call);  // in line: the breaker says when
    }
  }
  match();
}

// ---- the breaker --------------------------------------------------------------------------------

// As Pool::refusal: who could be helped by a connect alone, while nobody may try one.
bool Machine::is_refused(std::uint32_t worker) const {
  if (breaker_.is_closed() || settings_.pool.retries_connects) return false;
  const bool room = has_room(worker) && !is_at_cap(worker);
  if (room && free_turns() > 0) return false;
  const bool is_live = settings_.pool.handover == Handover::kLive;
  const bool may_be_sent_one =
      !places_.idle_of(worker).empty() ||
      (is_live && places_.in(PlaceState::kIdle) + places_.in(PlaceState::kMoving) > 0);
  return !may_be_sent_one && (room || places_.used() == 0);
}

void Machine::refuse_waiters() {
  if (settings_.pool.retries_connects) return;
  for (const std::uint32_t call : line_.calls()) {
    if (calls_[call].state != CallState::kWaiting || !is_refused(worker_of(call))) continue;
    leave_line(call);
    finish(call, End::kRefused);
  }
}

void Machine::note_no_answer(std::uint32_t worker, bool by_probe) {
  if (!breaker_.note_no_answer(by_probe)) return;
  if (workers_[worker].policy->has_own_breaker()) {
    events_.add(now_us_ + settings_.mechanics.wake_us, EventKind::kAskBreaker, worker);
    return;
  }
  policy::PoolView seen = view(worker);
  seen.attempt_failed = true;
  decide_breaker(policy::FixedPolicy::breaker_for(seen));
}

void Machine::ask_breaker(std::uint32_t worker) {
  policy::PoolView seen = view(worker);
  seen.attempt_failed = true;
  decide_breaker(workers_[worker].policy->breaker(seen));
}

void Machine::decide_breaker(const policy::BreakerDecision& decision) {
  const BreakerState before = breaker_.state();
  breaker_.decide(decision, now_us_);
  if (breaker_.state() == BreakerState::kOpen && before != BreakerState::kOpen) refuse_waiters();
  note_breaker(before == BreakerState::kClosed);
}

// Once it is closed again those in line are offered room, and warm floors are filled.
void Machine::note_breaker(bool was_closed) {
  if (was_closed || !breaker_.is_closed()) return;
  match();
  for (std::uint32_t worker = 0; worker < workers_.size(); ++worker) fill_warm(worker);
}

// ---- the server ---------------------------------------------------------------------------------

// Every session ends: whoever works on one knows at once, whoever has it idle does not.
void Machine::go_down() {
  is_up_ = false;
  ++session_;
  for (std::uint32_t place = 0; place < places_.size(); ++place) {
    const Place& one = places_[place];
    if (one.state != PlaceState::kUsed || one.call == kNobody) continue;
    const std::uint32_t call = one.call;
    if (calls_[call].state != CallState::kHolding || calls_[call].place != place) continue;
    close(place);
    finish(call, End::kFailed);
  }
}

}  // namespace weir::simulation
