/* Resizing: places (or permits: the same steps) go out of service and come back under those who use them.
 *
 * Workers occupy a place, use it, and free it, ROUNDS times each. Meanwhile SIZES says which limits are put in force,
 * one after another, each by a worker that holds the declare lock; a resizer may be killed at any step
 * (KILLS), which drops its lock, and the next one finishes what it left. The last one is never killed.
 *
 * What stands for what:
 *   put_in_force           shm/declare.cpp: settle(row.max), then put_places_in_force or put_permits_in_force
 *   occupy                 shm/rooms.cpp: occupy
 *   free_room              shm/rooms.cpp: free_room, follow_resize
 *   to_other_state         core/pool/pool.cpp: move (any step of the owner's that keeps the place)
 *   take_permit, return_permit, free_void  shm/permits.cpp, with PERMITS: the limit is the quota's, the places stand
 *
 * What is put more simply than it is: OPENING stands for all states of an occupied place but for one step to USED;
 * LINGERING, OFFERED and the rest are freed or kept by the same two kinds of step. The session is there as long as the
 * place (and permit) is. `row.max` is one variable, and the line is left out: who finds nothing goes away.
 *
 * Checked: never more in use than the largest limit in force since the resizes that are not finished; when all is quiet
 * exactly the last limit's words are FREE and the others RETIRED, no flag left, nothing lost; an owner's steps succeed.
 *
 * What it does not cover: whether the waiters hear of room that a growing made (ticks, rooms.pml).
 */
#include "words.pml"

#ifndef ALL             /* words there are: the capacity */
#define ALL 2
#endif
#ifndef OLD
#define OLD 2
#endif
#ifndef NEW             /* the one that may be killed puts this in force */
#define NEW 1
#endif
#ifndef LAST            /* and then somebody this */
#define LAST 1
#endif
#ifndef KILLS
#define KILLS 1
#endif
#ifndef WORKERS
#define WORKERS 2
#endif
#ifndef ROUNDS
#define ROUNDS 1
#endif
#define MOST2(a, b) ((a) > (b) -> (a) : (b))
#define MOST MOST2(OLD, MOST2(NEW, LAST))

int word[ALL];          /* what is resized: place words, or with PERMITS permit words as place words (IDX: place) */
#ifdef PERMITS
#define PLACES 2
byte occupied[PLACES];  /* the place of a permit: its worker + 1, or 0 */
byte occ[PLACES];
#endif
byte limit = OLD;       /* row.max, row.limit */
bool locked;            /* the declare lock */
bool killed;            /* the resizer */
bool harmed;            /* no more of that */
byte in_use;

inline put_in_force(most) {
  limit = most;
  i = 0;
  do
  :: i < ALL ->
     seen = word[i];
     if
     :: i < limit -> wish = (STATE(seen) == RETIRED -> PLACE(FREE, 0, 0, OCC(seen)) : seen & ~RETIRE)
     :: else -> wish = (STATE(seen) == FREE -> PLACE(RETIRED, 0, 0, OCC(seen)) :
                       (STATE(seen) == RETIRED -> seen : seen | RETIRE))
     fi;
#ifdef MUTANT_PUT_BY_STORE
     word[i] = wish; i++
#else
     if :: d_step { word[i] == seen -> word[i] = wish; i++ } :: else fi
#endif
  :: else -> break
  od;
  atomic { i = 0; seen = 0; wish = 0 }
}

/* The one that may be killed; then one that is not, who finds the lock free. */
proctype resizer(byte most; bool first) {
  byte i;
  int seen, wish;
  {
    atomic { !locked && (first || killed || harmed) -> locked = true };
#ifdef MUTANT_NOBODY_FINISHES
    if :: killed -> limit = most; goto done_ :: else fi;
#endif
    put_in_force(most);
#ifdef MUTANT_NOBODY_FINISHES
done_:
#endif
    atomic { locked = false; if :: first -> harmed = true :: else fi }
  } unless { first && killed };
  skip
}

proctype fate() {
end: do
  :: KILLS > 0 && !harmed && !killed && locked -> atomic { if :: !harmed && locked -> killed = true; locked = false :: else fi }
  od
}

