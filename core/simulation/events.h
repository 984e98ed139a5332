// Events: what is going to happen in a simulated machine, in order of time, and of making where the
// times are the same. Threads: one.
#pragma once

#include <cstdint>
#include <queue>
#include <vector>

namespace weir::simulation {

/// In comments: what `a` and `b` of the event are.
enum class EventKind : std::uint8_t {
  kArrival,     // a: call
  kAsk,         // a: call, which has a thread
  kRetry,       // a: call: it tries to connect again
  kTick,        // a: call, b: its ticket's low bits; it looks around, if it waits still
  kDeadline,    // a: call
  kHas,         // a: call, b: place; it woke up, or its check is over
  kConnect,     // a: call, b: place; it woke up to connect in it
  kConnected,   // a: worker, b: place
  kArrived,     // b: place, sent live
  kChecked,     // b: place, by the keeper
  kReleased,    // a: call, b: place
  kReturned,    // b: place, made clean; a: call, whose thread did so
  kClosed,      // b: place
  kRing,        // a: worker, whose keeper wakes up
  kKeeper,      // a: worker: its second is over
  kFill,        // a: worker: again, for a turn
  kAskBreaker,  // a: worker: an attempt has failed
  kDown,        // the server goes away
  kUp,          // ... and is back
};

struct Event {
  std::uint64_t at_us = 0, order = 0;
  EventKind kind{};
  std::uint32_t a = 0, b = 0;
  [[nodiscard]] bool is_later_than(const Event& other) const {
    return at_us != other.at_us ? at_us > other.at_us : order > other.order;
  }
};

class Events {
 public:
  void add(std::uint64_t at_us, EventKind kind, std::uint32_t a = 0, std::uint32_t b = 0) {
    queue_.push({at_us, next_++, kind, a, b});
  }
  [[nodiscard]] bool is_empty() const { return queue_.empty(); }
  Event take() {
    const Event event = queue_.top();
    queue_.pop();
    return event;
  }

 private:
  struct Later {
    bool operator()(const Event& one, const Event& other) const { return one.is_later_than(other); }
  };
  std::priority_queue<Event, std::vector<Event>, Later> queue_;
  std::uint64_t next_ = 0;
};

}  // namespace weir::simulation
