// The words of the segment: one 64-bit value each, packed fields, every change one
// compare-and-swap.
//
// A word that counts names its owner, so that no sum beside it can be wrong after a kill. This file
// holds the bit fields and the states; who may make which transition stands as a table beside each
// type. Plain values: no shared memory here, no threads to mind.
#pragma once

#include <cstdint>
#include <string_view>

namespace weir::shm {

/// A worker as the words name it: its row and the generation of that row's owner.
struct WorkerId {
  std::uint32_t row = 0;
  std::uint32_t gen = 0;
  bool operator==(const WorkerId&) const = default;
};

namespace bits {
constexpr std::uint64_t mask(unsigned width) { return (std::uint64_t{1} << width) - 1; }
constexpr std::uint64_t get(std::uint64_t word, unsigned shift, unsigned width) {
  return (word >> shift) & mask(width);
}
constexpr std::uint64_t put(std::uint64_t value, unsigned shift, unsigned width) {
  return (value & mask(width)) << shift;
}
}  // namespace bits

// ---- place ----------------------------------------------------------------------------------
//
//   state           meaning                        who may leave it, to what
//   kFree           nobody's                       anybody acquiring: Opening. resize: Retired
//   kOffered(k,inc) empty, offered to waiter k     waiter k: Opening
//                                                  offerer, if k left: Opening
//                                                  any waiter's tick: Opening, at once when void,
//                                                    else after 20 ms
//                                                  reaper, if void: Free
//   kOpening(w)     w is connecting                w: Used, Idle, Closing, Free, Offered
//   kIdle(w)        open, nobody uses it, w's      w: Used, Closing
//   kUsed(w)        lent in w, or being reset or   w: Idle, Closing, Giving; Opening, once its
//                     checked                        session has ended and another is to follow
//   kGiving(s,r)    s is sending it to r           s: Parked, Used
//                                                  reaper of s: Parked, Lingering
//   kParked(r)      in r's mailbox, s has let go   r: Used with the letter, Lingering without
//                                                  who parked, reaper of r, if r is gone: Lingering
//   kClosing(w)     goodbye said, waiting for the  w: Free, Offered; deadline passed: Lingering
//                     server
//   kLingering      its worker is gone, the        any keeper that confirmed: Free
//                     server may not know yet
//   kRetired        out of service after a shrink  resize: Free
//
// Opening, Idle, Used, Closing of a dead worker: Lingering, by any reaper.
enum class PlaceState : std::uint8_t {
  kFree = 0,
  kOffered = 1,
  kOpening = 2,
  kIdle = 3,
  kUsed = 4,
  kGiving = 5,
  kParked = 6,
  kClosing = 7,
  kLingering = 8,
  kRetired = 9,
};
inline constexpr unsigned kPlaceStates = 10;

/// "idle"; "impossible" for a number outside the list.
std::string_view place_state_name(PlaceState state);

/// What a place was when its worker died: says how long it may linger.
enum class LingerCause : std::uint8_t { kIdle = 0, kUsed = 1, kOpening = 2, kClosing = 3 };

/// st:4 | retire:1 | idx:11 | gen:28 | occ:20. `occ` changes each time a free place is occupied,
/// and only then. idx and gen name the worker; in kOffered the waiter's row and the low bits of its
/// incarnation; in kLingering idx is the LingerCause and gen the dead worker's row. In kGiving the
/// two name two workers: from:11 | low bits of its gen:9 | to:11 | low bits of its gen:8. That is
/// enough: a row that such a word names is not joined.
class PlaceWord {
 public:
  static constexpr unsigned kIdxBits = 11, kGenBits = 28, kOccBits = 20;
  static constexpr unsigned kGiverGenBits = 9, kReceiverGenBits = 8;

