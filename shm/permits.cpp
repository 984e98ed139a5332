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
bool visit_permits(const PoolRef& pool, PlaceIndex place, Visit visit) {
  const std::span<Word> permits = pool.permits();
  const std::size_t in_force = std::min<std::size_t>(pool.quota_row().limit.load(), permits.size());
  const std::size_t lines = std::bit_ceil((in_force + kWordsOfALine - 1) / kWordsOfALine);
  // Multiplicative hashing: Knuth, The Art of Computer Programming 3, 6.4.
  const std::uint32_t mixed = pool.global(place) * 2654435761u;
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

// Guesses (layout.h) spare the search, whatever the size of the quota. One that is wrong, or made
// up, costs a look.
Word* guessed(const PoolRef& pool, const Word32& guess) {
  const std::uint32_t index = guess.load(std::memory_order_relaxed) - 1;  // 0: none
  return index < pool.permits().size() ? &pool.permits()[index] : nullptr;
}

void make_guess(const PoolRef& pool, Word32& guess, const Word& permit) {
  const auto now = static_cast<std::uint32_t>(&permit - pool.permits().data()) + 1;
  if (guess.load(std::memory_order_relaxed) != now) guess.store(now, std::memory_order_relaxed);
}

bool take_this(const PoolRef& pool, PlaceIndex place, std::uint32_t occ, Word& permit) {
  // Sequentially consistent, as the look for a place is: nobody may miss what was just freed.
  const PermitWord seen(permit.load());
  if (seen.state() != PermitState::kFree) return false;
  std::uint64_t expected = seen.raw();
  const PermitWord held = seen.to_held(pool.global(place), occ);
  if (!permit.compare_exchange_strong(expected, held.raw())) return false;
  make_guess(pool, pool.info(place).permit, permit);
  return true;
}

bool take_free(const PoolRef& pool, PlaceIndex place, std::uint32_t occ) {
  Word* const guess = guessed(pool, pool.quota_row().returned);
  if (guess != nullptr && take_this(pool, place, occ, *guess)) return true;
  return visit_permits(pool, place,
                       [&](Word& permit) { return take_this(pool, place, occ, permit); });
}

// To FREE, or to RETIRED if flagged; while another occupation holds one above the limit, to that
// one. False: it changed meanwhile.
bool free_permit(const PoolRef& pool, Word& permit, PermitWord seen) {
  const QuotaRow& row = pool.quota_row();
  if (!seen.retire() && was_ever_higher(row) && hand_down(pool.segment(), row, permit, seen)) {
    return true;
  }
  std::uint64_t expected = seen.raw();
  return permit.compare_exchange_strong(expected, seen.to_free().raw());
}

// Whether that was all it held: who was handed one down has two for a moment, and a death can make
// it longer. The other one is above the limit, flagged, and has just been found by hand_down if
// this one was not.
bool return_this(const PoolRef& pool, PlaceIndex place, std::uint32_t occ, Word& permit) {
  const PermitWord its(PermitState::kHeld, pool.global(place), occ);
  const PermitWord flagged(PermitState::kHeld, pool.global(place), occ, true);
  PermitWord seen(permit.load());
  const auto is_its = [&] { return seen == its || seen == flagged; };
  if (!is_its()) return false;
  while (!free_permit(pool, permit, seen)) {
    seen = PermitWord(permit.load());  // a resize has flagged it, or taken the flag away
    if (!is_its()) return false;
  }
  make_guess(pool, pool.quota_row().returned, permit);
  return !seen.retire();
}

}  // namespace

bool take_permit(const PoolRef& pool, PlaceIndex place, std::uint32_t occ) {
  if (!take_free(pool, place, occ) &&
      !(free_void_permits(pool) > 0 && take_free(pool, place, occ))) {
    return false;
  }
  // What is free although one above the limit is held came back from somebody who had looked for
  // such a one before the shrink: it goes there now.
  if (!was_ever_higher(pool.quota_row()) || excess_permits(pool) == 0) return true;
  return_permit(pool, place, occ);
  return false;
}

void return_permit(const PoolRef& pool, PlaceIndex place, std::uint32_t occ) {
  Word* const guess = guessed(pool, pool.info(place).permit);
  if (guess != nullptr && return_this(pool, place, occ, *guess)) return;
  visit_permits(pool, place, [&](Word& permit) { return return_this(pool, place, occ, permit); });
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

std::uint32_t count_held(const Segment& segment, std::span<const Word> permits) {
  return static_cast<std::uint32_t>(
      std::count_if(permits.begin(), permits.end(), [&](const Word& cell) {
        const PermitWord permit(cell.load());
        return permit.state() == PermitState::kHeld && permit.place() < segment.places().size() &&
               !permit.is_void(PlaceWord(segment.places()[permit.place()].load()));
      }));
}

}  // namespace weir::shm
