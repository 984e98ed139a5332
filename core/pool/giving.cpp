// Who gets a connection that is given back, and an idle one that somebody elsewhere waits for.
#include <algorithm>

#include "pool/pool.h"
#include "shm/reserve.h"

namespace weir::pool {

using shm::Candidate;
using shm::LineView;

namespace {

// A server answers a goodbye within a few milliseconds. One that takes longer is not waited for.
constexpr std::uint64_t kCloseSoonNs = 50'000'000;

bool is_elsewhere(const std::optional<Candidate>& who, shm::WorkerId self) {
  return who && who->word.owner_row() != self.row;
}

}  // namespace

// Whether somebody elsewhere is next whom no connection of ours can be sent to, and this worker has
// had its connections for long enough that one of them should make room there. An empty place goes
// there once the server has let go: that costs a connect, and the quantum keeps two busy workers
// from reconnecting for each request of theirs.
bool Pool::may_make_room(const LineView& view) const {
  const std::uint64_t quantum_ns =
      static_cast<std::uint64_t>(Nanos(config().permit_quantum).count());
  if (config().handover == config::Handover::kOff) return false;
  // Nobody can connect in the room made while the server is believed down.
  const bool elsewhere = shm::breaker_of(ref()).is_closed() && is_elsewhere(view.oldest, self()) &&
                         !is_sent_live_to(view.oldest->word.owner_row());
  const bool mate = shm::mate_goes_first(ref(), view);
  if (!elsewhere && !mate) return false;
  if (monotonic_ns() < last_connect_ns_.load(std::memory_order_relaxed) + quantum_ns) return false;

  // As many as wait elsewhere need room, no more: what is free or about to be counts.
  const std::uint32_t closing = closing_soon();
  if (elsewhere && closing + rooms_to_take(view) < view.waiting - view.waiting_here) return true;
  return mate && closing < view.waiting_mates;
}

// Places that a goodbye is about to free. Not one whose worker stands still, nor one that is being
// closed in the middle of something: others must not wait for these.
std::uint32_t Pool::closing_soon() const {
  const std::uint64_t now = now_ns();
  std::uint32_t closing = 0;
  for (PlaceIndex place = 0; place < ref().capacity(); ++place) {
    const PlaceWord word(cell(place).load(std::memory_order_relaxed));
    if (word.state() != PlaceState::kClosing) continue;
    const shm::PlaceInfo& info = ref().info(place);
    const bool soon = info.closing_busy.load(std::memory_order_relaxed) == 0 &&
                      now < info.since_ns.load(std::memory_order_relaxed) + kCloseSoonNs;
    closing += soon ? 1 : 0;
  }
  return closing;
}

// Free places that the oldest in line could connect in now.
std::uint32_t Pool::rooms_to_take(const LineView& view) const {
  if (!shm::may_have_permit(ref())) return 0;
  return std::min(shm::places_for(ref(), view.oldest->since_ns),
                  shm::free_turns(ref(), monotonic_ns()));
}

// The waiter of this worker that a connection of ours goes to now: the oldest of its own, unless
// this worker owes room to somebody elsewhere, or to another pool of the quota.
const Candidate* Pool::whom_to_grant(const LineView& view) const {
  return view.oldest_own && !may_make_room(view) ? &*view.oldest_own : nullptr;
}

bool Pool::is_wanted_by(const LineView& view) const {
  return whom_to_send(view) || whom_to_grant(view) != nullptr || may_make_room(view);
}

// Whether somebody waits whom a connection of ours could serve now. Nobody at all: says so in
// demand.
bool Pool::is_wanted() const {
  if (!is_demanded() || is_paused()) return false;
  const LineView view = shm::look_at_line(ref(), self());
  if (!view.anybody()) return !shm::lower_demand(ref(), self());
  return is_wanted_by(view);
}

// The same, but only if whom it would serve has waited for long enough: handover_after, or half of
// it in this worker. That cannot be so before a time known from the last look: whoever comes later
// is owed later.
bool Pool::is_owed(std::uint64_t now_ns) {
  if (now_ns < owed_from_ns_.load(std::memory_order_relaxed)) return false;
  const LineView view = shm::look_at_line(ref(), self());
  if (!view.anybody()) return !shm::lower_demand(ref(), self());
  const std::uint64_t owed_from = owed_from_ns(view, now_ns);
  owed_from_ns_.store(owed_from, std::memory_order_relaxed);
  return now_ns >= owed_from && is_wanted_by(view);
}

std::uint64_t Pool::owed_from_ns(const LineView& view, std::uint64_t now_ns) const {
  const std::uint64_t keeps_until =
      last_connect_ns_.load(std::memory_order_relaxed) +
      static_cast<std::uint64_t>(Nanos(config().permit_quantum).count());
  std::uint64_t from = now_ns;
  if (view.oldest_own) from = std::min(from, view.oldest_own->since_ns);
  from += turn_ns_;
  for (const std::optional<Candidate>& who : {view.oldest, view.oldest_mate}) {
    if (!who) continue;
    const bool sent_live = who->pool == ref().id() && is_sent_live_to(who->word.owner_row());
    from = std::min(from, sent_live ? goes_first_from_ns(*who)
                                    : std::max(who->since_ns + handover_after_ns_, keeps_until));
  }
  return from;
}

// A place that is USED by this worker and nobody's in particular: to who is next, else idle.
void Pool::serve(PlaceIndex place) {
  while (true) {
    if (slots_[place].is_worn_out()) {
      start_closing(place, PlaceState::kUsed, slots_[place].worn_out_by.load());
      return;
    }
    if (is_paused()) {  // whoever is in line is about to leave it with nothing
      set_idle(place);
      return;
    }
    const LineView view = shm::look_at_line(ref(), self());
    if (const std::optional<Candidate> who = whom_to_send(view)) {
      if (send_away(place, *who)) return;
      continue;  // it left, or cannot be sent anything just now
    }
    if (const Candidate* who = whom_to_grant(view)) {
      if (shm::grant(ref(), *who, place)) return;
      continue;  // it left, or somebody was quicker
    }
    if (may_make_room(view)) {
      book_.add(shm::Counter::kHandedOn);
      parts_.log.debug("handed_on", {{"pool", config().name}, {"place", place}});
      start_closing(place, PlaceState::kUsed, CloseReason::kQuotaReclaim);
      return;
    }
    if (!set_idle(place) || !is_wanted() || !take_idle_at(place)) return;
  }
}

// The same for a place whose connection has been idle: before it is anybody's it is checked, if
// that is due, by the keeper.
void Pool::check_and_serve(PlaceIndex place) {
  while (!is_wanted()) {
    if (!set_idle(place) || !is_wanted() || !take_idle_at(place)) return;
  }
  const Slot& slot = slots_[place];
  const std::uint64_t now = now_ns();
  if (is_expired(slot, now)) {
    start_closing(place, PlaceState::kUsed, CloseReason::kLifetime);
  } else if (needs_check(slot, now)) {
    add_check(place);
  } else {
    serve(place);
  }
}

// Idle connections of this worker to those who wait, as many as there are of both.
void Pool::serve_idle() {
  for (PlaceIndex place = 0; place < ref().capacity(); ++place) {
    if (!is_mine_and(cell(place).load(std::memory_order_relaxed), PlaceState::kIdle)) continue;
    if (!is_wanted()) return;
    if (take_idle_at(place)) check_and_serve(place);
  }
}

// Nobody waits for a close: the keeper says goodbye, waits for the server and gives the place on.
void Pool::start_closing(PlaceIndex place, PlaceState from, CloseReason why) {
  // In case we die before the server has let go: whether it has a statement to end first.
  constexpr std::uint32_t kBusy = WEIR_COND_BROKEN | WEIR_COND_UNREAD;
  shm::PlaceInfo& info = ref().info(place);
  const bool has_session =
      from != PlaceState::kOpening || info.token_size.load(std::memory_order_relaxed) != 0;
  const bool busy =
      has_session && (slots_[place].connection.condition(WEIR_LOOK_LOCAL) & kBusy) != 0;
  info.closing_busy.store(busy ? 1 : 0, std::memory_order_relaxed);
  slots_[place].in_hands.store(true);
  book_.add(closed_counter(why));
  tell({.kind = EventKind::kConnClosed, .connection = number_at(place), .reason = why});
  move(place, from,
       PlaceState::kClosing);  // false: settled by others; the connection must go anyway
  Job job;
  job.kind = Job::Kind::kClose;
  job.place = place;
  job.began_ns = monotonic_ns();
  jobs_.add(std::move(job));
  wake_keeper();
}

// Borrowing: rings the keeper of the worker that has had an idle connection of this pool for
// longest; where nobody has one, of another pool of the quota. That one may stand still: a later
// ring is for everybody who has one. A wrong guess costs a wake.
void Pool::ring_whoever_has_idle(bool everybody) const {
  if (ring_idle_of(ref(), everybody) && !everybody) return;
  for (const shm::PoolRef& mate : shm::pools_of_quota(ref())) {
    if (mate.id() != ref().id() && ring_idle_of(mate, everybody) && !everybody) return;
  }
}

// False: no other worker has an idle one in `pool`.
bool Pool::ring_idle_of(const shm::PoolRef& pool, bool everybody) const {
  std::vector<bool> rung(parts_.segment.workers().size());
  std::uint32_t longest_row = shm::kNone;
  std::uint64_t longest_since_ns = UINT64_MAX;
  for (PlaceIndex place = 0; place < pool.capacity(); ++place) {
    const PlaceWord word(pool.places()[place].load(std::memory_order_relaxed));
    const bool mine = pool.id() == ref().id() && word.belongs_to(self());
    if (word.state() != PlaceState::kIdle || mine) continue;
    if (word.idx() >= parts_.segment.workers().size()) continue;  // impossible; reapers say so
    if (everybody && !rung[word.idx()]) {
      rung[word.idx()] = true;
      shm::ring(parts_.segment, word.idx());
    }
    const std::uint64_t since = pool.info(place).since_ns.load(std::memory_order_relaxed);
    if (since < longest_since_ns) {
      longest_since_ns = since;
      longest_row = word.idx();
    }
  }
  if (longest_row == shm::kNone) return false;
  if (!everybody) shm::ring(parts_.segment, longest_row);
  return true;
}

}  // namespace weir::pool
