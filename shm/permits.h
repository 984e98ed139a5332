// The permits of a quota that several pools share: one word per connection the server allows. A
// permit is held by one occupation of one place (words.h), never by a worker, so whoever settles a
// place need not know who held it. Every change is one compare-and-swap; nothing waits. Threads:
// any thread of any worker. Fork: no state of its own.
#pragma once

#include <cstdint>
#include <span>

#include "shm/pool_ref.h"
#include "shm/words.h"

namespace weir::shm {

/// Takes a permit for the occupation `occ` of `place`; frees void ones on the way if it must. False
/// if none is free. REQUIRES: pool.has_quota(), and the caller occupies the place with that occ. A
/// death right after leaves it to whoever settles the place: then the permit is void.
[[nodiscard]] bool take_permit(const PoolRef& pool, PlaceIndex place, std::uint32_t occ);

/// Frees the permit of that occupation, if it holds one. REQUIRES: the server has let go.
void return_permit(const PoolRef& pool, PlaceIndex place, std::uint32_t occ);

/// Frees every void permit of the pool's quota. Returns how many. Does nothing without a quota.
unsigned free_void_permits(const PoolRef& pool);

/// Whether a permit is free right now (a look, not a claim). True without a quota.
[[nodiscard]] bool may_have_permit(const PoolRef& pool);

/// How many of a quota's permits are held; void ones are not.
[[nodiscard]] std::uint32_t count_held(const Segment& segment, std::span<const Word> permits);

}  // namespace weir::shm
