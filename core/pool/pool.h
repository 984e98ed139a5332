// Pool: acquire and release for one worker, over the places of the segment.
//
// The place words are the idle set: acquire is one compare-and-swap IDLE -> USED, release one back
// and then one load of `demand`. No system call, no allocation, no lock, no precise clock on that
// path. Everything else is the slow path, always under the caller's one deadline: another idle
// connection; an empty place and a connect; else the line, where a connection given back here, or
// an empty place from anywhere, ends the wait, whichever first.
//
//   pool.cpp      lending, checking, the fast path      giving.cpp   who gets what is returned
//   returning.cpp what comes back: cleaned, or closed   settling.cpp what dead workers left
//   waiting.cpp   standing in line                      opening.cpp  connecting in an empty place
//   keeping.cpp   what the keeper does for one pool     jobs.h       operations the keeper steps
//   retiring.cpp  what a shrink left above the limit
//   breaking.cpp  the breaker: what a failure means, and who is told
//   moving.cpp    connections that move to or come from other workers, live
//   timing.cpp    how long one lease in so many is out
//   recording.cpp what the flight recorder is told
//   viewing.cpp   what is seen of the pool: for people, and for its policy
//   deciding.cpp  pause, clear, drain, resize, check: what is decided for the pool as a whole
//   steering.cpp  what the policy decides
//
// Threads: all public methods from any thread of this process, except the keeper's part, which one
// thread at a time may use. Fork: in a child every method answers kForked or false and touches
// nothing.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/mutex.h"
#include "base/status.h"
#include "config/pool_config.h"
#include "driver/connection.h"
#include "policy/policy.h"
#include "policy/window.h"
#include "pool/cancellation.h"
#include "pool/events.h"
#include "pool/jobs.h"
#include "pool/slots.h"
#include "pool/stats.h"
#include "pool/surroundings.h"
#include "shm/breaker.h"
#include "shm/control.h"
#include "shm/handover.h"
#include "shm/line.h"
#include "shm/pool_ref.h"
#include "shm/recorder.h"
#include "shm/rooms.h"
#include "shm/stats.h"
#include "shm/turns.h"
#include "shm/worker_table.h"

namespace weir::pool {

using config::Orphans;
using config::PoolConfig;
using config::ResetMode;
using std::chrono::milliseconds;

/// A store behind a compare-and-swap must have left the processor's store buffer before the next
/// one begins; a look costs less. For what seldom changes and is written by one thread at a time.
template <typename T>
void store_if_new(std::atomic<T>& cell, T value) {
  if (cell.load(std::memory_order_relaxed) != value) cell.store(value, std::memory_order_relaxed);
}
template <typename T>
void set_if_new(T& cell, T value) {
  if (cell != value) cell = value;
}

/// A connection on loan, as the pool knows it. Worth nothing once given back.
struct Loan {
  shm::PlaceIndex place = 0;
  std::uint64_t serial = 0;
  void* native = nullptr;
};

/// What a caller asks for.
struct Request {
  Deadline deadline = Deadline::never();
  std::string_view label;                // for people; cut to 31 bytes
  Cancellation* cancellation = nullptr;  // null: nobody cancels
  std::uint32_t klass = 0;               // 1 + its class, as class_of() has it; 0: none
};

class Pool {
 public:
  /// What a pool stands on; all of it outlives the pool.
  struct Parts {
    shm::Segment& segment;
    shm::Membership& membership;
    shm::PoolRef ref;
    const driver::Dsn& dsn;
    Log& log;
    shm::Inbox* inbox;  // null: this worker receives no connections
    std::string service;
    std::unique_ptr<policy::Policy> policy;
    const EventSink& events;
  };
  Pool(const PoolConfig& config, Parts parts);
  /// REQUIRES: is_empty(), or the process ends without using it again.
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  /// Lends a connection; see weir_acquire for the codes. Blocks until the deadline.
  Result<Loan> acquire(const Request& request);
  /// An idle connection of this worker that needs no check; false if there is none. Never blocks.
  bool try_acquire(std::string_view label, Loan& loan);
  /// As try_acquire, but what is due for a check is lent after a look at its socket. Never blocks.
  bool acquire_at_once(std::string_view label, std::uint32_t klass, Loan& loan);
  /// The number of a class by its name, for Request::klass; 0 for no name. kBadArgument lists those
  /// there are.
  [[nodiscard]] Result<std::uint32_t> class_of(std::string_view name) const;
  /// Gives it back if it is good, clean and nothing more is to be done; false, and nothing done, if
  /// it takes release() to find out. Never blocks.
  bool try_release(const Loan& loan);
  /// Begins an acquire that no thread sleeps for: done at once, or stepped by the keeper until it
  /// is. kNotSupported: the driver can only block. Never blocks.
  Status start(const std::shared_ptr<Ticket>& ticket);
  /// As release(), but the keeper cleans what has to be cleaned. Never blocks.
  Status release_later(const Loan& loan);
  /// Gives it back, clean. kNotCheckedOut and kForked alter nothing. Blocks for a reset at most.
  Status release(const Loan& loan);
  /// Gives it back to be closed.
  Status discard(const Loan& loan, CloseReason why = CloseReason::kInvalidated);
  /// It stays usable, and is closed when it comes back.
  Status wear_out(const Loan& loan, CloseReason why);
  /// The same, for a holder who means to keep it: no leak is reported of it any more.
  Status detach(const Loan& loan);
  /// Closes its session and opens another in the same place, out of line. On failure the loan is
  /// over. Blocks until the deadline.
  Status replace(Loan& loan, const Request& request);
  /// Whether the loan is still out, in this process.
  [[nodiscard]] bool is_out(const Loan& loan);

