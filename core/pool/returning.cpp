// What comes back: made clean for the next lease, or closed, and why. What is good as it is does
// not come here: pool.cpp has that.
#include <algorithm>

#include "pool/inside.h"
#include "pool/pool.h"

namespace weir::pool {

using shm::PlaceIndex;
using shm::PlaceState;
using shm::PlaceWord;

// Whether the session is fit for the next lease afterwards; else it must be closed.
bool Pool::make_clean(PlaceIndex place, std::uint32_t condition) {
  Slot& slot = slots_[place];
  const Deadline deadline = Deadline::after(config().connect_timeout);
  Status status = slot.connection.run(WEIR_OP_RESET, nullptr, deadline);
  const bool undid_everything = always_reset_ || (condition & WEIR_COND_DIRTY) != 0;
  for (const std::string& statement : config().on_connect) {
    if (!status.ok() || !undid_everything) break;
    weir_execute_t execute = {sizeof(weir_execute_t), statement.c_str()};
    status = slot.connection.run(WEIR_OP_EXECUTE, &execute, deadline);
  }
  note_reset(place, status);
  return status.ok();
}

void Pool::note_reset(PlaceIndex place, const Status& status) {
  book_.add(status.ok() ? shm::Counter::kResets : shm::Counter::kResetFailures);
  tell({.kind = EventKind::kConnReset, .connection = number_at(place), .code = status.code()});
  if (status.ok()) return;
  parts_.log.warn("reset_failed", {{"pool", config().name}, {"error", status.message()}});
  replace_all_if_doubtful(slots_[place]);
}

// The same for one that nobody waits for, step by step.
Step Pool::step_reset(Job& job, Status* status) {
  while (true) {
    const Step step = slots_[job.place].connection.step(status);
    if (step != Step::kDone) return job.wants = step;
    if (!job.dirty || !start_statement(job, status)) {
      return status->ok() ? Step::kDone : Step::kError;
    }
  }
}

void Pool::finish_reset(const Job& job, const Status& status) {
  Slot& slot = slots_[job.place];
  note_reset(job.place, status);
  slot.idle_since_ns = now_ns();
  slot.in_hands.store(false);
  std::optional<CloseReason> why = CloseReason::kResetFailed;
  if (status.ok()) why = why_not_wanted(job.place);
  if (why) {
    start_closing(job.place, PlaceState::kUsed, *why);
  } else {
    serve(job.place);
  }
}

// A session of ours failed because its server is no longer one that the DSN asks for: the others of
// this worker were opened to the same one. They go when they are next looked at: what is idle now,
// what is lent when it is lent again.
void Pool::replace_all_if_doubtful(Slot& failed) {
  if ((failed.connection.condition(WEIR_LOOK_LOCAL) & WEIR_COND_DOUBTFUL) == 0) return;
  const std::uint64_t now_ns = coarse_ns();
  std::uint32_t replaced = 0;
  for (PlaceIndex place = 0; place < ref().capacity(); ++place) {
    Slot& slot = slots_[place];
    const PlaceWord word(cell(place).load(std::memory_order_relaxed));
    const bool is_open = word.state() == PlaceState::kIdle || word.state() == PlaceState::kUsed;
    if (&slot == &failed || !is_open || !word.belongs_to(self()) || is_expired(slot, now_ns))
      continue;
    slot.expires_ns.store(now_ns, std::memory_order_relaxed);
    ++replaced;
  }
  if (replaced == 0) return;
  parts_.log.warn("server_changed", {{"pool", config().name}, {"replaced", replaced}});
}

// More are idle on the machine than `keep`, or open than the policy wants or stay beside the
// reserve, and nobody waits for this one. Scans, so only where a pool has an overflow at all.
bool Pool::is_overflow() const {
  if (!has_overflow_ || is_wanted()) return false;
  const auto idle = static_cast<std::uint32_t>(
      std::count_if(ref().places().begin(), ref().places().end(), [](const shm::Word& word) {
        return PlaceWord(word.load(std::memory_order_relaxed)).state() == PlaceState::kIdle;
      }));
  return idle >= config().kept() || count_staying() > most_staying();
}

// Why what comes back is not fit to be cleaned.
std::optional<CloseReason> Pool::why_not_kept(PlaceIndex place, std::uint32_t condition) {
  constexpr std::uint32_t kLost = WEIR_COND_BROKEN | WEIR_COND_UNREAD | WEIR_COND_UNEXPECTED;
  const Slot& slot = slots_[place];
  if (slot.detached) return CloseReason::kDetached;
  if (slot.is_worn_out()) return slot.worn_out_by.load();
  if ((condition & kLost) != 0) return CloseReason::kError;
  return std::nullopt;
}

// Why one that is clean is to be closed all the same.
std::optional<CloseReason> Pool::why_not_wanted(PlaceIndex place) {
  if (!is_valid() || is_closed()) return CloseReason::kPoolClosed;
  if (is_to_retire(place)) return CloseReason::kQuotaReclaim;  // also if nobody wanted it
  if (is_overflow()) return CloseReason::kOverflow;
  return std::nullopt;
}

// It is over for its holder, and so is its connection.
void Pool::end(const Loan& loan, CloseReason why) {
  note_returned(loan);
  start_closing(loan.place, PlaceState::kUsed, why);
  close_here(loan.place);
}

Status Pool::release(const Loan& loan) {
  const Inside inside(inside_);
  WEIR_TRY(check_out(loan));
  tell_checked_in(loan);
  const std::uint32_t condition = what_to_clean(loan.place);
  std::optional<CloseReason> why = why_not_kept(loan.place, condition);
  const bool dirty = condition != 0 || always_reset_;
  if (!why && dirty && !make_clean(loan.place, condition)) why = CloseReason::kResetFailed;
  if (!why) why = why_not_wanted(loan.place);
  give_on(loan, why);
  return Status();
}

Status Pool::release_later(const Loan& loan) {
  const Inside inside(inside_);
  WEIR_TRY(check_out(loan));
  tell_checked_in(loan);
  const std::uint32_t condition = what_to_clean(loan.place);
  const std::optional<CloseReason> why = why_not_kept(loan.place, condition);
  if (why || (condition == 0 && !always_reset_)) {
    give_on(loan, why ? why : why_not_wanted(loan.place));
    return Status();
  }
  Slot& slot = slots_[loan.place];
  slot.in_hands.store(true);
  note_returned(loan);
  Job job;
  job.kind = Job::Kind::kReset;
  job.place = loan.place;
  job.dirty = always_reset_ || (condition & WEIR_COND_DIRTY) != 0;
  jobs_.add(std::move(job));
  wake_keeper();
  return Status();
}

Status Pool::discard(const Loan& loan, CloseReason why) {
  const Inside inside(inside_);
  WEIR_TRY(check_out(loan));
  tell_checked_in(loan);
  end(loan, slots_[loan.place].detached ? CloseReason::kDetached : why);
  return Status();
}

Status Pool::wear_out(const Loan& loan, CloseReason why) {
  WEIR_TRY(check_out(loan));
  slots_[loan.place].wear_out(why);
  return Status();
}

Status Pool::detach(const Loan& loan) {
  WEIR_TRY(check_out(loan));
  Slot& slot = slots_[loan.place];
  if (slot.detached) return Status();
  slot.detached = true;
  slot.wear_out(CloseReason::kDetached);
  book_.add(shm::Counter::kDetached);
  tell({.kind = EventKind::kConnDetached, .connection = number_at(loan.place)});
  return Status();
}

void Pool::tell_checked_in(const Loan& loan) {
  if (!parts_.events.is_heard()) return;
  const shm::PlaceInfo& info = ref().info(loan.place);
  const std::uint64_t since_ns = info.since_ns.load(std::memory_order_relaxed);
  const std::uint64_t now = monotonic_ns();
  tell({.kind = EventKind::kCheckedIn,
        .connection = number_at(loan.place),
        .duration_ns = now > since_ns ? now - since_ns : 0});
}

}  // namespace weir::pool
