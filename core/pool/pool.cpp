#include "pool/pool.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/duration.h"
#include "pool/inside.h"
#include "pool/ticket.h"

namespace weir::pool {
namespace {

using shm::PlaceIndex;
using shm::PlaceState;
using shm::PlaceWord;

constexpr std::uint64_t kNever = UINT64_MAX;

std::uint64_t to_ns(std::chrono::milliseconds duration) {
  return static_cast<std::uint64_t>(Nanos(duration).count());
}

// What this thread remembers: the place it used last, most likely idle again and warm in this
// core's cache; its own number; when it gave that place back, if others waited then, and whether it
// is one that comes again at once. Initial-exec: one load instead of a call into the dynamic
// linker.
struct Memory {
  const void* pool;
  PlaceIndex place;
  std::uint32_t thread_id;
  std::uint64_t returned_ns;
  bool comes_again;
};
constinit thread_local Memory memory
    __attribute__((tls_model("initial-exec"))) = {nullptr, 0, 0, 0, false};

// A thread that is back for its next lease within this time is there before a woken waiter: to wake
// one and to switch to it takes 5 to 20 us (measured, 2 processors).
constexpr std::uint64_t kAtOnceNs = 20'000;

std::uint32_t thread_id() {
  if (memory.thread_id == 0) memory.thread_id = static_cast<std::uint32_t>(syscall(SYS_gettid));
  return memory.thread_id;
}

std::uint32_t bits_to_clean(ResetMode mode) {
  constexpr std::uint32_t kAlways = WEIR_COND_BROKEN | WEIR_COND_IN_TRANSACTION | WEIR_COND_UNREAD |
                                    WEIR_COND_UNEXPECTED | WEIR_COND_DOUBTFUL;
  return mode == ResetMode::kTransaction ? kAlways : kAlways | WEIR_COND_DIRTY;
}

}  // namespace

Pool::Pool(const PoolConfig& config, Parts parts)
    : config_(&config),
      parts_(std::move(parts)),
      validity_(parts_.membership.validity()),
      owner_pattern_(
          PlaceWord(PlaceState::kFree, parts_.membership.id().row, parts_.membership.id().gen, 0)
              .raw()),
      may_move_(config.handover == config::Handover::kLive && parts_.inbox != nullptr &&
                parts_.dsn.driver().can_move_sessions()),
      always_reset_(config.reset == ResetMode::kAlways),
      keeps_order_(config.order != config::Order::kAny),
      dirty_bits_(bits_to_clean(config.reset)),
      slots_(parts_.ref.capacity()),
      book_(parts_.ref, parts_.membership.id()),
      recorder_(parts_.segment, parts_.membership.id().row),
      moves_(may_move_),
      lingering_(parts_.ref.capacity()),
      reported_leases_(parts_.ref.capacity()),
      unowned_(parts_.ref.capacity()),
      size_{.target = config.max,  // until the policy is asked
            .warm = config.min,
            .max = config.max,
            .max_per_worker = config.max_per_worker,
            .handover_after_ms = static_cast<std::uint64_t>(config.handover_after.count())} {
  const shm::DemandWord now = shm::demand_of(ref().row());
  quiet_.store(shm::DemandWord::quiet(now.generation()));
  reclaimed_ = shm::sum_counter(ref(), shm::Counter::kReclaimed);
  heeded_.store(now.raw() & ~shm::DemandWord::kWaiting);
  cut_heeded_.store(ref().row().cut_below.load());
  handover_after_ns_.store(to_ns(config.handover_after));
  turn_ns_.store(to_ns(config.handover_after) / 2);
  target_.store(config.max);
  policy_reloads_ = parts_.segment.header().policy_reloads.load();
  reconfigure(config);
  see_whether_releases_may_close();
}

// One by one: who reads some before and some after does as either says.
void Pool::reconfigure(const PoolConfig& config) {
  validate_after_ns_.store(config.validate_after ? to_ns(*config.validate_after) : kNever);
  retries_connects_.store(config.on_connect_error == config::OnConnectError::kRetryUntilDeadline);
  config_.store(&config, std::memory_order_release);
  decides_again_.store(true);
  note_listener();
  wake_keeper();
}

Pool::~Pool() = default;

// A step of our own place, whatever the retire flag says meanwhile.
bool Pool::move(PlaceIndex place, PlaceState from, PlaceState to) {
  std::uint64_t raw = cell(place).load();
  while (PlaceWord(raw).state() == from && PlaceWord(raw).belongs_to(self())) {
    // Since when, before it is so: nobody may take the new state for an old one.
    parts_.ref.info(place).since_ns.store(coarse_ns(), std::memory_order_relaxed);
    if (cell(place).compare_exchange_weak(raw, PlaceWord(raw).to(to, self()).raw())) return true;
  }
  return false;
}

// The same for one that is flagged to retire as well, which is never lent.
bool Pool::take_idle_or_retiring(PlaceIndex place) {
  return move(place, PlaceState::kIdle, PlaceState::kUsed) && is_to_be_lent(place);
}

void Pool::poison_by(PlaceIndex place) const {
  parts_.segment.poison("place " + std::to_string(place) + " of pool " + config().name +
                        " is free to be lent as the segment says, and lent or not open as its "
                        "worker knows");
}

PlaceIndex Pool::take_any_idle() {
  for (PlaceIndex i = 0; i < ref().capacity(); ++i) {
    // A look first: it costs less than a compare-and-swap that fails.
    if (is_mine_and(cell(i).load(std::memory_order_relaxed), PlaceState::kIdle) &&
        take_idle_at(i)) {
      return i;
    }
  }
  return kNoPlace;
}

// Fills in `loan` field by field: a struct returned through memory is read back wider than it was
// written, and the processor waits for that (15 ns here).
[[gnu::always_inline]] inline void Pool::lend(PlaceIndex place, std::string_view label,
                                              std::uint64_t now_ns, Loan& loan) {
  Slot& slot = slots_[place];
  const std::uint64_t serial = slot.serial.load(std::memory_order_relaxed) + 1;
  slot.serial.store(serial, std::memory_order_relaxed);
  shm::PlaceInfo& info = ref().info(place);
  store_if_new(info.since_ns, now_ns);
  const std::uint64_t leases = info.leases.load(std::memory_order_relaxed) + 1;
  info.leases.store(leases, std::memory_order_relaxed);
  const std::uint64_t untimed = untimed_.load(std::memory_order_relaxed);
  if ((leases * kSpread & untimed) == 0) [[unlikely]]
    begin_timing(slot, untimed);
  store_if_new(info.holder_thread, thread_id());
  if (!label.empty() || slot.labelled) show_label(place, label);
  loan.place = place;
  loan.serial = serial;
  loan.native = slot.native;
}

void Pool::show_label(PlaceIndex place, std::string_view label) {
  ref().info(place).label.store(label);
  slots_[place].labelled = !label.empty();
}

Loan Pool::lend(PlaceIndex place, std::string_view label, std::uint32_t klass,
                std::uint64_t asked_ns) {
  if (klass != 0) ref().info(place).holder_class.store(klass, std::memory_order_relaxed);
  Loan loan;
  lend(place, label, now_ns(), loan);
  slots_[place].asked_ns = asked_ns;
  if (config().capture_stack) capture(slots_[place].stack);
  return loan;
}

// Whether a caller that has just come may take an idle connection here: not past a waiter of its
// own worker, nor past one elsewhere whom this worker owes room, once they have waited long enough.
bool Pool::may_pass_the_line() {
  if (!is_called()) return true;
  heed();
  if (is_paused()) return false;
  if (!is_demanded()) return true;
  const std::uint64_t now = monotonic_ns();
  if (memory.returned_ns != 0 && memory.pool == this) {
    memory.comes_again = now - memory.returned_ns < kAtOnceNs;
    memory.returned_ns = 0;
  }
  return !is_owed(now);
}

bool Pool::try_acquire(std::string_view label, Loan& loan) {
  if (!is_valid() || (attention_.load(std::memory_order_relaxed) & kNotAtOnce) != 0) return false;
  if (is_called() && !may_pass_the_line()) return false;  // no call where nobody waits
  PlaceIndex place = memory.place;
  if (memory.pool != this || !take_idle_at(place)) place = take_any_idle();
  if (place == kNoPlace) return false;
  const std::uint64_t now = now_ns();
  if (needs_check(slots_[place], now)) {
    check_and_serve(place);
    return false;
  }
  lend(place, label, now, loan);
  return true;
}

Result<std::uint32_t> Pool::class_of(std::string_view name) const {
  if (name.empty()) return std::uint32_t{0};
  const shm::PoolRow& row = ref().row();
  const std::uint32_t count = std::min<std::uint32_t>(row.classes.load(), shm::kMaxClasses);
  std::string names;
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::string one = row.class_names[i].load();
    if (one == name) return i + 1;
    names += (names.empty() ? "" : ", ") + one;
  }
  return Status(Code::kBadArgument,
                "pool " + config().name + ": class \"" + std::string(name) +
                    "\": expected one of: " + (names.empty() ? "(it has none)" : names));
}

