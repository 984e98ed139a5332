// Source: where the threads of one worker get their connections from. The variants of the demo
// differ in this and in nothing else.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "demo/board.h"
#include "demo/outcome.h"

namespace weir::demo {

struct WorkerTask;

class Source {
 public:
  virtual ~Source() = default;
  /// Gets a connection, lets the server work for hold_us on it, gives it back. kTimedOut if there
  /// was no connection before deadline_ns (monotonic). Keeps `used` and `waiting` of the worker's
  /// gauge. Called by all threads of a worker at once.
  virtual End serve(std::uint64_t deadline_ns, std::uint32_t hold_us) = 0;
  /// Serves all requests of a worker by itself, instead of threads that call serve(), and writes
  /// down how they ended. False, and nothing done: it is one for threads.
  virtual bool serve_all(const std::vector<std::size_t>& mine, const WorkerTask& task) {
    static_cast<void>(mine);
    static_cast<void>(task);
    return false;
  }
};

/// One more in a gauge for as long as it lives.
class Counted {
 public:
  explicit Counted(std::atomic<std::uint32_t>& gauge) : gauge_(gauge) { gauge_.fetch_add(1); }
  ~Counted() { gauge_.fetch_sub(1); }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;

 private:
  std::atomic<std::uint32_t>& gauge_;
};

}  // namespace weir::demo
