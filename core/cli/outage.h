// What is to be said of a pool that cannot connect: by `weir status` and `weir doctor` alike.
// Threads: pure functions.
#pragma once

#include <string>

#include "shm/snapshot.h"

namespace weir::cli {

/// "closed", "open", "half_open".
[[nodiscard]] const char* breaker_name(shm::BreakerState state);

/// Whether the last attempt to connect failed, or the breaker keeps everybody from one.
[[nodiscard]] bool cannot_connect(const shm::PoolSnapshot& pool);

/// In one line, of a pool that cannot_connect(): "breaker open: 5 attempts in a row had no answer;
/// next try in 312 ms", "the last 4 attempts to connect failed".
[[nodiscard]] std::string outage_text(const shm::Snapshot& snapshot, const shm::PoolSnapshot& pool);

}  // namespace weir::cli