  [[nodiscard]] Stats stats() const;
  /// The same, and every counter begins at zero again, for all who look.
  Stats pop_stats();
  /// What it is configured to, as last said.
  [[nodiscard]] const PoolConfig& config() const {
    return *config_.load(std::memory_order_acquire);
  }
  /// The keys that config::is_reloadable() names, from now on. `config` outlives the pool.
  void reconfigure(const PoolConfig& config);
  /// False in a forked child, and once this worker has fenced itself.
  [[nodiscard]] bool is_valid() const { return validity_.load(std::memory_order_relaxed) != 0; }

  /// The number of the connection that is out.
  [[nodiscard]] std::uint64_t number_of(const Loan& loan) const { return number_at(loan.place); }

  // ---- deciding.cpp: for the pool as a whole ----------------------------------------------------

  // The first four: in all workers, as shm/control.h says. False: it was so already.
  bool pause();
  bool resume();
  bool clear(bool interrupt);
  void drain();
  /// Closes what is idle in this worker. What is lent may be lent again.
  void dispose();
  /// Sets max and min, for all workers. kBadConfig names what is wrong, and nothing has changed.
  Status resize(std::uint32_t max, std::uint32_t min);
  /// Pings what is idle in this worker; the dead are closed, and as many opened.
  struct Checked {
    std::uint32_t good = 0, dead = 0;
  };
  Result<Checked> check_idle(Deadline deadline);
  /// Until `min` are open and idle or lent, on the whole machine. kTimeout says how far it came;
  /// kPaused and kClosed, at once.
  Status wait_ready(Deadline deadline);
  /// This process was forked from one that had the pool: counted.
  void note_fork() { book_.add(shm::Counter::kForks); }
  [[nodiscard]] const EventSink& events() const { return parts_.events; }
  /// Whether it lends nothing to anybody, on the whole machine.
  [[nodiscard]] bool is_paused() const { return shm::demand_of(ref().row()).is_paused(); }
  /// An acquire has failed for that reason: counted, unless it has been.
  void count_failure(Code code);
  /// Somebody listens from now on, or nobody any more.
  void note_listener();

