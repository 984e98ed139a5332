// What the keeper does for one pool: operations nobody waits for, and what is due by clock.
#include <algorithm>
#include <utility>

#include "pool/fork_gate.h"
#include "pool/pool.h"
#include "pool/ticket.h"

namespace weir::pool {

namespace {

constexpr std::uint64_t kMillisecond = 1'000'000;
constexpr std::uint64_t kSecond = 1'000 * kMillisecond;
// Leases and releases in a second that are worth a tick, and how long it goes on after that second.
constexpr std::uint64_t kManySteps = 200'000;
constexpr std::uint64_t kTicksForNs = 10 * kSecond;

std::uint64_t ns_of(milliseconds duration) {
  return static_cast<std::uint64_t>(Nanos(duration).count());
}

Deadline after_ns(std::uint64_t now_ns, milliseconds duration) {
  return Deadline::at_ns(now_ns + ns_of(duration));
}

}  // namespace

void Pool::wake_keeper() const { shm::ring(parts_.segment, self().row); }

std::uint64_t Pool::keep(std::uint64_t now_ns) {
  const bool ticks = ticking_ && now_ns < ticks_until_ns_;
  tick_ns_.store(ticks ? now_ns : 0, std::memory_order_relaxed);
  heed();
  heed_cut();
  step_jobs(now_ns);
  settle_lingering_places(now_ns);
  receive();
  if (is_demanded()) serve_idle();
  const std::uint64_t tickets_due_ns = step_tickets(now_ns);
  retire_excess(now_ns >= next_second_ns_);
  if (fill_waits_ && shm::breaker_of(ref()).is_closed()) next_second_ns_ = 0;
  if (decides_again_.exchange(false) || is_policy_reload_asked()) next_second_ns_ = 0;
  ask_breaker(now_ns);
  if (now_ns >= next_second_ns_) {
    next_second_ns_ = now_ns + kSecond;
    see_how_busy(now_ns);
    tick_second(now_ns);
    if (!is_valid()) close_unowned();
    step_jobs(now_ns);  // what these began
  }
  // Who holds something back only until its quantum is over comes back then.
  std::uint64_t next_ns = std::min(tickets_due_ns, ticks ? now_ns + kTickNs : next_second_ns_);
  if (is_demanded()) {
    const std::uint64_t quantum_ends =
        last_connect_ns_.load(std::memory_order_relaxed) + ns_of(config().permit_quantum);
    if (quantum_ends > now_ns) next_ns = std::min(next_ns, quantum_ends);
  }
  for (const Lingering& one : lingering_) {
    if (one.word != 0) next_ns = std::min(next_ns, one.next_try_ns);
  }
  return next_ns;
}

// Policies are asked where nothing here is under way.
void Pool::attend(std::uint64_t now_ns) {
  step_jobs(now_ns);
  receive();
  if (is_demanded()) serve_idle();
}

// Once a second. A tick costs a wake of the keeper, some 20 us of processor time; a lease that
// finds none reads the coarse clock, and so does its release: 10 ns together. So it is for those
// who lend some hundred thousand times a second.
void Pool::see_how_busy(std::uint64_t now_ns) {
  std::uint64_t steps = 0;
  for (const Slot& slot : slots_.all()) steps += slot.serial.load(std::memory_order_relaxed);
  const std::uint64_t lately = steps - std::exchange(steps_before_, steps);
  if (lately >= kManySteps) ticks_until_ns_ = now_ns + kTicksForNs;
  pace_timing(lately / 2);
}

void Pool::add_poll_targets(std::vector<PollTarget>& targets) {
  for (const Job& job : jobs_.running()) {
    const driver::Connection& connection =
        job.kind == Job::Kind::kCancel ? job.own : slots_[job.place].connection;
    if (connection.is_open()) targets.push_back({connection.fd(), job.wants});
  }
}

// ---- operations in progress -----------------------------------------------------------------

Status Pool::start_job(Job& job, std::uint64_t now_ns) {
  job.started = true;
  driver::Connection& connection = connection_of(job);
  if (job.kind == Job::Kind::kClose && !connection.is_open()) return Status();
  switch (job.kind) {
    case Job::Kind::kClose: {
      job.deadline = after_ns(now_ns, config().close_timeout);
      // A goodbye may go on over another descriptor: a child forked meanwhile must know it.
      const ForkGate::Step no_fork_meanwhile;
      Status status = connection.start(WEIR_OP_CLOSE, nullptr, job.deadline);
      slots_[job.place].note_socket();
      return status;
    }
    case Job::Kind::kCheck:
      job.deadline = after_ns(now_ns, config().connect_timeout);
      return connection.start(WEIR_OP_PING, nullptr, job.deadline);
    case Job::Kind::kConfirm:
      job.deadline = after_ns(now_ns, config().connect_timeout);
      job.target = next_to_ask_about();
      if (job.target == kNoPlace) return Status();
      job.target_word = lingering_[job.target].word;
      copy_token(ref().info(job.target).load_token(), job.argument->token);
      job.argument->confirm = {sizeof(weir_confirm_gone_t), &job.argument->token, 0};
      return connection.start(WEIR_OP_CONFIRM_GONE, &job.argument->confirm, job.deadline);
    case Job::Kind::kCancel:
      job.deadline = after_ns(now_ns, config().connect_timeout);
      job.argument->cancel = {sizeof(weir_cancel_token_t), &job.argument->token};
      return connection.start(WEIR_OP_CANCEL_TOKEN, &job.argument->cancel, job.deadline);
    case Job::Kind::kReset:
      job.deadline = after_ns(now_ns, config().connect_timeout);
      return connection.start(WEIR_OP_RESET, nullptr, job.deadline);
    case Job::Kind::kOpen:
      job.deadline = after_ns(now_ns, config().connect_timeout);
      return begin_connect({{job.place, PlaceWord(cell(job.place).load())}, job.turn});
  }
  return Status();
}

bool Pool::has_nothing_to_do(const Job& job) {
  return job.kind == Job::Kind::kConfirm && job.target == kNoPlace;
}

Step Pool::step_job(Job& job, Status* status) {
  if (job.kind == Job::Kind::kReset) return step_reset(job, status);
  if (job.kind != Job::Kind::kOpen) return connection_of(job).step(status);
  if (is_cut(job.place)) {
    *status = Status(Code::kPaused, "interrupted: the pool was cleared meanwhile");
    return Step::kError;
  }
  return step_connect(job, status);
}

void Pool::step_jobs(std::uint64_t now_ns) {
  std::list<Job>& running = jobs_.collect();
  for (auto job = running.begin(); job != running.end();) {
    Status status;
    Step step = Step::kDone;
    if (!job->started) status = start_job(*job, now_ns);
    if (!status.ok()) {
      step = Step::kError;
    } else if (connection_of(*job).is_open() && !has_nothing_to_do(*job)) {
      step = step_job(*job, &status);
    }
    if (step == Step::kWantRead || step == Step::kWantWrite) {
      job->wants = step;
      ++job;
      continue;
    }
    // Out of the list first: finishing may add jobs and step nothing.
    std::list<Job> done;
    done.splice(done.begin(), running, job++);
    finish_job(done.front(), status);
  }
}

void Pool::finish_job(Job& job, const Status& status) {
  switch (job.kind) {
    case Job::Kind::kClose:
      finish_close(job, status);
      return;
    case Job::Kind::kOpen:
      if (status.ok()) {
        Status finished = finish_connect(job);
        if (job.ticket) {
          job.ticket->job_ended(job.place, std::move(finished));
        } else if (finished.ok()) {
          serve(job.place);
        }
      } else {
        fail_connect(job, status);
        if (job.ticket) job.ticket->job_ended(job.place, status);
        // While it is open the breaker says when.
        const bool closed = shm::breaker_of(ref()).is_closed();
        next_fill_ns_ = closed ? monotonic_ns() + backoff_ns() : 0;
        if (job.ahead && config().pause_on_populate_error) clear(false);
      }
      return;
    case Job::Kind::kCheck: {
      Slot& slot = slots_[job.place];
      book_.add(status.ok() ? shm::Counter::kPings : shm::Counter::kPingFailures);
      tell({.kind = EventKind::kConnValidated,
            .connection = number_at(job.place),
            .code = status.code()});
      slot.checked_ns = monotonic_ns();
      if (!status.ok()) {
        replace_all_if_doubtful(slot);
        note_unanswered_ping(status);
      }
      const bool good = checked(job.place, status.ok()) == Check::kGood;
      if (!good) {
        start_closing(job.place, PlaceState::kUsed, CloseReason::kInvalid);
      } else if (!job.ticket) {
        serve(job.place);
      }
      if (job.ticket) {
        job.ticket->job_ended(job.place,
                              good ? Status() : Status(Code::kNotOpen, "it failed a check"));
      }
      return;
    }
    case Job::Kind::kReset:
      finish_reset(job, status);
      return;
    case Job::Kind::kConfirm:
      finish_confirm(job, status);
      return;
    case Job::Kind::kCancel:
      finish_cancel(job, status);
      return;
  }
}

// CLOSING -> FREE or OFFERED once the server has let go; if it did not in time, the session may
// still be there: LINGERING, like a dead worker's.
void Pool::finish_close(Job& job, const Status& status) {
  Slot& slot = slots_[job.place];
  const bool had_session = slot.idle_word.load(std::memory_order_relaxed) != 0;
  slot.socket.store(Slot::kNoConnection);  // first: after the next line the number may be anybody's
  slot.connection = driver::Connection();
  slot.native = nullptr;
  slot.idle_word.store(0, std::memory_order_relaxed);
  slot.in_hands.store(false);
  book_.add(shm::Counter::kCloses);
  std::uint64_t raw = cell(job.place).load();
  const PlaceWord word(raw);
  if (word.state() != PlaceState::kClosing || !word.belongs_to(self()))
    return;  // settled by others
  if (status.ok()) {
    if (had_session) shm::note_server_has_room(ref());
    shm::leave_room(ref(), self(), job.place, word);
    return;
  }
  ref().info(job.place).closing_busy.store(1, std::memory_order_relaxed);
  ref().info(job.place).since_ns.store(monotonic_ns(), std::memory_order_relaxed);
  parts_.log.warn("close_unconfirmed",
                  {{"pool", config().name}, {"place", job.place}, {"error", status.message()}});
  cell(job.place).compare_exchange_strong(
      raw, word.to_lingering(shm::LingerCause::kClosing, self().row).raw());
}

// ---- by clock -------------------------------------------------------------------------------

void Pool::tick_second(std::uint64_t now_ns) {
  sample_use(now_ns);
  const policy::PoolView view = look_around(now_ns);
  decide_size(view);
  decide_breaker(view);
  expire_idle(view, now_ns);
  show_policy();
  record_policy();
  fill_warm(view, now_ns);
  tell_of_reclaimed();
  report_leaks(now_ns);
}

void Pool::expire_idle(const policy::PoolView& view, std::uint64_t now_ns) {
  const auto ms_since = [now_ns](std::uint64_t then_ns) {
    return then_ns < now_ns ? (now_ns - then_ns) / kMillisecond : 0;
  };
  policy::PoolView current = view;  // each close counts for the next one's decision
  for (PlaceIndex place = 0; place < ref().capacity(); ++place) {
    const PlaceWord word(cell(place).load(std::memory_order_relaxed));
    if (word.state() != PlaceState::kIdle || !word.belongs_to(self())) continue;
    // What is in use every second is looked at when it is lent and given back.
    const std::uint64_t since = ref().info(place).since_ns.load(std::memory_order_relaxed);
    if (now_ns < since + kSecond && !word.retire() && !is_closed()) continue;
    if (!take_idle_or_retiring(place)) continue;
    const Slot& slot = slots_[place];
    policy::ConnectionView connection;
    connection.age_ms = ms_since(slot.opened_ns);
    connection.idle_ms = ms_since(slot.idle_since_ns);
    const std::uint64_t expires_ns = slot.expires_ns.load(std::memory_order_relaxed);
    if (expires_ns != 0) {  // at least 1: 0 is for ever
      const std::uint64_t life_ns = expires_ns > slot.opened_ns ? expires_ns - slot.opened_ns : 0;
      connection.lifetime_ms = std::max<std::uint64_t>(life_ns / kMillisecond, 1);
    }
    connection.checked_ms = ms_since(std::max(slot.checked_ns, slot.idle_since_ns));
    const shm::PlaceInfo& info = ref().info(place);
    connection.leases = info.leases.load(std::memory_order_relaxed) -
                        info.leases_before.load(std::memory_order_relaxed);
    const bool keepalive_due =
        config().keepalive.count() > 0 &&
        connection.checked_ms >= static_cast<std::uint64_t>(config().keepalive.count());
    const policy::Eviction eviction = parts_.policy->evict(connection, current);
    // The others of the machine decide at the same time: each looks before it closes one.
    const bool surplus = current.open() > size_.target && count_staying() > size_.target;
    if (word.retire() || is_closed() || surplus || eviction == policy::Eviction::kClose) {
      const bool too_old = is_expired(slot, now_ns);
      start_closing(place, PlaceState::kUsed,
                    is_closed()     ? CloseReason::kPoolClosed
                    : word.retire() ? CloseReason::kQuotaReclaim
                    : too_old       ? CloseReason::kLifetime
                    : surplus       ? CloseReason::kOverflow
                                    : CloseReason::kIdle);
      if (current.idle > 0) --current.idle;
    } else if (eviction == policy::Eviction::kCheck || keepalive_due) {
      add_check(place);
    } else {
      check_and_serve(place);
    }
  }
}

// Pings a place that is USED by us and lent to nobody; then it is given on.
void Pool::add_check(PlaceIndex place) {
  slots_[place].in_hands.store(true);
  Job job;
  job.kind = Job::Kind::kCheck;
  job.place = place;
  jobs_.add(std::move(job));
  wake_keeper();
}

// Opens ahead of demand, one handshake at a time in each worker, each worker its share.
void Pool::fill_warm(const policy::PoolView& view, std::uint64_t now_ns) {
  fill_waits_ = false;
  if (is_closed() || is_paused() || now_ns < next_fill_ns_ || parts_.segment.is_poisoned()) return;
  const std::uint32_t share =
      (size_.warm + std::max(view.workers, 1u) - 1) / std::max(view.workers, 1u);
  std::uint32_t mine = own_places();
  const auto is_wanted_open = [&](std::uint32_t open) {
    return (open < size_.warm && mine < share) || to_open_.load() > 0;
  };
  for (std::uint32_t open = view.open(); is_wanted_open(open); ++open, ++mine) {
    const std::optional<Opening> opening = take_opening();
    if (!opening) {
      fill_waits_ = !shm::breaker_of(ref()).is_closed();
      next_second_ns_ = std::min(next_second_ns_, fill_again_ns(now_ns));
      return;
    }
    Job job;
    job.kind = Job::Kind::kOpen;
    job.place = opening->room.place;
    job.turn = opening->turn;
    job.began_ns = now_ns;
    job.ahead = true;
    jobs_.add(std::move(job));
    if (to_open_.load() > 0) to_open_.fetch_sub(1);
  }
}

// Exponential with full jitter (M. Brooker, "Exponential Backoff And Jitter", AWS Architecture
// Blog, 2015): from 100 ms to 30 s, by the failures in a row that the whole machine has
// seen: of refusals, that is; who answers nothing is the breaker's.
std::uint64_t Pool::backoff_ns() const {
  const std::uint32_t failures = std::min(ref().row().connect_failures.load(), 9u);
  const std::uint64_t most = std::min(100 * kMillisecond << failures, 30 * kSecond);
  return std::uniform_int_distribution<std::uint64_t>(0, most)(jitter_);
}

// What is lent now has been lent for the second since the last look, or for as long as it is lent:
// over many looks the sum is right, though no release reads a clock for it.
void Pool::sample_use(std::uint64_t now_ns) {
  const std::uint64_t before_ns = std::exchange(sampled_ns_, now_ns);
  if (before_ns == 0) return;
  const auto lent = std::count_if(slots_.all().begin(), slots_.all().end(), [](const Slot& slot) {
    return slot.serial.load(std::memory_order_relaxed) % 2 == 1;
  });
  book_.add(shm::Counter::kUseNs, static_cast<std::uint64_t>(lent) * (now_ns - before_ns));
}

void Pool::report_leaks(std::uint64_t now_ns) {
  if (config().leak_after.count() == 0) return;
  for (PlaceIndex place = 0; place < ref().capacity(); ++place) {
    const PlaceWord word(cell(place).load(std::memory_order_relaxed));
    if (word.state() != PlaceState::kUsed || !word.belongs_to(self())) continue;
    const Slot& slot = slots_[place];
    if (slot.serial.load(std::memory_order_relaxed) % 2 == 0) continue;  // being checked
    if (slot.detached) continue;
    const shm::PlaceInfo& info = ref().info(place);
    const std::uint64_t leases = info.leases.load(std::memory_order_relaxed);
    const std::uint64_t since = info.since_ns.load(std::memory_order_relaxed);
    if (since > now_ns || now_ns - since < ns_of(config().leak_after)) continue;
    if (reported_leases_[place] == leases) continue;  // once for each lease
    reported_leases_[place] = leases;
    book_.add(shm::Counter::kLeaks);
    const std::string label = info.label.load(), stack = stack_text(slots_[place].stack);
    tell({.kind = EventKind::kLeakSuspected,
          .connection = number_at(place),
          .duration_ns = now_ns - since,
          .label = label,
          .text = stack});
    parts_.log.warn("leak_suspected",
                    {{"pool", config().name},
                     {"place", place},
                     {"label", label},
                     {"thread", info.holder_thread.load(std::memory_order_relaxed)},
                     {"held_ms", (now_ns - since) / kMillisecond},
                     {"stack", stack}});
  }
}

// Without a keeper's thread nobody closes what comes back after close(): the one who brings it
// waits for that, as close() itself does.
void Pool::close_here(PlaceIndex place) {
  if (ticking_ || !keep_once_ || !is_closed()) return;
  const Deadline patience = Deadline::after(config().close_timeout);
  const timespec pause{0, 500'000};
  for (keep_once_(); slots_[place].in_hands.load() && !patience.passed(monotonic_ns());
       keep_once_()) {
    nanosleep(&pause, nullptr);
  }
}

void Pool::abandon_words() {
  attention_.fetch_or(kClosed);
  for (PlaceIndex place = 0; place < ref().capacity(); ++place) {
    // Others may have settled it while it was idle: then nobody here can have taken it.
    const Slot& slot = slots_[place];
    const PlaceWord idle(slot.idle_word.load()), word(cell(place).load());
    const bool settled_idle = idle.raw() != 0 && word.state() == PlaceState::kLingering &&
                              word.linger_cause() == shm::LingerCause::kIdle &&
                              word.occ() == idle.occ();
    if (settled_idle || take_idle_at(place)) {
      start_closing(place, PlaceState::kUsed, CloseReason::kPoolClosed);
    }
  }
}

// Fenced. What others have settled and freed again does not tell whether it was idle: what nobody
// has had for a second was.
void Pool::close_unowned() {
  for (PlaceIndex place = 0; place < ref().capacity(); ++place) {
    const Slot& slot = slots_[place];
    const std::uint64_t serial = slot.serial.load();
    const bool owned = !slot.is_noted() || slot.in_hands.load() || serial % 2 == 1;
    if (!owned && unowned_[place] == serial + 1) {
      start_closing(place, PlaceState::kUsed, CloseReason::kPoolClosed);
    }
    unowned_[place] = owned ? 0 : serial + 1;
  }
}

}  // namespace weir::pool
