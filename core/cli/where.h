// Which segment a command looks at, and opening it: --config, --segment, --folder.
//
// A command that looks opens read-only, and never creates, locks or changes anything; one that
// changes says so, and creates nothing either. What goes wrong is said with what to do about it.
// Threads: plain functions; reads files and the environment.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "config/load.h"
#include "shm/segment.h"
#include "shm/snapshot.h"

namespace weir::cli {

/// As given on the command line; empty: not given.
struct Where {
  std::string config;   // a weir.toml that names folder and segment
  std::string folder;   // goes before what the file says
  std::string segment;  // likewise
};

/// The segment to look at, and the file that says more, if one was given.
struct Target {
  shm::SegmentOptions segment;
  std::optional<config::RuntimeConfig> config;

  /// Its pool of that name; null: no file was given, or it has no such pool.
  [[nodiscard]] const config::PoolConfig* pool(const std::string& name) const;
};

/// kNotFound or kBadConfig: what is wrong with the file.
[[nodiscard]] Result<Target> resolve(const Where& where);

/// Which of the pools is meant by --pool; `asked` empty: the only one. kNotFound names those there
/// are.
[[nodiscard]] Result<std::string> choose_pool(const std::vector<std::string>& pools,
                                              const std::string& asked);
[[nodiscard]] Result<std::string> choose_pool(const shm::Snapshot& snapshot,
                                              const std::string& asked);

/// Opens it read-only. The codes of Segment::open_read_only; each message ends with what to do.
[[nodiscard]] Result<std::unique_ptr<shm::Segment>> open_segment(
    const shm::SegmentOptions& options);

/// Opens it to change what is in it. The codes of Segment::open_existing; likewise.
[[nodiscard]] Result<std::unique_ptr<shm::Segment>> open_segment_to_change(
    const shm::SegmentOptions& options);

/// Segments in the usual places, whoever they belong to: paths.
[[nodiscard]] std::vector<std::string> segments_in_reach();

/// The time of day.
[[nodiscard]] std::uint64_t unix_ns();

}  // namespace weir::cli