  /// From now on nothing is lent; waiters fail with kClosed; what is idle or comes back is closed.
  void close();
  /// Whether no connection of this worker is lent.
  [[nodiscard]] bool is_nothing_lent();
  /// Whether no connection of this worker is open, closing or lent, and no caller is inside.
  [[nodiscard]] bool is_empty() const;
  /// In a forked child: closes the inherited sockets with plain close(2). Async-signal-safe.
  void close_inherited_sockets();
  /// In a forked child: what this thread remembers was true of another. Async-signal-safe.
  static void forget_thread();

  // ---- the keeper's part: one thread at a time --------------------------------------------------

  /// Steps what is in progress, gives on, sees to what lingers; once a second also expiry, checks,
  /// warm floor, policy. Never waits. Returns when it wants to be called again at the latest.
  std::uint64_t keep(std::uint64_t now_ns);
  /// What of keep() others wait for: what came here, who waits for an idle one, what is in
  /// progress. Also in the middle of keep(), while the policy takes its time.
  void attend(std::uint64_t now_ns);
  /// What the keeper sees to while this pool's policy takes its time; as policy::Policy has it.
  void see_to(std::function<void()> meanwhile) { parts_.policy->see_to(std::move(meanwhile)); }
  /// Where no thread keeps by clock, a caller who waits in line does it: by this.
  void set_keep_once(std::function<void()> keep_once) { keep_once_ = std::move(keep_once); }
  /// Whether somebody calls keep() by clock: then it refreshes the time that leases are stamped
  /// with, every kTickNs while they come thick and fast, instead of each lease reading a clock.
  void set_ticking(bool ticking) { ticking_ = ticking; }
  static constexpr std::uint64_t kTickNs = 10'000'000;
  /// What to poll between two keep(): sockets of the operations in progress.
  void add_poll_targets(std::vector<PollTarget>& targets);
  /// This worker can no longer prove that it lives: from now on nothing is lent; what is idle is
  /// closed, what is lent or being worked with when that ends.
  void abandon_words();

 private:
  using PlaceIndex = shm::PlaceIndex;
  using PlaceWord = shm::PlaceWord;
  using PlaceState = shm::PlaceState;

  // What this worker has seen of a place that lingers.
  struct Lingering {
    std::uint64_t word = 0;
    std::uint64_t next_try_ns = 0;
    std::uint64_t asked_ns = 0;  // when the server was last asked about it
    std::uint64_t pause_ns = 0;  // from then on
    std::uint64_t cancel_after_ns = 0;
  };

  // An empty place with its permit, and a turn to connect in it.
  struct Opening {
    shm::Room room;
    shm::Turn turn;
  };

  // -- pool.cpp
  [[nodiscard]] bool is_closed() const {
    return (attention_.load(std::memory_order_relaxed) & kClosed) != 0;
  }
  [[nodiscard]] shm::WorkerId self() const { return parts_.membership.id(); }
  [[nodiscard]] const shm::PoolRef& ref() const { return parts_.ref; }
  [[nodiscard]] shm::Word& cell(PlaceIndex place) const { return parts_.ref.places()[place]; }
  [[nodiscard]] bool is_mine_and(std::uint64_t raw, PlaceState state) const {
    return (raw & kOwnerAndState) == pattern(state);
  }
  [[nodiscard]] std::uint64_t pattern(PlaceState state) const {
    return owner_pattern_ | static_cast<std::uint64_t>(state);
  }
  bool move(PlaceIndex place, PlaceState from, PlaceState to);
  PlaceIndex take_any_idle();
  // The time for since-when and expiry: the keeper's tick while there is one, at most kTickNs old;
  // else the coarse clock.
  [[nodiscard]] std::uint64_t now_ns() const {
    const std::uint64_t tick_ns = tick_ns_.load(std::memory_order_relaxed);
    return tick_ns != 0 ? tick_ns : coarse_ns();
  }
  // For the fast path instead of an optional, which is written in halves and read back whole: the
  // processor waits for that.
  static constexpr PlaceIndex kNoPlace = shm::kNone;

