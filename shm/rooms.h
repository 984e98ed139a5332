// Rooms: empty places, with a permit where the quota is shared, ready to be connected in; and who
// gets them: whoever takes one while nobody waits, else the oldest in line, who is offered it.
//
//   take_room     FREE -> OPENING(me), then the permit        for oneself, or to offer it
//   offer_room    OPENING/CLOSING(me) -> OFFERED(k, inc)      the permit goes along
//   accept_offer  OFFERED(k, inc) -> OPENING(me)              by waiter k
//   free_room     permit first, then -> FREE
//   match         while somebody waits and a room is free: offer it
//
// An offer can be revoked: one that is void, or that nobody took up for kOfferPatience, is taken
// over by any waiter's tick, so that a stopped worker holds up nobody. After every step a death
// leaves either a word of the dead worker's, which a reaper settles, or an offer, which a tick
// revokes. Threads: any thread of any worker. Fork: no state of its own. Nothing here waits.
#pragma once

#include <optional>

#include "shm/line.h"
#include "shm/permits.h"
#include "shm/pool_ref.h"
#include "shm/reserve.h"
#include "shm/words.h"

namespace weir::shm {

/// How long an offer may stay without being taken up. Measured: a woken thread takes one up
/// within 0.1 ms even on a busy machine; 20 ms is long enough not to revoke from the merely slow.
inline constexpr std::uint64_t kOfferPatienceNs = 20'000'000;

/// An empty place that is ours: OPENING(me) with its permit.
struct Room {
  PlaceIndex place = 0;
  PlaceWord word;
};

/// Occupies a free place and takes its permit, for who has waited in line since `since_ns`; nullopt
/// if either is not to be had.
[[nodiscard]] std::optional<Room> take_room(const PoolRef& pool, WorkerId self,
                                            std::uint64_t since_ns = kNotInLine);

/// Gives back a place behind which the server has nothing (OPENING or CLOSING of ours, as `word`
/// says): to the oldest waiter, else free; then matches.
void leave_room(const PoolRef& pool, WorkerId self, PlaceIndex place, PlaceWord word);

/// The same for a place that lingered and is confirmed gone. False if somebody else settled it.
bool settle_lingering(const PoolRef& pool, WorkerId self, PlaceIndex place, PlaceWord word);

/// Takes up what waiter `mine` was offered, if `seen` (CLAIMED) was followed by an offer.
[[nodiscard]] std::optional<Room> accept_offer(const PoolRef& pool, WorkerId self,
                                               const Waiter& mine, WaiterWord seen);

/// Offers free rooms to those who wait, oldest first, as long as both exist and a handshake could
/// begin; in all pools of the quota. To be called whenever a room, a permit or a turn came free,
/// and by a waiter before it sleeps.
void match(const PoolRef& pool, WorkerId self);

/// Whether a permit of ours should go to another pool of the quota: its oldest waiter is ahead of
/// ours by more than permit_quantum, and could use it. Not if all it lacks is a place or a turn of
/// its own pool: then nobody would get the permit.
[[nodiscard]] bool mate_goes_first(const PoolRef& pool, const LineView& view);

/// A waiter's tick: takes over offers that are void or too old and hands them on, in all pools of
/// the quota, since an offer in any of them holds a permit. Returns how many.
unsigned revoke_offers(const PoolRef& pool, WorkerId self, std::uint64_t now_ns);

}  // namespace weir::shm
