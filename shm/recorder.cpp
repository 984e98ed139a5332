#include "shm/recorder.h"

#include <algorithm>
#include <array>
#include <optional>

#include "base/clock.h"

namespace weir::shm {
namespace {

constexpr std::uint64_t pair_of(std::uint32_t high, std::uint32_t low) {
  return std::uint64_t{high} << 32 | low;
}
constexpr std::uint32_t high_of(std::uint64_t pair) {
  return static_cast<std::uint32_t>(pair >> 32);
}
constexpr std::uint32_t low_of(std::uint64_t pair) { return static_cast<std::uint32_t>(pair); }

constexpr Ring ring_of(Happening kind) {
  return kind == Happening::kLease || kind == Happening::kNoLease ? Ring::kRequests
                                                                  : Ring::kAllElse;
}

Word& recorded_in(const Segment& segment, std::uint32_t worker, Ring ring) {
  return segment.workers()[worker].recorded[static_cast<std::size_t>(ring)];
}

std::span<EventRow> rows_of(const Segment& segment, std::uint32_t worker, Ring ring) {
  const Geometry& geometry = segment.geometry();
  const std::size_t first = std::size_t{worker} * geometry.events_per_worker;
  const std::uint32_t requests = ring_rows(geometry, Ring::kRequests);
  return segment.events().subspan(first + (ring == Ring::kRequests ? 0 : requests),
                                  ring_rows(geometry, ring));
}

enum class Seen { kWhole, kUnfinished, kGone };

// The event of that sequence, if `row` has it.
//
// `what` is loaded before and after. Who reads what a later writer stored synchronizes with it (a
// release store each), and so sees that writer's mark, or what came after it, when it looks again.
Seen look(const EventRow& row, std::uint64_t sequence, RecordedEvent& event) {
  const EventWord what(row.what.load(std::memory_order_acquire));
  if (what.is_after(sequence)) return Seen::kGone;
  const std::uint64_t low = bits::get(sequence, 0, EventWord::kSequenceBits);
  if (what.kind() == 0 || what.sequence() != low) return Seen::kUnfinished;
  event.kind = static_cast<Happening>(what.kind());
  event.pool = what.pool();
  event.klass = what.klass();
  event.when_ns = row.when_ns.load(std::memory_order_acquire);
  const std::uint64_t subject = row.subject.load(std::memory_order_acquire);
  const std::uint64_t detail = row.detail.load(std::memory_order_acquire);
  event.connection = high_of(subject);
  event.number = low_of(subject);
  event.wait_us = high_of(detail);
  event.took_us = low_of(detail);
  return row.what.load(std::memory_order_relaxed) == what.raw() ? Seen::kWhole : Seen::kGone;
}

}  // namespace

std::string_view happening_name(Happening kind) {
  constexpr std::array<std::string_view, 24> kNames{"?",
                                                    "lease ended",
                                                    "no lease",
                                                    "connected",
                                                    "connect failed",
                                                    "closed",
                                                    "detached",
                                                    "check failed",
                                                    "reset failed",
                                                    "leak suspected",
                                                    "breaker opened",
                                                    "breaker tries",
                                                    "breaker closed",
                                                    "policy in charge",
                                                    "policy failed",
                                                    "paused",
                                                    "resumed",
                                                    "cleared",
                                                    "drained",
                                                    "resized",
                                                    "reclaimed",
                                                    "pool closed",
                                                    "joined",
                                                    "left"};
  const auto number = static_cast<std::size_t>(kind);
  return number < kNames.size() ? kNames[number] : kNames[0];
}

Recorder::Recorder(const Segment& segment, std::uint32_t worker)
    : requests_{&recorded_in(segment, worker, Ring::kRequests),
                rows_of(segment, worker, Ring::kRequests)},
      all_else_{&recorded_in(segment, worker, Ring::kAllElse),
                rows_of(segment, worker, Ring::kAllElse)} {}

void Recorder::record(const RecordedEvent& event) const {
  const Rows& ring = ring_of(event.kind) == Ring::kRequests ? requests_ : all_else_;
  if (ring.rows.empty()) return;
  const std::uint64_t before = ring.recorded->fetch_add(1, std::memory_order_relaxed);
  const std::uint64_t sequence = before + 1;
  EventRow& row = ring.rows[before % ring.rows.size()];
  std::uint64_t seen = row.what.load(std::memory_order_relaxed);
  // Another thread is slower by a whole round, or was faster.
  if (EventWord(seen).is_being_written() || EventWord(seen).is_after(sequence)) return;
  if (!row.what.compare_exchange_strong(seen, EventWord(0, 0, 0, sequence).raw(),
                                        std::memory_order_acquire, std::memory_order_relaxed)) {
    return;
  }
  // Release each: see look().
  row.when_ns.store(event.when_ns != 0 ? event.when_ns : monotonic_ns(), std::memory_order_release);
  row.subject.store(pair_of(event.connection, event.number), std::memory_order_release);
  row.detail.store(pair_of(event.wait_us, event.took_us), std::memory_order_release);
  row.what.store(
      EventWord(static_cast<std::uint32_t>(event.kind), event.pool, event.klass, sequence).raw(),
      std::memory_order_release);
}

void Recorder::forget_unfinished() const {
  for (const Rows& ring : {requests_, all_else_}) {
    for (EventRow& row : ring.rows) {
      if (EventWord(row.what.load(std::memory_order_relaxed)).is_being_written()) {
        row.what.store(0, std::memory_order_relaxed);
      }
    }
  }
}

EventTail::EventTail(const Segment& segment, std::uint32_t worker, Ring ring, From from)
    : recorded_(&recorded_in(segment, worker, ring)), rows_(rows_of(segment, worker, ring)) {
  next_ = recorded_->load(std::memory_order_relaxed);
  if (from == From::kOldest) next_ -= std::min<std::uint64_t>(next_, rows_.size());
}

void EventTail::read(std::vector<RecordedEvent>& events, bool is_last_look) {
  if (rows_.empty()) return;
  const std::uint64_t recorded = recorded_->load(std::memory_order_acquire);
  next_ = std::min(next_, recorded);  // a number that went back is not one of ours
  if (recorded - next_ > rows_.size()) {
    lost_ += recorded - next_ - rows_.size();
    next_ = recorded - rows_.size();
  }
  for (RecordedEvent event; next_ < recorded; ++next_) {
    const Seen seen = look(rows_[next_ % rows_.size()], next_ + 1, event);
    if (seen == Seen::kWhole) {
      events.push_back(event);
    } else if (seen == Seen::kUnfinished && !is_last_look && recorded - next_ <= rows_.size() / 2) {
      return;
    } else {
      ++lost_;
    }
  }
}

}  // namespace weir::shm
