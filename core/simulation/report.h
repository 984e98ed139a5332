// What a simulated run came to: how each request ended, sums, and a second-by-second course for
// drawing. Plain values, no threads.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace weir::simulation {

enum class End : std::uint8_t {
  kNone,      // not yet
  kServed,    // had a connection for as long as it needed it
  kTimedOut,  // no connection before its deadline
  kRefused,   // the breaker was open
  kFailed,    // the connect failed, or the session was gone
};

/// How one request ended.
struct Outcome {
  End end = End::kNone;
  bool had_one = false;        // a connection
  bool waited = false;         // it was not there at once
  std::uint32_t ends = 0;      // how often it ended: once
  bool asked = false;          // the pool; else it never got a thread
  std::uint64_t asked_us = 0;  // when
  std::uint64_t wait_us = 0;   // from asking to having a connection, or to giving up
};

struct Waits {
  double p50_ms = 0, p95_ms = 0, p99_ms = 0, max_ms = 0;
};

/// What happened within one second.
struct Second {
  double wait_p95_ms = 0;     // of those whose wait ended in it
  std::uint32_t waiting = 0;  // most in line
  std::uint32_t open = 0;     // most
  double used = 0;            // connections lent, on average
  std::uint32_t timeouts = 0;
  std::uint32_t failures = 0;  // refused ones too
};

struct Report {
  std::string policy{};
  std::uint32_t max = 0;            // what the machine may have open
  std::vector<Outcome> outcomes{};  // of the load's requests, in its order
  std::uint64_t requests = 0, served = 0, timeouts = 0, refused = 0, failed = 0;
  std::uint64_t waited = 0;  // of those who asked: that had not one at once
  // A request that gave up counts with the time it waited; who never got a thread in time, with
  // none.
  Waits waits{};         // of all who asked
  Waits waits_waited{};  // of those who waited
  std::uint64_t opens = 0, connect_failures = 0, closes = 0, handovers = 0;
  double used_mean = 0;  // while the load lasted
  std::uint32_t used_most = 0, open_most = 0;
  double open_mean = 0;
  std::uint64_t length_us = 0;   // until the last request had ended
  std::vector<Second> course{};  // by second

  [[nodiscard]] double utilisation() const { return max == 0 ? 0 : used_mean / max; }
  [[nodiscard]] double utilisation_peak() const {
    return max == 0 ? 0 : static_cast<double>(used_most) / max;
  }
};

/// Nearest rank: the smallest value that at least `share` of all do not exceed; 0 of none.
/// `values_us` is put in another order.
[[nodiscard]] double percentile_ms(std::vector<std::uint64_t>& values_us, double share);

/// Takes down what happens, in order of time, and sums it up. Threads: one.
class Ledger {
 public:
  explicit Ledger(std::size_t requests) { report_.outcomes.resize(requests); }

  void note_levels(std::uint64_t now_us, std::uint32_t open, std::uint32_t used,
                   std::uint32_t waiting);
  void note_asked(std::uint32_t request, std::uint64_t now_us);
  /// It has its connection.
  void note_had(std::uint32_t request, std::uint64_t now_us, bool waited);
  void note_end(std::uint32_t request, std::uint64_t now_us, End end);
  Report& counts() { return report_; }

  /// Sums up. REQUIRES: not called before.
  [[nodiscard]] Report finish(std::uint64_t now_us);

 private:
  struct Open {  // second
    std::vector<std::uint64_t> waits_us{};
    std::uint64_t used_us = 0;
    Second so_far{};
  };
  Open& second(std::uint64_t now_us);
  void note_wait_end(std::uint32_t request, std::uint64_t now_us);

  Report report_;
  std::vector<Open> seconds_;
  std::uint64_t levels_since_us_ = 0, used_us_ = 0, open_us_ = 0;
  std::uint32_t open_ = 0, used_ = 0, waiting_ = 0;
};

}  // namespace weir::simulation
