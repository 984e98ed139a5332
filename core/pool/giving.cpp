// Who gets a connection that is given back, and an idle one that somebody elsewhere waits for.
#include <algorithm>

#include "pool/pool.h"

namespace weir::pool {

using shm::Candidate;
using shm::LineView;

namespace {

bool is_elsewhere(const std::optional<Candidate>& who, shm::WorkerId self) {
  return who && who->word.owner_row() != self.row;
}

}  // namespace

// Whether somebody elsewhere is next, and this worker has had its connections for long enough that
// one of them should make room there. An empty place goes there once the server has let go: until
// sessions can move, that costs a connect, and the quantum keeps two busy workers from reconnecting
// for each request of theirs.
bool Pool::may_give_away(const LineView& view) const {
  const std::uint64_t quantum_ns =
      static_cast<std::uint64_t>(Nanos(config_.permit_quantum).count());
  const bool elsewhere = is_elsewhere(view.oldest, self());
  const bool mate = shm::mate_goes_first(ref(), view);
  if (!elsewhere && !mate) return false;
  if (monotonic_ns() < last_gained_ns_.load(std::memory_order_relaxed) + quantum_ns) return false;

  // As many as wait need room, no more: what is free or on its way to be counts.
  std::uint32_t closing = 0, free = 0;
  for (const shm::Word& word : ref().places()) {
    const PlaceState state = PlaceWord(word.load(std::memory_order_relaxed)).state();
    closing += state == PlaceState::kClosing ? 1 : 0;
    free += state == PlaceState::kFree ? 1 : 0;
  }
  if (elsewhere && closing + (shm::may_have_permit(ref()) ? free : 0) < view.waiting) return true;
  return mate && closing < view.waiting_mates;
}

// The waiter of this worker that a connection of ours goes to now: the oldest of the pool, or,
// while this worker may keep what it has, the oldest of its own.
const Candidate* Pool::whom_to_grant(const LineView& view) const {
  if (!view.oldest_own) return nullptr;
  const bool own_is_oldest = !is_elsewhere(view.oldest, self());
  return own_is_oldest || !may_give_away(view) ? &*view.oldest_own : nullptr;
}

// Whether a caller that has just come may take an idle connection here: not past an older waiter of
// its own worker, nor past one elsewhere whom this worker owes room.
bool Pool::may_pass_the_line() const {
  if (!is_demanded()) return true;
  const LineView view = shm::look_at_line(ref(), self());
  return !view.oldest_own && !may_give_away(view);
}

// Whether somebody waits whom a connection of ours could serve now. Nobody at all: says so in
// demand.
bool Pool::is_wanted() const {
  if (!is_demanded()) return false;
  const LineView view = shm::look_at_line(ref(), self());
  if (!view.anybody()) return !shm::lower_demand(ref(), self());
  return whom_to_grant(view) != nullptr || may_give_away(view);
}

// A place that is USED by this worker and nobody's in particular: to who is next, else idle.
void Pool::serve(PlaceIndex place) {
  while (true) {
    const LineView view = shm::look_at_line(ref(), self());
    if (const Candidate* who = whom_to_grant(view)) {
      if (shm::grant(ref(), *who, place)) return;
      continue;  // it left, or somebody was quicker
    }
    if (may_give_away(view)) {
      book_.add(shm::Counter::kHandedOn);
      start_closing(place, PlaceState::kUsed);
      return;
    }
    if (!set_idle(place) || !is_wanted() || !take_idle_at(place)) return;
  }
}

// Idle connections of this worker to those who wait, as many as there are of both.
void Pool::serve_idle() {
  for (PlaceIndex place = 0; place < ref().capacity(); ++place) {
    if (!is_mine_and(cell(place).load(std::memory_order_relaxed), PlaceState::kIdle)) continue;
    if (!is_wanted()) return;
    if (take_idle_at(place)) serve(place);
  }
}

// Nobody waits for a close: the keeper says goodbye, waits for the server and gives the place on.
void Pool::start_closing(PlaceIndex place, PlaceState from) {
  // In case we die before the server has let go: whether it has a statement to end first.
  constexpr std::uint32_t kBusy = WEIR_COND_BROKEN | WEIR_COND_UNREAD;
  shm::PlaceInfo& info = ref().info(place);
  const bool has_session =
      from != PlaceState::kOpening || info.token_size.load(std::memory_order_relaxed) != 0;
  const bool busy =
      has_session && (slots_[place].connection.condition(WEIR_LOOK_LOCAL) & kBusy) != 0;
  info.closing_busy.store(busy ? 1 : 0, std::memory_order_relaxed);
  move(place, from,
       PlaceState::kClosing);  // false: settled by others; the connection must go anyway
  Job job;
  job.kind = Job::Kind::kClose;
  job.place = place;
  job.began_ns = monotonic_ns();
  jobs_.add(std::move(job));
  wake_keeper();
}

// Borrowing: rings the keeper of the worker that has had an idle connection of this pool, or of
// another pool of the quota, for longest. A wrong guess costs a wake.
void Pool::ring_whoever_has_idle() const {
  const auto oldest_idle = [this](const shm::PoolRef& pool) {
    std::uint32_t row = shm::kNone;
    std::uint64_t oldest_ns = UINT64_MAX;
    for (PlaceIndex i = 0; i < pool.capacity(); ++i) {
      const PlaceWord word(pool.places()[i].load(std::memory_order_relaxed));
      const bool mine = &pool == &ref() && word.belongs_to(self());
      if (word.state() != PlaceState::kIdle || mine) continue;
      const std::uint64_t since = pool.info(i).since_ns.load(std::memory_order_relaxed);
      if (since < oldest_ns) {
        oldest_ns = since;
        row = word.idx();
      }
    }
    return row;
  };
  const auto ring = [this](std::uint32_t row) {
    if (row < parts_.segment.workers().size()) shm::ring(parts_.segment, row);
    return row != shm::kNone;
  };
  if (ring(oldest_idle(ref())) || !ref().has_quota()) return;
  for (std::uint32_t id = 0; id < parts_.segment.geometry().pools; ++id) {
    const shm::PoolRow& row = parts_.segment.pools()[id];
    if (id == ref().id() || row.declared.load() == 0 || row.quota.load() != ref().quota()) continue;
    const std::optional<shm::PoolRef> mate = shm::PoolRef::find(parts_.segment, id);
    if (mate && ring(oldest_idle(*mate))) return;
  }
}

}  // namespace weir::pool