// Its holder has it no more; a class that it counted for has one less.
void Pool::note_returned(const Loan& loan) {
  if (slots_[loan.place].timed_from_ns != 0) end_timing(loan.place);
  slots_[loan.place].serial.store(loan.serial + 1, std::memory_order_relaxed);
  store_if_new(ref().info(loan.place).holder_class, 0u);
}

bool Pool::acquire_at_once(std::string_view label, std::uint32_t klass, Loan& loan) {
  while (is_valid() && !is_closed() && may_pass_the_line()) {
    const PlaceIndex place = take_in_order();
    if (place == kNoPlace) return false;
    const std::uint64_t now = now_ns();
    Slot& slot = slots_[place];
    if (needs_check(slot, now) && (is_expired(slot, now) || !is_connected(slot))) {
      start_closing(place, PlaceState::kUsed,
                    is_expired(slot, now) ? CloseReason::kLifetime : CloseReason::kInvalid);
      continue;
    }
    loan = lend(place, label, klass, 0);
    return true;
  }
  return false;
}

// A server that hung up is known without a round trip.
bool Pool::is_connected(Slot& slot) {
  constexpr std::uint32_t kLost = WEIR_COND_BROKEN | WEIR_COND_UNREAD | WEIR_COND_UNEXPECTED;
  return (slot.connection.condition(WEIR_LOOK_AT_SOCKET) & kLost) == 0;
}

