// How long leases are out: one in so many of a place's is timed and stands for all of these, so
// that the others read no clock. While a worker lends seldom, each of them is.
#include "pool/pool.h"

namespace weir::pool {

namespace {

// As many leases in a second as are timed one by one: two looks at a clock each, 50 us in all.
constexpr std::uint32_t kTimedEach = 1'000;
// Else one in 256: these bits are all 0 in so many.
constexpr std::uint64_t kOneIn256 = std::uint64_t{255} << 56;
constexpr std::uint64_t kEach = 0;

constexpr std::uint32_t stands_for(std::uint64_t untimed) { return untimed == kEach ? 1 : 256; }

}  // namespace

// A worker that has just become busy does not wait for its keeper's next second to time fewer.
void Pool::begin_timing(Slot& slot, std::uint64_t untimed) {
  slot.timed_for = stands_for(untimed);
  slot.timed_from_ns = monotonic_ns();
  slot.asked_ns = 0;
  if (untimed == kEach && timed_.fetch_add(1, std::memory_order_relaxed) >= kTimedEach) {
    untimed_.store(kOneIn256, std::memory_order_relaxed);
  }
}

// While the place's class is still its holder's.
void Pool::end_timing(PlaceIndex place) {
  Slot& slot = slots_[place];
  const std::uint64_t now = monotonic_ns();
  const std::uint64_t from = std::exchange(slot.timed_from_ns, 0);
  const std::uint64_t held = now > from ? now - from : 0;
  book_.record(shm::Histogram::kUse, held, slot.timed_for);
  const bool waited = slot.asked_ns != 0 && slot.asked_ns < from;
  record({.kind = shm::Happening::kLease,
          .klass = ref().info(place).holder_class.load(std::memory_order_relaxed),
          .when_ns = now,
          .connection = static_cast<std::uint32_t>(number_at(place)),
          .number = slot.timed_for,
          .wait_us = waited ? shm::recorded_us(from - slot.asked_ns) : 0,
          .took_us = shm::recorded_us(held)});
}

// Once a second.
void Pool::pace_timing(std::uint64_t leases) {
  timed_.store(0, std::memory_order_relaxed);
  store_if_new(untimed_, leases < kTimedEach ? kEach : kOneIn256);
}

}  // namespace weir::pool
