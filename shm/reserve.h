// Reserve: the last few places of a pool, which nobody gets but who has waited in line for
// reserve_after. A pool of 25 with a reserve of 5 works as one of 20 until somebody has waited for
// too long; what was opened in the reserve is closed when it comes back and nobody waits.
//
// What a policy keeps back of max is kept back from everybody, by the same means.
//
// As with a limit, it is looked at before a place is occupied and, since two may come at once,
// after. Which places are meant is nobody's secret: any, as long as so many are left.
// Threads: any thread of any worker. Fork: no state of its own. Nothing here waits.
#pragma once

#include <cstdint>

#include "shm/pool_ref.h"

namespace weir::shm {

/// Since when somebody waits who is not in line.
inline constexpr std::uint64_t kNotInLine = UINT64_MAX;

/// How many places somebody may occupy now who has waited since `since_ns`: the free ones, less the
/// reserve if that is not long enough. A look, not a claim.
[[nodiscard]] std::uint32_t places_for(const PoolRef& pool, std::uint64_t since_ns);

/// Whether a place that was just occupied is one of the reserve's, and not for who has waited since
/// `since_ns`.
[[nodiscard]] bool is_kept_back(const PoolRef& pool, std::uint64_t since_ns);

/// From now on no more than `most` are opened, on the whole machine; what is open stays. Max or
/// more: as configured. A guess of whoever keeps: it may lag behind by a second.
void put_policy_max(PoolRow& row, std::uint32_t most);

/// How many connections stay open without anybody who waits: max, less the reserve; but at least 1,
/// should somebody have set a max that is no larger than it.
[[nodiscard]] std::uint32_t beside_reserve(const PoolRow& row);

}  // namespace weir::shm