  // Whether there is a connection, lent to nobody. It must be so where the segment says that the
  // place is idle; else the segment is broken, which this says to everybody. REQUIRES: the place is
  // USED by us, and ours to lend.
  bool is_to_be_lent(PlaceIndex place) {
    const Slot& slot = slots_[place];
    const bool is_nobodys = slot.serial.load(std::memory_order_relaxed) % 2 == 0;
    if (is_nobodys && slot.native != nullptr) [[likely]]
      return true;
    poison_by(place);
    return false;
  }
  void poison_by(PlaceIndex place) const;
  // IDLE -> USED; false if the place is not idle and ours.
  bool take_idle_at(PlaceIndex place) {
    std::uint64_t idle = slots_[place].idle_word.load(std::memory_order_relaxed);
    return idle != 0 && cell(place).compare_exchange_strong(idle, idle + kIdleToUsed) &&
           is_to_be_lent(place);
  }
  bool take_idle_or_retiring(PlaceIndex place);
  // Zero is told apart: the two clocks that stamps come from differ by a few milliseconds.
  [[nodiscard]] bool needs_check(const Slot& slot, std::uint64_t now_ns) const {
    const std::uint64_t after_ns = validate_after_ns_.load(std::memory_order_relaxed);
    if (is_expired(slot, now_ns) || after_ns == 0) return true;
    const auto is_due = [&](std::uint64_t since) {
      return now_ns >= since && now_ns - since >= after_ns;
    };
    return is_due(slot.idle_since_ns) && is_due(slot.checked_ns);
  }
  static bool is_expired(const Slot& slot, std::uint64_t now_ns) {
    const std::uint64_t expires_ns = slot.expires_ns.load(std::memory_order_relaxed);
    return expires_ns != 0 && now_ns >= expires_ns;
  }
  void lend(PlaceIndex place, std::string_view label, std::uint64_t now_ns, Loan& loan);
  // `asked_ns`: when its caller asked for it; 0: just now.
  Loan lend(PlaceIndex place, std::string_view label, std::uint32_t klass, std::uint64_t asked_ns);
  void note_returned(const Loan& loan);
  void show_label(PlaceIndex place, std::string_view label);
  static bool is_connected(Slot& slot);
  enum class Check { kGood, kBad, kLate };
  Check check(PlaceIndex place, Deadline deadline);
  Check checked(PlaceIndex place, bool good);
  Result<std::optional<Loan>> lend_idle(const Request& request, std::uint64_t started_ns);
  [[nodiscard]] bool is_lent(const Loan& loan) {
    return loan.place < ref().capacity() && loan.serial % 2 == 1 &&
           slots_[loan.place].serial.load(std::memory_order_relaxed) == loan.serial;
  }
  Status check_out(const Loan& loan);
  bool make_clean(PlaceIndex place, std::uint32_t condition);
  void note_reset(PlaceIndex place, const Status& status);
  Step step_reset(Job& job, Status* status);
  void finish_reset(const Job& job, const Status& status);
  [[nodiscard]] std::uint32_t what_to_clean(PlaceIndex place) {
    return slots_[place].connection.condition(WEIR_LOOK_LOCAL) & dirty_bits_;
  }
  [[nodiscard]] std::optional<CloseReason> why_not_kept(PlaceIndex place, std::uint32_t condition);
  [[nodiscard]] std::optional<CloseReason> why_not_wanted(PlaceIndex place);
  void replace_all_if_doubtful(Slot& failed);
  void give_back(const Loan& loan);
  void end(const Loan& loan, CloseReason why);
  void give_on(const Loan& loan, std::optional<CloseReason> why);
  void tell_checked_in(const Loan& loan);
  [[nodiscard]] bool is_overflow() const;
  [[nodiscard]] Status is_open() const;
  Status not_available(Code code, const Request& request, std::uint64_t started_ns,
                       std::string_view why) const;
  Status too_late(const Request& request, std::uint64_t started_ns, std::string_view why);

