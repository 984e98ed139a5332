#include "pool/pool.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/duration.h"

namespace weir::pool {
namespace {

using shm::PlaceIndex;
using shm::PlaceState;
using shm::PlaceWord;

constexpr std::uint64_t kNever = UINT64_MAX;

std::uint64_t to_ns(std::chrono::milliseconds duration) {
  return static_cast<std::uint64_t>(Nanos(duration).count());
}

std::uint32_t thread_id() {
  static thread_local const auto id = static_cast<std::uint32_t>(syscall(SYS_gettid));
  return id;
}

// The place this thread used last: most likely idle again, and warm in this core's cache.
struct Hint {
  const void* pool = nullptr;
  PlaceIndex place = 0;
};
thread_local Hint hint;

std::uint32_t bits_to_clean(ResetMode mode) {
  constexpr std::uint32_t kAlways =
      WEIR_COND_BROKEN | WEIR_COND_IN_TRANSACTION | WEIR_COND_UNREAD | WEIR_COND_UNEXPECTED;
  return mode == ResetMode::kTransaction ? kAlways : kAlways | WEIR_COND_DIRTY;
}

}  // namespace

Pool::Pool(const PoolConfig& config, Parts parts)
    : config_(config),
      parts_(std::move(parts)),
      owner_pattern_(
          PlaceWord(PlaceState::kFree, parts_.membership.id().row, parts_.membership.id().gen, 0)
              .raw()),
      validate_after_ns_(config.validate_after ? to_ns(*config.validate_after) : kNever),
      always_reset_(config.reset == ResetMode::kAlways),
      dirty_bits_(bits_to_clean(config.reset)),
      slots_(parts_.ref.capacity()),
      book_(parts_.ref, parts_.membership.id()),
      lingering_(parts_.ref.capacity()),
      reported_leases_(parts_.ref.capacity()),
      size_{config.min, config.max, config.max_per_worker} {}

Pool::~Pool() = default;

// A step of our own place, whatever the retire flag says meanwhile.
bool Pool::move(PlaceIndex place, PlaceState from, PlaceState to) {
  std::uint64_t raw = cell(place).load();
  while (PlaceWord(raw).state() == from && PlaceWord(raw).belongs_to(self())) {
    if (cell(place).compare_exchange_weak(raw, PlaceWord(raw).to(to, self()).raw())) {
      parts_.ref.info(place).since_ns.store(coarse_ns(), std::memory_order_relaxed);
      return true;
    }
  }
  return false;
}

std::optional<PlaceIndex> Pool::take_idle_at(PlaceIndex place) {
  std::uint64_t raw = cell(place).load(std::memory_order_relaxed);
  if (!is_mine_and(raw, PlaceState::kIdle)) return std::nullopt;
  constexpr std::uint64_t kIdleToUsed =
      static_cast<std::uint64_t>(PlaceState::kUsed) - static_cast<std::uint64_t>(PlaceState::kIdle);
  if (!cell(place).compare_exchange_strong(raw, raw + kIdleToUsed)) return std::nullopt;
  return place;
}

std::optional<PlaceIndex> Pool::take_idle() {
  if (hint.pool == this) {
    if (const auto place = take_idle_at(hint.place)) return place;
  }
  for (PlaceIndex i = 0; i < ref().capacity(); ++i) {
    if (const auto place = take_idle_at(i)) return place;
  }
  return std::nullopt;
}

bool Pool::needs_check(const Slot& slot, std::uint64_t now_ns) const {
  if (slot.expires_ns != 0 && now_ns >= slot.expires_ns) return true;
  return now_ns >= slot.idle_since_ns && now_ns - slot.idle_since_ns >= validate_after_ns_;
}

Loan Pool::lend(PlaceIndex place, std::string_view label, std::uint64_t now_ns) {
  Slot& slot = slots_[place];
  const std::uint64_t serial = slot.serial.load(std::memory_order_relaxed) + 1;
  slot.serial.store(serial, std::memory_order_relaxed);
  slot.lent_since_ns = now_ns;
  ++slot.leases;
  shm::PlaceInfo& info = ref().info(place);
  info.since_ns.store(now_ns, std::memory_order_relaxed);
  info.leases.store(info.leases.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  info.session_leases.store(slot.leases, std::memory_order_relaxed);
  info.holder_thread.store(thread_id(), std::memory_order_relaxed);
  if (!label.empty() || slot.labelled) {
    info.label.store(label);
    slot.labelled = !label.empty();
  }
  return Loan{place, serial, slot.native};
}

std::optional<Loan> Pool::try_acquire(std::string_view label) {
  if (!is_valid() || closed_.load(std::memory_order_relaxed)) return std::nullopt;
  if (ref().row().demand.load() != 0 && !may_pass_the_line()) return std::nullopt;
  const std::optional<PlaceIndex> place = take_idle();
  if (!place) return std::nullopt;
  const std::uint64_t now_ns = coarse_ns();
  if (needs_check(slots_[*place], now_ns)) {
    put_back(*place);
    return std::nullopt;
  }
  return lend(*place, label, now_ns);
}

bool Pool::ping(PlaceIndex place, Deadline deadline) {
  Slot& slot = slots_[place];
  const Deadline limit = deadline.earlier_of(Deadline::after(config_.connect_timeout));
  // The socket first: a server that hung up is known without a round trip.
  const std::uint32_t broken = WEIR_COND_BROKEN | WEIR_COND_UNREAD | WEIR_COND_UNEXPECTED;
  const Status status = (slot.connection.condition(WEIR_LOOK_AT_SOCKET) & broken) != 0
                            ? Status(Code::kConnectionBroken, "the server hung up")
                            : slot.connection.run(WEIR_OP_PING, nullptr, limit);
  book_.add(status.ok() ? shm::Counter::kPings : shm::Counter::kPingFailures);
  slot.checked_ns = coarse_ns();
  slot.idle_since_ns = slot.checked_ns;
  return status.ok();
}

// An idle connection of this worker, checked if it idled for long; nullopt if there is none.
Result<std::optional<Loan>> Pool::lend_idle(const Request& request) {
  while (const std::optional<PlaceIndex> place = take_idle()) {
    const std::uint64_t now_ns = coarse_ns();
    const Slot& slot = slots_[*place];
    if (needs_check(slot, now_ns)) {
      const bool expired = slot.expires_ns != 0 && now_ns >= slot.expires_ns;
      if (expired || !ping(*place, request.deadline)) {
        start_closing(*place, PlaceState::kUsed);
        continue;
      }
    }
    return std::optional<Loan>(lend(*place, request.label, coarse_ns()));
  }
  return std::optional<Loan>();
}

Result<Loan> Pool::acquire(const Request& request) {
  const std::uint64_t started_ns = monotonic_ns();
  milliseconds pause(4);
  while (true) {
    if (parts_.membership.is_forked()) {
      return Status(Code::kForked, "pool " + config_.name + ": attached by the parent process");
    }
    if (closed_.load()) return Status(Code::kClosed, "pool " + config_.name + ": closed");
    WEIR_TRY(parts_.segment.usable());
    if (may_pass_the_line()) {
      Result<std::optional<Loan>> idle = lend_idle(request);
      if (!idle.ok()) return idle.status();
      if (idle.value()) return *idle.value();
    }
    Result<Loan> loan = Status(Code::kTimeout, "");
    if (request.deadline.passed(monotonic_ns())) {
      return not_available(Code::kTimeout, request, started_ns, "nothing idle here");
    }
    if (const std::optional<Opening> opening = take_opening()) {
      loan = connect(*opening, request);
    } else {
      loan = wait_in_line(request, started_ns);
    }
    // The server is full though our quota is not: somebody else's sessions, or one of ours that it
    // has not quite let go of. Worth another try while there is time.
    if (loan.ok() || loan.status().code() != Code::kServerFull) return loan;
    const Deadline retry = Deadline::after(pause);
    if (request.deadline.passed(retry.ns())) return loan;
    const timespec wait{0, static_cast<long>(Nanos(pause).count())};
    nanosleep(&wait, nullptr);
    pause = std::min(pause * 2, milliseconds(100));
  }
}

Status Pool::not_available(Code code, const Request& request, std::uint64_t started_ns,
                           std::string_view why) const {
  const Stats now = stats();
  const std::uint64_t waited_ms = (monotonic_ns() - started_ns) / 1'000'000;
  std::string text = "pool " + config_.name + ": no connection after " + std::to_string(waited_ms) +
                     " ms (" + std::string(why) + "): " + std::to_string(now.used) + " used, " +
                     std::to_string(now.idle) + " idle, " + std::to_string(now.connecting) +
                     " connecting, " + std::to_string(now.lingering) + " lingering of max " +
                     std::to_string(now.max) + "; " + std::to_string(now.waiting) + " waiting";
  if (!request.label.empty()) text += "; asked by " + std::string(request.label);
  return Status(code, std::move(text));
}

Status Pool::check_out(const Loan& loan) const {
  if (parts_.membership.is_forked()) {
    return Status(Code::kForked, "pool " + config_.name +
                                     ": this lease belongs to the parent process; a child uses "
                                     "leases of its own");
  }
  const bool out = loan.place < ref().capacity() && loan.serial % 2 == 1 &&
                   const_cast<Pool*>(this)->slots_[loan.place].serial.load(
                       std::memory_order_relaxed) == loan.serial;
  if (!out) {
    return Status(Code::kNotCheckedOut,
                  "pool " + config_.name + ": this lease was given back before");
  }
  return Status();
}

bool Pool::is_out(const Loan& loan) { return check_out(loan).ok(); }

// Whether the session is fit for the next lease afterwards; else it must be closed.
bool Pool::make_clean(Slot& slot, std::uint32_t condition) {
  constexpr std::uint32_t kLost = WEIR_COND_BROKEN | WEIR_COND_UNREAD | WEIR_COND_UNEXPECTED;
  if ((condition & kLost) != 0) return false;
  const Status status =
      slot.connection.run(WEIR_OP_RESET, nullptr, Deadline::after(config_.connect_timeout));
  book_.add(status.ok() ? shm::Counter::kResets : shm::Counter::kResetFailures);
  if (!status.ok()) {
    parts_.log.warn("reset_failed", {{"pool", config_.name}, {"error", status.message()}});
  }
  return status.ok();
}

// More are idle on the machine than `keep`. Scans, so only where a pool has an overflow at all.
bool Pool::is_overflow() const {
  if (config_.kept() >= config_.max) return false;
  const auto idle = static_cast<std::uint32_t>(
      std::count_if(ref().places().begin(), ref().places().end(), [](const shm::Word& word) {
        return PlaceWord(word.load(std::memory_order_relaxed)).state() == PlaceState::kIdle;
      }));
  return idle >= config_.kept();
}

Status Pool::release(const Loan& loan) {
  WEIR_TRY(check_out(loan));
  Slot& slot = slots_[loan.place];
  const std::uint32_t condition = slot.connection.condition(WEIR_LOOK_LOCAL) & dirty_bits_;
  const bool clean = (condition == 0 && !always_reset_) || make_clean(slot, condition);
  slot.serial.store(loan.serial + 1, std::memory_order_relaxed);
  if (!clean || closed_.load(std::memory_order_relaxed) || !is_valid() || is_overflow()) {
    start_closing(loan.place, PlaceState::kUsed);
    return Status();
  }
  slot.idle_since_ns = coarse_ns();
  hint = {this, loan.place};
  put_back(loan.place);
  return Status();
}

Status Pool::discard(const Loan& loan) {
  WEIR_TRY(check_out(loan));
  slots_[loan.place].serial.store(loan.serial + 1, std::memory_order_relaxed);
  start_closing(loan.place, PlaceState::kUsed);
  return Status();
}

Stats Pool::stats() const {
  Stats stats;
  const shm::PoolRow& row = ref().row();
  stats.max = row.max.load();
  stats.min = row.min.load();
  stats.keep = row.keep.load();
  for (PlaceIndex i = 0; i < ref().capacity(); ++i) {
    const PlaceWord word(cell(i).load());
    const bool mine = word.belongs_to(self());
    stats.acquires += ref().info(i).leases.load(std::memory_order_relaxed);
    switch (word.state()) {
      case PlaceState::kIdle:
      case PlaceState::kParked:
        ++stats.idle;
        stats.worker_idle += mine ? 1 : 0;
        break;
      case PlaceState::kUsed:
      case PlaceState::kGiving:
        ++stats.used;
        stats.worker_used += mine ? 1 : 0;
        break;
      case PlaceState::kOpening:
      case PlaceState::kOffered:
        ++stats.connecting;
        break;
      case PlaceState::kClosing:
        ++stats.closing;
        break;
      case PlaceState::kLingering:
        ++stats.lingering;
        break;
      case PlaceState::kFree:
      case PlaceState::kRetired:
        break;
    }
  }
  stats.waiting = shm::look_at_line(ref(), self()).waiting;
  const auto sum = [&](shm::Counter counter) { return shm::sum_counter(ref(), counter); };
  stats.acquires_waited = sum(shm::Counter::kAcquiresWaited);
  stats.wait_ns = sum(shm::Counter::kWaitNs);
  stats.timeouts = sum(shm::Counter::kTimeouts);
  stats.too_many_waiters = sum(shm::Counter::kTooManyWaiters);
  stats.connects = sum(shm::Counter::kConnects);
  stats.connect_failures = sum(shm::Counter::kConnectFailures);
  stats.closes = sum(shm::Counter::kCloses);
  stats.handed_on = sum(shm::Counter::kHandedOn);
  stats.resets = sum(shm::Counter::kResets);
  stats.reset_failures = sum(shm::Counter::kResetFailures);
  stats.pings = sum(shm::Counter::kPings);
  stats.ping_failures = sum(shm::Counter::kPingFailures);
  return stats;
}

void Pool::close() {
  closed_.store(true);
  shm::wake_all_waiters(parts_.segment, self());
  while (const std::optional<PlaceIndex> place = take_idle()) {
    start_closing(*place, PlaceState::kUsed);
  }
}

bool Pool::is_empty() const {
  return std::none_of(ref().places().begin(), ref().places().end(), [this](const shm::Word& word) {
    return PlaceWord(word.load()).belongs_to(self());
  });
}

void Pool::close_inherited_sockets() {
  for (Slot& slot : slots_.all()) slot.close_inherited_socket();
}

}  // namespace weir::pool
