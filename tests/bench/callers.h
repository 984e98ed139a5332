// Callers: threads of worker processes that ask weir's pools for connections, one request after
// another, for as long as a measurement lasts; and what became of their requests.
//
// All kinds of callers are there in every worker. The process that runs them must have no threads.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "bench/histogram.h"
#include "demo/weir_side.h"
#include "weir/weir.hpp"

namespace weir::bench {

using std::chrono::microseconds;
using std::chrono::milliseconds;

/// What became of requests. Lives in memory that processes share; any may add.
struct Tally {
  Histogram waits;  // until there was a connection, or word that there is none
  std::atomic<std::uint32_t> served{0};
  std::atomic<std::uint32_t> timeouts{0};     // nothing within their time
  std::atomic<std::uint32_t> failures{0};     // told that there is none, or the query failed
  std::atomic<std::uint64_t> last_bad_ns{0};  // when the last of both was told

  [[nodiscard]] std::uint32_t bad() const { return timeouts.load() + failures.load(); }
  [[nodiscard]] double wait_ms(double share) const { return waits.percentile_ns(share) / 1e6; }
};

struct Request {
  microseconds hold{0};  // what the server works for
  AcquireOptions options = {};
  bool spoils = false;  // its session is not fit to be lent again
};

/// Waits for a connection, holds it, gives it back.
void serve(Pool& pool, const Request& request, Tally& tally);

/// Callers that are alike.
struct Kind {
  std::string pool = "main";
  std::string class_name = {};  // empty: none
  unsigned threads = 1;         // in each worker
  microseconds hold{0};
  microseconds pause{0};  // between two requests, on average; its distribution is exponential
  // They ask for `on` in each `every`, `after` from its beginning; every 0: all the time.
  milliseconds every{0}, on{0}, after{0};
  milliseconds timeout{2000};
  unsigned spoils_each = 0;  // each so-manieth request of a thread spoils its session; 0: none
};

inline constexpr std::size_t kMostKinds = 2;

struct CallersPlan {
  std::vector<Kind> kinds;  // at most kMostKinds
  std::uint32_t workers = 4;
  milliseconds warm{1000};  // served, and not counted
  milliseconds length{5000};
  std::vector<std::string> pools = {"main"};  // whose counters are looked at
  /// Called again and again, each few milliseconds, with the time since what counts began, which is
  /// negative before.
  std::function<void(milliseconds)> meanwhile = {};
  milliseconds burn{
      0};  // a thread in each worker does nothing but look at the clock so long, once a second
};

/// What the workers share with whoever made them; make it a Shared<Board>.
struct Board {
  std::array<Tally, kMostKinds> kinds;  // as in the plan; of the time that counts
  Tally early;                          // of all kinds, before that
  std::atomic<std::uint32_t> done{0};   // workers
};

/// Counters of all the plan's pools together, in the time that counts.
struct Counted {
  std::uint64_t began_ns = 0;  // monotonic
  std::uint64_t connects = 0;
  std::uint64_t policy_errors = 0;
};

/// Runs them once. Throws std::runtime_error when a worker does not end well.
[[nodiscard]] Counted run_callers(demo::WeirSide& weir, const CallersPlan& plan, Board& board);

}  // namespace weir::bench
