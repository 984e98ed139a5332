// `weir policy list` and `weir policy reload`: what decides in each worker, and having it read
// again. From the segment; no worker's help is needed to look.
//
// Threads: the commands from one; the texts are pure functions.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "base/clock.h"
#include "cli/screen.h"
#include "cli/where.h"
#include "shm/snapshot.h"

namespace weir::cli {

struct PolicyListOptions {
  Where where;
  bool json = false;
};

struct PolicyReloadOptions {
  Where where;
  Nanos timeout = std::chrono::seconds(10);  // for all workers together to answer
  bool json = false;
};

/// Writes to stdout; failures to stderr.
[[nodiscard]] ExitCode run_policy_list(const PolicyListOptions& options);

/// Asks every worker to read its scripts again, and shows what is in charge afterwards. Waits for
/// the workers at most the timeout. kFailed too if one has not answered, or a script was refused.
[[nodiscard]] ExitCode run_policy_reload(const PolicyReloadOptions& options);

[[nodiscard]] std::string policies_text(const shm::Snapshot& snapshot);
[[nodiscard]] nlohmann::ordered_json policies_json(const shm::Snapshot& snapshot);

}  // namespace weir::cli
