/* A worker that lost its proof of life: believed dead while it goes on, fenced when it notices, and its row reused.
 *
 * A is row 0's worker of generation 1. At any step its byte lock may go while it lives (somebody unmapped the page), and it
 * may be killed after that. Two keepers, B, of other rows, reap, settle orphans and free what the server has let go of. C joins
 * row 0 as soon as the lock is free, as generation 2, and works: another worker, or A's process that attaches anew.
 *
 * What stands for what:
 *   is_dead, settle_dead, orphans   shm/liveness.cpp: is_certainly_dead; shm/reaper.cpp: settle_waiters, settle_places,
 *                                   settle_orphans, linger
 *   join                            shm/worker_table.cpp: Membership::join (with free_waiters_of)
 *   lend, give_back, fence          core/pool/pool.cpp: acquire, is_open, give_back; core/pool/opening.cpp: finish_connect;
 *                                   core/pool/giving.cpp: start_closing; core/pool/keeper.cpp: once_a_second;
 *                                   core/pool/keeping.cpp: abandon_words, close_unowned, finish_close
 *   in_line                         shm/line.cpp: enter, leave; waiting.cpp: is_lost
 *
 * What is put more simply than it is: one place is the whole quota. A stands in line at most once, and leaves; nobody
 * gives it anything but where STRANGERS says so. A lingering place is freed when the server says that its session is gone.
 * Assumed: what A is about to connect in is not freed before it does, which nothing but time ensures (linger_max is 50 ms,
 * and A must have lost its lock and not noticed). MUTANT_FREED_TOO_SOON is what happens without.
 *
 * Checked: never more sessions at the server than places; a place that C has is not touched by those that settle A's
 * words, nor C's row in line; when all is quiet nothing is lost, and every session is closed.
 *
 * A waiter word names a row and no generation. That C never takes a waiter of A's for its own, and grants it a place
 * of C's, takes both: A looks at its row in SETUP, and C frees what it finds in line of its row before it publishes itself.
 */
#include "words.pml"

#ifndef KILLS
#define KILLS 0
#endif
#ifndef KEEPERS
#define KEEPERS 1
#endif

int place = PLACE(FREE, 0, 0, 0);
byte token;
int row = LIVE(1);        /* row 0; the keepers' rows are always live */
int waiter[2];            /* A's and C's */

#define NOBODY 0
#define A 1
#define C 2
byte lock = A;            /* who holds the byte of row 0 */
byte client[4];           /* the server: whose session is open, by occupation */
byte sessions;
bool about_to_connect;    /* A is between occupying the place and its session */
bool killed, spared, c_in_line;

#define GENERATION(who) (who)
inline open_session(who) {
  d_step { assert(client[OCC(w)] == 0); client[OCC(w)] = who; sessions++; assert(sessions <= 1) }
}
inline close_session(o) { d_step { if :: client[o] != 0 -> client[o] = 0; sessions-- :: else fi } }

/* ---- settling ---- */

inline linger(w) {
  d_step { if :: place == w -> place = TO(w, LINGERING, 1, 0) :: else fi }
}
#define NAMES_WORKER(w) (STATE(w) == OPENING || STATE(w) == USED || STATE(w) == IDLE || STATE(w) == CLOSING)

/* What `was` (LIVE) left in row 0. */
inline settle_dead() {
  k = 0;
  do
  :: k < 2 ->
     ww = waiter[k];
     if
     :: WSTATE(ww) != WAITS_NOT ->   /* both are of row 0 */
#ifndef MUTANT_ROW_NOT_READ_AGAIN
        if
        :: row == was ->
#endif
           d_step { if :: waiter[k] == ww -> waiter[k] = WAITER(WAITS_NOT, 0, 0, INC(ww)+1); assert(was == LIVE(1) && (k == 0 || !c_in_line)) :: else fi }
#ifndef MUTANT_ROW_NOT_READ_AGAIN
        :: else -> break
        fi
#endif
     :: else
     fi; k++
  :: else -> break
  od;
  atomic { ww = 0; k = 0 };
  x = place;
  if
#ifdef MUTANT_NO_GENERATION
  :: NAMES_WORKER(x) && IDX(x) == 0 ->
#else
  :: NAMES_WORKER(x) && IDX(x) == 0 && GEN(x) == ROW_GEN(was) && row == was ->
#endif
     assert(GEN(x) == 1); linger(x)
  :: else
  fi;
  x = 0;
  d_step { if :: row == was -> row = LEFT(ROW_GEN(was)) :: else fi }
}

