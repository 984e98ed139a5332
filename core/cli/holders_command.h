// `weir holders`: every lease on the machine, oldest first, and apart from them who waits. From the
// segment alone, like `weir status`.
//
// Threads: the command from one; the texts are pure functions.
#pragma once

#include <chrono>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "cli/screen.h"
#include "cli/where.h"
#include "shm/snapshot.h"

namespace weir::cli {

struct HoldersOptions {
  Where where;
  std::string pool;                         // empty: all
  std::chrono::milliseconds older_than{0};  // leases only
  bool json = false;
};

/// Writes to stdout, failures to stderr.
[[nodiscard]] ExitCode run_holders(const HoldersOptions& options);

/// A connection in use. Those that are being checked or made clean look like it for that moment.
struct Holder {
  const shm::PoolSnapshot* pool;
  const shm::PlaceSnapshot* place;
  const shm::WorkerSnapshot* worker;  // null: it is not attached any more
};

struct Holders {
  const shm::Snapshot* snapshot = nullptr;
  std::vector<Holder> leases;  // oldest first
  std::vector<const shm::WaiterSnapshot*> waiters;
  std::size_t younger = 0;  // leases that were left out by age
  std::chrono::milliseconds older_than{0};
  std::uint64_t resolution_ns = 0;  // of how long a lease has been out
};

/// Those of one pool; of all if `pool` is empty. Points into `snapshot`, which must outlive it.
/// kNotFound names the pools there are.
[[nodiscard]] Result<Holders> find_holders(const shm::Snapshot& snapshot, const std::string& pool,
                                           std::chrono::milliseconds older_than,
                                           std::uint64_t resolution_ns);
/// `now_unix_ns`: the time of day at which the snapshot was taken.
[[nodiscard]] std::string holders_text(const Holders& holders, std::uint64_t now_unix_ns);
[[nodiscard]] nlohmann::ordered_json holders_json(const Holders& holders,
                                                  std::uint64_t now_unix_ns);

}  // namespace weir::cli
