// A crew: worker processes whose threads send queries, each the next one as soon as the last is
// answered, from begin() to end().
//
// The process that makes a crew must have no threads. Its children die with it.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bench/histogram.h"
#include "bench/shared.h"
#include "bench/ways.h"
#include "support/worker_process.h"

namespace weir::bench {

inline constexpr unsigned kMostWorkers = 16;

struct CrewPlan {
  unsigned processes = 8;
  unsigned threads = 1;  // of each
  /// Called in each worker process.
  std::function<std::unique_ptr<Way>()> make_way;
  /// Writes the next statement; `draw` is a random number. Called by many threads at once.
  std::function<void(std::uint64_t draw, std::string& sql)> next_query;
  /// How long a thread rests after a call that failed.
  std::chrono::microseconds rest{1000};
};

/// What the crew shares with whoever made it. All counts are since begin().
struct CrewBoard {
  struct alignas(64) Worker {
    std::atomic<std::uint64_t> answered{0};
    std::atomic<std::uint64_t> failed{0};
    std::atomic<std::uint64_t> cpu_ns{0};  // set at end()
  };
  std::array<Worker, kMostWorkers> workers;
  std::atomic<std::uint32_t> ready{0};    // threads that have had an answer
  std::atomic<std::uint32_t> going{0};    // 0 not yet, 1 from begin() on
  std::atomic<std::uint32_t> over{0};     // 1 from end() on
  std::atomic<std::uint32_t> settled{0};  // processes that have noted their processor time
  std::atomic<std::uint32_t> may_leave{0};
  std::atomic<std::uint32_t> error_state{0};  // 0 none, 1 being written, 2 readable
  std::array<char, 300> error{};              // the first one
  Histogram latency;                          // of answered queries
};

class Crew {
 public:
  /// Starts it; returns when every thread has had its first answer. Throws std::runtime_error with
  /// the first error if that takes too long.
  explicit Crew(CrewPlan plan);

  void begin();
  /// Returns when every process has noted its processor time; connections stay open until the Crew
  /// goes.
  void end();
  /// SIGKILL. Returns when the process is gone.
  void kill(unsigned worker);

  [[nodiscard]] const CrewBoard& board() const { return *board_; }
  [[nodiscard]] std::uint64_t answered() const;
  [[nodiscard]] std::uint64_t failed() const;
  [[nodiscard]] std::uint64_t cpu_ns() const;
  [[nodiscard]] std::string first_error() const;
  [[nodiscard]] pid_t pid(unsigned worker) const { return processes_[worker].pid(); }

  /// Lets the workers leave and waits for them.
  ~Crew();
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;

 private:
  void work(unsigned worker);
  void serve(CrewBoard::Worker& mine, Caller& caller, std::uint64_t seed);
  void note(const std::string& error);

  CrewPlan plan_;
  Shared<CrewBoard> board_;
  std::vector<test::WorkerProcess> processes_;
  std::uint32_t killed_ = 0;
};

}  // namespace weir::bench
