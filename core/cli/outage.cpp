#include "cli/outage.h"

#include "cli/pool_figures.h"
#include "weir/codes.h"

namespace weir::cli {
namespace {

// Sessions that the server has of us, as far as the quota goes.
std::uint32_t sessions_of_ours(const shm::Snapshot& snapshot, const shm::PoolSnapshot& pool) {
  std::uint32_t sessions = 0;
  for (const shm::PoolSnapshot& mate : snapshot.pools) {
    const bool shares = pool.quota != shm::kNone && mate.quota == pool.quota;
    if (!shares && mate.row != pool.row) continue;
    const PoolFigures figures = figures_of(snapshot, mate);
    sessions += figures.open - figures.connecting;
  }
  return sessions;
}

std::string times_text(std::uint32_t count, const char* one, const char* many) {
  return count == 1 ? one : std::to_string(count) + many;
}

}  // namespace

const char* breaker_name(shm::BreakerState state) {
  switch (state) {
    case shm::BreakerState::kClosed:
      return "closed";
    case shm::BreakerState::kOpen:
      return "open";
    case shm::BreakerState::kHalfOpen:
      return "half_open";
  }
  return "?";
}

bool cannot_connect(const shm::PoolSnapshot& pool) {
  return pool.connect_failures > 0 || pool.breaker != shm::BreakerState::kClosed;
}

std::string outage_text(const shm::Snapshot& snapshot, const shm::PoolSnapshot& pool) {
  if (pool.breaker != shm::BreakerState::kClosed) {
    const std::string next = pool.breaker == shm::BreakerState::kHalfOpen ? "one attempt finds out"
                             : pool.breaker_retry_ms == 0
                                 ? "the next one who needs a connection tries"
                                 : "next try in " + std::to_string(pool.breaker_retry_ms) + " ms";
    const char* const state =
        pool.breaker == shm::BreakerState::kHalfOpen ? "breaker half open: " : "breaker open: ";
    return state + times_text(pool.breaker_failures, "one attempt", " attempts in a row") +
           " had no answer; " + next;
  }
  std::string text = times_text(pool.connect_failures, "the last attempt to connect failed",
                                " attempts to connect failed");
  if (pool.connect_failures != 1) text = "the last " + text;
  if (pool.connect_code == WEIR_SERVER_FULL) {
    text += ": the server is full, and only " + std::to_string(sessions_of_ours(snapshot, pool)) +
            " of its sessions are ours";
  }
  return text;
}

}  // namespace weir::cli