proctype worker(byte me) {
  byte s, rounds, i;
  int w, seen;
  bool freed;
  do
  :: rounds == ROUNDS -> break
  :: rounds < ROUNDS ->
     rounds++;
#ifdef PERMITS
     /* place first, then permit */
     s = me;
     atomic { occupied[s] == 0 -> occupied[s] = me+1; occ[s]++ };
again:
     i = 0;
     do
     :: i < ALL ->
        seen = word[i];
        if
        :: STATE(seen) == FREE ->
           if :: d_step { word[i] == seen -> word[i] = PLACE(USED, s, 0, occ[s]) | FLAG(seen); in_use++; assert(in_use <= MOST) } -> goto have
              :: else fi
        :: else
        fi; i++
     :: else -> break
     od;
     /* void ones are anybody's */
     i = 0;
     do
     :: i < ALL ->
        seen = word[i];
        if
        :: STATE(seen) == USED && (occupied[IDX(seen)] == 0 || occ[IDX(seen)] != OCC(seen)) ->
           d_step { if :: word[i] == seen -> word[i] = TO_FREE(seen); freed = true :: else fi }
        :: else
        fi; i++
     :: else -> break
     od;
     i = 0; seen = 0;
     if :: freed -> freed = false; goto again :: else fi;
     occupied[s] = 0;
     goto out;
have:
     i = 0; seen = 0;
     /* the server has let go: permit first, then place */
     in_use--;
     do
     :: i < ALL ->
        seen = word[i];
        if
        :: STATE(seen) == USED && IDX(seen) == s && OCC(seen) == occ[s] ->
#ifdef MUTANT_FLAG_FORGOTTEN
           d_step { if :: word[i] == seen -> word[i] = PLACE(FREE, 0, 0, 0) :: else fi }; break
#else
           /* fails if a resize flags it just now: then it is void as soon as the place is free */
           d_step { if :: word[i] == seen -> word[i] = TO_FREE(seen) :: else fi }; break
#endif
        :: else
        fi; i++
     :: else -> break
     od;
     i = 0; seen = 0;
     occupied[s] = 0;
#else
     s = 0;
     do
     :: s < ALL ->
        seen = word[s];
        if
        :: STATE(seen) == FREE ->
           w = TO_OCCUPIED(seen, me, 1);
           if :: d_step { word[s] == seen -> word[s] = w; in_use++; assert(in_use <= MOST) } -> break :: else fi
        :: else
        fi; s++
     :: else -> goto out
     od;
     seen = 0;
     /* a step that keeps it, whatever the flag says meanwhile */
     do
     :: w = word[s];
        if :: d_step { word[s] == w -> w = TO(w, USED, me, 1); word[s] = w } -> break :: else fi
     od;
     in_use--;
     do
#ifdef MUTANT_FLAG_FORGOTTEN
     :: d_step { word[s] == w -> word[s] = PLACE(FREE, 0, 0, OCC(w)) } -> break
#else
     :: d_step { word[s] == w -> word[s] = TO_FREE(w) } -> break
#endif
     :: else ->
#ifdef MUTANT_NOT_FOLLOWED
        break
#else
        w = word[s]; assert(IDX(w) == me && STATE(w) == USED)
#endif
     od;
#endif
out: atomic { s = 0; w = 0; seen = 0; i = 0 }
  od
}

#ifdef PERMITS
/* What is void counts as free: nobody is left here to free it. */
#define LEFT_OVER(i) (STATE(word[i]) == USED && (occupied[IDX(word[i])] == 0 || occ[IDX(word[i])] != OCC(word[i])))
#else
#define LEFT_OVER(i) false
#endif
#define RIGHT(i) (LEFT_OVER(i) && ((i) < LAST) == (FLAG(word[i]) == 0) || \
                  STATE(word[i]) == ((i) < LAST -> FREE : RETIRED) && FLAG(word[i]) == 0)
proctype quiet() {
end: timeout -> assert(RIGHT(0) && RIGHT(1) && RIGHT(ALL-1)); assert(in_use == 0)
}

init {
  byte i;
  atomic {
    i = 0;
    do :: i < ALL -> word[i] = PLACE((i < OLD -> FREE : RETIRED), 0, 0, 0); i++ :: else -> break od;
    run quiet(); run resizer(NEW, true); run resizer(LAST, false); run fate();
    i = 0;
    do :: i < WORKERS -> run worker(i); i++ :: else -> break od
  }
}
