// What a shrink left above a limit: this worker's part of giving it up. Nothing lent is taken away;
// what is idle is closed by the keeper, what is lent when it comes back.
//
// First those that are flagged themselves: their place lies above the pool's max, or their permit
// above the quota's limit. Where these stay lent for long, others are one too many in their stead:
// once a second each worker gives up one more, an idle one or else the next that comes back. Two
// workers may give up one each for the same; the one too many is opened again when it is wanted.
#include <algorithm>

#include "pool/pool.h"
#include "shm/excess.h"

namespace weir::pool {

void Pool::retire_excess(bool once_a_second) {
  const std::uint32_t permits = shm::excess_permits(ref()), places = shm::excess_places(ref());
  const std::uint32_t excess = std::max(permits, places);
  bool flagged = false;
  std::uint32_t flagged_idle = 0, closing = 0;
  if (excess > 0) {
    for (PlaceIndex place = 0; place < ref().capacity(); ++place) {
      const PlaceWord word(cell(place).load(std::memory_order_relaxed));
      closing += word.state() == PlaceState::kClosing ? 1 : 0;
      if (!word.belongs_to(self())) continue;
      if (!word.retire() && !shm::is_excess(ref(), place, word.occ())) continue;
      flagged = true;
      if (word.state() != PlaceState::kIdle || !take_idle_or_retiring(place)) continue;
      start_closing(place, PlaceState::kUsed, CloseReason::kQuotaReclaim);
      ++flagged_idle;
    }
  }
  const bool one_more = once_a_second && excess > closing + flagged_idle;
  if (one_more) {
    const PlaceIndex idle = take_any_idle();
    if (idle != kNoPlace) {
      start_closing(idle, PlaceState::kUsed, CloseReason::kQuotaReclaim);
    } else {
      close_next_.store(true);
    }
  } else if (excess == 0) {
    close_next_.store(false);
  }
  if (flagged || close_next_.load()) {
    attention_.fetch_or(kRetiring);
  } else if ((attention_.load(std::memory_order_relaxed) & kRetiring) != 0) {
    attention_.fetch_and(~kRetiring);
  }
}

// Whether what comes back at `place` is to be closed for it.
bool Pool::is_to_retire(PlaceIndex place) {
  if ((attention_.load(std::memory_order_relaxed) & kRetiring) == 0) return false;
  const PlaceWord word(cell(place).load());
  if (word.retire() || shm::is_excess(ref(), place, word.occ())) return true;
  const bool in_excess = shm::excess_permits(ref()) + shm::excess_places(ref()) > 0;
  return in_excess && close_next_.exchange(false);
}

}  // namespace weir::pool
