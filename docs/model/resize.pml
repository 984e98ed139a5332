/* Resizing: places (or permits: the same steps) go out of service and come back under those who use them.
 *
 * Workers occupy a place, use it, and free it, ROUNDS times each. Meanwhile SIZES says which limits are put in force,
 * one after another, each by a worker that holds the declare lock; a resizer may be killed at any step
 * (KILLS), which drops its lock, and the next one finishes what it left. The last one is never killed.
 *
 * What stands for what:
 *   put_in_force           shm/admin.cpp: set, or shm/declare.cpp: settle_operable(row.max); then shm/in_force.cpp:
 *                          put_places_in_force or put_permits_in_force, bring_in_line
 *   hand_down              shm/excess.cpp: hand_down
 *   occupy                 shm/rooms.cpp: occupy, with free_places, excess_places and in_service of shm/excess.cpp
 *   free_room              shm/rooms.cpp: free_room, follow_resize
 *   the step that keeps it core/pool/pool.cpp: move (any step of the owner's that keeps the place)
 *   take_permit, return_permit, free_permit, free_void  shm/permits.cpp, with PERMITS: the limit is the quota's, the
 *                          places stand; excess_permits of shm/excess.cpp is one step
 *
 * What is put more simply than it is: OPENING stands for all states of an occupied place but for one step to USED;
 * LINGERING, OFFERED and the rest are freed or kept by the same two kinds of step. The session is there as long as the
 * place (and permit) is. `row.max` is one variable, and the line is left out: who finds nothing goes away, and so does
 * who found one place too many occupied (the code looks again). In which order a place looks at the permits makes no
 * difference: here from the first.
 *
 * Checked: never more in use than the largest limit in force since the resizes that are not finished; who gets something
 * is never one too many for all limits that were in force since it began: so what a shrink found in excess goes before
 * anybody gets anything new; when all is quiet exactly the last limit's words are FREE and the others RETIRED, no flag
 * left, nothing lost; an owner's steps succeed.
 *
 * What it does not cover: whether the waiters hear of room that a growing made (ticks, rooms.pml), and that an offer goes
 * to nobody while something is in excess (leave_room: it frees the place instead, as here). Holders do not die here: what
 * a death in hand_down leaves, an occupation with two permits, is tried by shm_resize and shm_step.
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
byte complete = OLD;    /* for the assertions: the last limit that all words were brought in line with */
byte most[WORKERS];     /* ... and the largest in force since this worker began to look for something; 0: it does not */
#define IN_FORCE MOST2(limit, complete)

/* What a word reads that is in line; one more look if it is something else by then. */
inline bring_in_line(n) {
  do
  :: seen = word[n];
     if
     :: n < limit -> wish = (STATE(seen) == RETIRED -> PLACE(FREE, 0, 0, OCC(seen)) : seen & ~RETIRE)
     :: else -> wish = (STATE(seen) == FREE -> PLACE(RETIRED, 0, 0, OCC(seen)) :
                       (STATE(seen) == RETIRED -> seen : seen | RETIRE))
     fi;
#ifdef MUTANT_PUT_BY_STORE
     word[n] = wish; break
#else
     if :: d_step { word[n] == seen -> word[n] = wish } -> break :: else fi
#endif
  od
}

#ifdef PERMITS
#define HANDED_NOT handed = false
#else
#define HANDED_NOT skip
#endif
#ifdef PERMITS
#define IS_VOID(w) (occupied[IDX(w)] == 0 || occ[IDX(w)] != OCC(w))

/* Permit n, which reads `from`, to one that is held above the limit. `handed`: it was. */
inline hand_down(n, from) {
  handed = false;
  k = limit;
  do
  :: k < ALL && n < k ->
     held = word[k];
     if
     :: STATE(held) == USED && FLAG(held) ->
        if
        :: IS_VOID(held) || STATE(from) == USED && IDX(from) == IDX(held) && OCC(from) == OCC(held) ->
           d_step { if :: word[k] == held -> word[k] = TO_FREE(held) :: else fi }
        :: else ->
#ifdef MUTANT_HANDED_BY_STORE
           word[n] = PLACE(USED, IDX(held), 0, OCC(held)); handed = true;
           d_step { if :: word[k] == held -> word[k] = TO_FREE(held) :: else fi };
#else
           if
           :: d_step { word[n] == from -> word[n] = PLACE(USED, IDX(held), 0, OCC(held)) } ->
              d_step { if :: word[k] == held -> word[k] = TO_FREE(held) :: else fi };
              handed = true
           :: else
           fi;
#endif
           break
        fi
     :: else
     fi; k++
  :: else -> break
  od;
  atomic { k = 0; held = 0 }
}

/* Permit n, which reads `from` and may be freed. `handed`: done, in one way or the other. */
inline free_permit(n, from) {
  handed = false;
  if :: FLAG(from) == 0 -> hand_down(n, from) :: else fi;
  if :: !handed ->
#ifdef MUTANT_FLAG_FORGOTTEN
        d_step { if :: word[n] == from -> word[n] = PLACE(FREE, 0, 0, 0); handed = true :: else fi }
#else
        d_step { if :: word[n] == from -> word[n] = TO_FREE(from); handed = true :: else fi }
#endif
     :: else
  fi
}
#endif

