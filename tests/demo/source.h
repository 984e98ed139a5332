// Source: where the threads of one worker get their connections from. The variants of the demo
// differ in this and in nothing else.
#pragma once

#include <cstdint>

#include "demo/board.h"
#include "demo/outcome.h"

namespace weir::demo {

class Source {
 public:
  virtual ~Source() = default;
  /// Gets a connection, lets the server work for hold_us on it, gives it back. kTimedOut if there
  /// was no connection before deadline_ns (monotonic). Keeps `used` and `waiting` of the worker's
  /// gauge. Called by all threads of a worker at once.
  virtual End serve(std::uint64_t deadline_ns, std::uint32_t hold_us) = 0;
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