  constexpr PlaceWord() = default;
  explicit constexpr PlaceWord(std::uint64_t raw) : raw_(raw) {}
  constexpr PlaceWord(PlaceState state, std::uint64_t idx, std::uint64_t gen, std::uint64_t occ,
                      bool retire = false)
      : raw_(static_cast<std::uint64_t>(state) | bits::put(retire ? 1 : 0, 4, 1) |
             bits::put(idx, 5, kIdxBits) | bits::put(gen, 16, kGenBits) |
             bits::put(occ, 44, kOccBits)) {}

  [[nodiscard]] constexpr std::uint64_t raw() const { return raw_; }
  [[nodiscard]] constexpr PlaceState state() const {
    return static_cast<PlaceState>(bits::get(raw_, 0, 4));
  }
  [[nodiscard]] constexpr bool retire() const { return bits::get(raw_, 4, 1) != 0; }
  [[nodiscard]] constexpr std::uint32_t idx() const {
    return static_cast<std::uint32_t>(bits::get(raw_, 5, kIdxBits));
  }
  [[nodiscard]] constexpr std::uint32_t gen() const {
    return static_cast<std::uint32_t>(bits::get(raw_, 16, kGenBits));
  }
  [[nodiscard]] constexpr std::uint32_t occ() const {
    return static_cast<std::uint32_t>(bits::get(raw_, 44, kOccBits));
  }

  /// Whether the word names worker `id` in a state that has one worker.
  [[nodiscard]] constexpr bool belongs_to(WorkerId id) const {
    return names_worker() && idx() == id.row && gen() == (id.gen & bits::mask(kGenBits));
  }
  [[nodiscard]] constexpr bool names_worker() const {
    const PlaceState s = state();
    return s == PlaceState::kOpening || s == PlaceState::kIdle || s == PlaceState::kUsed ||
           s == PlaceState::kClosing || s == PlaceState::kParked;
  }
  /// Whether it is an offer to incarnation `inc` of waiter row `waiter`.
  [[nodiscard]] constexpr bool offers_to(std::uint32_t waiter, std::uint64_t inc) const {
    return state() == PlaceState::kOffered && idx() == waiter &&
           gen() == (inc & bits::mask(kGenBits));
  }
  /// Who gives it, and to whom, each with the low bits of its generation. REQUIRES: state() ==
  /// kGiving.
  [[nodiscard]] constexpr WorkerId giver() const {
    return {static_cast<std::uint32_t>(bits::get(raw_, 5, kIdxBits)),
            static_cast<std::uint32_t>(bits::get(raw_, 16, kGiverGenBits))};
  }
  [[nodiscard]] constexpr WorkerId receiver() const {
    return {static_cast<std::uint32_t>(bits::get(raw_, 25, kIdxBits)),
            static_cast<std::uint32_t>(bits::get(raw_, 36, kReceiverGenBits))};
  }
  /// Whether `id` is sending it.
  [[nodiscard]] constexpr bool is_given_by(WorkerId id) const {
    return state() == PlaceState::kGiving && giver().row == id.row &&
           giver().gen == (id.gen & bits::mask(kGiverGenBits));
  }
  /// Whether it is being sent to `id`, or has been.
  [[nodiscard]] constexpr bool is_on_its_way_to(WorkerId id) const {
    if (state() == PlaceState::kParked) return belongs_to(id);
    return state() == PlaceState::kGiving && receiver().row == id.row &&
           receiver().gen == (id.gen & bits::mask(kReceiverGenBits));
  }
  /// Whether the number stands for a state there is.
  [[nodiscard]] constexpr bool possible() const { return bits::get(raw_, 0, 4) < kPlaceStates; }
  /// Whether a server may see a connection (or soon will) behind this place.
  [[nodiscard]] constexpr bool occupied() const {
    return state() != PlaceState::kFree && state() != PlaceState::kRetired;
  }

