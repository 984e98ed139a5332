// What a simulated machine is: its workers, its pool as configured, and how long its steps take.
// Plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace weir::simulation {

enum class Handover : std::uint8_t {
  kLive,    // a connection moves to the worker that waits for it
  kPermit,  // it is closed for it, once its worker has had it for permit_quantum
  kOff,     // who waits elsewhere gets what is closed for other reasons
};

struct PriorityClass {
  std::string name{};
  std::uint32_t floor = 0;  // who has less goes first
};

/// The pool's keys of weir.toml that make a difference here, with the same defaults, but for `max`,
/// which is the demo's.
struct PoolSettings {
  std::string name = "main";
  std::uint32_t max = 20;  // at least 1
  std::uint32_t min = 0;
  std::optional<std::uint32_t> keep{};  // default max
  std::uint32_t max_per_worker = 0;     // 0: no cap
  std::uint32_t quota = 0;              // the machine's limit; 0: max
  std::uint32_t connect_concurrency = 2;
  std::uint64_t acquire_timeout_ms = 30'000;
  std::uint64_t idle_timeout_ms = 600'000;    // 0: never
  std::uint64_t max_lifetime_ms = 3'600'000;  // 0: never
  std::uint64_t validate_after_ms = 500;      // 0: always
  std::uint64_t permit_quantum_ms = 100;
  std::uint64_t handover_after_ms = 10;
  Handover handover = Handover::kLive;
  bool retries_connects = false;  // on_connect_error = "retry_until_deadline"
  std::vector<PriorityClass> classes{};
};

inline constexpr double kMostSpread = 3;

/// How long the steps take, in microseconds: medians of this project's own measurements, whose
/// source stands beside each (docs/performance.md: handover, connect; docs/simulation.md).
struct Mechanics {
  std::uint64_t connect_us = 1'700;   // connect: Unix socket, trust, p50
  std::uint64_t refuse_us = 200;      // a connect where nobody listens
  std::uint64_t close_us = 1'000;     // goodbye, until the server has let go
  std::uint64_t wake_us = 20;         // a sleeping thread, until it runs
  std::uint64_t rouse_us = 150;       // a keeper that slept for long, until it gives
  std::uint64_t give_us = 25;         // a session described, sent and let go of: handover
  std::uint64_t take_us = 120;        // received and taken in
  std::uint64_t check_us = 150;       // a ping, with the wake-ups around it
  std::uint64_t reset_us = 0;         // what a clean session takes when it comes back
  std::uint64_t round_trip_us = 150;  // what a query takes besides its work
  std::uint64_t again_us = 5;         // from giving back until the same thread asks again
  double spread = 0.4;                // of each step but the last: the sigma of its logarithm
};

struct MachineSettings {
  std::uint32_t workers = 8;  // at least 1
  // Of each worker: requests wait for one first. 0: any number at once, as on an event loop.
  std::uint32_t threads = 10;
  PoolSettings pool{};
  Mechanics mechanics{};
  std::uint64_t seed = 20;  // of chances: when keepers tick, jitter
};

}  // namespace weir::simulation