  // -- timing.cpp
  // Golden ratio times 2^64 (D. Knuth, The Art of Computer Programming 3, 6.4): which leases of a
  // place have the upper bits of leases * kSpread all 0 follows no rhythm that callers may have; an
  // even step would find every other lease alone where long and short ones alternate.
  static constexpr std::uint64_t kSpread = 0x9e3779b97f4a7c15u;
  void begin_timing(Slot& slot, std::uint64_t untimed);
  void end_timing(PlaceIndex place);
  void pace_timing(std::uint64_t leases);

  // -- recording.cpp
  void record(shm::RecordedEvent event) const;
  void record(const Event& event) const;
  void record_failure(std::uint64_t started_ns, std::uint32_t klass, Code code) const;
  void record_policy();

  // -- deciding.cpp
  // Whether something is as it has not been seen here: somebody waits, or the pool is paused, or
  // has a new generation.
  [[nodiscard]] bool is_called() const {
    return ref().row().demand.load() != quiet_.load(std::memory_order_relaxed);
  }
  void heed();
  void heed_cut();
  void tell_of_decision(shm::DemandWord was, shm::DemandWord now);
  void wear_out_old(std::uint32_t generation);
  [[nodiscard]] bool is_old(PlaceIndex place, std::uint32_t generation) const {
    return ref().info(place).generation.load(std::memory_order_relaxed) != generation;
  }
  [[nodiscard]] bool is_cut(PlaceIndex place) const;
  [[nodiscard]] bool is_given_up(const Request& request) const {
    return request.cancellation != nullptr && request.cancellation->is_cancelled();
  }
  Status cancelled(const Request& request, std::uint64_t started_ns) const;
  [[nodiscard]] std::uint64_t number_at(PlaceIndex place) const {
    return ref().info(place).connection.load(std::memory_order_relaxed);
  }
  Code tell(Event event) const {
    record(event);
    if (!parts_.events.is_heard()) return Code::kOk;
    event.pool = config().name;
    return parts_.events.tell(event);
  }
  static Status say_goodbye(Slot& slot, Deadline deadline);
  [[nodiscard]] PlaceIndex take_in_order();
  void open_instead(std::uint32_t count);

  // -- giving.cpp
  [[nodiscard]] bool may_pass_the_line();
  [[nodiscard]] bool may_make_room(const shm::LineView& view) const;
  [[nodiscard]] const shm::Candidate* whom_to_grant(const shm::LineView& view) const;
  [[nodiscard]] bool is_demanded() const { return shm::is_demanded(ref().row()); }
  // USED -> IDLE. False: the place is to be retired or was settled (we are believed dead), and the
  // connection is being closed instead.
  bool set_idle(PlaceIndex place) {
    Slot& slot = slots_[place];
    store_if_new(ref().info(place).since_ns, slot.idle_since_ns);
    if (keeps_order_) slot.returned.store(returns_.fetch_add(1) + 1, std::memory_order_relaxed);
    const std::uint64_t idle = slot.idle_word.load(std::memory_order_relaxed);
    std::uint64_t used = idle + kIdleToUsed;
    if (cell(place).compare_exchange_strong(used, idle)) return true;
    start_closing(place, PlaceState::kUsed, why_not_idle(place));
    return false;
  }
  [[nodiscard]] CloseReason why_not_idle(PlaceIndex place) {
    return slots_[place].is_worn_out() ? slots_[place].worn_out_by.load()
                                       : CloseReason::kQuotaReclaim;
  }
  [[nodiscard]] bool is_wanted_by(const shm::LineView& view) const;
  [[nodiscard]] bool is_wanted() const;
  [[nodiscard]] bool is_owed(std::uint64_t now_ns);
  [[nodiscard]] std::uint64_t owed_from_ns(const shm::LineView& view, std::uint64_t now_ns) const;
  void serve_if_wanted(PlaceIndex place);
  void serve(PlaceIndex place);
  void check_and_serve(PlaceIndex place);
  void serve_idle();
  void start_closing(PlaceIndex place, PlaceState from, CloseReason why);
  [[nodiscard]] std::uint32_t closing_soon() const;
  [[nodiscard]] std::uint32_t rooms_to_take(const shm::LineView& view) const;
  void ring_whoever_has_idle(bool everybody) const;
  bool ring_idle_of(const shm::PoolRef& pool, bool everybody) const;

