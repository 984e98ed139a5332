// PoolConfig: everything that is configured for one pool, as typed values with defaults.
//
// Where the values come from (weir.toml, the environment, hosts) is not this file's business;
// whether they make sense together is: validate(). Plain values, no threads, no forks to mind.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/status.h"

namespace weir::config {

using std::chrono::milliseconds;

enum class ResetMode { kTracked, kAlways, kTransaction };
enum class Orphans { kTerminate, kWait };
/// How a worker makes room for a waiter of another one.
/// Which idle connection of a worker is lent: any, its thread's last one first (the fastest); the
/// one that came back first; the one that came back last.
enum class Order { kAny, kFifo, kLifo };
enum class Handover { kLive, kPermit, kOff };
/// What a caller gets whose attempt to connect failed, or who would need one while the server is
/// believed to be down: the error at once, or another attempt until its deadline.
enum class OnConnectError { kFailFast, kRetryUntilDeadline };
/// What becomes of machine-wide settings that differ from those other workers use.
enum class OnConflict { kKeep, kReplace, kRefuse };

/// From the least to the most a number may be.
struct CountRange {
  std::uint32_t least;
  std::uint32_t most;
};
inline constexpr CountRange kMaxRange{1, 10'000};          // also of a quota's limit
inline constexpr CountRange kConnectionsRange{0, 10'000};  // min, keep, max_per_worker
inline constexpr CountRange kWaitingRange{0, 1'000'000};
inline constexpr CountRange kConcurrencyRange{1, 16};
// Of every duration: servers, and the segment, count milliseconds in 32 bits.
inline constexpr milliseconds kLongestDuration = std::chrono::hours(24 * 24);

/// What is wrong with a configuration: which key, and "expected ..., found ...". Shows no DSN.
struct ConfigProblem {
  std::string key;
  std::string text;
};

/// What is said to a policy's script, by the names of its own parameters.
using PolicyParams = std::map<std::string, std::variant<bool, double, std::string>, std::less<>>;

struct PoolConfig {
  std::string name{};           // [a-z][a-z0-9]*, at most 31 bytes
  std::string driver{};         // "postgres"
  std::string dsn{};            // may hold a password: never printed, never in the segment
  std::string password_file{};  // read at each connect; empty: the DSN has what it takes
  std::string quota{};          // empty: the pool's own `max` is the quota

  std::string preset{};  // empty: none. What it gives is in the other values already

  std::uint32_t min = 0;                  // kept warm, machine-wide; a goal
  std::optional<std::uint32_t> keep{};    // idle ones above this are closed on release; default max
  std::uint32_t max = 10;                 // machine-wide, never exceeded; 1 to 10,000
  std::uint32_t max_per_worker = 0;       // 0: no cap
  std::uint32_t reserve = 0;              // of max, for who waited for reserve_after; below max
  milliseconds reserve_after{1'000};      // 0: for all who wait in line
  std::uint32_t max_waiting = 0;          // machine-wide; 0: as many as the segment's line holds
  std::uint32_t connect_concurrency = 2;  // handshakes at once, machine-wide; 1 to 16
  milliseconds acquire_timeout{30'000};   // default deadline of an acquire; > 0
  milliseconds idle_timeout{600'000};     // 0: never
  milliseconds max_lifetime{3'600'000};   // 0: never; each connection's own is up to 10 % shorter
  std::optional<milliseconds> validate_after{milliseconds(500)};  // 0: always; nullopt: never
  milliseconds connect_timeout{10'000};                           // > 0
  milliseconds statement_timeout{0};                              // 0: the server's own
  milliseconds close_timeout{5'000};         // how long a goodbye may take; > 0
  milliseconds permit_quantum{100};          // a worker that just got a connection keeps it so long
  milliseconds handover_after{10};           // how long others of a worker may pass; 0: never
  std::optional<milliseconds> linger_max{};  // nullopt: see linger_idle() and those after it
  milliseconds leak_after{60'000};           // 0: never; a lease older than this is reported once
  milliseconds keepalive{0};                 // 0: off; ping idle connections this often
  ResetMode reset = ResetMode::kTracked;
  Orphans orphans = Orphans::kTerminate;
  Handover handover = Handover::kLive;
  std::vector<std::string> classes{};  // "NAME: FLOOR", at most 8; see class_floor()
  Order order = Order::kAny;
  bool start_paused = false;             // when the pool is first declared
  bool pause_on_populate_error = false;  // a connect for the warm floor failed: paused
  bool capture_stack = false;            // of who acquires, for reports of leaks
  OnConnectError on_connect_error = OnConnectError::kFailFast;
  OnConflict on_conflict = OnConflict::kKeep;
  std::vector<std::string> on_connect{};  // statements run on every new connection
  std::string policy{};                   // a script's file; empty: the built-in policy
  PolicyParams policy_params{};           // with a policy only

  [[nodiscard]] std::uint32_t kept() const { return keep.value_or(max); }
  /// How long a dead worker's session counts when nobody can be asked: a server notices within
  /// milliseconds that the client of an idle one is gone, of a busy one when its statement ends.
  [[nodiscard]] milliseconds linger_idle() const { return linger_max.value_or(milliseconds(50)); }
  /// The same of one that was busy, once the server took the request to end what it runs: it ends
  /// the statement, finds that nobody listens, and ends the session.
  [[nodiscard]] milliseconds linger_told() const { return linger_max.value_or(milliseconds(40)); }
  [[nodiscard]] milliseconds linger_used() const {
    const bool bounded = statement_timeout.count() > 0;
    return linger_max.value_or(bounded ? statement_timeout : milliseconds(60'000));
  }

  /// The first thing that is wrong; nullopt if all is well.
  [[nodiscard]] std::optional<ConfigProblem> problem() const;
  /// kBadConfig naming the pool, the key, what was expected and what was found; else ok.
  [[nodiscard]] Status validate() const;
};

struct QuotaConfig {
  std::string name{};       // [a-z][a-z0-9]*, at most 31 bytes
  std::uint32_t limit = 0;  // machine-wide, 1 to 10,000; 0 with is_auto
  bool is_auto = false;     // what the server allows, less `leave`
  std::uint32_t leave = 0;  // of that, for others; 0 to 10,000; with is_auto only
  OnConflict on_conflict = OnConflict::kKeep;

  [[nodiscard]] std::optional<ConfigProblem> problem() const;
  [[nodiscard]] Status validate() const;
};

/// A priority class: callers who say its name are served first while they hold less than `floor`.
struct ClassFloor {
  std::string name;         // [a-z][a-z0-9]*, at most 15 bytes
  std::uint32_t floor = 0;  // connections, machine-wide
};
/// "auth: 5"; nullopt for any other form.
[[nodiscard]] std::optional<ClassFloor> class_floor(const std::string& text);

/// Whether `name` can name a pool or quota: [a-z][a-z0-9]*, at most 31 bytes.
[[nodiscard]] bool is_valid_name(const std::string& name);

}  // namespace weir::config
