#include "shm/lingering.h"

#include <algorithm>

#include "base/clock.h"
#include "shm/rooms.h"

namespace weir::shm {

bool may_run(const PoolRef& pool, PlaceIndex place, PlaceWord word) {
  const PlaceInfo& info = pool.info(place);
  switch (word.linger_cause()) {
    case LingerCause::kIdle:
      return false;
    case LingerCause::kUsed:
      return true;
    case LingerCause::kOpening:  // once it has a name, on_connect
      return info.token_size.load(std::memory_order_relaxed) != 0;
    case LingerCause::kClosing:  // given up in the middle of a statement
      return info.closing_busy.load(std::memory_order_relaxed) != 0;
  }
  return true;
}

std::uint64_t lingers_until_ns(const PoolRef& pool, PlaceIndex place, PlaceWord word) {
  const PlaceInfo& info = pool.info(place);
  const PoolRow& row = pool.row();
  const auto after = [](std::uint64_t ns, const Word32& limit_ms) {
    return ns + std::uint64_t{limit_ms.load()} * 1'000'000u;
  };
  const std::uint64_t seen_ns = std::max(info.since_ns.load(std::memory_order_relaxed),
                                         info.still_there_ns.load(std::memory_order_relaxed));
  if (!may_run(pool, place, word)) return after(seen_ns, row.linger_idle_ms);
  // Once the server has said afterwards that it is still there, only what it says counts.
  const std::uint64_t told_ns = info.told_to_end_ns.load(std::memory_order_relaxed);
  const std::uint64_t until = after(seen_ns, row.linger_used_ms);
  return told_ns > seen_ns ? std::min(until, after(told_ns, row.linger_told_ms)) : until;
}

void note_still_there(const PoolRef& pool, PlaceIndex place) {
  pool.info(place).still_there_ns.store(monotonic_ns(), std::memory_order_relaxed);
}

void note_told_to_end(const PoolRef& pool, PlaceIndex place) {
  pool.info(place).told_to_end_ns.store(monotonic_ns(), std::memory_order_relaxed);
}

unsigned settle_overdue(const Segment& segment, WorkerId self, std::uint64_t now_ns) {
  unsigned settled = 0;
  for (const PoolRef& pool : all_pools(segment)) {
    for (PlaceIndex place = 0; place < pool.capacity(); ++place) {
      const PlaceWord word(pool.places()[place].load());
      if (word.state() != PlaceState::kLingering) continue;
      if (now_ns < lingers_until_ns(pool, place, word)) continue;
      settled += settle_lingering(pool, self, place, word) ? 1 : 0;
    }
  }
  return settled;
}

}  // namespace weir::shm
