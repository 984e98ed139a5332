// Excess: what a shrink found in use above the new limit. Nothing is taken from anybody; it goes as
// connections are closed, and until then nobody gets what would be one too many.
//
// A permit above the limit that is still held is in excess, and flagged (words.h). When one below
// comes back, it is handed down to such a holder instead of being free: so the first close anywhere
// counts, whoever holds what. A place has no second name to move to: above `max` it waits for its
// own connection's end, and meanwhile as many places below stay empty.
// Threads: any thread of any worker. Fork: no state of its own. Nothing here waits.
#pragma once

#include <cstdint>
#include <span>

#include "shm/pool_ref.h"
#include "shm/words.h"

namespace weir::shm {

/// Whether a permit above the quota's limit may be held at all. True as well if that is not known.
[[nodiscard]] inline bool was_ever_higher(const QuotaRow& row) {
  const std::uint32_t most = row.most_limit.load();
  return most == 0 || most > row.limit.load();
}

/// Gives a permit below the limit, not held by anybody but perhaps the caller and `seen` to read
/// so, to an occupation that holds one above, whose own goes out of service. False: there is none,
/// or the word is not `seen` any more. A death in between leaves that occupation with two: both go
/// when it ends.
bool hand_down(const Segment& segment, const QuotaRow& row, Word& permit, PermitWord seen);

/// How many permits of the pool's quota are held above its limit. 0 without a quota.
[[nodiscard]] std::uint32_t excess_permits(const PoolRef& pool);
/// Whether that occupation of `place` is one of them.
[[nodiscard]] bool is_excess(const PoolRef& pool, PlaceIndex place, std::uint32_t occ);

/// How many places are occupied beyond the pool's max. 0 unless one above it is.
[[nodiscard]] std::uint32_t excess_places(const PoolRef& pool);
/// The places below max: only these may be occupied. One above that still is free is of a resize
/// that was left half done.
[[nodiscard]] std::span<Word> in_service(const PoolRef& pool);
/// How many places may be occupied now: the free ones, fewer while some above max still are
/// occupied. A look, not a claim.
[[nodiscard]] std::uint32_t free_places(const PoolRef& pool);

}  // namespace weir::shm
