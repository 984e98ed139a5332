// SpareShells: shells (shell.h) of sessions that moved away, kept for those that come. Belongs to a
// DSN: whatever a PGconn knows beside its session is the same for all its connections.
//
// Threads: any. Nobody waits: who finds somebody else in here does without a spare.
// Fork: a child may use it. Spares lead nowhere, so what it inherits is its own; if another thread
// was in here at the fork, the child's stays without spares.
#pragma once

#include <mutex>
#include <optional>
#include <vector>

#include "shell.h"

namespace weir::postgres {

class SpareShells {
 public:
  /// A worker has few connections; what a burst leaves behind goes. About 40 kB each.
  static constexpr std::size_t kMost = 16;

  /// The one that `session` left here, else of those that dialled its address the one that has been
  /// here for longest: its session is the least likely to come back soon.
  [[nodiscard]] std::optional<Shell> take(const SessionToken& session);
  /// Keeps `shell`, or finishes it if there are enough.
  void put(Shell shell);

 private:
  std::mutex mutex_;
  std::vector<Shell> shells_;  // guarded by mutex_
};

}  // namespace weir::postgres
