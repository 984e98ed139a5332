// `weir status`: quotas, pools, workers, the line and what lingers, read from the segment alone.
// Works while every worker is stopped, and shows a segment that was taken out of service.
#pragma once

#include "cli/screen.h"
#include "cli/where.h"

namespace weir::cli {

struct StatusOptions {
  Where where;
  bool json = false;
  Watch watch;
};

/// Blocks while it watches. Writes to stdout, failures to stderr.
[[nodiscard]] ExitCode run_status(const StatusOptions& options);

}  // namespace weir::cli
