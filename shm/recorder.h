// The flight recorder: the last events of each worker, in two rings of its own. Requests that ended
// come thick and fast, so that all else, which is rare, has a quarter of the rows to itself.
//
// Any thread of the worker writes, anybody reads. An event has a sequence number within its ring,
// and its row follows from that. Who writes marks the row first and puts the number there last, so
// that a reader tells whole events from those that are half written or overwritten. A writer waits
// for nobody: who finds its row marked by one who has not finished leaves its event out. A kill in
// the middle loses that event, and the next worker of the row wipes the mark away. For people and
// `weir record`; nothing decides by it. Threads: any. Fork: a child must not write.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "shm/segment.h"
#include "shm/words.h"

namespace weir::shm {

/// The numbers are part of the layout. Kind 0 is a row that is being written.
enum class Happening : std::uint8_t {
  // Requests. wait: how long it asked for; the event is of when it ended.
  kLease = 1,    // given back; took: how long it was out; number: how many it stands for
  kNoLease = 2,  // number: why, of weir/codes.h
  // All else. took: how long, where it is known.
  kConnected = 3,
  kConnectFailed = 4,  // number: why
  kClosed = 5,         // number: why, in the order of weir_close_reason
  kDetached = 6,
  kCheckFailed = 7,     // number: why
  kResetFailed = 8,     // number: why
  kLeakSuspected = 9,   // took: for how long it is out
  kBreakerOpened = 10,  // number: attempts in a row that got no answer
  kBreakerTries = 11,
  kBreakerClosed = 12,
  kPolicyInCharge = 13,  // number: the first half of its hash; 0: the built-in one
  kPolicyFailed = 14,    // number: how often since the last of these
  kPaused = 15,          // the four: found out by this worker
  kResumed = 16,
  kCleared = 17,
  kDrained = 18,
  kResized = 19,    // number: the max
  kReclaimed = 20,  // number: places of dead workers, settled on the whole machine
  kPoolClosed = 21,
  kJoined = 22,  // number: its pid
  kLeft = 23,
};

/// As "connected" or "breaker opened"; "?" for none that there is.
[[nodiscard]] std::string_view happening_name(Happening kind);

struct RecordedEvent {
  Happening kind = Happening::kLease;
  std::uint32_t pool = 0;        // its row; 0 where it is of none
  std::uint32_t klass = 0;       // 1 + the request's class; 0: none
  std::uint64_t when_ns = 0;     // CLOCK_MONOTONIC
  std::uint32_t connection = 0;  // the low half of its number; 0: of none
  std::uint32_t number = 0;      // as the kind says
  std::uint32_t wait_us = 0;     // as the next: recorded_us()
  std::uint32_t took_us = 0;
  bool operator==(const RecordedEvent&) const = default;
};

/// 71 minutes at most: what took longer says that.
constexpr std::uint32_t recorded_us(std::uint64_t ns) {
  return ns / 1000 < UINT32_MAX ? static_cast<std::uint32_t>(ns / 1000) : UINT32_MAX;
}

enum class Ring : std::uint8_t { kRequests, kAllElse };

/// How many rows of a worker's a ring has.
constexpr std::uint32_t ring_rows(const Geometry& geometry, Ring ring) {
  const std::uint32_t else_rows = geometry.events_per_worker / 4;
  return ring == Ring::kAllElse ? else_rows : geometry.events_per_worker - else_rows;
}

/// Writes for one worker.
class Recorder {
 public:
  /// REQUIRES: row `worker` is one of the segment's.
  Recorder(const Segment& segment, std::uint32_t worker);
  /// Now, unless `event` says when. No system call but a clock.
  void record(const RecordedEvent& event) const;
  /// What a writer that was killed has left. REQUIRES: nobody writes there.
  void forget_unfinished() const;

 private:
  struct Rows {
    Word* recorded;
    std::span<EventRow> rows;
  };
  Rows requests_, all_else_;
};

/// Reads one ring of one worker's, event by event, each once. Writes nothing to the segment.
class EventTail {
 public:
  enum class From { kNow, kOldest };
  /// REQUIRES: row `worker` is one of the segment's.
  EventTail(const Segment& segment, std::uint32_t worker, Ring ring, From from);

  /// Appends what came since, in the order in which it was begun. Waits for one that is being
  /// written until half of the ring was written after it, or, if this is the last look, not at all.
  void read(std::vector<RecordedEvent>& events, bool is_last_look);
  /// Events that were overwritten before they were read, or never finished.
  [[nodiscard]] std::uint64_t lost() const { return lost_; }

 private:
  const Word* recorded_;
  std::span<const EventRow> rows_;
  std::uint64_t next_ = 0;
  std::uint64_t lost_ = 0;
};

}  // namespace weir::shm
