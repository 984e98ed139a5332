// Attachment: one process's part in the segment, and the pools that stand on it.
//
// Made on first use, and anew after a fork or when the worker had to fence itself; the old one then
// only closes what it still has. In a child the parent's attachment is left alone for ever: its
// destructor would speak on the parent's connections. Threads: find() from any; the rest by Runtime
// under its lock. Fork: see after_fork_in_child().
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/status.h"
#include "config/runtime_config.h"
#include "driver/plugin.h"
#include "pool/keeper.h"
#include "pool/pool.h"
#include "shm/segment.h"
#include "shm/worker_table.h"

namespace weir::runtime {

class Attachment {
 public:
  /// Opens the segment, joins it, declares the quotas and pools of `config` (dsns[i] is pool i's).
  /// All arguments outlive the attachment. Starts no thread. Does file system calls. Where somebody
  /// else rebuilds the segment or declares in it, waits until the deadline, but at most for the
  /// segment's patience and a second per declaration: kTimeout says for what. A quota with the
  /// limit "auto" may take a connection to its server, closed again.
  static Result<std::unique_ptr<Attachment>> make(const config::RuntimeConfig& config,
                                                  const std::deque<driver::Dsn>& dsns, Log& log,
                                                  const pool::EventSink& events, Deadline deadline);
  ~Attachment();
  /// Stops the keeper and leaves the segment. What remains only knows that its leases are not good.
  /// REQUIRES: is_empty(), in the process that made it.
  void leave();

  [[nodiscard]] pool::Pool& pool(std::size_t index) { return *pools_[index]; }
  [[nodiscard]] pool::Keeper& keeper() { return *keeper_; }
  [[nodiscard]] bool is_valid() const { return membership_->is_valid(); }
  [[nodiscard]] bool is_forked() const { return membership_->is_forked(); }

  /// Declares again what `config` changes of `now`, for all workers, and gives it to this one's
  /// pools; both outlive the attachment. kShmFull names a limit that there is no room for; then
  /// nothing has changed.
  Status reconfigure(const config::RuntimeConfig& now, const config::RuntimeConfig& config,
                     const std::deque<driver::Dsn>& dsns, Log& log, Deadline deadline);
  /// Nothing is lent any more; waiters fail; what is idle or comes back is closed.
  void close();
  /// Whether no connection of this process is left in it.
  [[nodiscard]] bool is_empty() const;
  /// This process is a child of one that had attached: counted in each pool.
  void note_fork();
  /// Closes inherited sockets and the segment's descriptor. Async-signal-safe.
  void after_fork_in_child();

 private:
  Attachment() = default;
  [[nodiscard]] Status check_room(const config::RuntimeConfig& config) const;
  void open_inbox(const config::RuntimeConfig& config, const std::deque<driver::Dsn>& dsns,
                  Log& log);

  std::unique_ptr<shm::Segment> segment_;
  std::unique_ptr<shm::Membership> membership_;
  std::unique_ptr<shm::Inbox> inbox_;  // null: no pool's connections move
  std::vector<std::unique_ptr<pool::Pool>> pools_;
  std::unique_ptr<pool::Keeper> keeper_;
};

}  // namespace weir::runtime
