// LeaseWatch: whether a lease has said anything through its redisContext, found out from memory.
//
// hiredis has no hook for commands. But it sends from one buffer, and once all of it is sent it
// puts a new, empty one in its place. So the driver hands out a buffer with room in it: while that
// room is there and unused, nothing was sent. What was sent cannot be told; neither can whether all
// answers were read, so whoever has sent anything gets a reset that finds out by a round trip.
// Threads: one at a time per context.
#pragma once

#include <cstdint>

#include "hiredis_c.h"

namespace weir::redis {

/// Begins to watch. False: out of memory. REQUIRES: nothing waits to be sent.
[[nodiscard]] bool watch(redisContext& context);

/// Bits of weir_condition: BROKEN, UNREAD (half a command, or an answer that nobody took), or what
/// a lease that has sent anything may have left: IN_TRANSACTION and DIRTY. Memory only.
[[nodiscard]] std::uint32_t traces_in(const redisContext& context);

/// Whether the hiredis that is loaded can be watched; asks it, without a server.
[[nodiscard]] bool can_watch();

}  // namespace weir::redis
