// The fleet: the worker processes of one phase, one of which may be killed and replaced on the way.
//
// Threads: the parent that owns a Fleet must be single-threaded while it starts workers. Processes:
// its children die with it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "demo/board.h"
#include "demo/child.h"
#include "demo/source.h"
#include "demo/trace.h"

namespace weir::demo {

struct FleetPlan {
  const Trace& trace;
  std::uint32_t workers;
  std::uint32_t threads;
  std::uint64_t start_ns;     // when the trace begins, monotonic
  std::uint64_t deadline_us;  // of each request, from its arrival
  /// Called in each worker process: where it gets its connections from.
  std::function<std::unique_ptr<Source>(std::uint32_t worker, Gauge& gauge)> make_source;
};

class Fleet {
 public:
  /// Starts all workers. `board` must outlive the fleet.
  Fleet(FleetPlan plan, Board& board);
  ~Fleet();
  Fleet(const Fleet&) = delete;
  Fleet& operator=(const Fleet&) = delete;

  /// SIGKILLs the worker and waits for its end; returns when that was (monotonic, ns). It is reaped
  /// later. Its requests
  /// that had arrived and not ended are marked as died; those that arrive from now on wait for
  /// replace().
  std::uint64_t kill_worker(std::uint32_t worker);
  /// Starts a new process in place of a killed worker, for what kill_worker left to it.
  void replace(std::uint32_t worker);

  /// Whether every worker has served its part. Idle workers stay, with what they hold open.
  [[nodiscard]] bool done() const;
  /// Lets the workers close what they hold and leave; whether all did before the deadline
  /// (monotonic). At most once.
  bool dismiss(std::uint64_t deadline_ns);

 private:
  void start(std::uint32_t worker, std::uint64_t from_us);
  [[nodiscard]] std::uint64_t now_us() const;

  FleetPlan plan_;
  Board& board_;
  int stay_read_ = -1, stay_write_ = -1;        // a pipe whose end tells the workers to leave
  std::vector<std::optional<Child>> children_;  // by worker
  std::vector<Child> dead_;                     // killed, to be reaped when there is time
  std::vector<std::uint64_t> from_us_;  // by worker: the first arrival that its next process gets
};

}  // namespace weir::demo
