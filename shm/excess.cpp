#include "shm/excess.h"

#include <algorithm>

#include "shm/in_force.h"

namespace weir::shm {
namespace {

// The permits of `row` above its limit that may be held: none, unless the limit was higher once.
std::span<Word> above(const Segment& segment, const QuotaRow& row) {
  const std::span<Word> permits = permits_of(segment, row);
  const std::uint32_t most = row.most_limit.load();
  const std::size_t end = most == 0 ? permits.size() : std::min<std::size_t>(most, permits.size());
  return permits.first(end).subspan(std::min<std::size_t>(row.limit.load(), end));
}

bool is_held_above(PermitWord word) { return word.state() == PermitState::kHeld && word.retire(); }

bool is_void(const Segment& segment, PermitWord word) {
  return word.place() >= segment.places().size() ||
         word.is_void(PlaceWord(segment.places()[word.place()].load()));
}

bool swap(Word& cell, PermitWord from, PermitWord to) {
  std::uint64_t expected = from.raw();
  return cell.compare_exchange_strong(expected, to.raw());
}

bool is_occupied(const Word& cell) { return PlaceWord(cell.load()).occupied(); }

bool is_any_above_max(const PoolRef& pool) {
  const std::span<Word> places = pool.places();
  const std::size_t max = std::min<std::size_t>(pool.row().max.load(), places.size());
  return std::any_of(places.begin() + static_cast<std::ptrdiff_t>(max), places.end(), is_occupied);
}

std::uint32_t count_occupied(const PoolRef& pool) {
  return static_cast<std::uint32_t>(
      std::count_if(pool.places().begin(), pool.places().end(), is_occupied));
}

}  // namespace

std::span<Word> in_service(const PoolRef& pool) {
  const std::span<Word> places = pool.places();
  return places.first(std::min<std::size_t>(pool.row().max.load(), places.size()));
}

bool hand_down(const Segment& segment, const QuotaRow& row, Word& permit, PermitWord seen) {
  const std::span<Word> high = above(segment, row);
  if (high.empty() || &permit >= high.data()) return false;  // or is itself above
  for (Word& cell : high) {
    const PermitWord held(cell.load());
    if (!is_held_above(held)) continue;
    // Nobody's, or the second one of an occupation that was handed one down before.
    const bool same = seen.state() == PermitState::kHeld && seen.place() == held.place() &&
                      seen.occ() == held.occ();
    if (same || is_void(segment, held)) {
      swap(cell, held, held.to_free());
      continue;
    }
    // 1. the lower one is that occupation's as well.
    const PermitWord lower(PermitState::kHeld, held.place(), held.occ());
    if (!swap(permit, seen, lower)) return false;
    // 2. the higher one out of service. False: it has just been given back; then the lower one is
    // void as soon as its place is free, and anybody's.
    swap(cell, held, held.to_free());
    return true;
  }
  return false;
}

std::uint32_t excess_permits(const PoolRef& pool) {
  if (!pool.has_quota()) return 0;
  const Segment& segment = pool.segment();
  const std::span<Word> high = above(segment, pool.quota_row());
  return static_cast<std::uint32_t>(std::count_if(high.begin(), high.end(), [&](const Word& cell) {
    const PermitWord held(cell.load());
    return is_held_above(held) && !is_void(segment, held);
  }));
}

bool is_excess(const PoolRef& pool, PlaceIndex place, std::uint32_t occ) {
  if (!pool.has_quota()) return false;
  const std::span<Word> high = above(pool.segment(), pool.quota_row());
  return std::any_of(high.begin(), high.end(), [&](const Word& cell) {
    const PermitWord held(cell.load());
    return is_held_above(held) && held.place() == pool.global(place) && held.occ() == occ;
  });
}

std::uint32_t excess_places(const PoolRef& pool) {
  if (!is_any_above_max(pool)) return 0;
  const std::uint32_t occupied = count_occupied(pool), max = pool.row().max.load();
  return occupied > max ? occupied - max : 0;
}

std::uint32_t free_places(const PoolRef& pool) {
  const std::span<Word> below = in_service(pool);
  const auto free =
      static_cast<std::uint32_t>(std::count_if(below.begin(), below.end(), [](const Word& cell) {
        return PlaceWord(cell.load()).state() == PlaceState::kFree;
      }));
  if (free == 0 || !is_any_above_max(pool)) return free;
  const std::uint32_t occupied = count_occupied(pool), max = pool.row().max.load();
  return std::min(free, max > occupied ? max - occupied : 0);
}

}  // namespace weir::shm