  /// The same occupation in another state of worker `id`.
  [[nodiscard]] constexpr PlaceWord to(PlaceState state, WorkerId id) const {
    return PlaceWord(state, id.row, id.gen, occ(), retire());
  }
  [[nodiscard]] constexpr PlaceWord to_giving(WorkerId from, WorkerId to) const {
    return PlaceWord(PlaceState::kGiving, from.row,
                     bits::put(from.gen, 0, kGiverGenBits) |
                         bits::put(to.row, kGiverGenBits, kIdxBits) |
                         bits::put(to.gen, kGiverGenBits + kIdxBits, kReceiverGenBits),
                     occ(), retire());
  }
  [[nodiscard]] constexpr PlaceWord to_offered(std::uint32_t waiter, std::uint64_t inc) const {
    return PlaceWord(PlaceState::kOffered, waiter, inc, occ(), retire());
  }
  [[nodiscard]] constexpr PlaceWord to_free() const {
    return PlaceWord(retire() ? PlaceState::kRetired : PlaceState::kFree, 0, 0, occ());
  }
  [[nodiscard]] constexpr PlaceWord to_lingering(LingerCause cause, std::uint32_t dead_row) const {
    return PlaceWord(PlaceState::kLingering, static_cast<std::uint64_t>(cause), dead_row, occ(),
                     retire());
  }
  /// A new occupation of a free place by worker `id`.
  [[nodiscard]] constexpr PlaceWord to_occupied(WorkerId id) const {
    return PlaceWord(PlaceState::kOpening, id.row, id.gen, occ() + 1, retire());
  }
  /// REQUIRES: state() == kLingering.
  [[nodiscard]] constexpr LingerCause linger_cause() const {
    return static_cast<LingerCause>(idx() & 3);
  }

  constexpr bool operator==(const PlaceWord&) const = default;

 private:
  std::uint64_t raw_ = 0;
};

// ---- permit ---------------------------------------------------------------------------------
//
//   kFree        in the quota's hand                   anybody who occupies a place: Held
//   kHeld(place, occ)  that occupation's               who closes it: Free. Void: anybody: Free
//   kRetired     out of service after a shrink         resize: Free
//
// A permit names the place, not the worker: a connection can change worker without touching it, and
// an empty place that is offered to a waiter takes its permit along. It is *void* when its place is
// Free or Retired or shows another occ. Order: place first, then permit; on closing the other way.
enum class PermitState : std::uint8_t { kFree = 0, kHeld = 1, kRetired = 3 };

/// st:2 | retire:1 | place:16 | occ:20 (place: index into all places of the segment).
class PermitWord {
 public:
  constexpr PermitWord() = default;
  explicit constexpr PermitWord(std::uint64_t raw) : raw_(raw) {}
  constexpr PermitWord(PermitState state, std::uint64_t place, std::uint64_t occ,
                       bool retire = false)
      : raw_(static_cast<std::uint64_t>(state) | bits::put(retire ? 1 : 0, 2, 1) |
             bits::put(place, 3, 16) | bits::put(occ, 19, PlaceWord::kOccBits)) {}

  [[nodiscard]] constexpr std::uint64_t raw() const { return raw_; }
  [[nodiscard]] constexpr PermitState state() const {
    return static_cast<PermitState>(bits::get(raw_, 0, 2));
  }
  [[nodiscard]] constexpr bool retire() const { return bits::get(raw_, 2, 1) != 0; }
  [[nodiscard]] constexpr std::uint32_t place() const {
    return static_cast<std::uint32_t>(bits::get(raw_, 3, 16));
  }
  [[nodiscard]] constexpr std::uint32_t occ() const {
    return static_cast<std::uint32_t>(bits::get(raw_, 19, PlaceWord::kOccBits));
  }
  [[nodiscard]] constexpr PermitWord to_held(std::uint32_t place, std::uint32_t occ) const {
    return PermitWord(PermitState::kHeld, place, occ, retire());
  }
  [[nodiscard]] constexpr PermitWord to_free() const {
    return PermitWord(retire() ? PermitState::kRetired : PermitState::kFree, 0, 0);
  }
  /// REQUIRES: state() == kHeld, and `at` was read from the place it names.
  [[nodiscard]] constexpr bool is_void(PlaceWord at) const {
    return !at.occupied() || at.occ() != occ();
  }
  constexpr bool operator==(const PermitWord&) const = default;