// kLate: the caller is out of time, the check is not: the keeper ends it, and the connection is
// there for the next one. Who has no time at all has to trust the look at the socket.
Pool::Check Pool::check(PlaceIndex place, Deadline deadline) {
  Slot& slot = slots_[place];
  Job job;
  job.kind = Job::Kind::kCheck;
  job.place = place;
  job.deadline = Deadline::after(config().connect_timeout);
  job.started = true;
  slot.in_hands.store(true);
  const bool connected = is_connected(slot);
  if (connected && deadline.passed(monotonic_ns())) return checked(place, true);
  Status status = connected ? slot.connection.start(WEIR_OP_PING, nullptr, job.deadline)
                            : Status(Code::kConnectionBroken, "the server hung up");
  while (status.ok()) {
    job.wants = slot.connection.step(&status);
    if (job.wants == Step::kDone || job.wants == Step::kError) break;
    if (deadline.passed(monotonic_ns())) {
      jobs_.add(std::move(job));
      wake_keeper();
      return Check::kLate;
    }
    slot.connection.wait(job.wants, job.deadline.earlier_of(deadline));
  }
  book_.add(status.ok() ? shm::Counter::kPings : shm::Counter::kPingFailures);
  tell({.kind = EventKind::kConnValidated, .connection = number_at(place), .code = status.code()});
  if (!status.ok()) {
    replace_all_if_doubtful(slot);
    note_unanswered_ping(status);
  }
  slot.checked_ns = coarse_ns();
  return checked(place, status.ok());
}

// Out of the hands of who checked it. One that was settled over our head meanwhile must not be
// lent.
Pool::Check Pool::checked(PlaceIndex place, bool good) {
  slots_[place].in_hands.store(false);
  const PlaceWord word(cell(place).load());
  const bool ours = word.state() == PlaceState::kUsed && word.belongs_to(self());
  return good && ours ? Check::kGood : Check::kBad;
}

// An idle connection of this worker, checked if it idled for long; nullopt if there is none.
Result<std::optional<Loan>> Pool::lend_idle(const Request& request, std::uint64_t started_ns) {
  for (PlaceIndex place; (place = take_in_order()) != kNoPlace;) {
    const std::uint64_t now_ns = coarse_ns();
    const Slot& slot = slots_[place];
    if (needs_check(slot, now_ns)) {
      const bool expired = is_expired(slot, now_ns);
      const Check answer = expired ? Check::kBad : check(place, request.deadline);
      if (answer == Check::kLate) return too_late(request, started_ns, "still checking");
      if (answer == Check::kBad) {
        start_closing(place, PlaceState::kUsed,
                      expired ? CloseReason::kLifetime : CloseReason::kInvalid);
        continue;
      }
    }
    return std::optional<Loan>(lend(place, request.label, request.klass, started_ns));
  }
  return std::optional<Loan>();
}

