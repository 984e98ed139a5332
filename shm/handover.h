// Live handover: a connection moves to the worker whose waiter is next, without reconnecting.
//
// The place's word says where it is: USED(S) -> GIVING(S,R) -> PARKED(R) -> USED(R). shm knows no
// drivers: the pool calls the driver in between.
//
//   giving, in worker S, which has USED(S) with a clean session:
//     1. Giving::claim     the oldest waiter, in R, is CLAIMED for the place
//        (the driver describes the session; the connection stays intact)
//     2. begin             USED(S) -> GIVING(S,R)
//     3. send              a copy of the descriptor and the description into R's mailbox;
//                          refused, full, gone: withdraw, GIVING(S,R) -> USED(S)
//     4. park              S's own copy becomes /dev/null, *then* GIVING -> PARKED(R)
//     5.                   R's row is read again, R and its waiter are woken
//        (the driver's object is abandoned: not a word to the server)
//   receiving, in worker R, when rung, on its waiters' ticks and each second:
//     6. Inbox::receive    notes the words PARKED(R), drains the mailbox, then judges: with its
//                          letter USED(R), without LINGERING
//     7. Inbox::take       one that came, for the pool to attach and lend: grant_claimed()
//                          (line.h) for who was claimed, else whoever is next; failed to attach:
//                          give_up
//
// Deaths: of S before 3 is done: its reaper parks the place, R finds no letter: LINGERING. After:
// R receives it. Of R: LINGERING, by its reaper, by S in step 5, or as an orphan. A stopped S keeps
// one place in GIVING, a stopped R one in PARKED, as if lent; nobody waits for either.
// Threads: as said at each. Fork: nothing survives; Inbox::close_in_child().
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/file_descriptor.h"
#include "base/mutex.h"
#include "base/status.h"
#include "shm/line.h"
#include "shm/mailbox.h"
#include "shm/pool_ref.h"
#include "shm/words.h"

namespace weir::shm {

// ---- looks ----------------------------------------------------------------------------------

/// Whether worker `row` is in its row and has a mailbox. Two loads.
[[nodiscard]] bool has_mailbox(const Segment& segment, std::uint32_t row);

/// How many of the pool's places are worker `row`'s. A look.
[[nodiscard]] std::uint32_t places_of(const PoolRef& pool, std::uint32_t row);

/// Whether worker `row` could be sent a connection now: it is in its row and has a mailbox, and no
/// GIVING or PARKED word names it. A look, not a lock: two by a race harm nobody. Reads all place
/// words.
[[nodiscard]] bool can_receive(const Segment& segment, std::uint32_t row);

/// The oldest waiter of another worker that could be sent a connection now: can_receive() of its
/// row, which has less than max_per_worker of the pool's places, and not one that waits for its own
/// worker's only. nullopt if there is none. Reads all place
/// words and the line.
[[nodiscard]] std::optional<Candidate> oldest_to_send_to(const PoolRef& pool, WorkerId self);

/// Whether any word reads PARKED(self): the cheap look for ticks, before Inbox::receive(). Reads
/// all place words, relaxed: 0.3 us for 1,024.
[[nodiscard]] bool is_expecting(const Segment& segment, WorkerId self);

/// Whether a waiter of `self` whose word `claimed` is CLAIMED has reason to wait longer than for an
/// offer: the place is GIVING to this worker, PARKED in it, or just received and not yet granted.
/// Such a claim is taken back only after kHandoverPatienceNs.
[[nodiscard]] bool is_on_its_way(const PoolRef& pool, WorkerId self, WaiterWord claimed);
inline constexpr std::uint64_t kHandoverPatienceNs = 10'000'000;

// ---- giving ---------------------------------------------------------------------------------

/// One handover on its way out, in the hands of the thread that has the place. Its destructor
/// withdraws what was not parked.
class Giving {
 public:
  /// 1. WAITING -> CLAIMED(place) for `who`, which waits in another worker. nullopt, and nothing
  /// changed: that worker cannot receive (can_receive), or the waiter changed meanwhile. REQUIRES:
  /// the place is USED by `self`, its session clean and lent to nobody; `pool` outlives this. A
  /// death after it leaves a claim that its owner takes back.
  static std::optional<Giving> claim(const PoolRef& pool, WorkerId self, PlaceIndex place,
                                     const Candidate& who);
  Giving(Giving&& other) noexcept;
  Giving& operator=(Giving&&) = delete;
  ~Giving();

  /// 2. USED(S) -> GIVING(S,R). False: the place was settled by others (this worker is believed
  /// dead) and the handover is off: close the connection. A death after it: as said above.
  [[nodiscard]] bool begin();

  /// 3. Sends. Anything but kSent: withdraw() is next. REQUIRES: begin() was true.
  [[nodiscard]] Sent send(const Mailbox& from, const SessionText& session, int fd);

  /// Instead of 2, 3 or 4: GIVING(S,R) -> USED(S) and CLAIMED -> WAITING; the waiter looks again,
  /// and free rooms are matched. True: the place is USED(S) as before. False: it was settled by
  /// others meanwhile (this worker is believed dead): close the connection. REQUIRES: send() was
  /// not kSent.
  bool withdraw();

