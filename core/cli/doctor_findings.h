// What `weir doctor` finds: each finding with how bad it is and what to do about it. Found from
// facts that the command has gathered, so that each can be tried without a sick machine.
//
// Threads: plain values and pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config/load.h"
#include "shm/snapshot.h"

namespace weir::cli {

enum class Severity { kNote, kWarning, kCritical };
/// "note", "warning", "critical".
[[nodiscard]] const char* severity_name(Severity severity);

struct Finding {
  Severity severity = Severity::kNote;
  std::string about;  // "segment /run/weir/default.weir", "pool main"
  std::string what;
  std::string to_do;  // empty: nothing
};

/// The segment's file and its folder, as stat tells.
struct FileFacts {
  std::string path;
  std::uint32_t owner = 0, folder_owner = 0;
  std::uint32_t mode = 0, folder_mode = 0;  // permission bits
  std::uint32_t looker = 0;                 // who runs the command
};
/// Who may read and write it.
[[nodiscard]] std::vector<Finding> check_file(const FileFacts& facts);
/// Others that were found: one quota holds within one segment only.
[[nodiscard]] std::vector<Finding> check_others(const std::string& path,
                                                const std::vector<std::string>& in_reach);

/// What the segment itself says: workers, limits, what lingers, what is nearly used up.
[[nodiscard]] std::vector<Finding> check_segment(const shm::Snapshot& snapshot,
                                                 const shm::Geometry& geometry);

/// The configuration, by itself: what was said per worker.
[[nodiscard]] std::vector<Finding> check_config(const config::Loaded& loaded);
/// The configuration against what is in force.
[[nodiscard]] std::vector<Finding> check_in_force(const config::RuntimeConfig& config,
                                                  const shm::Snapshot& snapshot);

/// What a server said. -1: unknown or none.
struct ServerFacts {
  std::string display;             // its DSN, without secrets
  std::vector<std::string> pools;  // of the configuration, that go there
  std::int32_t max_connections = -1, reserved = -1, role_limit = -1, database_limit = -1;
  std::int32_t client_check_ms = -1;
};
/// A server against the limits of the pools that go there: in force where `snapshot` has them, else
/// as configured.
[[nodiscard]] std::vector<Finding> check_server(const ServerFacts& server,
                                                const config::RuntimeConfig& config,
                                                const shm::Snapshot* snapshot);

}  // namespace weir::cli
