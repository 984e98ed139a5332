// What is decided for the pool as a whole: pause, clear, drain and resize in all workers, dispose,
// check and replace in this one; and what this worker does when it finds such a decision.
#include <sys/socket.h>

#include <algorithm>

#include "pool/fork_gate.h"
#include "pool/inside.h"
#include "pool/pool.h"
#include "shm/admin.h"

namespace weir::pool {

using shm::DemandWord;

namespace {

// How often somebody who waits for what the keeper does looks whether it is done.
constexpr std::uint64_t kLookNs = 2'000'000;

std::uint32_t decision_of(DemandWord word) { return word.raw() & ~DemandWord::kWaiting; }

void nap(Deadline deadline) {
  const Nanos left = deadline.earlier_of(Deadline::after(Nanos(kLookNs))).left(monotonic_ns());
  const timespec pause{0, static_cast<long>(left.count())};
  nanosleep(&pause, nullptr);
}

}  // namespace

// ---- what was decided -------------------------------------------------------------------------

// Acts on what has been decided since this worker looked last. `quiet_` last: until every old
// connection of ours is marked, acquire and release come here.
void Pool::heed() {
  const DemandWord now = shm::demand_of(ref().row());
  if (decision_of(now) == heeded_.load()) return;
  wear_out_old(now.generation());
  const DemandWord was(heeded_.exchange(decision_of(now)));
  quiet_.store(DemandWord::quiet(now.generation()), std::memory_order_relaxed);
  tell_of_decision(was, now);
}

// Whoever comes second finds nothing left to tell.
void Pool::tell_of_decision(DemandWord was, DemandWord now) {
  const bool is_new = was.generation() != now.generation();
  const auto event = [&](EventKind kind) {
    const bool cut = ref().row().cut_below.load() == now.generation();
    tell({.kind = kind, .count = is_new && cut ? 1u : 0u});
    parts_.log.info("pool_decided", {{"pool", config().name},
                                     {"paused", now.is_paused() ? 1 : 0},
                                     {"generation", now.generation()}});
  };
  if (is_new) event(now.is_paused() ? EventKind::kPoolCleared : EventKind::kPoolDrained);
  if (!is_new && !was.is_paused() && now.is_paused()) event(EventKind::kPoolPaused);
  if (was.is_paused() && !now.is_paused()) event(EventKind::kPoolReady);
}

// What was begun under another generation is closed where it is idle, and on return where it is
// lent. Whoever lends one right now had begun before.
void Pool::wear_out_old(std::uint32_t generation) {
  for (PlaceIndex place = 0; place < ref().capacity(); ++place) {
    const PlaceWord word(cell(place).load());
    const bool open = word.state() == PlaceState::kIdle || word.state() == PlaceState::kUsed ||
                      word.state() == PlaceState::kOpening;
    if (!open || !word.belongs_to(self()) || !is_old(place, generation)) continue;
    if (slots_[place].idle_word.load() == 0) continue;  // not connected yet: settle_in() sees to it
    if (!slots_[place].is_worn_out()) slots_[place].wear_out(CloseReason::kStale);
    if (take_idle_or_retiring(place)) {
      start_closing(place, PlaceState::kUsed, CloseReason::kStale);
    }
  }
}

// Generations count on and on, around 2^30.
bool Pool::is_cut(PlaceIndex place) const {
  const std::uint32_t below = ref().row().cut_below.load();
  if (below == 0) return false;
  constexpr std::uint32_t kMask = (std::uint32_t{1} << DemandWord::kGenerationBits) - 1;
  const std::uint32_t generation = ref().info(place).generation.load(std::memory_order_relaxed);
  return ((generation - below) & kMask) > kMask / 2;
}

// The holders of what is cut find the server gone. The connection itself stays theirs: a descriptor
// that is closed under a client library could be somebody else's a moment later.
void Pool::heed_cut() {
  const std::uint32_t below = ref().row().cut_below.load();
  if (below == cut_heeded_.exchange(below)) return;
  for (PlaceIndex place = 0; place < ref().capacity(); ++place) {
    Slot& slot = slots_[place];
    const bool lent = slot.serial.load() % 2 == 1;
    if (!lent || !is_mine_and(cell(place).load(), PlaceState::kUsed) || !is_cut(place)) continue;
    slot.wear_out(CloseReason::kInterrupted);
    const int socket = slot.socket.load();
    if (socket >= 0) {
      shutdown(socket, SHUT_RDWR);
    } else {
      static_cast<void>(slot.connection.cancel(Deadline::after(milliseconds(10))));
    }
  }
}

// ---- decisions --------------------------------------------------------------------------------

bool Pool::pause() {
  const bool changed = shm::pause(ref());
  heed();
  return changed;
}

bool Pool::resume() {
  const bool changed = shm::resume(ref());
  heed();
  return changed;
}

bool Pool::clear(bool interrupt) {
  const bool changed = shm::clear(ref(), interrupt);
  heed();
  heed_cut();
  return changed;
}

void Pool::drain() {
  shm::drain(ref());
  heed();
}

void Pool::dispose() {
  const Inside inside(inside_);
  for (PlaceIndex place; (place = take_any_idle()) != kNoPlace;) {
    start_closing(place, PlaceState::kUsed, CloseReason::kInvalidated);
  }
}

Status Pool::resize(std::uint32_t max, std::uint32_t min) {
  const auto bad = [&](const std::string& what) {
    return Status(Code::kBadConfig, "pool " + config().name + ": resize: " + what);
  };
  if (max < 1) return bad("max: at least 1 expected, found 0");
  if (min > max) {
    return bad("min: at most max (" + std::to_string(max) + ") expected, found " +
               std::to_string(min));
  }
  const Result<shm::Resized> resized = shm::set_pool_size(parts_.segment, ref().id(), max, min);
  if (!resized.ok()) {
    const bool too_large = resized.status().code() == Code::kShmFull;
    return too_large ? bad(resized.status().message()) : resized.status();
  }
  tell({.kind = EventKind::kPoolResized, .count = max});
  parts_.log.info("pool_resized", {{"pool", config().name}, {"max", max}, {"min", min}});
  return Status();
}

Result<Pool::Checked> Pool::check_idle(Deadline deadline) {
  const Inside inside(inside_);
  WEIR_TRY(is_open());
  // All first: what is checked and idle again must not be checked twice.
  std::vector<PlaceIndex> idle;
  for (PlaceIndex place; (place = take_any_idle()) != kNoPlace;) idle.push_back(place);
  Checked checked;
  bool late = false;
  for (const PlaceIndex place : idle) {
    if (late) {
      serve(place);
      continue;
    }
    const Check answer = check(place, deadline);
    late = answer == Check::kLate;
    if (answer == Check::kGood) {
      ++checked.good;
      serve(place);
    } else if (answer == Check::kBad) {
      ++checked.dead;
      start_closing(place, PlaceState::kUsed, CloseReason::kInvalid);
    }
  }
  open_instead(checked.dead);
  if (!late) return checked;
  return Status(Code::kTimeout, "pool " + config().name + ": check: " +
                                    std::to_string(checked.good + checked.dead) + " of " +
                                    std::to_string(idle.size()) + " connections answered in time");
}

// The keeper opens as many, as soon as there is room.
void Pool::open_instead(std::uint32_t count) {
  if (count == 0) return;
  to_open_.fetch_add(count);
  wake_keeper();
}

Status Pool::wait_ready(Deadline deadline) {
  const Inside inside(inside_);
  wake_keeper();
  while (true) {
    WEIR_TRY(is_open());
    const Stats now = stats();
    const std::uint32_t ready = now.idle + now.used;
    if (ready >= now.min) return Status();
    if (deadline.passed(monotonic_ns())) {
      return Status(Code::kTimeout, "pool " + config().name + ": " + std::to_string(ready) +
                                        " connections are ready, " + std::to_string(now.min) +
                                        " (min) expected; " +
                                        std::to_string(ref().row().connect_failures.load()) +
                                        " connects failed in a row");
    }
    if (!ticking_ && keep_once_) keep_once_();
    nap(deadline);
  }
}

// ---- one connection ---------------------------------------------------------------------------

// Until the server has let go. No fork may come while the socket changes; it may while we wait.
Status Pool::say_goodbye(Slot& slot, Deadline deadline) {
  Status status;
  {
    const ForkGate::Step no_fork_meanwhile;
    status = slot.connection.start(WEIR_OP_CLOSE, nullptr, deadline);
    slot.note_socket();
  }
  while (status.ok()) {
    const Step step = slot.connection.step(&status);
    if (step == Step::kDone || step == Step::kError) break;
    slot.connection.wait(step, deadline);
  }
  return status;
}

Status Pool::replace(Loan& loan, const Request& request) {
  const Inside inside(inside_);
  WEIR_TRY(check_out(loan));
  const std::uint64_t started_ns = monotonic_ns();
  const PlaceIndex place = loan.place;
  Slot& slot = slots_[place];
  const auto gone = [&](Status why) {
    end(loan, CloseReason::kInvalidated);
    return std::move(why).in("pool " + config().name + ": replace");
  };
  WEIR_TRY(is_open());
  // 1. a turn, while the old session is still there: who gets none in time keeps it.
  std::optional<shm::Turn> turn;
  while (!(turn = shm::take_turn(ref(), self(), monotonic_ns()))) {
    if (request.deadline.passed(monotonic_ns())) {
      return too_late(request, started_ns, "no turn to connect");
    }
    nap(request.deadline);
  }
  // 2. the old session ends; the server has let go of it before the next begins.
  slot.in_hands.store(true);
  const Status closed =
      say_goodbye(slot, request.deadline.earlier_of(Deadline::after(config().close_timeout)));
  if (!closed.ok() || !move(place, PlaceState::kUsed, PlaceState::kOpening)) {
    shm::return_turn(ref(), *turn);
    return gone(closed.ok() ? Status(Code::kNotOpen, "this worker was believed dead") : closed);
  }
  book_.add(closed_counter(CloseReason::kInvalidated));
  book_.add(shm::Counter::kCloses);
  tell({.kind = EventKind::kConnClosed,
        .connection = number_at(place),
        .reason = CloseReason::kInvalidated});
  // 3. the new one, as any: on failure the place is closed and the loan over.
  note_returned(loan);
  slot.socket.store(Slot::kNoConnection);
  slot.connection = driver::Connection();
  slot.idle_word.store(0);
  const PlaceWord opening(cell(place).load());
  Result<Loan> next = connect({{place, opening}, *turn}, request, started_ns);
  if (!next.ok()) return next.status();
  loan = next.value();
  // The same loan still: no other acquire.
  std::atomic<std::uint64_t>& leases = ref().info(place).leases;
  leases.store(leases.load(std::memory_order_relaxed) - 1, std::memory_order_relaxed);
  return Status();
}

// ---- order and listeners ----------------------------------------------------------------------

// The idle connection that the configured order has next; kNoPlace: none is idle.
Pool::PlaceIndex Pool::take_in_order() {
  if (config().order == config::Order::kAny) return take_any_idle();
  const bool lifo = config().order == config::Order::kLifo;
  while (true) {
    PlaceIndex next = kNoPlace;
    for (PlaceIndex i = 0; i < ref().capacity(); ++i) {
      if (!is_mine_and(cell(i).load(std::memory_order_relaxed), PlaceState::kIdle)) continue;
      if (slots_[i].is_worn_out()) continue;
      const bool goes_first =
          next == kNoPlace || (slots_[i].returned > slots_[next].returned) == lifo;
      if (goes_first) next = i;
    }
    if (next == kNoPlace || take_idle_at(next)) return next;
  }
}

void Pool::note_listener() {
  const bool each = parts_.events.is_heard() || config().capture_stack ||
                    config().order != config::Order::kAny || !config().classes.empty();
  if (each) {
    attention_.fetch_or(kEachLease);
  } else {
    attention_.fetch_and(~kEachLease);
  }
}

}  // namespace weir::pool
