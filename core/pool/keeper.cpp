#include "pool/keeper.h"

#include <signal.h>

#include <algorithm>
#include <exception>
#include <system_error>
#include <utility>

#include "pool/fork_gate.h"
#include "shm/futex.h"
#include "shm/in_force.h"
#include "shm/lingering.h"
#include "shm/reaper.h"

namespace weir::pool {

namespace {

constexpr std::uint64_t kMillisecond = 1'000'000, kSecond = 1'000 * kMillisecond;
// A futex and a socket cannot be slept on together: while operations are in progress the keeper
// looks at its doorbell this often. They last a few milliseconds; the few that hang are looked
// after less often.
constexpr int kBellCheckMs = 1;
constexpr int kBellCheckSlowMs = 10;
constexpr unsigned kQuickChecks = 100;
// Who finds somebody else keeping does not know what is left to do, and asks again soon.
constexpr std::uint64_t kAskAgainNs = 1'000'000;
constexpr std::chrono::milliseconds kPauseAfterFailure{10};
// A policy that takes longer than a stint goes on after a rest; most take a tenth of one.
constexpr std::uint64_t kStintNs = kMillisecond, kRestNs = 2 * kMillisecond;

// Signals are the host's: none may be delivered to a thread it does not know.
class NoSignals {
 public:
  NoSignals() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~NoSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  NoSignals(const NoSignals&) = delete;
  NoSignals& operator=(const NoSignals&) = delete;

 private:
  sigset_t before_{};
};

// What one at a time may do: taken or not, and given back whatever happens.
class OneAtATime {
 public:
  explicit OneAtATime(std::atomic<bool>& busy)
      : busy_(busy), taken_(!busy.exchange(true, std::memory_order_acquire)) {}
  ~OneAtATime() {
    if (taken_) busy_.store(false, std::memory_order_release);
  }
  OneAtATime(const OneAtATime&) = delete;
  OneAtATime& operator=(const OneAtATime&) = delete;
  [[nodiscard]] bool taken() const { return taken_; }

