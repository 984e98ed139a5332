#include "pool/keeper.h"

#include <poll.h>
#include <signal.h>

#include <algorithm>

#include "shm/futex.h"
#include "shm/lingering.h"
#include "shm/reaper.h"

namespace weir::pool {

namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;
// A futex and a socket cannot be slept on together: while operations are in progress the keeper
// looks at its doorbell this often. They last a few milliseconds; the few that hang are looked
// after less often.
constexpr int kBellCheckMs = 1;
constexpr int kBellCheckSlowMs = 10;
constexpr unsigned kQuickChecks = 100;

}  // namespace

Keeper::~Keeper() { stop(); }

void Keeper::start() {
  for (Pool* pool : pools_) pool->set_ticking(true);
  // Signals are the host's: none may be delivered to a thread it does not know.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { run(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_setname_np(thread_.native_handle(), "weir-keeper");
}

void Keeper::stop() {
  if (!thread_.joinable()) return;
  stopping_.store(true);
  shm::ring(segment_, membership_.id().row);
  thread_.join();
}

std::uint64_t Keeper::keep_once(std::vector<PollTarget>* targets) {
  if (targets != nullptr) targets->clear();
  if (busy_.exchange(true, std::memory_order_acquire)) return next_ns_.load();
  const std::uint64_t now_ns = monotonic_ns();
  const bool settled = membership_.is_valid() && !membership_.is_in_its_row();  // by others
  if (now_ns >= next_second_ns_ || settled) {
    next_second_ns_ = now_ns + kSecond;
    once_a_second(now_ns);
  }
  std::uint64_t next_ns = next_second_ns_;
  for (Pool* pool : pools_) {
    next_ns = std::min(next_ns, pool->keep(now_ns));
    if (targets != nullptr) pool->add_poll_targets(*targets);
  }
  next_ns_.store(next_ns);
  busy_.store(false, std::memory_order_release);
  return next_ns;
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
  const shm::Reaped reaped = shm::reap_if_due(segment_, membership_.id(), now_ns);
  if (const unsigned places = shm::settle_overdue(segment_, membership_.id(), now_ns)) {
    log_.info("places_reclaimed", {{"places", places}});
  }
  if (reaped.anything()) {
    log_.warn("worker_reaped", {{"workers", reaped.workers}, {"places", reaped.places}});
  }
}

void Keeper::run() {
  shm::Word32& doorbell = membership_.row().doorbell;
  std::vector<PollTarget> targets;
  std::vector<pollfd> sockets;
  unsigned quiet = 0;
  while (!stopping_.load()) {
    const std::uint32_t rung = doorbell.load();
    const std::uint64_t next_ns = keep_once(&targets);
    if (targets.empty()) {
      quiet = 0;
      shm::futex_wait(doorbell, rung, Deadline::at_ns(next_ns));
      continue;
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
}

}  // namespace weir::pool
