// Keeper: everything that happens by clock in one worker, for all its pools.
//
// One thread per worker, started on first use and never before a fork; or, in hosts that forbid
// threads, whoever calls keep_once(). It sleeps on the worker's doorbell, or on the sockets of the
// operations it is stepping. Once a second it also shows that the worker lives, makes sure that it
// does, and reaps. Threads: start/stop by one; keep_once from any (one at a time does the work,
// others return at once and ask again in a millisecond). Fork: the thread does not exist in a
// child; the object must not be touched there.
#pragma once

#include <poll.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

#include "base/log.h"
#include "base/status.h"
#include "pool/pool.h"
#include "shm/segment.h"
#include "shm/worker_table.h"

namespace weir::pool {

class Keeper {
 public:
  /// `inbox` is null where this worker receives no connections.
  Keeper(shm::Segment& segment, shm::Membership& membership, shm::Inbox* inbox, Log& log,
         std::vector<Pool*> pools);
  /// stop()s.
  ~Keeper();

  /// What reads the configuration again, when workers are asked to. Before the first pass.
  void set_reload(std::function<Code()> reload) { reload_ = std::move(reload); }

  /// Starts the thread. kSystemError if the system has none left: nothing has changed then.
  Status start();
  /// Ends the thread after its present pass. Does nothing without one.
  void stop();

  /// One pass; never waits. Returns when it wants to be called again at the latest (monotonic ns),
  /// and in `targets`, if given, the sockets that would be worth waking up for earlier.
  std::uint64_t keep_once(std::vector<PollTarget>* targets = nullptr);

 private:
  void run();
  std::uint64_t pass(std::vector<PollTarget>* targets, bool may_rest);
  void run_once(std::vector<PollTarget>& targets, std::vector<pollfd>& sockets, unsigned& quiet);
  void say_that_it_failed(const char* what) noexcept;
  void once_a_second(std::uint64_t now_ns);
  void attend() noexcept;
  void rest_after_a_stint();
  void reload_if_asked();

  shm::Segment& segment_;
  shm::Membership& membership_;
  shm::Inbox* const inbox_;
  Log& log_;
  const std::vector<Pool*> pools_;
  std::atomic<bool> busy_{false};  // somebody is in keep_once
  std::atomic<bool> stopping_{false};
  std::uint64_t next_second_ns_ = 0;  // guarded by busy_
  // ... of attend(), likewise
  std::uint32_t attended_ = 0;  // the last ring that was seen to
  std::uint64_t next_attend_ns_ = 0;
  std::uint64_t rest_at_ns_ = 0;  // kNever where the thread is not ours
  std::function<Code()> reload_;
  std::thread thread_;
};

}  // namespace weir::pool
