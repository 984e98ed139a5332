/* What a dead worker leaves: it lingers until the server is known to have let go, whoever dies meanwhile.
 *
 * Workers open sessions in places and close them, reap the dead, ask the server about what lingers, and settle
 * what has lingered for long enough. Any of them may be killed at any step (KILLS), also in the middle of reaping or
 * settling. The server is a process of its own: it counts the sessions that are open, takes up a connect late, even
 * when its client is dead by then, and notices late that nobody listens.
 *
 * What stands for what:
 *   open_and_close         core/pool/opening.cpp: begin_connect, step_connect, finish_connect; core/pool/keeping.cpp:
 *                          finish_close; core/pool/giving.cpp: start_closing (their steps on word, time and token)
 *   reap                   shm/reaper.cpp: settle_dead_worker, settle_places, linger
 *   ask                    core/pool/keeping.cpp: settle_lingering_places, start_job(kConfirm), note_answer
 *   settle_overdue         shm/lingering.cpp: settle_overdue, lingers_until_ns
 *   settle                 shm/rooms.cpp: settle_lingering, free_room
 *   the server, the time   the world. Assumed, as docs/promises.md says: once its client is dead, a server has let go of
 *                          a session (or of the connect that was on its way) before linger_idle_ms or linger_used_ms
 *                          is over, counted from the moment the reaper wrote.
 *
 * What is put more simply than it is: a pool alone on its quota (with permits: rooms.pml). The token is the number of the
 * occupation, 0 while there is none. `long_ago` is the time at which a place came to linger (or was last said to be
 * still there), seen against its limit. IDLE and USED are one state. To make a session end (cancel_token) is the
 * server's own doing here: at any time.
 *
 * Checked: never more sessions open at the server than places; a place is settled only when its session is gone; one session per occupation; when all is quiet no session is
 * left and each place is free; a living worker's steps on its place succeed.
 */
#include "words.pml"

#ifndef PLACES
#define PLACES 1
#endif
#ifndef WORKERS
#define WORKERS 3
#endif
#ifndef KILLS
#define KILLS 2
#endif
#ifndef OPENS            /* sessions that each worker opens */
#define OPENS 1
#endif
#ifdef ONE_REAPS         /* worker 1 opens nothing: it reaps and settles */
#define OPENER(me) ((me) != 1)
#else
#define OPENER(me) true
#endif
#define IDS 4            /* occupations of one place, counted from 1 */

int place[PLACES];
byte token[PLACES];
bool long_ago[PLACES];
bool row[WORKERS];       /* LIVE; its generation never changes here */

bool dead[WORKERS];
bool finished[WORKERS];
byte kills;
/* The server: of each occupation of each place. */
#define NOTHING 0
#define FLYING 1         /* a connect is on its way */
#define OPEN 2
#define FLYING_LOST 3    /* the same, and its client is gone or has said goodbye */
#define OPEN_LOST 4
byte session[PLACES*IDS];
byte client[PLACES*IDS]; /* the worker that has it */
byte open_sessions;
#define S(p, occ) session[(p)*IDS+(occ)]

/* Whether time can have passed: nothing in this place whose client is gone. */
#define LOST(p, occ) (S(p, occ) == FLYING_LOST || S(p, occ) == OPEN_LOST)
#ifdef MUTANT_LIMIT_TOO_SHORT
#define ALL_OVER(p) true
#else
#define ALL_OVER(p) (!LOST(p, 1) && !LOST(p, 2) && !LOST(p, 3))
#endif

#define SERVES(k) \
  :: atomic { session[k] == FLYING -> session[k] = OPEN; open_sessions++; assert(open_sessions <= PLACES) } \
  :: atomic { session[k] == FLYING_LOST -> session[k] = OPEN_LOST; open_sessions++; assert(open_sessions <= PLACES) } \
  :: atomic { session[k] == OPEN_LOST -> session[k] = NOTHING; open_sessions-- }

proctype server() {
end: do
  SERVES(1) SERVES(2) SERVES(3)
#if PLACES > 1
  SERVES(5) SERVES(6) SERVES(7)
#endif
  od
}

proctype time() {
end: do
  :: atomic { !long_ago[0] && ALL_OVER(0) -> long_ago[0] = true }
#if PLACES > 1
  :: atomic { !long_ago[1] && ALL_OVER(1) -> long_ago[1] = true }
#endif
  od
}

#define AT_WORK(w) (!dead[w] && !finished[w])
proctype fate() {
  byte v, k;
end: do
  :: kills < KILLS -> kills = KILLS
  :: atomic { kills < KILLS && (AT_WORK(0) || AT_WORK(1) || AT_WORK(WORKERS-1)) ->
       if :: AT_WORK(0) -> v = 0 :: AT_WORK(1) -> v = 1 :: AT_WORK(WORKERS-1) -> v = WORKERS-1 fi;
       dead[v] = true; kills++; k = 0;
       do
       :: k < PLACES*IDS ->
          if :: client[k] == v && (session[k] == FLYING || session[k] == OPEN) ->
                session[k] = (session[k] == FLYING -> FLYING_LOST : OPEN_LOST)
             :: else fi; k++
       :: else -> break
       od; k = 0; v = 0 }
  od
}