/* settle_orphans: a word whose generation its row does not read LIVE with. */
#define ORPHAN (NAMES_WORKER(place) && row != LIVE(GEN(place)))
inline orphans() {
  x = place;
  if :: NAMES_WORKER(x) && row != LIVE(GEN(x)) -> linger(x) :: else fi;
  x = 0
}

#ifdef MUTANT_FREED_TOO_SOON
#define MAY_BE_FREED (STATE(place) == LINGERING && (token == 0 || client[token] == 0))
#else
#define MAY_BE_FREED (STATE(place) == LINGERING && !about_to_connect && \
                      (token == 0 -> client[OCC(place)] == 0 : client[token] == 0))
#endif

proctype keeper() {
  byte k;
  int was, ww, x;
end: do
  :: IS_LIVE(row) && lock == NOBODY ->
     was = row;
     if
     :: IS_LIVE(was) && lock == NOBODY -> if :: row == was -> settle_dead() :: else fi
     :: else
     fi; was = 0
#ifndef MUTANT_NO_ORPHANS
  :: ORPHAN -> orphans()
#endif
  :: atomic { MAY_BE_FREED -> x = place };
     d_step { if :: place == x -> place = TO_FREE(x) :: else fi }; x = 0
  od
}

/* ---- working ---- */

/* who: A or C. Occupies the place, connects, lends, gives back, lends what is idle, closes. */
inline work(who) {
  d_step { if :: STATE(place) == FREE && OCC(place) < 3 -> w = TO_OCCUPIED(place, 0, GENERATION(who)); place = w;
                    about_to_connect = (about_to_connect || who == A)
              :: else -> w = 0 fi };
  if
  :: w == 0
  :: else ->
     token = 0;
     open_session(who);
     if :: who == A -> about_to_connect = false :: else fi;
     token = OCC(w);
     /* finish_connect: or it was settled over our head */
#ifdef MUTANT_SETTLED_WORDS_OVERWRITTEN
     d_step { w = TO(w, USED, 0, GENERATION(who)); place = w; ours = true };
#else
     d_step { if :: place == w -> w = TO(w, USED, 0, GENERATION(who)); place = w; ours = true :: else -> ours = false fi };
#endif
     assert(ours || who == A);
     /* lent; given back: set_idle */
     if
     :: ours ->
        d_step { if :: place == w -> w = TO(w, IDLE, 0, GENERATION(who)); place = w :: else -> ours = false fi };
        assert(ours || who == A)
     :: else
     fi;
     /* to be closed: expired, or fenced. What was settled over our head is closed all the same. */
     if
     :: ours ->
        d_step { if :: place == w -> w = TO(w, CLOSING, 0, GENERATION(who)); place = w :: else -> ours = false fi };
        assert(ours || who == A)
     :: else
     fi;
#ifdef MUTANT_SETTLED_SESSIONS_KEPT
     if :: ours -> close_session(OCC(w)) :: else fi;
#else
     close_session(OCC(w));
#endif
     d_step { if :: place == w -> place = TO_FREE(w) :: else -> assert(who == A || !ours) fi };
     ours = false
  fi;
  w = 0
}

