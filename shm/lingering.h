// Lingering: what a dead worker had, as long as the server may still have it. Who can ask the
// server frees the place when it says that the session is gone; for what nobody can ask about, time
// has to do. What the server answered counts for all workers: it stands in the segment. Threads:
// any thread of any sound worker. Nothing here waits.
#pragma once

#include <cstdint>

#include "shm/pool_ref.h"
#include "shm/words.h"

namespace weir::shm {

/// Whether the session that lingers there, as `word` says, may be running something: then its
/// server notices late that nobody listens.
[[nodiscard]] bool may_run(const PoolRef& pool, PlaceIndex place, PlaceWord word);

/// When it counts as gone if the server says nothing more: the pool's linger_idle_ms or
/// linger_used_ms after it began to linger, or after the server last said that it is still there;
/// linger_told_ms after the server took a request to end what it runs, if it has not said so since.
/// CLOCK_MONOTONIC.
[[nodiscard]] std::uint64_t lingers_until_ns(const PoolRef& pool, PlaceIndex place, PlaceWord word);

/// The server has just said that the session is still there.
void note_still_there(const PoolRef& pool, PlaceIndex place);

/// The server has just taken a request to end what the session runs.
void note_told_to_end(const PoolRef& pool, PlaceIndex place);

/// Frees what has lingered for longer than that, in every pool of the segment: also in those whose
/// workers are all gone, since their permits may be what another pool waits for. Returns how many.
unsigned settle_overdue(const Segment& segment, WorkerId self, std::uint64_t now_ns);

}  // namespace weir::shm