inline put_in_force(now) {
  d_step {
    limit = now; i = 0;
    do :: i < WORKERS -> most[i] = (most[i] == 0 -> 0 : MOST2(most[i], limit)); i++ :: else -> break od; i = 0
  };
#ifdef PERMITS
  /* above the limit first */
  i = limit;
  do :: i < ALL -> bring_in_line(i); i++ :: else -> break od;
  i = 0;
  do
  :: i < limit ->
     seen = word[i]; handed = false;
     if :: STATE(seen) != USED -> hand_down(i, seen) :: else fi;
     if :: !handed -> bring_in_line(i) :: else fi;
     i++
  :: else -> break
  od;
#else
  /* from above */
  i = ALL;
  do :: i > 0 -> i--; bring_in_line(i) :: else -> break od;
#endif
  atomic { i = 0; seen = 0; wish = 0; complete = limit; HANDED_NOT }
}

/* The one that may be killed; then one that is not, who finds the lock free. */
proctype resizer(byte now; bool first) {
  byte i;
  int seen, wish;
#ifdef PERMITS
  byte k;
  int held;
  bool handed;
#endif
  {
    atomic { !locked && (first || killed || harmed) -> locked = true };
#ifdef MUTANT_NOBODY_FINISHES
    if :: killed -> limit = now; goto done_ :: else fi;
#endif
    put_in_force(now);
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

/* A session more. */
#define OPENED in_use++; assert(in_use <= MOST); assert(in_use <= most[me])
/* Which places are occupied, all and above the limit (free_places, excess_places): word by word with SPLIT, else in one
 * step. */
#define COUNT(at) if :: STATE(word[at]) != FREE && STATE(word[at]) != RETIRED -> n++; above = above + (at >= limit -> 1 : 0) \
                     :: else fi
#ifdef SPLIT
#define LOOK_AROUND \
  i = 0; n = 0; above = 0; \
  do :: i < ALL -> d_step { COUNT(i); i++ } :: else -> break od; \
  i = 0
#else
#define LOOK_AROUND d_step { n = 0; above = 0; i = 0; do :: i < ALL -> COUNT(i); i++ :: else -> break od; i = 0 }
#endif

proctype worker(byte me) {
  byte s, rounds, i;
  int w, seen;
#ifdef PERMITS
  byte k;
  int held;
  bool freed, handed;
#else
  byte n, above;
#endif
  do
  :: rounds == ROUNDS -> break
  :: rounds < ROUNDS ->
     d_step { rounds++; most[me] = IN_FORCE };
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
           if :: d_step { word[i] == seen -> word[i] = PLACE(USED, s, 0, occ[s]) | FLAG(seen) } -> goto have
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
        :: STATE(seen) == USED && IS_VOID(seen) ->
           free_permit(i, seen);
           d_step { freed = freed || handed; handed = false }
        :: else
        fi; i++
     :: else -> break
     od;
     i = 0; seen = 0;
     if :: freed -> freed = false; goto again :: else fi;
     occupied[s] = 0;
     goto out;
have:
     atomic { i = 0; seen = 0 };
#ifndef MUTANT_NO_LOOK_AFTER_TAKING
     /* one that came back from somebody who had looked for excess before the shrink: it is due to a holder above */
     d_step {
       k = limit;
       do
       :: k < ALL && (STATE(word[k]) != USED || FLAG(word[k]) == 0 || IS_VOID(word[k])) -> k++
       :: else -> break
       od;
       freed = (k < ALL); k = 0
     };
     if :: freed -> freed = false; goto give_back :: else fi;
#endif
     d_step { OPENED; most[me] = 0 };
     /* the server has let go: permit first, then place */
     in_use--;
give_back:
     do
     :: i < ALL ->
        seen = word[i];
        handed = false;
        if
        :: STATE(seen) == USED && IDX(seen) == s && OCC(seen) == occ[s] ->
           free_permit(i, seen);
           /* a resize has flagged it, or taken the flag away: once more; an unflagged one is all it has but for what
            * hand_down has just seen to */
           if :: handed && FLAG(seen) == 0 -> break :: handed && FLAG(seen) -> i++ :: else fi
        :: else -> i++
        fi
     :: else -> break
     od;
     i = 0; seen = 0; handed = false;
     occupied[s] = 0;
#else
     /* one fits: free below, and as many fewer as are still occupied above */
     LOOK_AROUND;
     if :: above > 0 && n >= limit -> goto out :: else fi;
     atomic { i = limit; s = 0; n = 0; above = 0 };
     do
     :: s < i ->
        seen = word[s];
        if
        :: STATE(seen) == FREE ->
           w = TO_OCCUPIED(seen, me, 1);
           if :: d_step { word[s] == seen -> word[s] = w } -> break :: else fi
        :: else
        fi; s++
     :: else -> goto out
     od;
     atomic { i = 0; seen = 0 };
#ifndef MUTANT_NO_LOOK_AFTER_OCCUPYING
     /* two may have come at once: who is one too many goes back */
     LOOK_AROUND;
     if
     :: above > 0 && n > limit ->
        do
        :: d_step { word[s] == w -> word[s] = TO_FREE(w) } -> goto out
        :: else -> w = word[s]; assert(IDX(w) == me && STATE(w) == OPENING)
        od
     :: else
     fi;
#endif
     d_step { OPENED; most[me] = 0; n = 0; above = 0 };
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
#ifdef PERMITS
out: atomic { s = 0; w = 0; seen = 0; i = 0; handed = false; most[me] = 0 }
#else
out: atomic { s = 0; w = 0; seen = 0; i = 0; n = 0; above = 0; most[me] = 0 }
#endif
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
