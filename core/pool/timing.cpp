// How long leases are out: one in so many of a place's is timed and stands for all of these, so
// that the others read no clock. While a worker lends seldom, each of them is.
#include "pool/pool.h"

namespace weir::pool {

namespace {

// As many leases in a second as are timed one by one: two looks at a clock each, 50 us in all.
constexpr std::uint32_t kTimedEach = 1'000;
// Else one in 64: these bits are all 0 in so many.
constexpr std::uint64_t kOneIn64 = std::uint64_t{63} << 58;
constexpr std::uint64_t kEach = 0;

constexpr std::uint32_t stands_for(std::uint64_t untimed) { return untimed == kEach ? 1 : 64; }

}  // namespace

// A worker that has just become busy does not wait for its keeper's next second to time fewer.
void Pool::begin_timing(Slot& slot, std::uint64_t untimed) {
  slot.timed_for = stands_for(untimed);
  slot.timed_from_ns = monotonic_ns();
  if (untimed == kEach && timed_.fetch_add(1, std::memory_order_relaxed) >= kTimedEach) {
    untimed_.store(kOneIn64, std::memory_order_relaxed);
  }
}

void Pool::end_timing(Slot& slot) {
  const std::uint64_t now = monotonic_ns();
  const std::uint64_t from = std::exchange(slot.timed_from_ns, 0);
  book_.record(shm::Histogram::kUse, now > from ? now - from : 0, slot.timed_for);
}

// Once a second.
void Pool::pace_timing(std::uint64_t leases) {
  timed_.store(0, std::memory_order_relaxed);
  store_if_new(untimed_, leases < kTimedEach ? kEach : kOneIn64);
}

}  // namespace weir::pool
