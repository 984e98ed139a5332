/* Two pools on one quota: a permit for each occupied place, taken after the place and given back before it.
 *
 * rooms.pml with SHARED: worker w uses pool w mod 2, each pool has one place, the quota LIMIT permits; LIMIT is
 * what the server allows. Here match() goes over both pools, an offer carries the permit along
 * (docs/decisions/0001-a-permit-travels-with-its-place.md), demand is raised in both pools, and a void permit is anybody's.
 * What stands for what, what is put more simply and what is checked: see rooms.pml. In addition: when all is
 * quiet no permit is held in vain, but for void ones, which who needs one frees.
 *
 * `occ` wraps at 8 here, and a match gives up after 3 passes (16 in the code). Two workers: three are too many to search.
 *
 * Void permits come about where a reaper frees an offer to a dead worker: the place is free, its permit still says HELD.
 */
#define SHARED
#include "rooms.pml"
