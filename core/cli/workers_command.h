// `weir workers`: each process that is attached, what its keeper last did, and what it holds in
// each pool. From the segment alone, like `weir status`.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "cli/screen.h"
#include "cli/where.h"
#include "shm/snapshot.h"

namespace weir::cli {

struct WorkersOptions {
  Where where;
  bool json = false;
};

/// Writes to stdout, failures to stderr.
[[nodiscard]] ExitCode run_workers(const WorkersOptions& options);

/// `now_unix_ns`: the time of day at which the snapshot was taken.
[[nodiscard]] std::string workers_text(const shm::Snapshot& snapshot, std::uint64_t now_unix_ns);
[[nodiscard]] nlohmann::ordered_json workers_json(const shm::Snapshot& snapshot,
                                                  std::uint64_t now_unix_ns);

}  // namespace weir::cli