 private:
  std::uint64_t raw_ = 0;
};

// ---- waiter ---------------------------------------------------------------------------------
//
//   state           meaning                          who may leave it, to what
//   kFree           nobody's                         anybody: Setup(me, inc+1)
//   kSetup          being filled in                  owner: Waiting
//   kWaiting        in line                          any giver: Claimed, Granted
//                                                    owner: Free(inc+1)
//   kClaimed(what)  somebody is about to offer or    owner: Free, Waiting(inc+1)
//                     send it                        owner's worker, having received it: Granted
//                                                    who claimed, having sent nothing: Waiting
//   kGranted(place) has a lease of place             owner: Free
//
// Only its owner leaves Setup and Granted; the reaper frees any state of a dead owner. `inc` never
// repeats, so an old offer cannot be taken for a new one.
enum class WaiterState : std::uint8_t {
  kFree = 0,
  kSetup = 1,
  kWaiting = 2,
  kClaimed = 3,
  kGranted = 4,
};

/// st:3 | owner:11 | what:15 | inc:35 (what: index into all places of the segment).
class WaiterWord {
 public:
  static constexpr unsigned kWhatBits = 15;

  constexpr WaiterWord() = default;
  explicit constexpr WaiterWord(std::uint64_t raw) : raw_(raw) {}
  constexpr WaiterWord(WaiterState state, std::uint64_t owner_row, std::uint64_t what,
                       std::uint64_t inc)
      : raw_(static_cast<std::uint64_t>(state) | bits::put(owner_row, 3, 11) |
             bits::put(what, 14, kWhatBits) | bits::put(inc, 29, 35)) {}

  [[nodiscard]] constexpr std::uint64_t raw() const { return raw_; }
  [[nodiscard]] constexpr WaiterState state() const {
    return static_cast<WaiterState>(bits::get(raw_, 0, 3));
  }
  [[nodiscard]] constexpr std::uint32_t owner_row() const {
    return static_cast<std::uint32_t>(bits::get(raw_, 3, 11));
  }
  [[nodiscard]] constexpr std::uint32_t what() const {
    return static_cast<std::uint32_t>(bits::get(raw_, 14, kWhatBits));
  }
  [[nodiscard]] constexpr std::uint64_t inc() const { return bits::get(raw_, 29, 35); }
  [[nodiscard]] constexpr bool possible() const { return bits::get(raw_, 0, 3) <= 4; }

  [[nodiscard]] constexpr WaiterWord to(WaiterState state, std::uint32_t what) const {
    return WaiterWord(state, owner_row(), what, inc());
  }
  /// Back in line, or out of it, as a new incarnation: what was meant for the old one is void.
  [[nodiscard]] constexpr WaiterWord to_waiting_again() const {
    return WaiterWord(WaiterState::kWaiting, owner_row(), 0, inc() + 1);
  }
  [[nodiscard]] constexpr WaiterWord to_free() const {
    return WaiterWord(WaiterState::kFree, 0, 0, inc() + 1);
  }
  constexpr bool operator==(const WaiterWord&) const = default;

 private:
  std::uint64_t raw_ = 0;
};

// ---- worker ---------------------------------------------------------------------------------
//
//   state      meaning                            who may leave it, to what
//   kFree(g)   nobody's, last used by generation g  who holds the row's byte lock: Live(g+1)
//   kLive(g)   a worker's                           reaper that settled all words of (row, g):
//                                                   Free(g)
enum class WorkerState : std::uint8_t { kFree = 0, kLive = 1 };

/// st:8 | unused:24 | gen:32.
class WorkerWord {
 public:
  constexpr WorkerWord() = default;
  explicit constexpr WorkerWord(std::uint64_t raw) : raw_(raw) {}
  constexpr WorkerWord(WorkerState state, std::uint32_t gen)
      : raw_(static_cast<std::uint64_t>(state) | std::uint64_t{gen} << 32) {}

