// The breaker as a pool uses it: which failures mean that the server is down, what callers get
// meanwhile, and who is told when that changes.
#include <algorithm>

#include "base/text.h"
#include "pool/pool.h"
#include "shm/excess.h"

namespace weir::pool {

namespace {

constexpr std::uint64_t kMillisecond = 1'000'000;
// What to say where the one attempt is under way, and nobody knows how long it takes.
constexpr std::uint64_t kSoonMs = 100;

// What an attempt to connect tells about the server.
enum class Sign {
  kNoAnswer,  // nobody there, or nobody who answers: an outage
  kAnswer,    // it refused this session, or a statement of it: it is there
  kNone,      // the failure was our own
};

Sign sign_of(Code code) {
  switch (code) {
    case Code::kConnectFailed:
    case Code::kConnectionBroken:
    case Code::kTimeout:
      return Sign::kNoAnswer;
    case Code::kAuthFailed:
    case Code::kServerFull:
    case Code::kDatabaseError:
    case Code::kNoPermission:
      return Sign::kAnswer;
    default:
      return Sign::kNone;
  }
}

// Behind which the server has a session of ours, for all it knows.
bool has_session(shm::PlaceState state) {
  using shm::PlaceState;
  return state == PlaceState::kIdle || state == PlaceState::kUsed || state == PlaceState::kGiving ||
         state == PlaceState::kParked || state == PlaceState::kClosing ||
         state == PlaceState::kLingering;
}

shm::BreakerVerdict verdict_of(const policy::BreakerDecision& decision, std::uint64_t now_ms) {
  return {static_cast<shm::BreakerState>(decision.state), now_ms + decision.retry_ms};
}

}  // namespace

// ---- what callers get -------------------------------------------------------------------------

// kBreakerOpen for who could be helped by a connect alone, while nobody may try one; ok for who may
// try, and for who waits for what others have.
Status Pool::refusal() const {
  if (shm::breaker_of(ref()).is_closed() || retries_connects_) return Status();
  const bool room = shm::places_for(ref(), shm::kNotInLine) > 0 && shm::may_have_permit(ref()) &&
                    !at_worker_cap();
  if (room && shm::free_turns(ref(), monotonic_ns()) > 0) return Status();
  // Where all room is taken, what is lent comes back; what is being closed is of no use.
  if (may_be_sent_one() || (!room && is_any_lent())) return Status();
  return down(Code::kBreakerOpen, "the server is believed to be down");
}

bool Pool::is_any_lent() const {
  return std::any_of(ref().places().begin(), ref().places().end(), [](const shm::Word& cell) {
    return PlaceWord(cell.load(std::memory_order_relaxed)).state() == PlaceState::kUsed;
  });
}

// Whether somebody has an idle connection that could be this caller's without connecting.
bool Pool::may_be_sent_one() const {
  return std::any_of(ref().places().begin(), ref().places().end(), [this](const shm::Word& cell) {
    const PlaceWord word(cell.load(std::memory_order_relaxed));
    const bool on_its_way =
        word.state() == PlaceState::kGiving || word.state() == PlaceState::kParked;
    const bool idle = word.state() == PlaceState::kIdle && !word.retire();
    return (idle && word.belongs_to(self())) || ((idle || on_its_way) && moves_.load());
  });
}

// What is known of the outage, with when to try again.
Status Pool::down(Code code, std::string_view how) const {
  const shm::BreakerWord breaker = shm::breaker_of(ref());
  const std::uint64_t left_ms = breaker.retry_in_ms(monotonic_ns());
  const std::uint64_t retry_ms = left_ms > 0 ? left_ms : kSoonMs;
  std::string text = "pool " + config().name + ": " + std::string(how) + " (" +
                     std::to_string(breaker.failures()) + " attempts in a row had no answer";
  if (const std::string last = ref().row().connect_error.load(); !last.empty()) {
    text += "; the last: " + last;
  }
  return Status(code, text + "); try again in " + std::to_string(retry_ms) + " ms")
      .with_retry_after(retry_ms);
}

// Whether a caller whose attempt to connect failed makes another one.
bool Pool::is_worth_another_try(const Status& failure, const Request& request) const {
  return retries_connects_ && sign_of(failure.code()) == Sign::kNoAnswer &&
         !request.deadline.passed(monotonic_ns());
}

// Our own sessions, of this quota, wherever on the machine.
std::uint32_t Pool::sessions_of_ours() const {
  std::uint32_t sessions = 0;
  for (const shm::PoolRef& pool : shm::pools_of_quota(ref())) {
    for (PlaceIndex place = 0; place < pool.capacity(); ++place) {
      const PlaceState state = PlaceWord(pool.places()[place].load()).state();
      // What is being closed may be an attempt that the server refused: it never had a session.
      const bool had_one = state != PlaceState::kClosing || pool.info(place).token_size.load() != 0;
      sessions += has_session(state) && had_one ? 1 : 0;
    }
  }
  return sessions;
}

// The server takes no more, and it is not us: the quota would have allowed one.
Status Pool::full(const Request& request, std::uint64_t started_ns) const {
  return not_available(Code::kServerFull, request, started_ns,
                       "the server takes no more sessions, though the quota allows them: " +
                           std::to_string(sessions_of_ours()) +
                           " of its sessions are ours, the others somebody else's");
}

// ---- what a failure means ---------------------------------------------------------------------

void Pool::note_failure(const Status& status, const shm::Turn& turn) {
  shm::PoolRow& row = ref().row();
  row.connect_error.store(cut_text(status.message(), sizeof row.connect_error - 1));
  row.connect_code.store(static_cast<std::uint32_t>(status.code()));
  row.connect_failures.fetch_add(1);
  switch (sign_of(status.code())) {
    case Sign::kNoAnswer:
      return note_no_answer(shm::has_probe(ref(), turn));
    case Sign::kAnswer:
      return note_answer();
    case Sign::kNone:
      return;
  }
}

// A session that the server has ended says nothing: a restart leaves many of these, and the server
// is back before they are looked at. One that does not answer in time does.
void Pool::note_unanswered_ping(const Status& status) {
  if (status.code() != Code::kTimeout) return;
  shm::PoolRow& row = ref().row();
  row.connect_error.store(cut_text(status.message(), sizeof row.connect_error - 1));
  note_no_answer(false);
}

void Pool::note_no_answer(bool by_probe) {
  tell_of(shm::note_no_answer(ref(), by_probe, [this](shm::BreakerWord counted) {
    // Where a policy has a breaker of its own, the keeper asks it whether a closed one opens. Where
    // the one attempt of a half-open one fails, the next must not follow before it is asked.
    if (has_own_breaker_.load() && counted.is_closed()) return shm::BreakerVerdict{};
    policy::PoolView view = view_of(counted, monotonic_ns());
    view.attempt_failed = true;
    return verdict_of(policy::FixedPolicy::breaker_for(view), view.now_ms);
  }));
  if (!has_own_breaker_.load()) return;
  attempt_failed_.store(true);
  wake_keeper();
}

void Pool::note_answer() { tell_of(shm::note_answer(ref())); }

// At the keeper's tick. A state that stays is left as it is, with its time.
void Pool::decide_breaker(const policy::PoolView& view) {
  const shm::BreakerWord seen = shm::breaker_of(ref());
  if (static_cast<policy::BreakerState>(seen.state()) != view.breaker) return;  // changed since
  const policy::BreakerDecision decision = parts_.policy->breaker(view);
  if (decision.state == view.breaker) return;
  tell_of(shm::put_breaker(ref(), seen, verdict_of(decision, view.now_ms)));
}

// A policy's own breaker, asked because an attempt got no answer: by the keeper, which whoever saw
// that has rung. What it says about the state that there is counts here, too.
void Pool::ask_breaker(std::uint64_t now_ns) {
  if (!attempt_failed_.exchange(false) || !has_own_breaker_.load()) return;
  const shm::BreakerWord seen = shm::breaker_of(ref());
  policy::PoolView view = look_around(now_ns);
  view.attempt_failed = true;
  const policy::BreakerDecision decision = parts_.policy->breaker(view);
  if (decision.state == policy::BreakerState::kClosed && seen.is_closed()) return;
  tell_of(shm::put_breaker(ref(), seen, verdict_of(decision, view.now_ms)));
}

// ---- who is told ------------------------------------------------------------------------------

void Pool::tell_of(const shm::BreakerChange& change) {
  if (change.opened()) {
    tell({.kind = EventKind::kBreakerOpen, .count = change.to.failures()});
    if (change.from.is_closed()) {
      shm::count(ref(), shm::Counter::kBreakerOpenings);
      parts_.log.warn("breaker_opened", {{"pool", config().name},
                                         {"failures", change.to.failures()},
                                         {"error", ref().row().connect_error.load()}});
    }
    // Those in line who hoped for a connect fail now, as configured, not when they next look.
    if (!retries_connects_) shm::wake_waiters_of(ref());
  }
  if (!change.closed()) return;
  tell({.kind = EventKind::kBreakerClosed});
  parts_.log.info("breaker_closed",
                  {{"pool", config().name}, {"failures", change.from.failures()}});
  // Those in line are offered room as soon as there are turns again; warm floors are filled now.
  if (is_demanded()) shm::match(ref(), self());
  for (std::uint32_t row = 0; row < parts_.segment.workers().size(); ++row) {
    const shm::WorkerWord word(parts_.segment.workers()[row].word.load(std::memory_order_relaxed));
    if (word.state() == shm::WorkerState::kLive) shm::ring(parts_.segment, row);
  }
}

// When a keeper that could not open ahead of demand tries again: a turn is what it lacks, or the
// breaker's leave. It is rung when the breaker closes.
std::uint64_t Pool::fill_again_ns(std::uint64_t now_ns) const {
  const shm::BreakerWord breaker = shm::breaker_of(ref());
  if (breaker.is_closed()) return now_ns + 20 * kMillisecond;
  const std::uint64_t left_ms = breaker.retry_in_ms(now_ns);
  return now_ns + (left_ms > 0 ? left_ms : kSoonMs) * kMillisecond;
}

}  // namespace weir::pool
