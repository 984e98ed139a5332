// `weir record`: the requests of one pool while it runs, as a trace that `weir policy simulate
// --trace` replays. From the workers' flight recorders, read-only: no worker notices.
//
// What is recorded is what arrived after it began and ended before it ends.
// Threads: the command from one; it blocks.
#pragma once

#include <string>

#include "base/clock.h"
#include "cli/screen.h"
#include "cli/where.h"

namespace weir::cli {

struct RecordOptions {
  Where where;
  std::string pool;  // empty: the only one there is
  Nanos length = std::chrono::seconds(60);
  std::string out;  // a file; empty: stdout
};

/// Records until the time is over, an interrupt comes, or a trace can hold no more. How many
/// requests it has and how many events were lost goes to stderr, as failures do.
[[nodiscard]] ExitCode run_record(const RecordOptions& options);

}  // namespace weir::cli
