// The workers of a segment: joining it, being in it, leaving it.
//
// A worker is a row whose byte lock it holds (liveness.h) and a generation that no other worker of
// that row ever has. The lock is taken first and the row published after, so no in-between state
// exists. Threads: join and leave by one thread; the rest from any. Fork: a child is nobody until
// it joins itself; it must not leave() for its parent, and its destructor does nothing.
#pragma once

#include <memory>
#include <string_view>

#include "base/status.h"
#include "shm/liveness.h"
#include "shm/segment.h"
#include "shm/words.h"

namespace weir::shm {

class Membership {
 public:
  /// Takes a row. `service` is a label for monitors. kShmFull if all rows are taken by the living,
  /// or named by a connection that is just moving. Does file system calls; settles what a dead
  /// predecessor left in the row.
  static Result<std::unique_ptr<Membership>> join(Segment& segment, std::string_view service);

  /// leave()s.
  ~Membership() { leave(); }
  Membership(const Membership&) = delete;
  Membership& operator=(const Membership&) = delete;

  [[nodiscard]] WorkerId id() const { return id_; }
  [[nodiscard]] WorkerRow& row() const { return segment_->workers()[id_.row]; }
  /// False in a forked child, and once fenced. One relaxed load.
  [[nodiscard]] bool is_valid() const { return mark_.is_valid(); }
  /// Not 0 while is_valid(): for who asks often. Lives as long as this.
  [[nodiscard]] const std::atomic<std::uint64_t>& validity() const { return mark_.validity(); }
  /// True in a child of the process that joined.
  [[nodiscard]] bool is_forked() const { return !mark_.is_this_process(); }
  /// As if dead, but at once: settles the row and drops the lock. Afterwards not valid. In a child
  /// it does nothing to the parent. REQUIRES: no connection is open any more in this worker, else
  /// its places linger.
  void leave();
  /// From now on invalid: lends nothing, settles nothing.
  void fence() { mark_.revoke(); }
  /// Whether this worker still can prove that it lives and sees the segment, and its row is its
  /// own; fence it if not. A few system calls.
  [[nodiscard]] bool is_sound() const {
    return is_in_its_row() && is_sound_observer(*segment_, id_.row);
  }
  /// False: others believe that this worker is dead, and have settled its row; it may be another's
  /// by now. One load.
  [[nodiscard]] bool is_in_its_row() const {
    return WorkerWord(row().word.load()).is_live(id_.gen);
  }

 private:
  Membership(Segment& segment, WorkerId id, LifeLock lock)
      : segment_(&segment), id_(id), lock_(std::move(lock)) {}

  Segment* segment_;
  WorkerId id_;
  LifeLock lock_;
  ForkMark mark_;
};

/// Wakes a worker's keeper: something may want doing.
void ring(const Segment& segment, std::uint32_t row);

}  // namespace weir::shm