  // -- moving.cpp
  [[nodiscard]] bool is_sent_live_to(std::uint32_t row) const;
  [[nodiscard]] std::uint64_t goes_first_from_ns(const shm::Candidate& who) const;
  [[nodiscard]] std::optional<shm::Candidate> whom_to_send(const shm::LineView& view) const;
  bool send_away(PlaceIndex place, const shm::Candidate& who);
  void note_unmovable(const Status& why);
  bool leave_to_others(PlaceIndex place);
  void receive();
  std::optional<PlaceIndex> attach(shm::Arrival&& arrival);

  // -- ticket.cpp
  friend class Ticket;
  [[nodiscard]] bool is_forked() const { return parts_.membership.is_forked(); }
  std::optional<Loan> lend_to(Ticket& ticket, bool& checks);
  void open_for(Ticket& ticket, const Opening& opening);
  void add_job_for(Ticket& ticket, Job::Kind kind, PlaceIndex place, shm::Turn turn);
  void return_unused(const Loan& loan);
  void end_tickets();
  std::uint64_t step_tickets(std::uint64_t now_ns);
  void tick_for_tickets(bool in_line, std::uint64_t now_ns);

  // -- waiting.cpp
  class Wait;
  [[nodiscard]] Status is_granted(PlaceIndex place) const;
  Result<Loan> find(const Request& request, std::uint64_t started_ns);
  Result<Loan> wait_in_line(const Request& request, std::uint64_t started_ns);
  void tick();

  // -- opening.cpp
  [[nodiscard]] bool is_vacant(PlaceIndex place);
  std::optional<Opening> take_opening();
  [[nodiscard]] std::uint32_t own_places() const;
  [[nodiscard]] bool at_worker_cap() const;
  [[nodiscard]] bool lacks_only_a_permit() const;
  [[nodiscard]] bool above_worker_cap() const;
  [[nodiscard]] std::string client_name(PlaceIndex place) const;
  [[nodiscard]] weir_conn_options_t connection_options(const std::string& name) const;
  void settle_in(PlaceIndex place, std::uint64_t opened_ns);
  Status begin_connect(const Opening& opening);
  Step step_connect(Job& job, Status* status);
  bool start_statement(Job& job, Status* status);
  Result<Loan> connect(const Opening& opening, const Request& request, std::uint64_t started_ns);
  Status finish_connect(const Job& job);
  void fail_connect(const Job& job, const Status& status);
  [[nodiscard]] std::uint64_t full_pause_ns() const;

  // -- breaking.cpp
  [[nodiscard]] Status refusal() const;
  [[nodiscard]] Status down(Code code, std::string_view how) const;
  [[nodiscard]] Status full(const Request& request, std::uint64_t started_ns) const;
  [[nodiscard]] bool is_worth_another_try(const Status& failure, const Request& request) const;
  [[nodiscard]] bool may_be_sent_one() const;
  [[nodiscard]] bool is_any_lent() const;
  [[nodiscard]] std::uint32_t sessions_of_ours() const;
  void note_failure(const Status& status, const shm::Turn& turn);
  void note_unanswered_ping(const Status& status);
  void note_no_answer(bool by_probe);
  void note_answer();
  void tell_of(const shm::BreakerChange& change);
  void decide_breaker(const policy::PoolView& view);
  void ask_breaker(std::uint64_t now_ns);
  [[nodiscard]] std::uint64_t fill_again_ns(std::uint64_t now_ns) const;

