// `weir reap`: settles what dead workers left, now instead of at the next look of a living one, and
// says what it settled.
#pragma once

#include "cli/screen.h"
#include "cli/where.h"

namespace weir::cli {

struct ReapOptions {
  Where where;
  bool json = false;
};

/// Joins the segment for a moment. Writes to stdout, failures to stderr.
[[nodiscard]] ExitCode run_reap(const ReapOptions& options);

}  // namespace weir::cli
