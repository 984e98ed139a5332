#include "shm/permits.h"

#include "shm/excess.h"

namespace weir::shm {
namespace {

bool take_free(std::span<Word> permits, std::uint32_t place, std::uint32_t occ) {
  for (Word& permit : permits) {
    // Sequentially consistent, as the look for a place is: nobody may miss what was just freed.
    const PermitWord seen(permit.load());
    if (seen.state() != PermitState::kFree) continue;
    std::uint64_t expected = seen.raw();
    if (permit.compare_exchange_strong(expected, seen.to_held(place, occ).raw())) return true;
  }
  return false;
}

// To FREE, or to RETIRED if flagged; while another occupation holds one above the limit, to that
// one. False: it changed meanwhile.
bool free_permit(const PoolRef& pool, Word& permit, PermitWord seen) {
  const Segment& segment = pool.segment();
  if (!seen.retire() && hand_down(segment, segment.quotas()[pool.quota()], permit, seen)) {
    return true;
  }
  std::uint64_t expected = seen.raw();
  return permit.compare_exchange_strong(expected, seen.to_free().raw());
}

}  // namespace

bool take_permit(const PoolRef& pool, PlaceIndex place, std::uint32_t occ) {
  const std::uint32_t global = pool.global(place);
  if (take_free(pool.permits(), global, occ)) return true;
  return free_void_permits(pool) > 0 && take_free(pool.permits(), global, occ);
}

void return_permit(const PoolRef& pool, PlaceIndex place, std::uint32_t occ) {
  // All of them: who was handed one down has two for a moment, and a death can make it longer.
  for (Word& permit : pool.permits()) {
    PermitWord seen(permit.load());
    while (seen.state() == PermitState::kHeld && seen.place() == pool.global(place) &&
           seen.occ() == occ && !free_permit(pool, permit, seen)) {
      seen = PermitWord(permit.load());  // a resize has flagged it, or taken the flag away
    }
  }
}

unsigned free_void_permits(const PoolRef& pool) {
  unsigned freed = 0;
  const std::span<Word> places = pool.segment().places();
  for (Word& permit : pool.permits()) {
    const PermitWord seen(permit.load());
    if (seen.state() != PermitState::kHeld) continue;
    if (seen.place() >= places.size()) {
      pool.segment().poison("a permit names place " + std::to_string(seen.place()));
      return freed;
    }
    if (!seen.is_void(PlaceWord(places[seen.place()].load()))) continue;
    if (free_permit(pool, permit, seen)) ++freed;
  }
  return freed;
}

bool may_have_permit(const PoolRef& pool) {
  if (!pool.has_quota()) return true;
  for (const Word& permit : pool.permits()) {
    if (PermitWord(permit.load()).state() == PermitState::kFree) return true;
  }
  return free_void_permits(pool) > 0;
}

}  // namespace weir::shm