  [[nodiscard]] constexpr std::uint64_t raw() const { return raw_; }
  [[nodiscard]] constexpr WorkerState state() const {
    return static_cast<WorkerState>(bits::get(raw_, 0, 8));
  }
  [[nodiscard]] constexpr std::uint32_t gen() const {
    return static_cast<std::uint32_t>(raw_ >> 32);
  }
  /// Whether a word that carries the low `width` bits of a generation means this live worker.
  [[nodiscard]] constexpr bool is_live(std::uint32_t low_gen,
                                       unsigned width = PlaceWord::kGenBits) const {
    return state() == WorkerState::kLive &&
           (gen() & bits::mask(width)) == (low_gen & bits::mask(width));
  }
  constexpr bool operator==(const WorkerWord&) const = default;

 private:
  std::uint64_t raw_ = 0;
};

// ---- recorder -------------------------------------------------------------------------------

/// One event of the flight recorder. 0: nobody has written here yet.
/// kind:8 | pool:8 | class:4 | sequence:44. Kind 0: it is being written. The sequence counts the
/// events of its ring from 1; its row in the ring follows from it.
class EventWord {
 public:
  static constexpr unsigned kSequenceBits = 44;

  constexpr EventWord() = default;
  explicit constexpr EventWord(std::uint64_t raw) : raw_(raw) {}
  constexpr EventWord(std::uint32_t kind, std::uint32_t pool, std::uint32_t klass,
                      std::uint64_t sequence)
      : raw_(bits::put(kind, 0, 8) | bits::put(pool, 8, 8) | bits::put(klass, 16, 4) |
             bits::put(sequence, 20, kSequenceBits)) {}

  [[nodiscard]] constexpr std::uint64_t raw() const { return raw_; }
  [[nodiscard]] constexpr std::uint32_t kind() const { return field(0, 8); }
  [[nodiscard]] constexpr std::uint32_t pool() const { return field(8, 8); }
  [[nodiscard]] constexpr std::uint32_t klass() const { return field(16, 4); }
  [[nodiscard]] constexpr std::uint64_t sequence() const { return raw_ >> 20; }
  [[nodiscard]] constexpr bool is_being_written() const { return raw_ != 0 && kind() == 0; }
  /// Whether this is a later event than the one of that sequence.
  [[nodiscard]] constexpr bool is_after(std::uint64_t sequence) const {
    const std::uint64_t ahead = (this->sequence() - sequence) & bits::mask(kSequenceBits);
    return ahead != 0 && ahead < std::uint64_t{1} << (kSequenceBits - 1);
  }
  constexpr bool operator==(const EventWord&) const = default;

 private:
  [[nodiscard]] constexpr std::uint32_t field(unsigned at, unsigned width) const {
    return static_cast<std::uint32_t>(bits::get(raw_, at, width));
  }
  std::uint64_t raw_ = 0;
};

// ---- turn -----------------------------------------------------------------------------------

/// One of the few turns a pool has: a handshake in progress, or the breaker's probe.
/// 0 is free. used:1 | idx:11 | gen:28 | since:24, `since` in units of 2^24 ns (16.8 ms), wrapping
/// after 78 hours. The owner frees it; anybody may take it over whose look finds the owner gone, or
/// the turn older than the pool's connect_timeout.
class TurnWord {
 public:
  constexpr TurnWord() = default;
  explicit constexpr TurnWord(std::uint64_t raw) : raw_(raw) {}
  constexpr TurnWord(WorkerId id, std::uint64_t now_ns)
      : raw_(1 | bits::put(id.row, 1, 11) | bits::put(id.gen, 12, 28) |
             bits::put(now_ns >> 24, 40, 24)) {}

