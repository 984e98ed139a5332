// Values as weir.h has them, out of values as the pool has them.
// Threads: any; no state.
#pragma once

#include "pool/events.h"
#include "pool/stats.h"
#include "weir/weir.h"

namespace weir::runtime {

/// Who is told by `event`; null for null.
[[nodiscard]] pool::EventSink::Listener listener_of(weir_event_fn event, void* context);

/// Fills in as much of `stats` as its struct_size says that the caller knows.
void copy_stats(const pool::Stats& now, weir_pool_stats_t* stats);

}  // namespace weir::runtime
