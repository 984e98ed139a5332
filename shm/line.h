// The line: who waits for a connection of a pool, on the whole machine, oldest first; where a pool
// has classes, those of a class that holds less than its floor before all others.
//
// A waiter is a row with a word (words.h), a ticket and a futex. Givers claim or grant the oldest;
// the owner takes what it was offered, takes a claim back that nothing followed, or leaves. Nothing
// here waits but wait(); nothing takes a lock. Threads: any thread of any worker; a Waiter belongs
// to the thread that entered. Fork: none survives.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "shm/pool_ref.h"
#include "shm/words.h"

namespace weir::shm {

/// One waiting row as a giver saw it: good for one compare-and-swap.
struct Candidate {
  std::uint32_t row = kNone;
  WaiterWord word;
  std::uint64_t ticket = 0;
  std::uint64_t since_ns = 0;
  std::uint32_t pool = kNone;
  bool is_short = false;    // its class has less than its floor
  std::uint32_t klass = 0;  // 1 + its class; 0: none
  /// Whether it is served before `other` of the same pool: classes below their floor first, then by
  /// arrival.
  [[nodiscard]] bool goes_before(const Candidate& other) const {
    return is_short != other.is_short ? is_short : ticket < other.ticket;
  }
};

/// One look at the line, from where worker `self` stands.
struct LineView {
  std::optional<Candidate> oldest;       // who is next of the pool, whichever worker
  std::optional<Candidate> oldest_own;   // who is next of the pool, in this worker
  std::optional<Candidate> oldest_mate;  // of another pool of the same quota, not local only
  // Since when anybody waits in the pool for any worker's connection or room. The oldest, by
  // ticket, may have come a moment later than the next: so this, not its own time, is what pools
  // compare.
  std::uint64_t waiting_since_ns = UINT64_MAX;
  std::uint32_t waiting = 0;        // in the pool, for any worker's connection or room
  std::uint32_t waiting_here = 0;   // of those, in this worker
  std::uint32_t waiting_local = 0;  // in the pool, for a connection of their own worker only
  std::uint32_t waiting_mates = 0;  // in other pools of the same quota
  [[nodiscard]] bool anybody() const { return waiting + waiting_local + waiting_mates > 0; }
};
[[nodiscard]] LineView look_at_line(const PoolRef& pool, WorkerId self);
/// Everybody in line for `pool` or for another pool of its quota.
[[nodiscard]] std::vector<Candidate> everybody_in_line(const PoolRef& pool);
/// The class of who is in line in that row, 1 + its number; 0: none.
[[nodiscard]] std::uint32_t class_of(const WaiterRow& row);
/// The classes of the pool that hold less than their floor, by bits: 1 << class. A look at every
/// place, where there are classes.
[[nodiscard]] std::uint32_t short_classes(const PoolRef& pool);
/// The oldest of the pool who waits in a worker whose row `may_have` it, and not only for one of
/// that worker's own.
[[nodiscard]] std::optional<Candidate> oldest_in_line(
    const PoolRef& pool, const std::function<bool(std::uint32_t row)>& may_have);

/// WAITING -> CLAIMED(place): the giver is about to offer an empty place. False: it changed
/// meanwhile.
bool claim(const PoolRef& pool, const Candidate& who, PlaceIndex place);
/// WAITING -> GRANTED(place): the waiter now has a lease of that place. REQUIRES: the caller's
/// worker is the waiter's and the place is USED by it. False: it changed meanwhile.
bool grant(const PoolRef& pool, const Candidate& who, PlaceIndex place);
/// CLAIMED(place) -> WAITING, by who claimed it and then gave nothing: in line as before, and
/// woken, since whatever came free meanwhile was not for it to see. The caller matches. False: it
/// changed meanwhile.
bool unclaim(const PoolRef& pool, const Candidate& who, PlaceIndex place);
/// CLAIMED(place) -> GRANTED(place), for the waiter of this worker that was claimed for it: it has
/// a lease now, and is woken. False: it left or took the claim back; then the connection goes to
/// whoever is next. REQUIRES: the place is USED by `self` and nobody's.
bool grant_claimed(const PoolRef& pool, WorkerId self, PlaceIndex place);
/// Wakes whoever waits in `row`.
void wake_waiter(const Segment& segment, std::uint32_t row);
/// Wakes everybody who waits for this pool in this worker (closing, fencing).
void wake_all_waiters(const Segment& segment, WorkerId self);
/// Wakes everybody who waits for this pool, in all workers.
void wake_waiters_of(const PoolRef& pool);
/// Frees every waiter row that names worker row `row`. REQUIRES: the caller holds the byte of that
/// row and has not published itself in it: whoever is in line under its number is believed dead,
/// and gets in line no more.
void free_waiters_of(const Segment& segment, std::uint32_t row);

/// One's own row in the line, from enter() to leave().
class Waiter {
 public:
  /// Gets in line, visible to givers: SETUP, ticket, WAITING, demand. nullopt if the line is full,
  /// or holds `most` of this pool already (0: no such limit), or this worker is believed dead. The
  /// caller then matches, before it sleeps.
  /// `klass`: 1 + its class; 0: none.
  static std::optional<Waiter> enter(const PoolRef& pool, WorkerId self, Deadline deadline,
                                     std::string_view label, std::uint32_t most,
                                     std::uint32_t klass = 0);