  /// 4. and 5. Replaces `fd` by /dev/null, parks, reads R's row again, wakes the waiter; R's keeper
  /// if it left. (So who leaves a claim, or takes it back, calls Inbox::receive() afterwards.)
  /// Afterwards the place is not ours and the driver's object is to be abandoned, whatever came of
  /// it. REQUIRES: send() was kSent, `fd` is what was sent. A death between replacing and parking
  /// leaves GIVING to the reaper, which parks; one right after parking leaves the place to R's next
  /// look.
  void park(int fd);

  [[nodiscard]] WorkerId to() const { return to_; }

 private:
  enum class Stage { kOver, kClaimed, kBegun, kSent };
  Giving(const PoolRef& pool, WorkerId self, PlaceIndex place, const Candidate& who, WorkerId to);

  const PoolRef* pool_;
  WorkerId self_;
  PlaceIndex place_;
  Candidate who_;
  WorkerId to_;
  std::uint64_t began_ns_;
  FileDescriptor null_;  // /dev/null, opened before anything is sent
  PlaceWord word_;
  Stage stage_ = Stage::kClaimed;
};

// ---- receiving ------------------------------------------------------------------------------

/// A connection that came: its place is USED by this worker and lent to nobody.
struct Arrival {
  PlaceIndex place = 0;
  FileDescriptor fd;
  SessionText session;         // untrusted
  std::uint64_t began_ns = 0;  // when the sender claimed our waiter; never later than now
};

/// A worker's mailbox and what came out of it. One per worker, for all its pools. Threads: all
/// methods from any thread. Fork: REQUIRES of receive(), sweep() and take(): no fork meanwhile, and
/// after take() until the descriptor is noted where a child closes it (the caller holds its fork
/// gate shared): the descriptors would live on in the child.
class Inbox {
 public:
  /// Opens the mailbox (its failures are Mailbox::open's). REQUIRES: `self` is joined; `segment`
  /// outlives this.
  static Result<std::unique_ptr<Inbox>> open(const Segment& segment, WorkerId self);
  /// close()s.
  ~Inbox();
  Inbox(const Inbox&) = delete;
  Inbox& operator=(const Inbox&) = delete;

  /// For sending: Giving::send.
  [[nodiscard]] const Mailbox& mailbox() const { return *mailbox_; }

  struct Pass {
    unsigned arrived = 0;  // now USED(self), to be taken
    unsigned lost = 0;     // PARKED without a letter: LINGERING
  };
  /// 6. One pass for all pools; does nothing, cheaply, unless is_expecting(). What came for another
  /// pool than `mine` is announced by ringing our own doorbell. Never waits for another process. A
  /// death after any step leaves PARKED(self) or USED(self) to our reaper.
  Pass receive(const PoolRef& mine);

  /// 7. The oldest arrival of this pool, or nullopt. The caller attaches it and lends it, or gives
  /// it up. Each pool takes what came for it until close().
  std::optional<Arrival> take(const PoolRef& pool);
  /// The session could not be attached: closes the descriptor, USED(self) -> LINGERING, so that the
  /// place is free once the server has let go. REQUIRES: nothing else holds the descriptor.
  void give_up(const PoolRef& pool, Arrival&& arrival);

  /// Once a second: as receive(), for no pool in particular, and empties the mailbox of what no
  /// word speaks of, so that strays do not fill it.
  Pass sweep();

  /// Nobody is to send any more; what is on its way still comes. Before close(), as early as it is
  /// known.
  void stop();
  /// Leaving: no letters from now on; what is here and was not taken is closed, its places
  /// LINGERING. Before Membership::leave(). REQUIRES: nobody is in take() or attaching.
  void close();
  /// In a forked child: closes what it inherited. Async-signal-safe.
  void close_in_child();

 private:
  // A letter of a place that names us, waiting for its word to be noted, or received.
  struct Kept {
    Letter letter;
    FileDescriptor fd;
    std::uint64_t inode = 0;  // behind fd, for a child that closes it
    bool arrived = false;
  };
  Inbox(const Segment& segment, WorkerId self, std::unique_ptr<Mailbox> mailbox)
      : segment_(segment), self_(self), mailbox_(std::move(mailbox)) {}
  Pass pass(bool drain_always, const PoolRef* mine);
  bool drain() WEIR_REQUIRES(mutex_);
  bool is_for_us(const Letter& letter) const;
  const Kept* judge(std::uint32_t place, PlaceWord noted) WEIR_REQUIRES(mutex_);
  void drop(std::uint32_t place);

  const Segment& segment_;
  const WorkerId self_;
  const std::unique_ptr<Mailbox> mailbox_;
  Mutex mutex_;
  bool closed_ WEIR_GUARDED_BY(mutex_) = false;
  std::vector<Kept> kept_ WEIR_GUARDED_BY(mutex_);
  std::atomic<unsigned> arrived_{0};  // of kept_: so that take() is cheap where nothing came
};

}  // namespace weir::shm
