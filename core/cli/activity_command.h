// `weir activity`: what the database server says of its sessions, joined with who holds which
// place.
//
// Connects one session to each server (of one pool, or of all pools of the file) with the pool's
// own driver and DSN. These sessions are outside the quota, and closed again at once.
#pragma once

#include <string>

#include "base/clock.h"
#include "cli/screen.h"
#include "cli/where.h"

namespace weir::cli {

struct ActivityOptions {
  Where where;       // with `config`
  std::string pool;  // empty: all of the file
  bool json = false;
  Nanos timeout = std::chrono::seconds(10);  // for each server
};

/// Blocks for at most `timeout` per server. Writes to stdout, failures to stderr; kFailed as well
/// when only some of the servers answered.
[[nodiscard]] ExitCode run_activity(const ActivityOptions& options);

}  // namespace weir::cli
