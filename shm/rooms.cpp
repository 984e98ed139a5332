#include "shm/rooms.h"

#include <algorithm>
#include <vector>

#include "shm/control.h"
#include "shm/excess.h"
#include "shm/place_moves.h"
#include "shm/stats.h"
#include "shm/turns.h"

namespace weir::shm {
namespace {

// A pass over the pools of a quota is repeated while passes by others hide a room for a moment;
// ticks find what more than this many leave.
constexpr int kMatchPasses = 16;

// Permit first: freed after the place it would be void and anybody's, which is harmless but slower.
// False if the word was not `word` any more: then somebody has settled it for us.
bool free_room(const PoolRef& pool, PlaceIndex place, PlaceWord word) {
  if (pool.has_quota()) return_permit(pool, place, word.occ());
  pool.info(place).since_ns.store(coarse_ns(), std::memory_order_relaxed);
  return move_on(pool.places()[place], word, [](PlaceWord from) { return from.to_free(); });
}

std::optional<Room> occupy_free(const PoolRef& pool, WorkerId self) {
  const std::span<Word> places = in_service(pool);
  for (PlaceIndex i = 0; i < places.size(); ++i) {
    // Sequentially consistent: who freed it looks for demand after, we have raised it before.
    const PlaceWord seen(places[i].load());
    if (seen.state() != PlaceState::kFree) continue;
    const PlaceWord mine = seen.to_occupied(self);
    if (swap(places[i], seen, mine)) return Room{i, mine};
  }
  return std::nullopt;
}

// While places above max are still occupied, as many below stay empty, and so does the reserve:
// looked at before, and, since two may come at once, after. Who then is one too many goes back.
std::optional<Room> occupy(const PoolRef& pool, WorkerId self, std::uint64_t since_ns) {
  while (places_for(pool, since_ns) > 0) {
    std::optional<Room> room = occupy_free(pool, self);
    if (!room || (excess_places(pool) == 0 && !is_kept_back(pool, since_ns))) return room;
    free_room(pool, room->place, room->word);
  }
  return std::nullopt;
}

bool has_turn_to_offer(const PoolRef& pool) {
  const auto offered = static_cast<std::uint32_t>(std::count_if(
      pool.places().begin(), pool.places().end(),
      [](const Word& cell) { return PlaceWord(cell.load()).state() == PlaceState::kOffered; }));
  return free_turns(pool, monotonic_ns()) > offered;
}

// Offers a place of ours to the oldest waiter of its pool. True: the place is not ours any more;
// else `word` is what it reads now.
bool offer_room(const PoolRef& pool, WorkerId self, PlaceIndex place, PlaceWord& word) {
  Word& cell = pool.places()[place];
  while (true) {
    // 1. who is oldest.
    const LineView view = look_at_line(pool, self);
    if (!view.oldest || mate_goes_first(pool, view)) return false;
    const Candidate& who = *view.oldest;
    if (is_kept_back(pool, who.since_ns)) return false;
    // 2. claim the waiter. A death here leaves a claim that its owner takes back.
    if (!claim(pool, who, place)) continue;
    // 3. offer. A death after it leaves an offer that stands.
    PlaceWord offer = word.to_offered(who.row, who.word.inc());
    pool.info(place).since_ns.store(monotonic_ns(), std::memory_order_relaxed);
    while (!swap(cell, word, offer)) {
      if (!follow_resize(cell, word)) return true;  // settled over our head: we are believed dead
      offer = word.to_offered(who.row, who.word.inc());
    }
    // 4. is it still there? Who leaves looks at the place after leaving, so one of the two sees it.
    const WaiterWord now(pool.segment().waiters()[who.row].word.load());
    if (now == who.word.to(WaiterState::kClaimed, pool.global(place))) {
      wake_waiter(pool.segment(), who.row);
      return true;
    }
    // 5. it left: withdraw, unless it or a tick was quicker.
    const PlaceWord back = offer.to(PlaceState::kOpening, self);
    if (!swap(cell, offer, back)) return true;
    count(pool, Counter::kWithdrawn);
    word = back;
  }
}

// One pool's part of match(). True: a room was held for a moment and freed again, so that somebody
// else's look may have missed it.
bool match_one(const PoolRef& pool, WorkerId self) {
  bool hid_a_room = false;
  while (true) {
    const LineView view = look_at_line(pool, self);
    if (!view.oldest) {
      if (view.anybody() || lower_demand(pool, self)) return hid_a_room;
      continue;
    }
    if (!has_turn_to_offer(pool)) return hid_a_room;
    std::optional<Room> room = take_room(pool, self, view.oldest->since_ns);
    if (!room) return hid_a_room;
    if (offer_room(pool, self, room->place, room->word)) continue;
    free_room(pool, room->place, room->word);
    hid_a_room = true;
    if (mate_goes_first(pool, look_at_line(pool, self))) return true;
  }
}

// The declared pools of the quota in which somebody may wait, the one with the longest wait first.
std::vector<PoolRef> mates_by_age(const PoolRef& pool, WorkerId self) {
  struct Aged {
    std::uint64_t since_ns;
    PoolRef pool;
  };
  std::vector<Aged> aged;
  for (const PoolRef& mate : pools_of_quota(pool)) {
    if (!is_demanded(mate.row())) continue;
    const LineView view = look_at_line(mate, self);
    aged.push_back({view.waiting_since_ns, mate});
  }
  std::sort(aged.begin(), aged.end(),
            [](const Aged& a, const Aged& b) { return a.since_ns < b.since_ns; });
  std::vector<PoolRef> pools;
  for (const Aged& one : aged) pools.push_back(one.pool);
  return pools;
}

// One pool's part of revoke_offers().
unsigned revoke_offers_of(const PoolRef& pool, WorkerId self, std::uint64_t now_ns) {
  unsigned revoked = 0;
  const std::span<WaiterRow> rows = pool.segment().waiters();
  for (PlaceIndex i = 0; i < pool.capacity(); ++i) {
    const PlaceWord seen(pool.places()[i].load(std::memory_order_relaxed));
    if (seen.state() != PlaceState::kOffered) continue;
    if (seen.idx() >= rows.size()) {
      pool.segment().poison("an offer names waiter row " + std::to_string(seen.idx()));
      return revoked;
    }
    const WaiterWord to(rows[seen.idx()].word.load());
    const bool stands = to.state() == WaiterState::kClaimed && to.what() == pool.global(i) &&
                        seen.offers_to(seen.idx(), to.inc());
    const std::uint64_t since = pool.info(i).since_ns.load(std::memory_order_relaxed);
    if (stands && now_ns < since + kOfferPatienceNs) continue;
    const PlaceWord mine = seen.to(PlaceState::kOpening, self);
    if (!swap(pool.places()[i], seen, mine)) continue;
    ++revoked;
    count(pool, Counter::kRevoked);
    leave_room(pool, self, i, mine);
  }
  return revoked;
}

}  // namespace

bool mate_goes_first(const PoolRef& pool, const LineView& view) {
  if (!view.oldest_mate) return false;
  const std::uint64_t ahead = std::uint64_t{pool.row().permit_quantum_ms.load()} * 1'000'000u;
  // By the same measure on both sides: else two pools could each let the other go first.
  if (view.oldest && view.oldest_mate->since_ns + ahead >= view.waiting_since_ns) return false;
  const std::optional<PoolRef> mate = PoolRef::find(pool.segment(), view.oldest_mate->pool);
  return mate && places_for(*mate, view.oldest_mate->since_ns) > 0 && has_turn_to_offer(*mate);
}

std::optional<Room> take_room(const PoolRef& pool, WorkerId self, std::uint64_t since_ns) {
  while (true) {
    const std::optional<Room> room = occupy(pool, self, since_ns);
    if (!room || !pool.has_quota()) return room;
    if (take_permit(pool, room->place, room->word.occ())) return room;
    free_room(pool, room->place, room->word);
    // While we had the place, who freed a permit may have found no place to go with it.
    if (!may_have_permit(pool)) return std::nullopt;
  }
}

void leave_room(const PoolRef& pool, WorkerId self, PlaceIndex place, PlaceWord word) {
  // What is one too many since a shrink goes to nobody.
  if (is_demanded(pool.row()) && !word.retire() && excess_permits(pool) == 0 &&
      excess_places(pool) == 0 && has_turn_to_offer(pool) && offer_room(pool, self, place, word)) {
    return;
  }
  free_room(pool, place, word);
  if (is_demanded(pool.row())) match(pool, self);
}

bool settle_lingering(const PoolRef& pool, WorkerId self, PlaceIndex place, PlaceWord word) {
  if (!free_room(pool, place, word)) return false;
  note_server_has_room(pool);
  count(pool, Counter::kReclaimed);
  if (is_demanded(pool.row())) match(pool, self);
  return true;
}

std::optional<Room> accept_offer(const PoolRef& pool, WorkerId self, const Waiter& mine,
                                 WaiterWord seen) {
  const std::optional<PlaceIndex> place = pool.local(seen.what());
  if (!place) {
    pool.segment().poison("a waiter of pool " + std::to_string(pool.id()) +
                          " was claimed for place " + std::to_string(seen.what()));
    return std::nullopt;
  }
  const PlaceWord offer(pool.places()[*place].load());
  if (!offer.offers_to(mine.row(), seen.inc())) return std::nullopt;
  const PlaceWord taken = offer.to(PlaceState::kOpening, self);
  if (!swap(pool.places()[*place], offer, taken)) return std::nullopt;
  return Room{*place, taken};
}

void match(const PoolRef& pool, WorkerId self) {
  if (!pool.has_quota()) {
    match_one(pool, self);
    return;
  }
  for (int pass = 0; pass < kMatchPasses; ++pass) {
    bool again = false;
    for (const PoolRef& mate : mates_by_age(pool, self)) again |= match_one(mate, self);
    if (!again) return;
  }
}

unsigned revoke_offers(const PoolRef& pool, WorkerId self, std::uint64_t now_ns) {
  unsigned revoked = 0;
  for (const PoolRef& one : pools_of_quota(pool)) revoked += revoke_offers_of(one, self, now_ns);
  return revoked;
}

}  // namespace weir::shm
