#include "simulation/machine.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace weir::simulation {
namespace {

// core/pool/wait.h
constexpr std::uint64_t kTickFirstUs = 2'000, kTickRestUs = 50'000;
constexpr std::size_t kFirst = 4;
constexpr std::uint32_t kRingEvery = 5, kRingAllEvery = 25;
// Where a configured time is for ever.
constexpr std::uint64_t kLongestUs = 86'400'000'000;

MachineSettings sound(MachineSettings settings) {
  settings.workers = std::clamp(settings.workers, 1u, 10'000u);
  settings.threads = std::min(settings.threads, 10'000u);
  settings.pool.max = std::clamp(settings.pool.max, 1u, 10'000u);
  settings.pool.connect_concurrency = std::clamp(settings.pool.connect_concurrency, 1u, 16u);
  settings.pool.acquire_timeout_ms = std::min(settings.pool.acquire_timeout_ms, kLongestUs / 1000);
  settings.mechanics.spread = std::clamp(settings.mechanics.spread, 0.0, kMostSpread);
  return settings;
}

std::uint32_t limit_of(const PoolSettings& pool) {
  return pool.quota == 0 ? pool.max : std::min(pool.max, pool.quota);
}

}  // namespace

Machine::Machine(const Load& load, const MachineSettings& settings, const MakePolicy& make_policy)
    : load_(load),
      settings_(sound(settings)),
      limit_(limit_of(settings_.pool)),
      calls_(load.requests.size()),
      next_(load.requests.size(), kNobody),
      workers_(settings_.workers),
      threads_(std::size_t{settings_.workers} * settings_.threads),
      places_(settings_.pool.max, settings_.workers),
      has_probe_(settings_.pool.max),
      line_(settings_.workers, static_cast<std::uint32_t>(settings_.pool.classes.size())),
      ledger_(load.requests.size()),
      random_(settings.seed),
      left_(load.requests.size()) {
  for (std::uint32_t call = 0; call < calls_.size(); ++call) {
    const std::uint32_t before = load_.requests[call].follows;
    if (before != kNobody) next_[before] = call;
  }
  for (std::uint32_t i = 0; i < workers_.size(); ++i) {
    Worker& worker = workers_[i];
    worker.policy = make_policy();
    const PoolSettings& pool = settings_.pool;
    worker.size = {.target = std::min(pool.keep.value_or(pool.max), pool.max),
                   .warm = pool.min,
                   .max = pool.max,
                   .max_per_worker = pool.max_per_worker,
                   .handover_after_ms = pool.handover_after_ms};
    for (std::uint32_t thread = 0; thread < settings_.threads; ++thread) {
      worker.threads.push_back(i * settings_.threads + thread);
    }
    // Workers start within a second of one another.
    events_.add(static_cast<std::uint64_t>(draw() * 1e6), EventKind::kKeeper, i);
  }
  for (const Outage& outage : load_.outages) {
    events_.add(outage.from_us, EventKind::kDown);
    events_.add(outage.to_us, EventKind::kUp);
  }
  schedule_next_arrival();
}

// Log-normal around the median: many small delays multiply to what a busy scheduler makes of a
// step.
std::uint64_t Machine::lasts_us(std::uint64_t median_us) {
  const double spread = settings_.mechanics.spread;
  if (median_us == 0 || spread <= 0) return median_us;
  std::normal_distribution<double> normal;
  const double us = static_cast<double>(median_us) * std::exp(spread * normal(random_));
  return static_cast<std::uint64_t>(us + 0.5);
}

Report simulate(const Load& load, const MachineSettings& settings, const MakePolicy& make_policy) {
  return Machine(load, settings, make_policy).run();
}

Report Machine::run() {
  ledger_.counts().policy = workers_.front().policy->name();
  ledger_.counts().max = limit_;
  while (!events_.is_empty() && (left_ > 0 || now_us_ < load_.length_us)) {
    const Event event = events_.take();
    now_us_ = event.at_us;
    handle(event);
    note_levels();
  }
  return ledger_.finish(std::max(now_us_, load_.length_us));
}

void Machine::note_levels() {
  const std::uint32_t used = places_.used();
  windows_.note_used(now_us_, used);
  ledger_.note_levels(now_us_, places_.open(), used, static_cast<std::uint32_t>(line_.size()));
}

void Machine::handle(const Event& event) {
  switch (event.kind) {
    case EventKind::kArrival:
      return arrive(event.a);
    case EventKind::kAsk:
      return ask(event.a);
    case EventKind::kRetry:
      if (calls_[event.a].state == CallState::kPausing) find(event.a);
      return;
    case EventKind::kTick:
      return tick(event.a, event.b);
    case EventKind::kDeadline:
      return pass_deadline(event.a);
    case EventKind::kHas:
      return has(event.a, event.b);
    case EventKind::kConnect:
      return connect_offered(event.a, event.b);
    case EventKind::kConnected:
      return connected(event.b);
    case EventKind::kArrived:
      return arrived(event.b);
    case EventKind::kChecked:
      return checked(event.b);
    case EventKind::kReleased:
      return release(event.a, event.b);
    case EventKind::kReturned:
      return give_back(event.a, event.b);
    case EventKind::kClosed:
      places_.move(event.b, PlaceState::kFree, 0);
      return match();
    case EventKind::kRing:
      workers_[event.a].is_rung = false;
      return serve_idle(event.a);
    case EventKind::kKeeper:
      return keep(event.a);
    case EventKind::kFill:
      workers_[event.a].fill_waits = false;
      return fill_warm(event.a);
    case EventKind::kAskBreaker:
      return ask_breaker(event.a);
    case EventKind::kDown:
      return go_down();
    case EventKind::kUp:
      is_up_ = true;
      return;
  }
}

std::uint32_t Machine::worker_of(std::uint32_t call) const {
  return load_.requests[call].worker % settings_.workers;
}

std::uint32_t Machine::class_of(std::uint32_t call) const {
  const std::uint32_t klass = load_.requests[call].klass;
  return klass <= settings_.pool.classes.size() ? klass : 0;
}

// ---- before a request has a connection ----------------------------------------------------------

void Machine::schedule_next_arrival() {
  const std::vector<Request>& requests = load_.requests;
  while (next_arrival_ < requests.size() && requests[next_arrival_].follows != kNobody) {
    ++next_arrival_;
  }
  if (next_arrival_ == requests.size()) return;
  const std::uint64_t at_us = std::max(requests[next_arrival_].arrival_us, now_us_);
  events_.add(at_us, EventKind::kArrival, static_cast<std::uint32_t>(next_arrival_++));
}

void Machine::arrive(std::uint32_t call) {
  if (load_.requests[call].follows == kNobody) schedule_next_arrival();
  if (load_.patience_us != 0) calls_[call].deadline_us = now_us_ + load_.patience_us;
  Worker& worker = workers_[worker_of(call)];
  if (settings_.threads == 0) return ask(call);
  if (worker.threads.empty()) {
    calls_[call].state = CallState::kQueued;
    worker.queue.push_back(call);
    return;
  }
  calls_[call].thread = worker.threads.front();
  worker.threads.pop_front();
  ask(call);
}

void Machine::ask(std::uint32_t call) {
  Call& one = calls_[call];
  if (load_.patience_us == 0) {
    one.deadline_us = now_us_ + settings_.pool.acquire_timeout_ms * 1000;
  } else if (now_us_ >= one.deadline_us) {
    return finish(call, End::kTimedOut);  // whoever sent it has gone
  }
  ledger_.note_asked(call, now_us_);
  find(call);
}

// As Pool::find.
void Machine::find(std::uint32_t call) {
  Call& one = calls_[call];
  const std::uint32_t worker = worker_of(call);
  while (may_pass_the_line(call)) {
    const std::uint32_t place = take_idle(call);
    if (place == kNobody) break;
    if (is_expired(place)) {
      close(place);
      continue;
    }
    if (!needs_check(place)) return got(call, place, one.has_deadline);
    one.state = CallState::kChecking;
    one.place = place;
    events_.add(after(settings_.mechanics.check_us), EventKind::kHas, call, place);
    return want_deadline(call);
  }
  if (now_us_ >= one.deadline_us) return finish(call, End::kTimedOut);
  if (const std::uint32_t place = take_opening(worker); place != kNobody) {
    begin_connect(place, call);
    return want_deadline(call);
  }
  if (is_refused(worker)) return finish(call, End::kRefused);
  enter_line(call);
}

void Machine::enter_line(std::uint32_t call) {
  Call& one = calls_[call];
  const std::uint32_t worker = worker_of(call);
  one.state = CallState::kWaiting;
  one.since_us = now_us_;
  one.ticks = 0;
  one.ticket = line_.enter(call, worker, class_of(call));
  want_deadline(call);
  match();
  serve_idle(worker);
  if (one.state != CallState::kWaiting) return;
  ring_whoever_has_idle(worker, false);
  const std::uint64_t after_us = workers_[worker].size.handover_after_ms * 1000;
  events_.add(now_us_ + (after_us == 0 ? kTickFirstUs : std::min(kTickFirstUs, after_us)),
              EventKind::kTick, call, static_cast<std::uint32_t>(one.ticket));
}

void Machine::leave_line(std::uint32_t call) {
  line_.leave(call, worker_of(call), class_of(call), calls_[call].ticket);
}

void Machine::tick(std::uint32_t call, std::uint32_t ticket) {
  Call& one = calls_[call];
  if (one.state != CallState::kWaiting || static_cast<std::uint32_t>(one.ticket) != ticket) return;
  const std::uint32_t worker = worker_of(call);
  if (is_refused(worker)) {
    leave_line(call);
    finish(call, End::kRefused);
    return match();
  }
  match();
  serve_idle(worker);
  if (one.state != CallState::kWaiting) return;
  if (++one.ticks % kRingEvery == 0) {
    ring_whoever_has_idle(worker, one.ticks % kRingAllEvery == 0);
  }
  const bool is_first = line_.is_among_first(one.ticket, kFirst);
  events_.add(now_us_ + (is_first ? kTickFirstUs : kTickRestUs), EventKind::kTick, call, ticket);
}

void Machine::want_deadline(std::uint32_t call) {
  Call& one = calls_[call];
  if (std::exchange(one.has_deadline, true)) return;
  events_.add(one.deadline_us, EventKind::kDeadline, call);
}

// What was on its way to it, or is being opened or checked for it, goes to whoever is next then.
void Machine::pass_deadline(std::uint32_t call) {
  switch (calls_[call].state) {
    case CallState::kWaiting:
      leave_line(call);
      finish(call, End::kTimedOut);
      return match();
    case CallState::kClaimed:
    case CallState::kChecking:
    case CallState::kConnecting:
    case CallState::kPausing:
      return finish(call, End::kTimedOut);
    default:
      return;
  }
}

// ---- while it has one, and after ----------------------------------------------------------------

// It woke up with what it was granted, or knows what its check said.
void Machine::has(std::uint32_t call, std::uint32_t place) {
  const bool was_check = calls_[call].state == CallState::kChecking;
  if (calls_[call].state == CallState::kGranted) return got(call, place, true);
  if (is_broken(place)) {
    close(place);
    if (was_check) find(call);
    return;
  }
  places_[place].checked_us = now_us_;
  if (was_check) return got(call, place, true);
  serve(place);  // it ran out of time meanwhile
}

void Machine::got(std::uint32_t call, std::uint32_t place, bool waited) {
  Call& one = calls_[call];
  one.state = CallState::kHolding;
  one.place = place;
  Place& lent = places_[place];
  places_.move(place, PlaceState::kUsed, worker_of(call));
  lent.call = call;
  lent.lent_us = now_us_;
  ++lent.leases;
  ledger_.note_had(call, now_us_, waited);
  windows_.note(now_us_, Happened::kAcquire);
  if (waited) windows_.note(now_us_, Happened::kWaited);
  windows_.note_wait(now_us_, ledger_.counts().outcomes[call].wait_us);
  // A session that is gone says so at its first query.
  const std::uint64_t work_us = is_broken(place) ? 0 : load_.requests[call].hold_us;
  events_.add(after(settings_.mechanics.round_trip_us) + work_us, EventKind::kReleased, call,
              place);
}

void Machine::release(std::uint32_t call, std::uint32_t place) {
  if (calls_[call].state != CallState::kHolding) return;  // the server went away meanwhile
  windows_.note_use(now_us_, now_us_ - places_[place].lent_us);
  if (is_broken(place)) {
    close(place);
    return finish(call, End::kFailed);
  }
  if (settings_.mechanics.reset_us == 0) return give_back(call, place);
  events_.add(after(settings_.mechanics.reset_us), EventKind::kReturned, call, place);
}

// As Pool::release and give_back.
void Machine::give_back(std::uint32_t call, std::uint32_t place) {
  if (calls_[call].state != CallState::kHolding) return;
  const std::uint32_t worker = places_[place].worker;
  // Those that are closing are on their way out: counting them would let more than is meant go.
  const std::uint32_t staying = places_.open() - places_.in(PlaceState::kClosing);
  if (staying > workers_[worker].size.target && !is_wanted(worker)) {
    close(place);
    return finish(call, End::kServed);
  }
  set_idle(place);
  Thread none;
  const std::uint32_t its = calls_[call].thread;
  Thread& thread = its == kNobody ? none : threads_[its];
  thread.last_place = place;
  thread.returned_us = 0;
  std::uint64_t busy_us = 0;
  if (line_.anybody()) {
    thread.returned_us = now_us_;
    const bool wanted = thread.comes_again ? is_owed(worker) : is_wanted(worker);
    if (wanted) {
      places_.move(place, PlaceState::kUsed, worker);
      if (settings_.pool.validate_after_ms == 0) {
        check_and_serve(place);
      } else if (serve(place)) {
        busy_us = settings_.mechanics.give_us;
      }
    }
  }
  finish(call, End::kServed, busy_us);
}

void Machine::finish(std::uint32_t call, End end, std::uint64_t busy_us) {
  Call& one = calls_[call];
  one.state = CallState::kDone;
  --left_;
  ledger_.note_end(call, now_us_, end);
  if (end == End::kTimedOut) windows_.note(now_us_, Happened::kTimeout);
  if (const std::uint32_t next = next_[call]; next != kNobody) {
    events_.add(now_us_ + load_.requests[next].arrival_us, EventKind::kArrival, next);
  }
  if (one.thread == kNobody) return;
  Worker& worker = workers_[worker_of(call)];
  if (worker.queue.empty()) {
    worker.threads.push_back(one.thread);
    return;
  }
  const std::uint32_t next = worker.queue.front();
  worker.queue.pop_front();
  calls_[next].thread = one.thread;
  events_.add(now_us_ + busy_us + settings_.mechanics.again_us, EventKind::kAsk, next);
}

}  // namespace weir::simulation