/* OPENING or USED of ours, from what `w` says to another state. */
inline step(p, st) {
  d_step { assert(place[p] == w); w = TO(w, st, me, 1); place[p] = w; long_ago[p] = false }
}

inline open_and_close() {
  d_step { p = 0;
    do :: p < PLACES && STATE(place[p]) != FREE -> p++ :: else -> break od;
    if :: p < PLACES -> w = TO_OCCUPIED(place[p], me, 1); place[p] = w; assert(OCC(w) < IDS) :: else -> w = 0 fi };
  if
  :: w != 0 ->
     /* a session that has no name yet must not be taken for the one before it */
#ifndef MUTANT_OLD_TOKEN_KEPT
     token[p] = 0;
#endif
     d_step { S(p, OCC(w)) = FLYING; client[p*IDS+OCC(w)] = me };
     S(p, OCC(w)) == OPEN;
     token[p] = OCC(w);
     step(p, USED);
     step(p, CLOSING);
     S(p, OCC(w)) = OPEN_LOST;   /* goodbye */
     if
     :: S(p, OCC(w)) == NOTHING ->
        d_step { assert(place[p] == w); place[p] = TO_FREE(w) }
     :: /* close_timeout: time first, then the word */
        long_ago[p] = false;
        d_step { assert(place[p] == w); place[p] = TO(w, LINGERING, 3, me) }
     fi
  :: else
  fi;
  atomic { w = 0; p = 0 }
}

/* Row r is dead. */
inline reap(r) {
#ifdef MUTANT_ROW_BEFORE_PLACES
  row[r] = false;
#endif
  p = 0;
  do
  :: p < PLACES ->
     w = place[p];
     if
     :: STATE(w) == OPENING || STATE(w) == USED || STATE(w) == CLOSING ->
        if
        :: IDX(w) == r && dead[r] ->
#ifdef MUTANT_NO_LINGERING
           d_step { if :: place[p] == w -> place[p] = TO_FREE(w) :: else fi }
#else
#ifndef MUTANT_TIME_AFTER_WORD
           long_ago[p] = false;
#endif
           d_step { if :: place[p] == w -> place[p] = TO(w, LINGERING, 1, r) :: else fi };
#ifdef MUTANT_TIME_AFTER_WORD
           long_ago[p] = false
#endif
#endif
        :: else
        fi
     :: else
     fi;
     p++; w = 0
  :: else -> break
  od;
  atomic { row[r] = false; p = 0 }
}

inline settle(p) {
#ifdef MUTANT_SETTLED_BY_STORE
  place[p] = TO_FREE(w)
#else
  d_step { if :: place[p] == w -> assert(S(p, OCC(w)) == NOTHING); place[p] = TO_FREE(w) :: else fi }
#endif
}

/* Over a connection of one's own, about the session that the token names. */
inline ask(p) {
  w = place[p];
  if
  :: STATE(w) == LINGERING ->
     t = token[p];
     if
     :: t != 0 && place[p] == w ->
        if :: S(p, t) == NOTHING -> settle(p)
           :: else -> long_ago[p] = false   /* still there */
        fi
     :: else
     fi
  :: else
  fi;
  atomic { w = 0; t = 0 }
}
inline settle_overdue(p) {
  w = place[p];
  if :: STATE(w) == LINGERING && long_ago[p] -> settle(p) :: else fi;
  w = 0
}

#define DEAD_ROW(r) (dead[r] && row[r])
#define TO_ASK(p) (STATE(place[p]) == LINGERING && token[p] != 0)
#define TO_SETTLE(p) (STATE(place[p]) == LINGERING && long_ago[p])

proctype worker(byte me) {
  byte p, i, t, opens;
  int w;
  {
end: do
    :: opens < OPENS && OPENER(me) -> opens++; open_and_close(); finished[me] = (opens == OPENS)
    :: DEAD_ROW(0) -> reap(0)
    :: DEAD_ROW(1) -> reap(1)
#if WORKERS > 2
    :: DEAD_ROW(2) -> reap(2)
#endif
    :: TO_ASK(0) -> ask(0)
    :: TO_SETTLE(0) -> settle_overdue(0)
#if PLACES > 1
    :: TO_ASK(1) -> ask(1)
    :: TO_SETTLE(1) -> settle_overdue(1)
#endif
    od
  } unless { dead[me] };
  atomic { p = 0; i = 0; t = 0; opens = 0; w = 0 }
}

/* One worker at least is left, to see to all of it. */
proctype quiet() {
end: timeout ->
  assert(open_sessions == 0);
  assert(STATE(place[0]) == FREE && STATE(place[PLACES-1]) == FREE)
}

init {
  atomic {
    run quiet();
    row[0] = true; run worker(0); row[1] = true; run worker(1);
#if WORKERS > 2
    row[2] = true; run worker(2);
#endif
    run server(); run time(); run fate()
  }
}
