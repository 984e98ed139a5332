// Snapshot: a copy of everything a monitor shows, read from a segment that is mapped read-only.
// Needs no worker's help, works while all of them are stopped, changes nothing.
//
// Words are read one by one while workers go on: each figure was true at some moment during the
// copy, and all figures of one pool are counted from the same copy of its words, so they add up.
// Threads: plain values; take_snapshot from any thread. A few system calls (one per worker row in
// use).
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "shm/segment.h"
#include "shm/stats.h"
#include "shm/words.h"

namespace weir::shm {

struct PlaceSnapshot {
  std::uint32_t index = 0;  // within its pool
  PlaceState state = PlaceState::kFree;
  std::uint32_t occ = 0;
  bool retire = false;
  std::uint32_t worker = kNone;            // row; kNone where no worker keeps it
  std::uint32_t to = kNone;                // giving only: the row of who is to have it
  LingerCause cause = LingerCause::kIdle;  // lingering only
  std::uint64_t state_ns = 0;              // for how long in this state, to a few milliseconds
  std::uint64_t age_ns = 0;                // since the connection was opened; 0: none
  std::uint64_t leases = 0;                // ever
  std::uint64_t session_leases = 0;
  std::uint32_t klass = 0;       // of the last lease: 1 + its class; 0: none
  std::uint64_t connection = 0;  // its number in the pool: 1, 2, 3 ...; 0: none
  std::uint32_t generation = 0;  // of the pool when it was begun
  std::uint32_t holder_pid = 0;  // of the last lease, or who opened it
  std::uint32_t holder_thread = 0;
  std::string label;
  std::string token;  // bytes of the session token; a driver reads it

  /// Whether the server may still see a connection here that was begun before the pool's
  /// generation `of_generation`. One that is about to be begun counts so for a moment.
  [[nodiscard]] bool is_older_than(std::uint32_t of_generation) const;
};

/// A priority class of a pool.
struct ClassSnapshot {
  std::string name;
  std::uint32_t floor = 0;
  std::uint32_t used = 0, waiting = 0;  // connections its callers have, and callers in line
};

/// What decides for a pool in one worker.
struct PolicySnapshot {
  std::uint32_t worker = 0;  // row
  PolicyNote note;
};

struct PoolSnapshot {
  std::uint32_t row = 0;
  std::string name, driver;
  std::uint32_t quota = kNone;  // row
  std::uint32_t max = 0, min = 0, keep = 0, max_per_worker = 0;
  std::uint32_t configured_max = 0;  // what an operator's max stands in the place of; else max
  std::uint32_t room = 0;            // how far max could grow online
  std::array<std::uint32_t, kPlaceStates> count{};  // places by state
  std::uint32_t waiting = 0;
  std::uint64_t oldest_wait_ns = 0;
  std::uint32_t handshakes = 0;        // in progress
  std::uint32_t connect_failures = 0;  // in a row, of whatever kind
  std::uint32_t connect_code = 0;      // of the last of them, of weir/codes.h
  std::string connect_error;           // what was said about it
  BreakerState breaker = BreakerState::kClosed;
  std::uint32_t breaker_failures = 0;  // attempts in a row that got no answer
  std::uint64_t breaker_retry_ms = 0;  // while open: how long nobody tries yet
  bool paused = false;
  std::uint32_t generation = 0;  // connections of others are lent no more
  std::uint64_t acquires = 0;
  std::array<std::uint64_t, kCounters> counters{};
  std::array<std::array<std::uint64_t, kHistogramBuckets>, kHistograms> histograms{};
  std::array<std::uint64_t, kHandoverBuckets> handovers{};
  std::vector<PlaceSnapshot> places;     // those in force or occupied
  std::vector<ClassSnapshot> classes;    // in the order of the configuration
  std::vector<PolicySnapshot> policies;  // of the workers that noted theirs

  [[nodiscard]] std::uint32_t in(PlaceState state) const {
    return count[static_cast<std::size_t>(state)];
  }
  /// Places behind which the server may see a connection.
  [[nodiscard]] std::uint32_t occupied() const;
  /// Connections that is_older_than() says of, dead workers' that linger included.
  [[nodiscard]] std::uint32_t older_than(std::uint32_t of_generation) const;
  [[nodiscard]] std::uint64_t counter(Counter c) const {
    return counters[static_cast<std::size_t>(c)];
  }
};

struct QuotaSnapshot {
  std::uint32_t row = 0;
  std::string name;
  std::uint32_t limit = 0;
  std::uint32_t configured = 0;      // what an operator's limit stands in the place of; else limit
  std::uint32_t room = 0;            // how far the limit could grow online
  std::uint32_t held = 0, free = 0;  // permits; held ones whose place is gone count as free
};

struct WaiterSnapshot {
  std::uint32_t row = 0;
  WaiterState state = WaiterState::kFree;
  std::uint32_t worker = 0;  // row
  std::uint32_t pool = 0;    // row
  std::uint32_t klass = 0;   // 1 + its class; 0: none
  std::uint64_t ticket = 0;
  std::uint64_t waited_ns = 0;
  std::string label;
};

struct WorkerSnapshot {
  std::uint32_t row = 0;
  std::uint32_t gen = 0;
  std::uint32_t pid = 0;
  std::string service;
  bool dead = false;  // its lock is free: nobody has settled it yet
  std::uint64_t age_ns = 0;
  std::uint64_t beat_ago_ns = 0;  // since its keeper last looked
  std::uint32_t idle = 0, used = 0, connecting = 0, closing = 0, waiting = 0;
};

struct Snapshot {
  std::string path;
  std::uint64_t taken_ns = 0;  // CLOCK_MONOTONIC
  std::uint64_t created_unix_ns = 0;
  std::uint64_t bytes = 0;
  std::string poison_reason;  // empty: in service
  std::vector<QuotaSnapshot> quotas;
  std::vector<PoolSnapshot> pools;
  std::vector<WorkerSnapshot> workers;
  std::vector<WaiterSnapshot> waiters;

  [[nodiscard]] const PoolSnapshot* pool(const std::string& name) const;
};

/// Copies what `segment` (read-only or not) shows now. Impossible values are left out, never
/// followed.
[[nodiscard]] Snapshot take_snapshot(const Segment& segment);

}  // namespace weir::shm