  // -- keeping.cpp
  void wake_keeper() const;
  driver::Connection& connection_of(Job& job) {
    return job.kind == Job::Kind::kCancel ? job.own : slots_[job.place].connection;
  }
  Status start_job(Job& job, std::uint64_t now_ns);
  Step step_job(Job& job, Status* status);
  void step_jobs(std::uint64_t now_ns);
  void finish_job(Job& job, const Status& status);
  void finish_close(Job& job, const Status& status);
  void settle(PlaceIndex place, PlaceWord word);
  Lingering* due_lingering(PlaceIndex place, std::uint64_t now_ns);
  void settle_lingering_places(std::uint64_t now_ns);
  void tell_of_reclaimed();
  void add_check(PlaceIndex place);
  void close_here(PlaceIndex place);
  void close_unowned();
  void add_cancel(PlaceIndex place, std::uint64_t word, const std::string& token);
  void finish_cancel(const Job& job, const Status& status);
  void ask_over(PlaceIndex spare);
  [[nodiscard]] PlaceIndex next_to_ask_about() const;
  void finish_confirm(Job& job, const Status& status);
  void note_answer(PlaceIndex target, bool answered, bool gone);
  static bool has_nothing_to_do(const Job& job);
  static void copy_token(const std::string& bytes, weir_token_t& token);
  void tick_second(std::uint64_t now_ns);
  // -- steering.cpp
  [[nodiscard]] bool is_policy_reload_asked() const;
  void decide_size(const policy::PoolView& view);
  void put_size_in_force();
  void show_policy();
  void see_whether_releases_may_close();
  [[nodiscard]] std::uint32_t count_staying() const;
  [[nodiscard]] std::uint32_t most_staying() const;
  [[nodiscard]] std::uint32_t worker_cap() const;
  void see_how_busy(std::uint64_t now_ns);
  void expire_idle(const policy::PoolView& view, std::uint64_t now_ns);
  void fill_warm(const policy::PoolView& view, std::uint64_t now_ns);
  [[nodiscard]] std::uint64_t backoff_ns() const;
  void report_leaks(std::uint64_t now_ns);
  void sample_use(std::uint64_t now_ns);

  // -- viewing.cpp
  [[nodiscard]] Stats stats_of(const shm::PoolFigures& figures) const;
  [[nodiscard]] static policy::PoolView view_of(shm::BreakerWord breaker, std::uint64_t now_ns);
  [[nodiscard]] policy::PoolView look_around(std::uint64_t now_ns);

  // -- retiring.cpp
  void retire_excess(bool once_a_second);
  [[nodiscard]] bool is_to_retire(PlaceIndex place);

  // Which bits of a place word say whose it is and in what state; retire is part of it, so that a
  // place about to go out of service is never lent on the fast path.
  static constexpr std::uint64_t kOwnerAndState = (std::uint64_t{1} << 44) - 1;
  static constexpr std::uint64_t kIdleToUsed =
      static_cast<std::uint64_t>(PlaceState::kUsed) - static_cast<std::uint64_t>(PlaceState::kIdle);

