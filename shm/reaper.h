// The reaper: settles what dead workers left. Anybody may do it, at any time, any number at once:
// every step is one compare-and-swap of exactly the value that was read, after reading the worker's
// row again.
//
//   waiter words          -> FREE, as a new incarnation
//   OPENING IDLE USED CLOSING places -> LINGERING: the server may not know yet
//   GIVING places it was sending     -> PARKED with who receives, if that one is in its row, else
//                                       LINGERING
//   PARKED places sent to it         -> LINGERING, looked for once more after the row is free
//   OFFERED places whose offer is void -> FREE (their permit becomes void, and anybody's)
//   turns                 -> free
//   the row               -> FREE(g), last: from then on the orphan rule holds for words of (row,
//   g)
//   its mailbox           unlinked
//
// Orphans: a word whose worker's row does not read LIVE with exactly that generation is settled
// without asking any lock: that generation can never act again. Threads: any thread of any sound
// worker. Fork: a child must join first. A few system calls per living worker (1.4 to 2.7 us each);
// no waiting.
#pragma once

#include <cstdint>

#include "shm/segment.h"
#include "shm/words.h"

namespace weir::shm {

/// At most one pass in this time on the whole machine (reap_if_due): with one per enqueue, 32
/// processes on one permit spent 41 us a turn, with this 9.
inline constexpr std::uint64_t kReapPeriodNs = 1'000'000;

struct Reaped {
  unsigned workers = 0;  // rows settled
  unsigned places = 0;   // places that came to linger
  [[nodiscard]] bool anything() const { return workers + places > 0; }
};

/// One pass over all workers and orphans. REQUIRES: the caller is a sound observer (liveness.h).
Reaped reap(const Segment& segment, WorkerId self);

/// As reap(), unless somebody began a pass less than kReapPeriodNs ago.
Reaped reap_if_due(const Segment& segment, WorkerId self, std::uint64_t now_ns);

/// Settles all words of the worker that `word` (LIVE) names in `row`. REQUIRES: it is certainly
/// dead, or the caller itself, leaving. Returns how many places came to linger.
unsigned settle_dead_worker(const Segment& segment, std::uint32_t row, WorkerWord word);

}  // namespace weir::shm
