#include "pool/ticket.h"

#include <algorithm>

#include "pool/inside.h"

namespace weir::pool {

namespace {

constexpr std::uint64_t kNever = UINT64_MAX;

// Worth another try while there is time, as for a caller who sleeps.
bool is_passing(Code code) { return code == Code::kServerFull || code == Code::kNotOpen; }

}  // namespace

Ticket::Ticket(Pool& pool, std::string label, std::uint32_t klass, Deadline deadline,
               Completions::Done done, Completions& completions)
    : pool_(pool),
      label_(std::move(label)),
      done_as_(done),
      completions_(completions),
      request_{deadline, label_, &cancellation_, klass},
      started_ns_(monotonic_ns()) {}

Ticket::~Ticket() = default;

bool Ticket::is_due(std::uint64_t now_ns) const {
  if (done_.load()) return false;
  if (now_ns >= due_ns_.load()) return true;
  const shm::Word32* const futex = futex_.load();
  return futex != nullptr && futex->load() != 0;
}

// One at a time: who comes meanwhile counts itself, and who steps goes round again.
void Ticket::step() {
  if (calls_.fetch_add(1) != 0) return;
  std::uint32_t seen = 1;
  do {
    seen = calls_.load();
    step_once();
  } while (!calls_.compare_exchange_strong(seen, 0));
}

void Ticket::step_once() {
  if (done_.load()) return;
  if (in_job_.load()) {
    // The handshake goes on without its caller, and the connection is there for the next one.
    if (cancellation_.is_cancelled()) {
      end(pool_.cancelled(request_, started_ns_));
    } else if (pool_.is_closed()) {
      end(pool_.is_open());
    } else if (request_.deadline.passed(monotonic_ns())) {
      end(pool_.too_late(request_, started_ns_, "still connecting or checking"));
    }
  } else if (wait_) {
    follow(wait_->step());
  } else {
    begin();
  }
}

void Ticket::begin() {
  if (cancellation_.is_cancelled()) return end(pool_.cancelled(request_, started_ns_));
  Status open = pool_.is_open();
  if (!open.ok()) return end(std::move(open));
  bool checks = false;
  if (const std::optional<Loan> loan = pool_.lend_to(*this, checks)) return end(*loan);
  if (checks) return;
  if (request_.deadline.passed(monotonic_ns())) {
    return end(pool_.too_late(request_, started_ns_, "nothing idle here"));
  }
  if (const std::optional<Pool::Opening> opening = pool_.take_opening()) {
    return pool_.open_for(*this, *opening);
  }
  Status refused = pool_.refusal();
  if (!refused.ok()) return end(std::move(refused));
  wait_.emplace(pool_, request_, started_ns_);
  Status entered = wait_->enter();
  if (!entered.ok()) {
    wait_.reset();
    return end(std::move(entered));
  }
  wait_->leave_ticks_to_keeper();
  futex_.store(wait_->waiter().futex());
  follow(wait_->step());  // what came before the keeper was to be rung
}

void Ticket::follow(Pool::Wait::Next next) {
  if (next == Pool::Wait::Next::kSleep) return due_ns_.store(wait_->sleeps_until_ns());
  futex_.store(nullptr);
  if (next == Pool::Wait::Next::kConnect) {
    const Pool::Opening opening = wait_->opening();
    wait_.reset();
    return pool_.open_for(*this, opening);
  }
  const Result<Loan> result =
      next == Pool::Wait::Next::kGot ? Result<Loan>(wait_->loan()) : Result<Loan>(wait_->status());
  wait_.reset();
  end(result);
}

void Ticket::job_ended(shm::PlaceIndex place, Status status) {
  if (status.ok()) {
    end(pool_.lend(place, label_, request_.klass, started_ns_));
  } else if (is_worth_another_try(status)) {
    due_ns_.store(0);  // from the start, at the keeper's next look
    in_job_.store(false);
  } else if (is_passing(status.code())) {
    end(pool_.too_late(request_, started_ns_, status.message()));
  } else {
    end(std::move(status).in("pool " + pool_.config().name));
  }
}

bool Ticket::is_worth_another_try(const Status& status) {
  if (pool_.is_worth_another_try(status, request_)) {
    const MutexLock lock(mutex_);
    failure_ = status;
    return true;
  }
  return is_passing(status.code()) && !request_.deadline.passed(monotonic_ns());
}

// The first to end it does; a loan that comes second is given back.
void Ticket::end(Result<Loan> result) {
  bool is_wanted = false;
  const bool is_first = !done_.exchange(true);
  if (is_first && !result.ok()) {
    pool_.record_failure(started_ns_, request_.klass, result.status().code());
  }
  {
    const MutexLock lock(mutex_);
    due_ns_.store(kNever);
    if (!result_ && !is_unwanted_) {
      // Who ran out of time because of a server that is down hears that, and not of the time.
      const bool hears = result.status().code() == Code::kTimeout && !failure_.ok();
      result_ = hears ? Result<Loan>(failure_) : result;
      // Before anybody can have the result, and with it end the handle that is handed out.
      completions_.add(done_as_);
      is_wanted = true;
    }
  }
  if (!is_wanted && result.ok()) pool_.return_unused(result.value());
}

Result<Loan> Ticket::take() {
  if (pool_.is_forked()) return Status(Code::kForked, "this acquire belongs to the parent process");
  const MutexLock lock(mutex_);
  if (!result_) return Status(Code::kWouldBlock, "this acquire has not ended yet");
  completions_.forget(done_as_.handle);
  return *result_;
}

bool Ticket::cancel() {
  if (pool_.is_forked()) return false;
  std::optional<Result<Loan>> had;
  {
    const MutexLock lock(mutex_);
    had = result_;
    is_unwanted_ = true;
  }
  completions_.forget(done_as_.handle);
  if (had && had->ok()) {
    pool_.return_unused(had->value());
    pool_.record_failure(started_ns_, request_.klass, Code::kCancelled);
  }
  if (had) return true;
  cancellation_.cancel();
  step();
  return true;
}

// ---- the pool's part --------------------------------------------------------------------------

Status Pool::start(const std::shared_ptr<Ticket>& ticket) {
  const Inside inside(inside_);
  if (parts_.dsn.driver().blocks()) {
    return Status(Code::kNotSupported,
                  "pool " + config().name + ": the driver " + config().driver +
                      " can only block, so it is not for an event loop; use weir_acquire");
  }
  ticket->step();
  if (ticket->is_done()) return Status();
  {
    const MutexLock lock(tickets_mutex_);
    tickets_.push_back(ticket);
  }
  wake_keeper();  // it may have to be woken earlier than it knows
  return Status();
}

// An idle connection for who has just come; `checks`: one is being checked for it.
std::optional<Loan> Pool::lend_to(Ticket& ticket, bool& checks) {
  while (may_pass_the_line()) {
    const PlaceIndex place = take_in_order();
    if (place == kNoPlace) return std::nullopt;
    const std::uint64_t now = now_ns();
    if (is_expired(slots_[place], now)) {
      start_closing(place, PlaceState::kUsed, CloseReason::kLifetime);
    } else if (needs_check(slots_[place], now)) {
      checks = true;
      add_job_for(ticket, Job::Kind::kCheck, place, {});
      return std::nullopt;
    } else {
      return lend(place, ticket.label(), ticket.klass(), ticket.started_ns());
    }
  }
  return std::nullopt;
}

void Pool::open_for(Ticket& ticket, const Opening& opening) {
  add_job_for(ticket, Job::Kind::kOpen, opening.room.place, opening.turn);
}

void Pool::add_job_for(Ticket& ticket, Job::Kind kind, PlaceIndex place, shm::Turn turn) {
  ticket.note_job();
  slots_[place].in_hands.store(true);
  Job job;
  job.kind = kind;
  job.place = place;
  job.turn = turn;
  job.began_ns = monotonic_ns();
  job.ticket = ticket.shared_from_this();
  jobs_.add(std::move(job));
  wake_keeper();
}

// A loan that its caller never had.
void Pool::return_unused(const Loan& loan) {
  const Inside inside(inside_);
  if (!is_lent(loan)) return;
  Slot& slot = slots_[loan.place];
  slot.timed_from_ns = 0;  // it tells nothing of how long leases are out
  note_returned(loan);
  slot.idle_since_ns = now_ns();
  if (is_closed() || !is_valid()) {
    start_closing(loan.place, PlaceState::kUsed, CloseReason::kPoolClosed);
  } else {
    serve(loan.place);
  }
}

void Pool::end_tickets() {
  std::vector<std::shared_ptr<Ticket>> tickets;
  {
    const MutexLock lock(tickets_mutex_);
    tickets.swap(tickets_);
  }
  for (const auto& ticket : tickets) ticket->step();
}

// Steps those for whom something may have come. Returns when the next one is due.
std::uint64_t Pool::step_tickets(std::uint64_t now_ns) {
  std::vector<std::shared_ptr<Ticket>> tickets;
  {
    const MutexLock lock(tickets_mutex_);
    if (tickets_.empty()) return UINT64_MAX;
    std::erase_if(tickets_, [](const auto& ticket) { return ticket->is_done(); });
    tickets = tickets_;
  }
  tick_for_tickets(std::any_of(tickets.begin(), tickets.end(),
                               [](const auto& ticket) { return ticket->is_in_line(); }),
                   now_ns);
  std::uint64_t next_ns = UINT64_MAX;
  for (const auto& ticket : tickets) {
    if (ticket->is_due(now_ns)) ticket->step();
    next_ns = std::min(next_ns, ticket->due_ns());
  }
  return std::min(next_ns, next_ticket_tick_ns_);
}

// What somebody who sleeps in line does by clock, once for all who do not sleep.
void Pool::tick_for_tickets(bool in_line, std::uint64_t now_ns) {
  if (!in_line) {
    next_ticket_tick_ns_ = UINT64_MAX;
    return;
  }
  if (next_ticket_tick_ns_ != UINT64_MAX) {
    if (now_ns < next_ticket_tick_ns_) return;
    tick();
    if (++ticket_ticks_ % kRingEvery == 0)
      ring_whoever_has_idle(ticket_ticks_ % kRingAllEvery == 0);
  }
  const shm::LineView line = shm::look_at_line(ref(), self());
  const bool is_among_first =
      line.oldest && line.oldest_own && line.oldest_own->ticket < line.oldest->ticket + kFirst;
  next_ticket_tick_ns_ = monotonic_ns() + (is_among_first ? kTickFirstNs : kTickRestNs);
}

}  // namespace weir::pool
