// Jobs: driver operations that no caller waits for; the keeper steps them. A goodbye until the
// server has let go, a connect whose caller ran out of time, a check of an idle connection, a
// question whether a dead worker's session is gone.
//
// Any thread may add one; one thread at a time steps them. A job owns its place (as the place's
// word says) until it ends.
// Threads: add() from any; the rest by the keeper. Fork: a child never touches them.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "driver/connection.h"
#include "shm/pool_ref.h"
#include "shm/turns.h"

namespace weir::pool {

using driver::Step;

class Ticket;

struct PollTarget {
  int fd;
  Step wants;
};

struct Job {
  enum class Kind {
    kClose,    // place is CLOSING: say goodbye, wait for the server, then free it
    kOpen,     // place is OPENING: go on connecting, then IDLE
    kCheck,    // place is USED by us: ping, then IDLE
    kConfirm,  // place is USED by us: ask over it about what lingers, `target` by `target`
    kCancel,   // no place: make the session `token` end
    kReset,    // place is USED by us, given back: make it clean, then IDLE
  };
  /// What an operation reads and writes while it runs; stays where it is.
  struct Argument {
    weir_token_t token{};
    weir_confirm_gone_t confirm{};
    weir_cancel_token_t cancel{};
    weir_execute_t execute{};
    std::size_t next_statement = 0;
  };

  Kind kind = Kind::kClose;
  shm::PlaceIndex place = 0;
  shm::PlaceIndex target = 0;     // kConfirm, kCancel: the place that lingers
  std::uint64_t target_word = 0;  // its word, as it was when this began
  shm::Turn turn{};               // kOpen
  std::uint64_t began_ns = 0;
  Deadline deadline = Deadline::never();
  driver::Connection own;          // kCancel: a request of its own
  std::shared_ptr<Ticket> ticket;  // kOpen, kCheck: who gets what comes of it; null: who is next
  std::unique_ptr<Argument> argument;
  bool ahead = false;  // kOpen: ahead of demand
  bool dirty = false;  // kReset: everything is undone, so on_connect is due again
  bool started = false;
  Step wants = Step::kWantRead;
};

class Jobs {
 public:
  void add(Job job) {
    const MutexLock lock(mutex_);
    inbox_.push_back(std::move(job));
  }
  /// What the keeper is stepping, without what was added since.
  [[nodiscard]] const std::list<Job>& running() const { return running_; }
  /// The same with what was added since.
  std::list<Job>& collect() {
    const MutexLock lock(mutex_);
    running_.splice(running_.end(), inbox_);
    return running_;
  }

 private:
  Mutex mutex_;
  std::list<Job> inbox_ WEIR_GUARDED_BY(mutex_);
  std::list<Job> running_;  // the keeper's
};

}  // namespace weir::pool
