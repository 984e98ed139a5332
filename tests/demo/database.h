// Database: the demo's own database of one driver: started for it, counted by whoever can count its
// sessions, gone with the object. One file for each driver; databases.h chooses.
//
// Threads: made and used by one that has no others beside it, since it forks. Fork: children use
// dsn(), client() and make_counter() only.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "demo/board.h"
#include "demo/client.h"
#include "demo/wording.h"

namespace weir::demo {

/// Counts sessions. Made and used in the sampler's process.
class SessionCounter {
 public:
  virtual ~SessionCounter() = default;
  /// Those that there are now, but for the demo's own.
  [[nodiscard]] virtual std::uint32_t count() = 0;
  /// The server's process that answers it; 0: there is none of its own.
  [[nodiscard]] virtual pid_t backend() const { return 0; }
};

/// What a server has counted since it began.
struct Tally {
  std::uint64_t connects = 0;  // accepted
  std::uint64_t refused = 0;   // because there were too many
};

/// What does not change about a database.
struct DatabaseFacts {
  std::string driver;     // weir's name for it
  std::string keys = {};  // lines for [pool.main] that it needs beside dsn and max
  std::chrono::microseconds sample_pause{0};  // between two counts, where counting costs much
  Wording wording;
};

class Database {
 public:
  virtual ~Database() = default;
  [[nodiscard]] virtual const DatabaseFacts& facts() const = 0;
  /// For the workers.
  [[nodiscard]] virtual std::string dsn() const = 0;
  [[nodiscard]] virtual const Client& client() const = 0;
  [[nodiscard]] virtual std::unique_ptr<SessionCounter> make_counter(const Board& board) const = 0;
  /// Nothing where there is no server that counts.
  [[nodiscard]] virtual std::optional<Tally> tally() = 0;
};

}  // namespace weir::demo