  std::atomic<const PoolConfig*> config_;
  Parts parts_;
  const std::atomic<std::uint64_t>& validity_;  // the membership's: one step nearer
  const std::uint64_t owner_pattern_;
  // Of config(), one step nearer; written by reconfigure().
  std::atomic<std::uint64_t> validate_after_ns_{0};  // UINT64_MAX: never
  std::atomic<std::uint64_t> handover_after_ns_{0};
  // How long a thread that comes again at once may pass those of its own worker, and a worker that
  // has connections to spare those of others.
  std::atomic<std::uint64_t> turn_ns_{0};
  const bool may_move_;                        // as configured, and as the driver can
  std::atomic<bool> retries_connects_{false};  // until the caller's deadline
  const bool always_reset_;
  const bool keeps_order_;
  std::atomic<bool> has_overflow_{false};        // a release may have to close: keep or reserve
  std::atomic<bool> releases_take_more_{false};  // than a look at the session
  // As the policy decided last.
  std::atomic<std::uint32_t> target_{UINT32_MAX};
  std::atomic<std::uint32_t> worker_cap_{0};
  std::atomic<bool> has_own_breaker_{false};
  std::atomic<bool> attempt_failed_{false};  // and that breaker is to be asked
  std::atomic<bool> decides_again_{false};   // settings changed
  const std::uint32_t dirty_bits_;           // which conditions a release cleans up
  Slots slots_;
  shm::StatsBook book_;
  const shm::Recorder recorder_;
  Jobs jobs_;
  Mutex tickets_mutex_;
  std::vector<std::shared_ptr<Ticket>> tickets_ WEIR_GUARDED_BY(tickets_mutex_);
  // What a release must not overlook, one word for the fast path to read.
  static constexpr std::uint32_t kClosed = 1;       // nothing is lent any more
  static constexpr std::uint32_t kSpareWanted = 2;  // the keeper wants a connection to ask over
  static constexpr std::uint32_t kRetiring = 4;     // some of ours are more than a limit allows
  static constexpr std::uint32_t kEachLease = 8;    // somebody listens, or stacks are captured
  static constexpr std::uint32_t kNotAtOnce = kClosed | kEachLease;
  // Read by every lease and release, and written seldom: apart from what is written often.
  alignas(64) std::atomic<std::uint32_t> attention_{0};
  std::atomic<std::uint64_t> tick_ns_{0};  // 0: nobody refreshes it, read a clock
  std::atomic<std::uint32_t> quiet_{0};    // demand as long as nothing has to be looked at
  std::atomic<std::uint64_t> untimed_{0};  // in which bits a lease's number must be 0 to be timed
  alignas(64) std::atomic<std::uint32_t> inside_{0};  // callers in acquire() or release()
  std::atomic<std::uint32_t> timed_{0};               // leases since the keeper's last look
  std::atomic<bool> asking_{false};                   // a job of kind kConfirm exists
  std::atomic<bool> close_next_{false};               // the next one given back is in excess
  std::atomic<std::uint64_t> last_connect_ns_{0};     // when this worker last got one by connecting
  std::atomic<std::uint64_t> owed_from_ns_{0};    // before then nobody in line is, as last looked
  std::atomic<bool> moves_;                       // connections of ours can move to other workers
  std::atomic<std::uint64_t> sends_again_ns_{0};  // not before then
  std::atomic<bool> said_unmovable_{false};
  std::atomic<std::uint32_t> heeded_{0};  // the last decision that this worker acted on
  std::atomic<std::uint32_t> cut_heeded_{0};
  std::atomic<std::uint64_t> returns_{0};  // counted where an order is kept
  std::atomic<std::uint32_t> to_open_{0};  // in the stead of dead ones
  // Constant once the pool is used.
  bool ticking_ = false;
  std::function<void()> keep_once_;
  // The keeper's own.
  std::uint64_t ticks_until_ns_ = 0;
  std::uint64_t steps_before_ = 0;  // leases and releases until the last look at how many they are
  std::vector<Lingering> lingering_;
  std::vector<std::uint64_t> reported_leases_;  // per place: the lease a leak was reported for
  std::vector<std::uint64_t> unowned_;          // fenced, per place: serial + 1 when last seen so
  mutable std::minstd_rand jitter_{std::random_device{}()};
  policy::SizeDecision size_;
  std::uint32_t policy_reloads_ = 0;  // the last of the header's that was seen to
  std::uint64_t policy_errors_ = 0, policy_changes_ = 0;
  std::string policy_hash_, recorded_policy_;
  policy::SlidingWindow window_{shm::kHistogramEndsNs};
  Surroundings surroundings_;
  std::uint64_t next_ticket_tick_ns_ = UINT64_MAX;
  unsigned ticket_ticks_ = 0;
  std::uint64_t next_second_ns_ = 0;
  std::uint64_t next_fill_ns_ = 0;
  std::uint64_t sampled_ns_ = 0;  // when use was sampled last
  std::uint64_t reclaimed_ = 0;   // places settled after a death, as told
  bool fill_waits_ = false;       // for the breaker
};

}  // namespace weir::pool
