// Pool::Wait: one caller's time in line, step by step: what a thread does that sleeps in between,
// and what the keeper does for callers that no thread sleeps for.
//
// Threads: one at a time. Fork: none survives. REQUIRES: ended before it goes: step() until it
// answers other than kSleep, or give_up().
#pragma once

#include <optional>

#include "pool/pool.h"

namespace weir::pool {

// A woken waiter looks for what died between freeing and waking: the first in line often, since it
// is their turn; the rest rarely. After a kill the oldest waiter has the place 1.5 ms (median)
// later.
inline constexpr std::uint64_t kTickFirstNs = 2'000'000;
inline constexpr std::uint64_t kTickRestNs = 50'000'000;
inline constexpr std::uint32_t kFirst = 4;
// Every so many ticks a waiter reminds the one that has had an idle connection for longest; every
// so many everybody that has one.
inline constexpr unsigned kRingEvery = 5;
inline constexpr unsigned kRingAllEvery = 25;

class Pool::Wait {
 public:
  Wait(Pool& pool, const Request& request, std::uint64_t started_ns)
      : pool_(pool), request_(request), started_ns_(started_ns) {}
  Wait(const Wait&) = delete;
  Wait& operator=(const Wait&) = delete;

  /// Gets in line. kTooManyWaiters: it is full.
  Status enter();
  /// Nobody sleeps here: who has something for this caller rings the keeper, which also ticks.
  void leave_ticks_to_keeper();

  enum class Next {
    kSleep,    // until waiter() is woken, at most until sleeps_until()
    kGot,      // loan(): out of the line
    kConnect,  // opening(): out of the line, a place and a turn are the caller's
    kFailed,   // status(): out of the line
  };
  Next step();
  /// Out of the line with kCancelled or whatever came meanwhile; never answers kSleep.
  Next give_up();

  [[nodiscard]] shm::Waiter& waiter() { return *waiter_; }
  [[nodiscard]] std::uint64_t sleeps_until_ns() const { return sleeps_until_ns_; }
  [[nodiscard]] const Loan& loan() const { return loan_; }
  [[nodiscard]] const Opening& opening() const { return *opening_; }
  [[nodiscard]] const Status& status() const { return status_; }

 private:
  [[nodiscard]] bool is_over(std::uint64_t now_ns) const;
  std::optional<Next> take_grant(shm::WaiterWord seen);
  std::optional<Next> take_claim(shm::WaiterWord seen, std::uint64_t now_ns, bool over);
  void put_back(const std::optional<shm::Room>& room);
  void got_it();
  Next failed(Status status);
  Next leave_late();
  Next leave_refused(Status refused);

  Pool& pool_;
  const Request request_;
  const std::uint64_t started_ns_;
  std::optional<shm::Waiter> waiter_;
  std::optional<Cancellation::Waking> waking_;
  bool ticks_ = true;
  bool gives_up_ = false;
  std::uint64_t next_tick_ns_ = 0;
  unsigned tick_ = 0;
  std::uint64_t claimed_inc_ = UINT64_MAX, claimed_since_ns_ = 0;
  std::uint64_t sleeps_until_ns_ = 0;
  Loan loan_;
  std::optional<Opening> opening_;
  Status status_;
};

}  // namespace weir::pool