  [[nodiscard]] WaiterWord word() const { return WaiterWord(cell().word.load()); }
  /// Whether `seen` is not ours any more: somebody believes that this worker is dead, has freed our
  /// row, and it may be another's by now. Then only forgetting it is left.
  [[nodiscard]] bool is_lost(WaiterWord seen) const { return seen.inc() != inc_; }
  [[nodiscard]] std::uint32_t row() const { return row_; }
  [[nodiscard]] std::uint64_t since_ns() const { return cell().since_ns.load(); }

  /// Nobody sleeps here: who would wake this waiter rings its worker's keeper instead. What came
  /// before is for the caller to see in word().
  void ring_keeper();
  /// Not 0: something may have become of it since clear_wake(). Readable from any thread, also
  /// after leave(); then it says nothing.
  [[nodiscard]] const Word32* futex() const { return &cell().futex; }
  /// Whether only a connection of one's own worker will do, because the worker may open no more:
  /// then nobody offers it room, and those behind are served first.
  void set_local_only(bool local_only);
  /// How many of the pool are in line before this one.
  [[nodiscard]] std::uint32_t ahead() const;

  /// Forgets earlier wake-ups; call it before looking at word(), so that none is lost.
  void clear_wake() { cell().futex.store(0); }
  /// Sleeps until woken after the last clear_wake(), at most until `until`.
  void wait(Deadline until);

  /// CLAIMED -> WAITING as a new incarnation. REQUIRES: `seen` is CLAIMED. False: it was granted.
  /// The caller must look at what had been offered once more, and match again.
  bool take_back(WaiterWord seen);
  /// Out of the line, from `seen` as last read. False: it changed; read again.
  bool leave(WaiterWord seen);

 private:
  Waiter(const PoolRef& pool, std::uint32_t row, std::uint64_t inc)
      : pool_(&pool), row_(row), inc_(inc) {}
  [[nodiscard]] WaiterRow& cell() const { return pool_->segment().waiters()[row_]; }

  const PoolRef* pool_;
  std::uint32_t row_;
  std::uint64_t inc_;  // of our present turn in line
};

/// Tells givers that somebody waits: in the pool and, where it shares a quota, in all its pools.
void raise_demand(const PoolRef& pool);
/// Says that nobody waits any more, looks again, and raises it again if somebody does. True:
/// nobody.
bool lower_demand(const PoolRef& pool, WorkerId self);

}  // namespace weir::shm
