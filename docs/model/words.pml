/* The words of the segment as numbers, and the one step that changes them. Included by the models.
 *
 * Stands for shm/words.h: same states, same fields, narrower. A word is one number, so that a
 * compare-and-swap compares all of it, as the processor does. `gen` and `inc` are wide enough
 * never to wrap in any model, and `occ` in all but shared_quota.pml, where it wraps at 8.
 *
 * Steps: a load is one step, a compare-and-swap is one step. What one thread alone can see (SETUP, its own
 * variables) is folded into the step before it. All is sequentially consistent, as docs/shm-layout.md
 * (Ordering) demands of everything that is modelled here; relaxed scans only guess, and a
 * compare-and-swap proves the guess. Where a load and the compare-and-swap after it are one step, a
 * failure of the second equals an earlier change: the code goes on in the same way.
 */
#define NONE 15

/* place: state, idx (worker row, or waiter row in OFFERED), gen (or the waiter's inc), occ, retire */
#define FREE 0
#define OFFERED 1
#define OPENING 2
#define IDLE 3
#define USED 4
#define CLOSING 7
#define LINGERING 8
#define RETIRED 9
#define RETIRE (1<<20)
#define PLACE(st, idx, gen, occ) ((st) | ((idx)<<4) | ((gen)<<8) | ((occ)<<14))
#define STATE(w) ((w)&15)
#define IDX(w) (((w)>>4)&15)
#define GEN(w) (((w)>>8)&63)
#ifdef SHARED            /* wraps: whoever finds no permit gives a place back, and tries again, without end */
#define OCCS 8
#else
#define OCCS 64
#endif
#define OCC(w) (((w)>>14)&(OCCS-1))
#define FLAG(w) ((w)&RETIRE)
/* PlaceWord::to_free, PlaceWord::to_occupied, PlaceWord::to */
#define TO_FREE(w) (PLACE((FLAG(w) -> RETIRED : FREE), 0, 0, OCC(w)))
#define TO_OCCUPIED(w, idx, gen) (PLACE(OPENING, idx, gen, (OCC(w)+1)&(OCCS-1)) | FLAG(w))
#define TO(w, st, idx, gen) (PLACE(st, idx, gen, OCC(w)) | FLAG(w))

/* permit: HELD(place, occ) or 0, free */
#define HELD(p, occ) (1 | ((p)<<4) | ((occ)<<8))
#define PERMIT_PLACE(w) (((w)>>4)&15)
#define PERMIT_OCC(w) (((w)>>8)&63)

/* waiter: state, owner's row, what, inc */
#define WAITS_NOT 0
#define SETUP 1
#define WAITING 2
#define CLAIMED 3
#define GRANTED 4
#define WAITER(st, owner, what, inc) ((st) | ((owner)<<3) | ((what)<<6) | ((inc)<<10))
#define WSTATE(w) ((w)&7)
#define OWNER(w) (((w)>>3)&7)
#define WHAT(w) (((w)>>6)&15)
#define INC(w) (((w)>>10)&63)

/* worker row: LIVE(gen) or FREE(gen) */
#define LIVE(gen) (1 | ((gen)<<1))
#define LEFT(gen) ((gen)<<1)
#define IS_LIVE(w) ((w)&1)
#define ROW_GEN(w) ((w)>>1)

/* compare_exchange_strong: one step; `swapped` says whether it was what was expected. */
inline cas(cell, from, to, swapped) {
  d_step { if :: (cell) == (from) -> cell = (to); swapped = true :: else -> swapped = false fi }
}
