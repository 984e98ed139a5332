// What `weir status` shows of a snapshot, for people and for programs. docs/operations.md explains
// both field by field; the JSON keys are stable. Threads: pure functions.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "shm/snapshot.h"

namespace weir::cli {

/// A worker whose keeper has not looked for this long is stopped, starved, or in a host that calls
/// weir_keep too rarely. Keepers look each second.
inline constexpr std::uint64_t kQuietAfterNs = 5'000'000'000;

/// `now_unix_ns`: the time of day at which the snapshot was taken.
[[nodiscard]] std::string status_text(const shm::Snapshot& snapshot, std::uint64_t now_unix_ns);
[[nodiscard]] nlohmann::ordered_json status_json(const shm::Snapshot& snapshot,
                                                 std::uint64_t now_unix_ns);

/// The first lines: which segment, how large, since when, how many workers, whether it is in
/// service.
[[nodiscard]] std::string segment_head(const shm::Snapshot& snapshot, std::uint64_t now_unix_ns);

/// Whether its keeper has not looked for kQuietAfterNs, though its process is there.
[[nodiscard]] bool is_quiet(const shm::WorkerSnapshot& worker);
/// "ok", "quiet for 6.0 s: stopped?", "DEAD, not settled yet".
[[nodiscard]] std::string keeper_text(const shm::WorkerSnapshot& worker);
/// "idle", "used", "connecting", "closing": what a lingering place was when its worker died.
[[nodiscard]] const char* linger_cause_name(shm::LingerCause cause);
/// "waiting", "offered", "granted".
[[nodiscard]] const char* waiter_state_name(shm::WaiterState state);

}  // namespace weir::cli