// Whether anything can be lent here at all.
Status Pool::is_open() const {
  const std::string pool = "pool " + config().name;
  if (parts_.membership.is_forked()) {
    return Status(Code::kForked, pool + ": attached by the parent process");
  }
  if (!is_valid()) {
    return Status(Code::kNotOpen, pool +
                                      ": this worker could not prove that it lives and starts "
                                      "anew; try again");
  }
  if (!parts_.membership.is_in_its_row()) {
    wake_keeper();  // it fences this worker
    return Status(Code::kNotOpen, pool + ": this worker was believed dead; try again");
  }
  if (is_closed()) return Status(Code::kClosed, pool + ": closed");
  if (is_paused()) return Status(Code::kPaused, pool + ": paused; try again once it is resumed");
  return parts_.segment.usable();
}

Result<Loan> Pool::acquire(const Request& request) {
  const Inside inside(inside_);
  const std::uint64_t started_ns = monotonic_ns();
  Result<Loan> loan = find(request, started_ns);
  if (!loan.ok()) {
    count_failure(loan.status().code());
    record_failure(started_ns, request.klass, loan.status().code());
  }
  return loan;
}

// What too_late() and a full line have not counted yet.
void Pool::count_failure(Code code) {
  using shm::Counter;
  const bool refused = code == Code::kClosed || code == Code::kPaused;
  const bool failed =
      code == Code::kConnectFailed || code == Code::kAuthFailed || code == Code::kBreakerOpen;
  if (code == Code::kCancelled) book_.add(Counter::kCancelled);
  if (refused) book_.add(Counter::kRefused);
  if (failed) book_.add(Counter::kConnectRefusals);
}

Result<Loan> Pool::find(const Request& request, std::uint64_t started_ns) {
  milliseconds pause(4);
  Status failure;  // of this caller's last attempt to connect, where it makes more of them
  while (true) {
    if (is_given_up(request)) return cancelled(request, started_ns);
    WEIR_TRY(is_open());
    if (may_pass_the_line()) {
      Result<std::optional<Loan>> idle = lend_idle(request, started_ns);
      if (!idle.ok()) return idle.status();
      if (idle.value()) return *idle.value();
    }
    Result<Loan> loan = Status(Code::kTimeout, "");
    if (request.deadline.passed(monotonic_ns())) {
      if (!failure.ok()) return failure;
      return too_late(request, started_ns, "nothing idle here");
    }
    if (const std::optional<Opening> opening = take_opening()) {
      loan = connect(*opening, request, started_ns);
    } else {
      WEIR_TRY(refusal());
      loan = wait_in_line(request, started_ns);
    }
    // The server is full though our quota is not: somebody else's sessions, or one of ours that it
    // has not quite let go of; then the line is where to wait. Or what we took was settled over our
    // head. Worth another try while there is time.
    if (loan.ok()) return loan;
    const Code code = loan.status().code();
    if (code == Code::kServerFull && !request.deadline.passed(monotonic_ns())) continue;
    if (is_worth_another_try(loan.status(), request)) {
      failure = loan.status();
      if (!shm::breaker_of(ref()).is_closed()) continue;  // it says when, in line
    } else if (code != Code::kNotOpen) {
      // Who ran out of time because of a server that is down hears that, and not of the time.
      return code == Code::kTimeout && !failure.ok() ? Result<Loan>(std::move(failure)) : loan;
    }
    const Deadline retry = Deadline::after(pause);
    if (request.deadline.passed(retry.ns())) {
      return failure.ok() ? too_late(request, started_ns, loan.status().message()) : failure;
    }
    const timespec wait{0, static_cast<long>(Nanos(pause).count())};
    nanosleep(&wait, nullptr);
    pause = std::min(pause * 2, milliseconds(100));
  }
}

Status Pool::not_available(Code code, const Request& request, std::uint64_t started_ns,
                           std::string_view why) const {
  const Stats now = stats();
  const std::uint64_t waited_ms = (monotonic_ns() - started_ns) / 1'000'000;
  std::string text = "pool " + config().name + ": no connection after " +
                     std::to_string(waited_ms) + " ms (" + std::string(why) +
                     "): " + std::to_string(now.used) + " used, " + std::to_string(now.idle) +
                     " idle, " + std::to_string(now.connecting) + " connecting, " +
                     std::to_string(now.lingering) + " lingering of max " +
                     std::to_string(now.max) + "; " + std::to_string(now.waiting) + " waiting";
  if (!request.label.empty()) text += "; asked by " + std::string(request.label);
  return Status(code, std::move(text));
}

