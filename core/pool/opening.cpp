// Opening a connection in an empty place: outside every lock, with a turn among the machine's few
// handshakes, by the caller that needs it; by the keeper when that caller ran out of time.
#include <algorithm>
#include <random>

#include "pool/fork_gate.h"
#include "pool/pool.h"

namespace weir::pool {

namespace {

using shm::PlaceIndex;

// How often a caller who connects looks whether it still is to.
constexpr std::uint64_t kLookNs = 10'000'000;

// Connections opened together must not all expire together: up to a tenth is taken off each one's
// life.
std::uint64_t expiry(std::uint64_t opened_ns, milliseconds lifetime) {
  if (lifetime.count() == 0) return 0;
  static thread_local std::minstd_rand random{std::random_device{}()};
  std::uniform_real_distribution<double> share(0.9, 1.0);
  const auto ns = static_cast<double>(Nanos(lifetime).count()) * share(random);
  return opened_ns + static_cast<std::uint64_t>(ns);
}

int driver_mode(ResetMode mode) {
  switch (mode) {
    case ResetMode::kAlways:
      return WEIR_RESET_ALWAYS;
    case ResetMode::kTransaction:
      return WEIR_RESET_TRANSACTION;
    case ResetMode::kTracked:
      break;
  }
  return WEIR_RESET_TRACKED;
}

}  // namespace

// weir:<service>/<pool>#<place>, by which people and `weir activity` find a session. Servers cut
// names (PostgreSQL at 63 bytes); what is cut here is the service, never the place.
std::string Pool::client_name(PlaceIndex place) const {
  constexpr std::size_t kLongest = 63;
  const std::string rest = "/" + config().name + "#" + std::to_string(place);
  const std::string start = "weir:" + parts_.service;
  return start.substr(0, kLongest - rest.size()) + rest;
}

// Equal in all workers with equal settings, but for the name. Valid as long as `name`.
weir_conn_options_t Pool::connection_options(const std::string& name) const {
  weir_conn_options_t options{};
  options.struct_size = sizeof options;
  options.client_name = name.c_str();
  options.statement_timeout_ms = static_cast<std::uint32_t>(config().statement_timeout.count());
  options.reset_mode = driver_mode(config().reset);
  return options;
}

std::uint32_t Pool::own_places() const {
  return static_cast<std::uint32_t>(std::count_if(
      ref().places().begin(), ref().places().end(),
      [this](const shm::Word& word) { return PlaceWord(word.load()).belongs_to(self()); }));
}

bool Pool::at_worker_cap() const {
  const std::uint32_t cap = worker_cap();
  return cap != 0 && own_places() >= cap;
}

// For who has just taken a place: callers of one worker that look before they take may all see the
// same last one free.
bool Pool::above_worker_cap() const {
  const std::uint32_t cap = worker_cap();
  return cap != 0 && own_places() > cap;
}

// Whether nobody in this worker has anything in the slot of an empty place. Somebody has where the
// place was settled over our head, and while it is lent or worked with its connection stays.
bool Pool::is_vacant(PlaceIndex place) {
  const Slot& slot = slots_[place];
  if (!slot.in_hands.load() && slot.serial.load() % 2 == 0 && !slot.connection.is_open()) {
    return true;
  }
  wake_keeper();  // it fences this worker, if it was believed dead
  return false;
}

// An empty place, its permit and a turn, for a caller that nobody in line comes before; nullopt if
// any is missing, or somebody waits.
std::optional<Pool::Opening> Pool::take_opening() {
  if (is_demanded() && shm::look_at_line(ref(), self()).anybody()) {
    return std::nullopt;
  }
  if (at_worker_cap()) return std::nullopt;
  const std::optional<shm::Room> room = shm::take_room(ref(), self());
  if (!room) return std::nullopt;
  const std::optional<shm::Turn> turn = above_worker_cap() || !is_vacant(room->place)
                                            ? std::nullopt
                                            : shm::take_turn(ref(), self(), monotonic_ns());
  if (turn) return Opening{*room, *turn};
  shm::leave_room(ref(), self(), room->place, room->word);
  return std::nullopt;
}

// Makes the slot's connection object and starts its handshake. Answers what the driver said.
Status Pool::begin_connect(const Opening& opening) {
  const PlaceIndex place = opening.room.place;
  const std::string name = client_name(place);
  Result<driver::Connection> made =
      driver::Connection::open(parts_.dsn, connection_options(name), config().password_file);
  if (!made.ok()) return made.status();

  shm::PlaceInfo& info = ref().info(place);
  info.store_token({});
  info.label.store("");
  info.holder_class.store(0, std::memory_order_relaxed);
  info.opened_ns.store(coarse_ns(), std::memory_order_relaxed);
  info.leases_before.store(info.leases.load(std::memory_order_relaxed), std::memory_order_relaxed);
  info.holder_pid.store(parts_.membership.row().pid.load(std::memory_order_relaxed),
                        std::memory_order_relaxed);
  Slot& slot = slots_[place];
  slot.in_hands.store(true);
  slot.connection = std::move(made).value();
  slot.native = nullptr;
  slot.labelled = false;
  slot.detached = false;
  info.generation.store(shm::demand_of(ref().row()).generation(), std::memory_order_relaxed);
  info.connection.store(ref().row().connections_made.fetch_add(1) + 1, std::memory_order_relaxed);
  if (opening.turn.probe.taken()) tell({.kind = EventKind::kBreakerHalfOpen});
  tell({.kind = EventKind::kConnCreated, .connection = number_at(place)});
  const ForkGate::Step step;
  Status status =
      slot.connection.start(WEIR_OP_CONNECT, nullptr, Deadline::after(config().connect_timeout));
  slot.note_socket();
  return status;
}

// One step of connecting, the statements of on_connect included.
Step Pool::step_connect(Job& job, Status* status) {
  Slot& slot = slots_[job.place];
  while (true) {
    Step step;
    {
      const ForkGate::Step no_fork_meanwhile;
      step = slot.connection.step(status);
      slot.note_socket();
    }
    if (step != Step::kDone) return job.wants = step;
    if (!job.argument) {
      job.argument = std::make_unique<Job::Argument>();
      // The session is there, and may be busy with the statements to come: should we die, it has a
      // name.
      const weir_token_t token = slot.connection.session_token();
      ref().info(job.place).store_token({reinterpret_cast<const char*>(token.bytes), token.size});
    }
    if (!start_statement(job, status)) return status->ok() ? Step::kDone : Step::kError;
  }
}

// Starts the next statement of on_connect. False: there is none left, or *status says why not.
bool Pool::start_statement(Job& job, Status* status) {
  if (!job.argument) job.argument = std::make_unique<Job::Argument>();
  if (job.argument->next_statement == config().on_connect.size()) return false;
  const std::string& statement = config().on_connect[job.argument->next_statement++];
  job.argument->execute = {sizeof(weir_execute_t), statement.c_str()};
  *status =
      slots_[job.place].connection.start(WEIR_OP_EXECUTE, &job.argument->execute, job.deadline);
  return status->ok();
}

// What a slot knows of a connection that is there and answered just now. REQUIRES: the place is
// this worker's.
void Pool::settle_in(PlaceIndex place, std::uint64_t opened_ns) {
  const std::uint64_t now_ns = monotonic_ns();
  Slot& slot = slots_[place];
  const PlaceWord word(cell(place).load());
  // Without the flag of a shrink meanwhile: with it, this one would be lent on and on.
  slot.idle_word.store(PlaceWord(PlaceState::kIdle, self().row, self().gen, word.occ()).raw(),
                       std::memory_order_relaxed);
  // Read after the line before: a drain that this does not see finds the slot itself.
  if (is_old(place, shm::demand_of(ref().row()).generation())) slot.wear_out(CloseReason::kStale);
  slot.native = slot.connection.native();
  slot.opened_ns = opened_ns;
  slot.checked_ns = slot.idle_since_ns = now_ns;
  slot.expires_ns.store(expiry(opened_ns, config().max_lifetime), std::memory_order_relaxed);
}

// OPENING -> USED, and the turn goes to whoever waits for one. Not ok: the connection is being
// closed, since the place was settled over our head, the pool closed or drained, or a listener
// refuses.
Status Pool::finish_connect(const Job& job) {
  const std::uint64_t now_ns = monotonic_ns();
  Slot& slot = slots_[job.place];
  settle_in(job.place, now_ns);
  last_connect_ns_.store(now_ns, std::memory_order_relaxed);
  ref().info(job.place).opened_ns.store(now_ns, std::memory_order_relaxed);
  moves_.store(may_move_, std::memory_order_relaxed);
  book_.add(shm::Counter::kConnects);
  book_.add(shm::Counter::kConnectNs, now_ns - job.began_ns);
  book_.record(shm::Histogram::kConnect, now_ns - job.began_ns);
  ref().row().connect_failures.store(0);
  note_answer();
  const Code heard = tell({.kind = EventKind::kConnReady,
                           .connection = number_at(job.place),
                           .duration_ns = now_ns - job.began_ns});
  const bool ours = move(job.place, PlaceState::kOpening, PlaceState::kUsed);
  slot.in_hands.store(false);
  Status status;
  if (!ours) {
    start_closing(job.place, PlaceState::kOpening, CloseReason::kError);
    status = Status(Code::kNotOpen, "this worker was believed dead while it connected; try again");
  } else if (heard != Code::kOk) {
    start_closing(job.place, PlaceState::kUsed, CloseReason::kError);
    status = Status(heard, "a listener refused the new connection");
  } else if (is_closed()) {
    start_closing(job.place, PlaceState::kUsed, CloseReason::kPoolClosed);
    status = Status(Code::kClosed, "closed while this caller connected");
  } else if (slot.is_worn_out()) {
    start_closing(job.place, PlaceState::kUsed, slot.worn_out_by.load());
    status = Status(Code::kNotOpen, "the pool was drained while this caller connected; try again");
  }
  shm::return_turn(ref(), job.turn);
  if (is_demanded()) shm::match(ref(), self());
  return status;
}

// How long nobody tries again at a full server, by the failures in a row; a close of our own ends
// it early. What others give up there is found out by trying.
std::uint64_t Pool::full_pause_ns() const {
  constexpr std::uint64_t kFirstPauseNs = 20'000'000;
  return kFirstPauseNs << std::min(ref().row().connect_failures.load(), 5u);
}

// OPENING -> CLOSING: the server may have begun a session all the same. The turn is free at once.
void Pool::fail_connect(const Job& job, const Status& status) {
  book_.add(shm::Counter::kConnectFailures);
  record({.kind = shm::Happening::kConnectFailed,
          .connection = static_cast<std::uint32_t>(number_at(job.place)),
          .number = static_cast<std::uint32_t>(status.code()),
          .took_us = shm::recorded_us(monotonic_ns() - job.began_ns)});
  parts_.log.warn("connect_failed", {{"pool", config().name},
                                     {"place", job.place},
                                     {"code", code_name(status.code())},
                                     {"error", status.message()}});
  if (status.code() == Code::kServerFull)
    shm::note_server_full(ref(), monotonic_ns() + full_pause_ns());
  if (status.code() != Code::kPaused)
    note_failure(status,
                 job.turn);  // while the turn is ours: who comes next finds the breaker open
  shm::return_turn(ref(), job.turn);
  const PlaceWord word(cell(job.place).load());
  slots_[job.place].in_hands.store(false);
  if (slots_[job.place].connection.is_open()) {
    start_closing(job.place, PlaceState::kOpening,
                  status.code() == Code::kPaused ? CloseReason::kInterrupted : CloseReason::kError);
  } else if (word.state() == PlaceState::kOpening && word.belongs_to(self())) {
    shm::leave_room(ref(), self(), job.place, word);
  }  // else it was settled over our head, and may be somebody else's by now
  if (is_demanded()) shm::match(ref(), self());
}

Result<Loan> Pool::connect(const Opening& opening, const Request& request,
                           std::uint64_t started_ns) {
  Job job;
  job.kind = Job::Kind::kOpen;
  job.place = opening.room.place;
  job.turn = opening.turn;
  job.began_ns = monotonic_ns();
  job.deadline = Deadline::after(config().connect_timeout);
  job.started = true;
  Status status = begin_connect(opening);
  while (status.ok()) {
    const Step step = step_connect(job, &status);
    if (step == Step::kDone) {
      status = finish_connect(job);
      if (status.ok()) return lend(job.place, request.label, request.klass, started_ns);
      return std::move(status).in("pool " + config().name);
    }
    if (step == Step::kError) break;
    const std::uint64_t now_ns = monotonic_ns();
    const bool given_up = is_given_up(request);
    if (given_up || is_closed() || request.deadline.passed(now_ns)) {
      // The caller is out of time, the handshake is not: the keeper ends it, and the connection is
      // there for the next one.
      jobs_.add(std::move(job));
      wake_keeper();
      if (given_up) return cancelled(request, started_ns);
      if (is_closed()) return is_open();
      return too_late(request, started_ns, "still connecting");
    }
    if (is_cut(job.place)) {
      status =
          Status(Code::kPaused, "interrupted: the pool was cleared while this caller connected");
      break;
    }
    const Deadline patience = job.deadline.earlier_of(request.deadline);
    slots_[job.place].connection.wait(step, patience.earlier_of(Deadline::at_ns(now_ns + kLookNs)));
  }
  fail_connect(job, status);
  // That the server did not answer in time is not a matter of the caller's time.
  if (status.code() == Code::kTimeout) status = Status(Code::kConnectFailed, status.message());
  return std::move(status).in("pool " + config().name);
}

}  // namespace weir::pool
