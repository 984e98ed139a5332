// Live handover: this worker's part in moving connections to the workers whose waiters are next.
// The steps and what a death after each leaves behind stand in shm/handover.h; here is what the
// driver and the slots do in between.
#include <algorithm>

#include "pool/fork_gate.h"
#include "pool/inside.h"
#include "pool/pool.h"

namespace weir::pool {

using shm::Candidate;
using shm::LineView;

namespace {

// After a connection could not be sent for a passing reason: a full mailbox, no descriptors, a
// server that said something meanwhile. Whoever waits ticks every 2 ms.
constexpr std::uint64_t kPauseNs = 1'000'000;

}  // namespace

// Whether a waiter of worker `row` gets connections of ours live at all, now or a little later:
// else room is made for it.
bool Pool::is_sent_live_to(std::uint32_t row) const {
  return moves_.load(std::memory_order_relaxed) && shm::has_mailbox(parts_.segment, row);
}

// When a waiter elsewhere goes before those of this worker. Who has no connection to spare, as
// compared with the waiter's worker, leaves it to richer ones to give first: else workers that are
// all short take connections from one another all the time.
std::uint64_t Pool::goes_first_from_ns(const Candidate& who) const {
  const std::uint32_t theirs = shm::places_of(ref(), who.word.owner_row());
  const bool is_rich = shm::places_of(ref(), self().row) > theirs + 1;
  return who.since_ns + (is_rich ? turn_ns_ : handover_after_ns_);
}

// The waiter elsewhere that a connection of ours goes to now: the oldest in line that can be sent
// one, if nobody of our own is before it.
std::optional<Candidate> Pool::whom_to_send(const LineView& view) const {
  const bool elsewhere = view.oldest && view.oldest->word.owner_row() != self().row;
  if (!elsewhere || !moves_.load(std::memory_order_relaxed)) return std::nullopt;
  const std::uint64_t now = monotonic_ns();
  if (now < sends_again_ns_.load(std::memory_order_relaxed)) return std::nullopt;
  if (view.oldest_own && now < view.oldest->since_ns + turn_ns_) return std::nullopt;
  std::optional<Candidate> who = shm::oldest_to_send_to(ref(), self());
  const bool own_first = who && view.oldest_own &&
                         (view.oldest_own->goes_before(*who) || now < goes_first_from_ns(*who));
  if (own_first) who.reset();
  return who;
}

// Sends a place that is USED by this worker and nobody's in particular. False: it stays as it was,
// and whoever is next may have it.
bool Pool::send_away(PlaceIndex place, const Candidate& who) {
  const Inside inside(inside_);
  Slot& slot = slots_[place];
  // 1. and what the driver says of the session.
  std::optional<shm::Giving> giving = shm::Giving::claim(ref(), self(), place, who);
  if (!giving) return false;
  Result<std::string> description = slot.connection.export_session();
  if (description.status().code() == Code::kWouldBlock && is_connected(slot)) {
    description = slot.connection.export_session();  // what the server had said has been read
  }
  if (!description.ok()) {
    giving->withdraw();
    if (!is_connected(slot)) {
      start_closing(place, PlaceState::kUsed, CloseReason::kError);
      return true;
    }
    note_unmovable(description.status());
    return false;
  }
  // 2. and 3.
  if (!giving->begin()) {
    start_closing(place, PlaceState::kUsed, CloseReason::kError);
    return true;
  }
  const shm::SessionText session{config().driver, std::move(description).value()};
  const shm::Sent sent = giving->send(parts_.inbox->mailbox(), session, slot.connection.fd());
  if (sent != shm::Sent::kSent) {
    sends_again_ns_.store(monotonic_ns() + kPauseNs, std::memory_order_relaxed);
    parts_.log.debug("handover_not_sent", {{"pool", config().name}, {"why", shm::sent_name(sent)}});
    if (giving->withdraw()) return false;
    start_closing(place, PlaceState::kUsed, CloseReason::kError);
    return true;
  }
  const std::uint64_t number = number_at(place);
  // 4. The place may be here again before park() returns: the slot is empty before that, and no
  // fork may come while the socket stands nowhere.
  {
    const ForkGate::Step no_fork_meanwhile;
    driver::Connection gone = std::move(slot.connection);
    slot.idle_word.store(0, std::memory_order_relaxed);
    slot.native = nullptr;
    slot.socket.store(Slot::kNoConnection);
    giving->park(gone.fd());
    gone.abandon();
  }
  tell({.kind = EventKind::kConnSent, .connection = number});
  return true;
}

// A session that can never move says so for all that this worker has; one that is opened later may
// be of another kind.
void Pool::note_unmovable(const Status& why) {
  if (why.code() != Code::kNotSupported) {
    sends_again_ns_.store(monotonic_ns() + kPauseNs, std::memory_order_relaxed);
    return;
  }
  moves_.store(false, std::memory_order_relaxed);
  if (said_unmovable_.exchange(true)) return;
  parts_.log.warn("handover_by_permit", {{"pool", config().name}, {"why", why.message()}});
}

// A connection of a worker that stops lending: to who waits elsewhere, if somebody does.
bool Pool::leave_to_others(PlaceIndex place) {
  if (!is_demanded()) return false;
  const LineView view = shm::look_at_line(ref(), self());
  const std::optional<Candidate> who = whom_to_send(view);
  return who && send_away(place, *who);
}

// What has come for this worker, to whom it was sent for, else to whoever is next.
void Pool::receive() {
  if (parts_.inbox == nullptr) return;
  const Inside inside(inside_);
  bool any = false;
  while (true) {
    std::optional<PlaceIndex> place;
    {
      // From the mailbox until the slot knows its socket.
      const ForkGate::Step no_fork_meanwhile;
      if (!any) parts_.inbox->receive(ref());
      std::optional<shm::Arrival> arrival = parts_.inbox->take(ref());
      if (!arrival) break;
      any = true;
      place = attach(std::move(*arrival));
    }
    if (!place) continue;
    tell({.kind = EventKind::kConnReceived, .connection = number_at(*place)});
    const bool is_expired_here = is_expired(slots_[*place], monotonic_ns());
    if (slots_[*place].is_worn_out()) {
      start_closing(*place, PlaceState::kUsed, CloseReason::kStale);
    } else if (is_expired_here || is_closed() || above_worker_cap()) {
      if (leave_to_others(*place)) continue;
      start_closing(*place, PlaceState::kUsed,
                    is_expired_here ? CloseReason::kLifetime
                    : is_closed()   ? CloseReason::kPoolClosed
                                    : CloseReason::kOverflow);
    } else if (!shm::grant_claimed(ref(), self(), *place)) {
      serve(*place);
    }
  }
  if (any && is_demanded()) ring_whoever_has_idle(false);  // one at a time comes to a worker
}

// A connection out of what came; nullopt: it could not be made, and the place lingers.
std::optional<shm::PlaceIndex> Pool::attach(shm::Arrival&& arrival) {
  const PlaceIndex place = arrival.place;
  Slot& slot = slots_[place];
  Status status =
      is_vacant(place) ? Status() : Status(Code::kNotOpen, "this worker was believed dead");
  if (status.ok()) {
    const std::string name = client_name(place);
    Result<driver::Connection> made = driver::Connection::import_session(
        parts_.dsn, connection_options(name), arrival.fd.get(), arrival.session.blob);
    status = made.status();
    if (made.ok()) slot.connection = std::move(made).value();
  }
  if (!status.ok()) {
    parts_.log.warn("handover_failed",
                    {{"pool", config().name}, {"place", place}, {"error", status.message()}});
    parts_.inbox->give_up(ref(), std::move(arrival));
    return std::nullopt;
  }
  static_cast<void>(arrival.fd.release());  // the driver's now
  slot.note_socket();
  slot.labelled = true;  // by who had it before, perhaps
  ref().info(place).holder_pid.store(parts_.membership.row().pid.load(std::memory_order_relaxed),
                                     std::memory_order_relaxed);
  const std::uint64_t now_ns = monotonic_ns();
  // Written by another worker, and not to be trusted to lie in the past.
  const std::uint64_t opened_ns =
      std::min(now_ns, ref().info(place).opened_ns.load(std::memory_order_relaxed));
  settle_in(place, opened_ns);
  slot.detached = false;
  parts_.log.debug(
      "handed_live",
      {{"pool", config().name}, {"place", place}, {"us", (now_ns - arrival.began_ns) / 1000}});
  return place;
}

}  // namespace weir::pool