  [[nodiscard]] constexpr std::uint64_t raw() const { return raw_; }
  [[nodiscard]] constexpr bool taken() const { return (raw_ & 1) != 0; }
  [[nodiscard]] constexpr std::uint32_t row() const {
    return static_cast<std::uint32_t>(bits::get(raw_, 1, 11));
  }
  [[nodiscard]] constexpr std::uint32_t gen() const {
    return static_cast<std::uint32_t>(bits::get(raw_, 12, 28));
  }
  static constexpr std::uint64_t kUnitNs = std::uint64_t{1} << 24;
  /// How long ago it was taken, in nanoseconds, give or take kUnitNs. 0 when it was taken after the
  /// caller read the clock (by up to 4 s).
  [[nodiscard]] constexpr std::uint64_t age_ns(std::uint64_t now_ns) const {
    const std::uint64_t units = ((now_ns >> 24) - bits::get(raw_, 40, 24)) & bits::mask(24);
    return units > bits::mask(24) - 256 ? 0 : units * kUnitNs;
  }

 private:
  std::uint64_t raw_ = 0;
};

// ---- breaker --------------------------------------------------------------------------------
//
//   state      meaning                           who may leave it, to what
//   kClosed    anybody connects                  whose attempt got no answer: Closed with one
//   failure
//                                                  more, or Open; a keeper's policy: Open
//   kOpen      nobody connects before retry_at   from then on, who has taken the probe: HalfOpen
//                                                whose attempt got an answer: Closed
//   kHalfOpen  who has the probe connects        whose attempt got an answer: Closed
//                                                who still has the probe and got none: Open
//
// A keeper whose policy says so may close it, or open it half.
enum class BreakerState : std::uint8_t { kClosed = 0, kOpen = 1, kHalfOpen = 2 };

/// state:8 | failures:8 | retry_at in ms of CLOCK_MONOTONIC:48. `failures`: attempts in a row that
/// got no answer; 255 stands for more. All zero: closed, and nothing failed.
class BreakerWord {
 public:
  static constexpr std::uint32_t kMostFailures = 255;

  constexpr BreakerWord() = default;
  explicit constexpr BreakerWord(std::uint64_t raw) : raw_(raw) {}
  constexpr BreakerWord(BreakerState state, std::uint32_t failures, std::uint64_t retry_at_ms)
      : raw_(static_cast<std::uint64_t>(state) |
             bits::put(failures < kMostFailures ? failures : kMostFailures, 8, 8) |
             bits::put(retry_at_ms, 16, 48)) {}

  [[nodiscard]] constexpr std::uint64_t raw() const { return raw_; }
  [[nodiscard]] constexpr BreakerState state() const {
    return static_cast<BreakerState>(bits::get(raw_, 0, 8));
  }
  /// Anything but open or half open lets everybody through: no word may lock a pool for good.
  [[nodiscard]] constexpr bool is_closed() const {
    return state() != BreakerState::kOpen && state() != BreakerState::kHalfOpen;
  }
  [[nodiscard]] constexpr std::uint32_t failures() const {
    return static_cast<std::uint32_t>(bits::get(raw_, 8, 8));
  }
  [[nodiscard]] constexpr std::uint64_t retry_at_ms() const { return bits::get(raw_, 16, 48); }
  /// How long nobody may try yet, in milliseconds, rounded up; 0: who takes the probe may.
  [[nodiscard]] constexpr std::uint64_t retry_in_ms(std::uint64_t now_ns) const {
    const std::uint64_t now_ms = now_ns / 1'000'000;
    return state() == BreakerState::kOpen && now_ms < retry_at_ms() ? retry_at_ms() - now_ms : 0;
  }
  constexpr bool operator==(const BreakerWord&) const = default;

 private:
  std::uint64_t raw_ = 0;
};

}  // namespace weir::shm