Status Pool::too_late(const Request& request, std::uint64_t started_ns, std::string_view why) {
  book_.add(shm::Counter::kTimeouts);
  if (shm::is_server_full(ref(), monotonic_ns())) {
    return full(request, started_ns);
  }
  if (!shm::breaker_of(ref()).is_closed()) {
    return retries_connects_ ? down(Code::kConnectFailed, "no connection until the deadline")
                             : down(Code::kBreakerOpen, "no connection until the deadline");
  }
  return not_available(Code::kTimeout, request, started_ns, why);
}

Status Pool::cancelled(const Request& request, std::uint64_t started_ns) const {
  return not_available(Code::kCancelled, request, started_ns, "its caller gave it up");
}

Status Pool::check_out(const Loan& loan) {
  if (parts_.membership.is_forked()) {
    return Status(Code::kForked, "pool " + config().name +
                                     ": this lease belongs to the parent process; a child uses "
                                     "leases of its own");
  }
  if (is_lent(loan)) return Status();
  return Status(Code::kNotCheckedOut,
                "pool " + config().name + ": this lease was given back before");
}

bool Pool::is_out(const Loan& loan) { return check_out(loan).ok(); }

// Somebody may be waiting for the place that was just made idle. A thread that comes again at once
// leaves it there for itself while nobody is owed it. The waiter looks for itself when that time is
// over, should the thread not come.
void Pool::serve_if_wanted(PlaceIndex place) {
  heed();
  if (!is_demanded()) return;
  memory.returned_ns = monotonic_ns();
  const bool wanted = memory.comes_again ? is_owed(memory.returned_ns) : is_wanted();
  if (!wanted || !take_idle_at(place)) return;
  if (validate_after_ns_.load(std::memory_order_relaxed) == 0) return check_and_serve(place);
  serve(place);
}

// Idle first, and then one load of demand: a waiter that this releaser does not see has raised it
// before it looked, and finds the place idle. The other order loses wake-ups.
[[gnu::always_inline]] inline void Pool::give_back(const Loan& loan) {
  Slot& slot = slots_[loan.place];
  if (slot.timed_from_ns != 0) [[unlikely]]
    end_timing(loan.place);
  slot.serial.store(loan.serial + 1, std::memory_order_relaxed);
  set_if_new(slot.idle_since_ns, now_ns());
  set_if_new<const void*>(memory.pool, this);
  set_if_new(memory.place, loan.place);
  set_if_new<std::uint64_t>(memory.returned_ns, 0);
  if (set_idle(loan.place) && is_called()) serve_if_wanted(loan.place);
}

bool Pool::try_release(const Loan& loan) {
  if (!is_valid() || !is_lent(loan) || releases_take_more_.load(std::memory_order_relaxed) ||
      attention_.load(std::memory_order_relaxed) != 0) {
    return false;
  }
  Slot& slot = slots_[loan.place];
  if ((slot.connection.condition(WEIR_LOOK_LOCAL) & dirty_bits_) != 0) return false;
  give_back(loan);
  return true;
}

void Pool::give_on(const Loan& loan, std::optional<CloseReason> why) {
  if (why) {
    end(loan, *why);
  } else if ((attention_.fetch_and(~kSpareWanted) & kSpareWanted) != 0) {
    Slot& slot = slots_[loan.place];
    note_returned(loan);
    slot.idle_since_ns = now_ns();
    ask_over(loan.place);
  } else {
    if (slots_[loan.place].timed_from_ns != 0) end_timing(loan.place);
    store_if_new(ref().info(loan.place).holder_class, 0u);
    give_back(loan);
  }
}

void Pool::close() {
  if ((attention_.fetch_or(kClosed) & kClosed) != 0) return;
  tell({.kind = EventKind::kPoolClosed});
  shm::wake_all_waiters(parts_.segment, self());
  end_tickets();
  for (PlaceIndex place; (place = take_any_idle()) != kNoPlace;) {
    if (!leave_to_others(place)) start_closing(place, PlaceState::kUsed, CloseReason::kPoolClosed);
  }
}

bool Pool::is_nothing_lent() {
  return std::none_of(slots_.all().begin(), slots_.all().end(), [](const Slot& slot) {
    return slot.serial.load(std::memory_order_relaxed) % 2 == 1;
  });
}

bool Pool::is_empty() const {
  return inside_.load() == 0 &&
         std::none_of(ref().places().begin(), ref().places().end(), [this](const shm::Word& word) {
           return PlaceWord(word.load()).belongs_to(self());
         });
}

void Pool::forget_thread() { memory = {}; }

void Pool::close_inherited_sockets() {
  for (Slot& slot : slots_.all()) slot.close_inherited_socket();
}

}  // namespace weir::pool
