// Ways to a PostgreSQL server, as a worker process of a server takes them: a connection of its own
// for every thread, to the database or to a proxy, or weir.
#pragma once

#include <memory>
#include <string>

#include "weir/weir.hpp"

namespace weir::bench {

/// What one thread runs its queries through. One thread at a time.
class Caller {
 public:
  virtual ~Caller() = default;
  /// Runs one statement and drops its answer. Empty on success, else what went wrong; the next call
  /// may find a new connection.
  virtual std::string run(const char* sql) = 0;
};

/// Of one worker process; made in it.
class Way {
 public:
  virtual ~Way() = default;
  /// For one more thread. Called by any thread.
  virtual std::unique_ptr<Caller> caller() = 0;
};

/// Every thread keeps one libpq connection. Opened by its first query, and again after it broke.
[[nodiscard]] std::unique_ptr<Way> connect_by_libpq(std::string conninfo);

/// A lease for every query, of the pool "main". `runtime` may have been opened before the fork; it
/// is closed in this process when the Way goes.
[[nodiscard]] std::unique_ptr<Way> lease_from_weir(Runtime& runtime);

}  // namespace weir::bench