/* In line and out of it again. */
inline stand_in_line(who) {
  atomic { mine = WAITER(SETUP, 0, 0, INC(waiter[who-1])+1); waiter[who-1] = mine; if :: who == C -> c_in_line = true :: else fi };
#ifndef MUTANT_NO_LOOK_AT_ROW_IN_SETUP
  if
  :: row != LIVE(who) -> d_step { if :: waiter[who-1] == mine -> waiter[who-1] = WAITER(WAITS_NOT, 0, 0, INC(mine)+1) :: else fi };
     assert(who == A); mine = 0
  :: else
  fi;
#endif
  d_step { if :: mine != 0 && waiter[who-1] == mine -> mine = WAITER(WAITING, 0, 0, INC(mine)); waiter[who-1] = mine; ours = true
              :: else -> ours = false fi };
  assert(ours || who == A);
  if
  :: ours -> /* is_lost: somebody has freed our row; then it is left alone */
     atomic { if :: waiter[who-1] == mine -> waiter[who-1] = WAITER(WAITS_NOT, 0, 0, INC(mine)+1)
                 :: else -> assert(who == A) fi; if :: who == C -> c_in_line = false :: else fi }
  :: else
  fi;
  ours = false; mine = 0
}

proctype worker_a() {
  int w, mine;
  bool ours;
  {
    /* is_open: not fenced yet, and the row is ours; it may be lost right after */
    if :: row == LIVE(1) -> stand_in_line(A) :: else -> skip fi;
    if :: row == LIVE(1) -> work(A) :: else -> skip fi;
    /* once_a_second: is_sound, or fenced */
    if
    :: row == LIVE(1) && lock == A -> work(A)
    :: else -> skip  /* attaches anew: C */
    fi
  } unless { killed };
  atomic { w = 0; mine = 0; ours = false }
}

proctype worker_c() {
  byte k;
  int was, ww, x, w, mine;
  bool ours;
end: atomic { lock == NOBODY -> skip };
  /* 1. what a dead predecessor left, as anybody might */
  was = row;
  if :: IS_LIVE(was) && lock == NOBODY -> settle_dead() :: else fi;
  /* 2. the byte lock; 3. the row; 4. publish */
  atomic { lock == NOBODY -> lock = C };
  was = row;
  if :: IS_LIVE(was) -> settle_dead() :: else fi;
  assert(!IS_LIVE(row));
#ifndef MUTANT_JOINS_BESIDE_STRANGERS
  k = 0;
  do
  :: k < 2 ->
     ww = waiter[k];
     if
     :: WSTATE(ww) != WAITS_NOT ->
#ifdef MUTANT_STRANGER_TRIED_ONCE
        d_step { if :: waiter[k] == ww -> waiter[k] = WAITER(WAITS_NOT, 0, 0, INC(ww)+1) :: else fi; k++ }
#else
        /* again, if it has become WAITING meanwhile */
        d_step { if :: waiter[k] == ww -> waiter[k] = WAITER(WAITS_NOT, 0, 0, INC(ww)+1); k++ :: else fi }
#endif
     :: else -> k++
     fi
  :: else -> break
  od;
  atomic { k = 0; ww = 0 };
#endif
  d_step { was = 0; row = LIVE(2) };
  stand_in_line(C);
  /* A release of C's looks for the oldest waiter of its own row: that is never one of A's. */
  assert(WSTATE(waiter[0]) != WAITING);
  work(C)
}

proctype fate() {
  byte o;
end: do
  :: atomic { lock == A -> lock = NOBODY }
  :: lock != A && !killed && !spared -> spared = true
#if KILLS > 0
  :: atomic { lock != A && !killed && !spared ->
       killed = true; about_to_connect = false; o = 1;
       do :: o < 4 -> if :: client[o] == A -> client[o] = 0; sessions-- :: else fi; o++ :: else -> break od; o = 0 }
#endif
  od
}

proctype quiet() {
end: timeout ->
  assert(STATE(place) == FREE);
  assert(sessions == 0);
  /* who was killed in SETUP after all that is seen to when the row changes hands once more */
  assert(WSTATE(waiter[0]) == WAITS_NOT || killed && WSTATE(waiter[0]) == SETUP);
  assert(WSTATE(waiter[1]) == WAITS_NOT)
}

init {
  atomic {
    run quiet(); run worker_a(); run worker_c(); run keeper();
#if KEEPERS > 1
    run keeper();
#endif
    run fate()
  }
}
