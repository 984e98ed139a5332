// One worker process of the demo: a server with some threads that serves its part of the trace.
#pragma once

#include <cstdint>

#include "demo/board.h"
#include "demo/source.h"
#include "demo/trace.h"

namespace weir::demo {

struct WorkerTask {
  const Trace& trace;
  std::uint32_t worker;   // whose part of it
  std::uint64_t from_us;  // from this arrival on: what came earlier was a predecessor's
  std::uint32_t threads;
  std::uint64_t start_ns;  // when the trace begins, monotonic
  std::uint64_t
      deadline_us;  // of each request, from its arrival, time in line for a thread included
};

/// Serves until the last request of the task has ended. A request is taken by the next free thread,
/// in order of arrival, not before it arrives. Blocks.
void work(const WorkerTask& task, Source& source, Board& board);

}  // namespace weir::demo
