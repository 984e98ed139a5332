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
  const Word32& limit_ms =
      may_run(pool, place, word) ? pool.row().linger_used_ms : pool.row().linger_idle_ms;
  return std::max(info.since_ns.load(std::memory_order_relaxed),
                  info.still_there_ns.load(std::memory_order_relaxed)) +
         std::uint64_t{limit_ms.load()} * 1'000'000u;
}

void note_still_there(const PoolRef& pool, PlaceIndex place) {
  pool.info(place).still_there_ns.store(monotonic_ns(), std::memory_order_relaxed);
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
