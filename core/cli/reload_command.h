// `weir reload`: has every worker read its configuration again, and says what came of it in each.
//
// The file that --config names is read first, as a worker would: what is wrong with it is said
// before anybody is asked. Each worker reads the file that it was opened with.
#pragma once

#include "base/clock.h"
#include "cli/screen.h"
#include "cli/where.h"

namespace weir::cli {

struct ReloadOptions {
  Where where;
  Nanos timeout = std::chrono::seconds(10);  // for all workers together to answer
  bool json = false;
};

/// Changes nothing itself. Waits for the workers' answers, at most the timeout. Writes to stdout,
/// failures to stderr; kFailed too if a worker refused, or did not answer.
[[nodiscard]] ExitCode run_reload(const ReloadOptions& options);

}  // namespace weir::cli