 private:
  std::atomic<bool>& busy_;
  const bool taken_;
};

}  // namespace

Keeper::Keeper(shm::Segment& segment, shm::Membership& membership, shm::Inbox* inbox, Log& log,
               std::vector<Pool*> pools)
    : segment_(segment),
      membership_(membership),
      inbox_(inbox),
      log_(log),
      pools_(std::move(pools)) {
  for (Pool* pool : pools_) pool->see_to([this] { attend(); });
}

Keeper::~Keeper() { stop(); }

Status Keeper::start() {
  for (Pool* pool : pools_) pool->set_ticking(true);
  try {
    const NoSignals inherited_by_the_thread;
    thread_ = std::thread([this] { run(); });
  } catch (const std::system_error& error) {
    for (Pool* pool : pools_) pool->set_ticking(false);
    return Status::system_error("keeper thread: start", error.code().value());
  }
  pthread_setname_np(thread_.native_handle(), "weir-keeper");
  return Status();
}

void Keeper::stop() {
  if (!thread_.joinable()) return;
  stopping_.store(true);
  shm::ring(segment_, membership_.id().row);
  thread_.join();
}

std::uint64_t Keeper::keep_once(std::vector<PollTarget>* targets) { return pass(targets, false); }

std::uint64_t Keeper::pass(std::vector<PollTarget>* targets, bool may_rest) {
  if (targets != nullptr) targets->clear();
  const OneAtATime turn(busy_);
  if (!turn.taken()) return monotonic_ns() + kAskAgainNs;
  const std::uint64_t now_ns = monotonic_ns();
  rest_at_ns_ = may_rest ? now_ns + kStintNs : Deadline::kNever;
  const bool settled = membership_.is_valid() && !membership_.is_in_its_row();  // by others
  if (now_ns >= next_second_ns_ || settled) {
    next_second_ns_ = now_ns + kSecond;
    once_a_second(now_ns);
  }
  reload_if_asked();
  std::uint64_t next_ns = next_second_ns_;
  for (Pool* pool : pools_) {
    next_ns = std::min(next_ns, pool->keep(now_ns));
    if (targets != nullptr) pool->add_poll_targets(*targets);
  }
  return next_ns;
}

// While a policy takes its time, some milliseconds at worst: callers elsewhere who wait for what is
// idle here are not to wait for that too. Asked very often; a look at the bell is what it costs
// mostly.
void Keeper::attend() noexcept {
  rest_after_a_stint();
  const std::uint32_t rung = membership_.row().doorbell.load();
  const std::uint64_t now_ns = monotonic_ns();
  if ((rung == attended_ && now_ns < next_attend_ns_) || !membership_.is_valid()) return;
  attended_ = rung;
  next_attend_ns_ = now_ns + kBellCheckMs * kMillisecond;
  try {
    for (Pool* pool : pools_) pool->attend(now_ns);
  } catch (const std::exception& error) {
    say_that_it_failed(error.what());
  }
}

// Who has had a processor for long gets the next one late where they are short, and is late for the
// bell: one who rests is not, and nobody waits behind it meanwhile.
void Keeper::rest_after_a_stint() {
  const std::uint64_t now_ns = monotonic_ns();
  if (now_ns < rest_at_ns_ || stopping_.load()) return;
  shm::futex_wait(membership_.row().doorbell, attended_, Deadline::at_ns(now_ns + kRestNs));
  rest_at_ns_ = monotonic_ns() + kStintNs;
}

void Keeper::reload_if_asked() {
  shm::WorkerRow& row = membership_.row();
  const std::uint32_t asked = segment_.header().reloads.load();
  if (!reload_ || !membership_.is_valid() || row.reloaded.load() == asked) return;
  row.reload_code.store(static_cast<std::uint32_t>(reload_()));
  row.reloaded.store(asked);
}

void Keeper::once_a_second(std::uint64_t now_ns) {
  if (!membership_.is_valid()) return;  // fenced: only what is left is closed
  membership_.row().beat_ns.store(now_ns, std::memory_order_relaxed);
  if (!membership_.is_sound()) {
    // Others may believe that we are dead, and what we see of them cannot be trusted either.
    membership_.fence();
    log_.error("worker_fenced", {{"row", membership_.id().row}, {"segment", segment_.path()}});
    for (Pool* pool : pools_) pool->abandon_words();
    return;
  }
  if (inbox_ != nullptr) {
    const ForkGate::Step no_fork_meanwhile;
    inbox_->sweep();
  }
  const shm::Reaped reaped = shm::reap_if_due(segment_, membership_.id(), now_ns);
  if (const unsigned places = shm::settle_overdue(segment_, membership_.id(), now_ns)) {
    log_.info("places_reclaimed", {{"places", places}});
  }
  if (const unsigned rows = shm::finish_resizes(segment_)) {
    log_.warn("resize_finished", {{"rows", rows}, {"segment", segment_.path()}});
  }
  if (reaped.anything()) {
    log_.warn("worker_reaped", {{"workers", reaped.workers}, {"places", reaped.places}});
  }
}

void Keeper::run() {
  std::vector<PollTarget> targets;
  std::vector<pollfd> sockets;
  unsigned quiet = 0;
  while (!stopping_.load()) {
    try {
      run_once(targets, sockets, quiet);
    } catch (const std::exception& error) {
      // Out of memory, most likely. Who keeps must not give up, nor end the host.
      say_that_it_failed(error.what());
      shm::futex_wait(membership_.row().doorbell, membership_.row().doorbell.load(),
                      Deadline::after(kPauseAfterFailure));
    }
  }
}

void Keeper::say_that_it_failed(const char* what) noexcept {
  try {
    log_.error("keeper_failed", {{"error", what}, {"segment", segment_.path()}});
  } catch (const std::exception&) {
    static_cast<void>(what);  // no memory to say so either
  }
}

// One pass, and the sleep until the next.
void Keeper::run_once(std::vector<PollTarget>& targets, std::vector<pollfd>& sockets,
                      unsigned& quiet) {
  shm::Word32& doorbell = membership_.row().doorbell;
  const std::uint32_t rung = doorbell.load();
  const std::uint64_t next_ns = pass(&targets, true);
  if (targets.empty()) {
    quiet = 0;
    shm::futex_wait(doorbell, rung, Deadline::at_ns(next_ns));
    return;
  }
  sockets.clear();
  for (const PollTarget& target : targets) {
    const short events = target.wants == Step::kWantWrite ? POLLOUT : POLLIN;
    sockets.push_back({target.fd, events, 0});
  }
  const int wait_ms = quiet < kQuickChecks ? kBellCheckMs : kBellCheckSlowMs;
  const int ready = doorbell.load() == rung ? poll(sockets.data(), sockets.size(), wait_ms) : 1;
  quiet = ready > 0 ? 0 : quiet + 1;
}

}  // namespace weir::pool
