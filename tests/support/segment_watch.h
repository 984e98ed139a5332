// SegmentWatch: a monitor that reads a segment all through a storm, from a process of its own, and
// takes notes of what must never be seen there:
//  - a step between two workers that nobody finishes: an offer, a gift on its way (OFFERED, GIVING,
//    PARKED), a claim or a grant (CLAIMED, GRANTED) that stays the very same word for longer than
//    `limit` although those who can finish it are able to;
//  - a snapshot whose figures do not add up.
//
// Able to is who lives, is not stopped, and neither waits for a processor: time counts only while
// all threads of such a process sleep, or while it has a processor to itself. So a stopped worker
// and a busy machine are no excuse for anybody but those they hit. Who can finish what:
//   OFFERED            any waiter of the pool, or of a pool on the same quota (its tick revokes)
//   GIVING, PARKED     the worker that the word names
//   CLAIMED, GRANTED   the waiter's worker
// What the dead left is not looked at here: that all of it comes back is for the storm to ask.
//
// Limits in force must not change meanwhile. A process, not a thread: storms fork all the time.
// Threads: belongs to one.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "shm/segment.h"
#include "support/worker_process.h"

namespace weir::test {

class SegmentWatch {
 public:
  struct Options {
    Nanos limit = std::chrono::seconds(1);
    std::vector<pid_t> servers;  // whoever the workers wait for; able to if these are as well
  };

  /// Watches the segment, which is there, until stop() or destroyed. Returns after the first look.
  SegmentWatch(const shm::SegmentOptions& where, const Options& options);
  SegmentWatch(const SegmentWatch&) = delete;
  SegmentWatch& operator=(const SegmentWatch&) = delete;
  ~SegmentWatch();

  /// Ends it. What it saw that must not be, a line each; "": nothing.
  [[nodiscard]] std::string stop();
  /// How often it looked, and the oldest of each it saw: a line to print.
  [[nodiscard]] std::string summary() const;
  [[nodiscard]] std::uint32_t looks() const;
  /// How many notes it took so far.
  [[nodiscard]] std::uint32_t findings() const;

  /// What watch and test share; the implementation's.
  struct Notes;

 private:
  Notes* notes_;  // before the process, which has it too
  std::unique_ptr<WorkerProcess> process_;
};

/// "" if the figures of a snapshot add up; else the first that does not. REQUIRES: limits were in
/// force, and did not change while it was taken.
[[nodiscard]] std::string contradiction_in(const shm::Segment& segment);

}  // namespace weir::test
