#include "shm/permits.h"

#include <algorithm>
#include <bit>

#include "shm/excess.h"

namespace weir::shm {
namespace {

constexpr std::size_t kWordsOfALine = 64 / sizeof(Word);

// Shows `visit` every permit of the pool's quota once, until it answers true: then so does this.
// Those in force first, a cache line at a time, in an order that the place decides: so a place
// finds a free one within a few lines as long as a few are free, and what it took again where it
// looks first, however large the quota. A stride through twice as many lines at most, powers of
// two: odd, so that it meets them all.
template <typename Visit>
bool visit_permits(const PoolRef& pool, std::uint32_t place, Visit visit) {
  const std::span<Word> permits = pool.permits();
  const QuotaRow& row = pool.segment().quotas()[pool.quota()];
  const std::size_t in_force = std::min<std::size_t>(row.limit.load(), permits.size());
  const std::size_t lines = std::bit_ceil((in_force + kWordsOfALine - 1) / kWordsOfALine);
  // Multiplicative hashing: Knuth, The Art of Computer Programming 3, 6.4.
  const std::uint32_t mixed = place * 2654435761u;
  std::size_t line = mixed >> 16;
  for (std::size_t n = 0; n < lines; ++n, line += mixed >> 2 | 1u) {
    const std::size_t first = (line & (lines - 1)) * kWordsOfALine;
    const std::size_t end = std::min(first + kWordsOfALine, in_force);
    for (std::size_t i = first; i < end; ++i) {
      if (visit(permits[i])) return true;
    }
  }
  const std::span<Word> above = permits.subspan(in_force);
  return std::any_of(above.begin(), above.end(), visit);
}

bool take_free(const PoolRef& pool, std::uint32_t place, std::uint32_t occ) {
  return visit_permits(pool, place, [&](Word& permit) {
    // Sequentially consistent, as the look for a place is: nobody may miss what was just freed.
    const PermitWord seen(permit.load());
    std::uint64_t expected = seen.raw();
    return seen.state() == PermitState::kFree &&
           permit.compare_exchange_strong(expected, seen.to_held(place, occ).raw());
  });
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
  if (!take_free(pool, global, occ) &&
      !(free_void_permits(pool) > 0 && take_free(pool, global, occ))) {
    return false;
  }
  // What is free although one above the limit is held came back from somebody who had looked for
  // such a one before the shrink: it goes there now.
  if (excess_permits(pool) == 0) return true;
  return_permit(pool, place, occ);
  return false;
}

void return_permit(const PoolRef& pool, PlaceIndex place, std::uint32_t occ) {
  const std::uint32_t global = pool.global(place);
  visit_permits(pool, global, [&](Word& permit) {
    PermitWord seen(permit.load());
    const auto is_its = [&] {
      return seen.state() == PermitState::kHeld && seen.place() == global && seen.occ() == occ;
    };
    if (!is_its()) return false;
    while (!free_permit(pool, permit, seen)) {
      seen = PermitWord(permit.load());  // a resize has flagged it, or taken the flag away
      if (!is_its()) return false;
    }
    // Who was handed one down has two for a moment, and a death can make it longer: the other one
    // is above the limit, flagged, and has just been found by hand_down if this one was not.
    return !seen.retire();
  });
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
