// Who gets which connection: the rules of core/pool/giving.cpp and core/pool/moving.cpp.
#include <algorithm>
#include <vector>

#include "simulation/machine.h"

namespace weir::simulation {
namespace {

// core/pool/pool.cpp: a thread that is back within this time is there before a woken waiter.
constexpr std::uint64_t kAtOnceUs = 20;

}  // namespace

// ---- who comes first ----------------------------------------------------------------------------

bool Machine::may_pass_the_line(std::uint32_t call) {
  if (!line_.anybody()) return true;
  if (const std::uint32_t its = calls_[call].thread; its != kNobody) {
    Thread& thread = threads_[its];
    if (thread.returned_us != 0) thread.comes_again = now_us_ - thread.returned_us < kAtOnceUs;
    thread.returned_us = 0;
  }
  return !is_owed(worker_of(call));
}

// The one its thread used last, else any of its worker's.
std::uint32_t Machine::take_idle(std::uint32_t call) {
  const std::uint32_t worker = worker_of(call);
  const std::set<std::uint32_t>& idle = places_.idle_of(worker);
  if (idle.empty()) return kNobody;
  const std::uint32_t its = calls_[call].thread;
  const std::uint32_t last = its == kNobody ? kNobody : threads_[its].last_place;
  const std::uint32_t place = idle.contains(last) ? last : *idle.begin();
  places_.move(place, PlaceState::kUsed, worker);
  return place;
}

Line::ShortClasses Machine::short_classes() const {
  const std::vector<PriorityClass>& classes = settings_.pool.classes;
  if (classes.empty()) return 0;
  std::vector<std::uint32_t> used(classes.size() + 1);
  for (std::uint32_t place = 0; place < places_.size(); ++place) {
    const Place& one = places_[place];
    if (one.state == PlaceState::kUsed && one.call != kNobody) ++used[class_of(one.call)];
  }
  Line::ShortClasses shorts = 0;
  for (std::size_t i = 0; i < classes.size() && i < 63; ++i) {
    if (used[i + 1] < classes[i].floor) shorts |= Line::ShortClasses{1} << (i + 1);
  }
  return shorts;
}

// Who waits in a worker that has all it may have waits for one of its own.
std::optional<Machine::Waiter> Machine::oldest() const {
  return line_.oldest(short_classes(), [this](std::uint32_t worker) { return !is_at_cap(worker); });
}

std::uint64_t Machine::turn_us(std::uint32_t worker) const {
  return workers_[worker].size.handover_after_ms * 1000 / 2;
}

std::uint64_t Machine::goes_first_from_us(std::uint32_t worker, const Waiter& who) const {
  const bool is_rich = places_.of(worker) > places_.of(worker_of(who.call)) + 1;
  const std::uint64_t after_us = workers_[worker].size.handover_after_ms * 1000;
  return calls_[who.call].since_us + (is_rich ? turn_us(worker) : after_us);
}

std::optional<Machine::Waiter> Machine::whom_to_send(std::uint32_t worker) const {
  if (settings_.pool.handover != Handover::kLive || line_.size() == line_.size(worker)) {
    return std::nullopt;
  }
  const std::optional<Waiter> first = oldest();
  if (!first || worker_of(first->call) == worker) return std::nullopt;
  const Line::ShortClasses shorts = short_classes();
  const std::optional<Waiter> own = line_.oldest_of(worker, shorts);
  if (own && now_us_ < calls_[first->call].since_us + turn_us(worker)) return std::nullopt;
  const std::optional<Waiter> who = line_.oldest(shorts, [this, worker](std::uint32_t other) {
    return other != worker && !workers_[other].expects && !is_at_cap(other);
  });
  const bool own_first =
      who && own && (own->goes_before(*who) || now_us_ < goes_first_from_us(worker, *who));
  return own_first ? std::nullopt : who;
}

std::optional<Machine::Waiter> Machine::whom_to_grant(std::uint32_t worker) const {
  if (may_make_room(worker)) return std::nullopt;
  return line_.oldest_of(worker, short_classes());
}

bool Machine::may_make_room(std::uint32_t worker) const {
  if (settings_.pool.handover != Handover::kPermit || !breaker_.is_closed()) return false;
  if (line_.size() == line_.size(worker)) return false;
  const std::optional<Waiter> first = oldest();
  if (!first || worker_of(first->call) == worker) return false;
  const std::uint64_t keeps_until =
      workers_[worker].last_connect_us + settings_.pool.permit_quantum_ms * 1000;
  if (now_us_ < keeps_until) return false;
  const std::uint32_t room = limit_ - std::min(limit_, places_.open());
  const std::size_t elsewhere = line_.size() - line_.size(worker);
  return places_.in(PlaceState::kClosing) + std::min(room, free_turns()) < elsewhere;
}

bool Machine::is_wanted(std::uint32_t worker) const {
  return line_.anybody() &&
         (whom_to_send(worker) || whom_to_grant(worker) || may_make_room(worker));
}

bool Machine::is_owed(std::uint32_t worker) const {
  if (!line_.anybody()) return false;
  std::uint64_t from_us = now_us_;
  if (const std::optional<Waiter> own = line_.oldest_of(worker, short_classes())) {
    from_us = std::min(from_us, calls_[own->call].since_us);
  }
  from_us += turn_us(worker);
  if (const std::optional<Waiter> first = oldest()) {
    const std::uint64_t after_us = workers_[worker].size.handover_after_ms * 1000;
    const std::uint64_t keeps_until =
        workers_[worker].last_connect_us + settings_.pool.permit_quantum_ms * 1000;
    from_us =
        std::min(from_us, settings_.pool.handover == Handover::kLive
                              ? goes_first_from_us(worker, *first)
                              : std::max(calls_[first->call].since_us + after_us, keeps_until));
  }
  return now_us_ >= from_us && is_wanted(worker);
}

// ---- giving -------------------------------------------------------------------------------------

// REQUIRES: it is used by its worker, and nobody's in particular.
bool Machine::serve(std::uint32_t place) {
  const std::uint32_t worker = places_[place].worker;
  places_[place].call = kNobody;
  if (const std::optional<Waiter> who = whom_to_send(worker)) {
    if (is_broken(place)) {  // found out when its session is described
      close(place);
      return false;
    }
    send(place, *who);
    return true;
  }
  if (const std::optional<Waiter> who = whom_to_grant(worker)) {
    leave_line(who->call);
    Call& call = calls_[who->call];
    call.state = CallState::kGranted;
    call.place = place;
    places_[place].call = who->call;
    events_.add(now_us_ + settings_.mechanics.wake_us, EventKind::kHas, who->call, place);
    return false;
  }
  if (may_make_room(worker)) {
    close(place);
  } else {
    set_idle(place);
  }
  return false;
}

void Machine::check_and_serve(std::uint32_t place) {
  if (is_expired(place)) return close(place);
  if (!needs_check(place)) {
    serve(place);
    return;
  }
  places_[place].call = kNobody;
  events_.add(now_us_ + settings_.mechanics.check_us, EventKind::kChecked, 0, place);
}

void Machine::checked(std::uint32_t place) {
  if (is_broken(place)) return close(place);
  places_[place].checked_us = now_us_;
  serve(place);
}

void Machine::serve_idle(std::uint32_t worker) {
  if (!line_.anybody()) return;
  const std::set<std::uint32_t>& idle = places_.idle_of(worker);
  const std::vector<std::uint32_t> seen(idle.begin(), idle.end());
  for (const std::uint32_t place : seen) {
    if (!is_wanted(worker)) return;
    places_.move(place, PlaceState::kUsed, worker);
    check_and_serve(place);
  }
}

void Machine::ring_whoever_has_idle(std::uint32_t but, bool everybody) {
  std::uint64_t longest_since_us = UINT64_MAX;
  std::uint32_t longest = kNobody;
  for (std::uint32_t worker = 0; worker < workers_.size(); ++worker) {
    if (worker == but || places_.idle_of(worker).empty()) continue;
    if (everybody) ring(worker);
    for (const std::uint32_t place : places_.idle_of(worker)) {
      if (places_[place].idle_since_us >= longest_since_us) continue;
      longest_since_us = places_[place].idle_since_us;
      longest = worker;
    }
  }
  if (longest != kNobody) ring(longest);
}

void Machine::ring(std::uint32_t worker) {
  if (std::exchange(workers_[worker].is_rung, true)) return;
  events_.add(now_us_ + settings_.mechanics.wake_us, EventKind::kRing, worker);
}

// Until it is taken in it is the receiver's already, and one at a time comes to a worker.
void Machine::send(std::uint32_t place, const Waiter& who) {
  leave_line(who.call);
  const std::uint32_t to = worker_of(who.call);
  Call& call = calls_[who.call];
  call.state = CallState::kClaimed;
  call.place = place;
  places_[place].call = who.call;
  places_.move(place, PlaceState::kMoving, to);
  workers_[to].expects = true;
  ++ledger_.counts().handovers;
  windows_.note(now_us_, Happened::kHandover);
  const Mechanics& takes = settings_.mechanics;
  events_.add(now_us_ + takes.give_us + takes.wake_us + takes.take_us, EventKind::kArrived, 0,
              place);
}

void Machine::arrived(std::uint32_t place) {
  const std::uint32_t worker = places_[place].worker, call = places_[place].call;
  places_.move(place, PlaceState::kUsed, worker);
  workers_[worker].expects = false;
  places_[place].checked_us = places_[place].idle_since_us = now_us_;
  if (calls_[call].state == CallState::kClaimed && calls_[call].place == place) {
    got(call, place, true);
  } else {
    serve(place);
  }
  if (line_.anybody()) ring_whoever_has_idle(worker, false);
}

void Machine::set_idle(std::uint32_t place) {
  places_[place].call = kNobody;
  places_[place].idle_since_us = now_us_;
  places_.move(place, PlaceState::kIdle, places_[place].worker);
}

// It keeps its place until the server has let go.
void Machine::close(std::uint32_t place) {
  places_[place].call = kNobody;
  places_.move(place, PlaceState::kClosing, places_[place].worker);
  ++ledger_.counts().closes;
  windows_.note(now_us_, Happened::kClose);
  events_.add(now_us_ + settings_.mechanics.close_us, EventKind::kClosed, 0, place);
}

bool Machine::is_expired(std::uint32_t place) const {
  return places_[place].expires_us != 0 && now_us_ >= places_[place].expires_us;
}

bool Machine::needs_check(std::uint32_t place) const {
  const std::uint64_t after_us = settings_.pool.validate_after_ms * 1000;
  const Place& one = places_[place];
  return after_us == 0 ||
         (now_us_ >= one.idle_since_us + after_us && now_us_ >= one.checked_us + after_us);
}

}  // namespace weir::simulation
