/* Empty places, the line, offers and their revocation; with SHARED also a permit for each.
 *
 * Every process below is one worker with one caller, who takes a room (or waits in line for one),
 * opens a session in it, closes it, and gives the room on. At any step a worker may be killed
 * (KILLS) or stop for ever (STOPS); a caller may run out of time (IMPATIENT) at any step.
 *
 * What stands for what:
 *   look, raise_demand, lower_demand       shm/line.cpp: look_at_line, raise_demand, lower_demand
 *   take_room, free_room, offer_room,      shm/rooms.cpp, the function of that name
 *     leave_room, match, accept, revoke
 *   take_permit, return_permit, free_void  shm/permits.cpp
 *   reap                                   shm/reaper.cpp: settle_dead_worker, reap
 *   settle                                 shm/rooms.cpp: settle_lingering
 *   the caller's part of worker()          core/pool/opening.cpp: take_opening; shm/line.cpp: enter;
 *                                          core/pool/waiting.cpp: wait_in_line, tick
 *   keeper                                 core/pool/keeper.cpp: once_a_second, of some living worker
 *
 * What is put more simply than it is:
 *   OPENING stands for OPENING, USED and CLOSING of its worker: one session is opened, and the server
 *   lets go of it before the room is given on. What becomes of idle sessions: giving.pml.
 *   Each caller has a waiter row of its own. The ticket is also the time of arrival. permit_quantum is 0.
 *   Time passes by choice: an offer nobody takes up is too old when RUSH allows or its waiter cannot act;
 *   a claim is given up when EARLY allows or nobody will follow it up any more.
 *   A lingering place is settled once the server has let go (lingering.pml has how that is known).
 *   A tick happens when it can find something. Turns never lack (turns.pml).
 *   One look at the whole line is one step, but for SPLIT.
 *
 * Checked: never more sessions at the server than LIMIT; one owner each (an owner's compare-and-swaps
 * on its place succeed while it lives); nobody who can act is left in line when everything is quiet; at the
 * end each place, permit and waiter word is free, or its stopped owner's; a claim goes to the oldest
 * that the giver saw. TICKLESS: nobody depends on a tick unless somebody died or stopped. With
 * LIVELY: every caller comes out of the line (weak fairness).
 *
 * What it does not cover: futex delivery; more than one caller in a worker (giving.pml); row reuse
 * (fencing.pml); retirement (resize.pml).
 */
#include "words.pml"

#ifndef WORKERS
#define WORKERS 3
#endif
#ifdef SHARED          /* two pools on one quota, PLACES each; LIMIT permits */
#define POOLS 2
#else
#define POOLS 1
#endif
#ifndef PLACES
#define PLACES 1
#endif
#ifndef LIMIT
#define LIMIT 1
#endif
#ifndef KILLS
#define KILLS 0
#endif
#ifndef STOPS
#define STOPS 0
#endif
#ifndef EARLY          /* claims that are given up although an offer would have followed, per worker */
#define EARLY 0
#endif
#ifndef RUSH           /* offers that are revoked although their waiter can act, in all */
#define RUSH 0
#endif
#ifndef IMPATIENT      /* which callers may run out of time */
#define IMPATIENT false
#endif
#ifndef ROUNDS
#define ROUNDS 1
#endif
#define PASSES 3        /* over the pools of a quota; the code's kMatchPasses is 16 */
#ifdef SPLIT
#define AT_ONCE
#else
#define AT_ONCE d_step
#endif
#define ALL (POOLS*PLACES)
#define POOL_OF_PLACE(p) ((p)/PLACES)
#define POOL_OF(me) ((me)%POOLS)

int place[ALL];
int permit[LIMIT];
int waiter[WORKERS];
byte ticket[WORKERS];
byte next_ticket = 1;
bool demand[POOLS];
int row[WORKERS+1];        /* the worker's word; its generation is always 1 here */

/* Not in the segment: what is, whatever the words say. */
bool dead[WORKERS+1];      /* killed: the kernel closed its sockets and dropped its lock */
bool stopped[WORKERS+1];   /* for ever */
bool session[ALL];         /* at the server, in this place */
byte opener[ALL];          /* and who opened it */
bool followed[WORKERS];    /* the claim on this waiter will be followed by an offer */
bool finished[WORKERS];        /* its rounds are over */
byte kills, stops, rushes; /* what has been used up */
byte ahead[WORKERS];       /* who was in line of the same pool, with an earlier ticket, when this one got in line */
bool harmed;               /* somebody was killed or stopped, or the passes over a quota's pools were used up */

#define ACTS(w) (!dead[w] && !stopped[w])
#define MINE(s) (PLACE(OPENING, me, 1, 0))
#define STANDS(s) (waiter[IDX(place[s])] == WAITER(CLAIMED, IDX(place[s]), s, GEN(place[s])))

inline count_sessions() {
  n = 0; i = 0;
  do :: i < ALL -> n = n + session[i]; i++ :: else -> break od;
  assert(n <= LIMIT);
  n = 0; i = 0
}

/* Where every offer is taken up in time, nobody passes one that was in line with an earlier ticket. */
inline in_order() {
  skip;
#ifdef IN_ORDER
  i = 0;
  do :: i < WORKERS -> assert(!((ahead[oldest]>>i)&1) || WSTATE(waiter[i]) != WAITING); i++ :: else -> break od;
  i = 0
#endif
}
inline note_who_is_ahead() {
  skip;
#ifdef IN_ORDER
  i = 0;
  do :: i < WORKERS ->
        if :: in_line[i] && WSTATE(waiter[i]) >= WAITING && POOL_OF(i) == POOL_OF(me) && ticket[i] < ticket[me] ->
              ahead[me] = ahead[me] | (1<<i)
           :: else fi; i++
     :: else -> break od;
  i = 0
#endif
}

/* ---- the line ---- */

/* oldest: of the pool; mate: of another pool of the quota; the word of the oldest as it was seen. */
inline look(pool) {
  AT_ONCE { oldest = NONE; mate = NONE; seen = 0; i = 0;
    do
    :: i < WORKERS ->
       if
       :: WSTATE(waiter[i]) == WAITING && POOL_OF(i) == (pool) ->
          if :: oldest == NONE -> oldest = i; seen = waiter[i]
#ifdef MUTANT_YOUNGEST_FIRST
             :: oldest != NONE && ticket[i] > ticket[oldest] -> oldest = i; seen = waiter[i]
#else
             :: oldest != NONE && ticket[i] < ticket[oldest] -> oldest = i; seen = waiter[i]
#endif
             :: else fi
       :: WSTATE(waiter[i]) == WAITING && POOL_OF(i) != (pool) ->
          if :: mate == NONE -> mate = i
             :: mate != NONE && ticket[i] < ticket[mate] -> mate = i
             :: else fi
       :: else
       fi; i++
    :: else -> break
    od; i = 0 }
}
#define ANYBODY (oldest != NONE || mate != NONE)

inline raise_demand(pool) {
  demand[pool] = true;
#ifdef SHARED
#ifndef MUTANT_DEMAND_IN_ONE_POOL
  demand[1-(pool)] = true
#endif
#endif
}

/* nobody: true if nobody waits */
inline lower_demand(pool, nobody) {
  demand[pool] = false;
#ifdef MUTANT_NO_LOOK_AFTER_LOWERING
  nobody = true
#else
  look(pool);
  if :: ANYBODY -> demand[pool] = true; nobody = false :: else -> nobody = true fi
#endif
}

/* ---- permits ---- */

#ifdef SHARED
/* Void: its place is free, or shows another occupation. */
#ifdef MUTANT_VOID_WITHOUT_OCC
#define IS_VOID(w, at) (STATE(at) == FREE)
#else
#define IS_VOID(w, at) (STATE(at) == FREE || OCC(at) != PERMIT_OCC(w))
#endif
inline take_free(s, occ, got) {
  d_step { got = false; i = 0;
    do :: i < LIMIT -> if :: permit[i] == 0 -> permit[i] = HELD(s, occ); got = true; break :: else -> i++ fi
       :: else -> break od; i = 0 }
}
/* freed: whether one was */
inline free_void(freed) {
  freed = false; j = 0;
  do
  :: j < LIMIT ->
     pw = permit[j];
     if
     :: pw != 0 ->
        at = place[PERMIT_PLACE(pw)];
        if
        :: IS_VOID(pw, at) ->
#ifdef MUTANT_VOID_BY_STORE
           permit[j] = 0; freed = true
#else
           d_step { if :: permit[j] == pw -> permit[j] = 0; freed = true :: else fi }
#endif
        :: else
        fi; at = 0
     :: else
     fi; pw = 0; j++
  :: else -> j = 0; break
  od
}
inline take_permit(s, occ, got) {
  take_free(s, occ, got);
  if :: !got -> free_void(freed); if :: freed -> freed = false; take_free(s, occ, got) :: else fi :: else fi
}
inline may_have_permit(may) {
  d_step { may = false; i = 0;
    do :: i < LIMIT -> if :: permit[i] == 0 -> may = true; break :: else -> i++ fi :: else -> break od; i = 0 };
  if :: !may -> free_void(may) :: else fi
}
inline return_permit(s, occ) {
  d_step { i = 0;
    do :: i < LIMIT -> if :: permit[i] == HELD(s, occ) -> permit[i] = 0; break :: else -> i++ fi :: else -> break od;
    i = 0 }
}
#endif

/* ---- rooms ---- */

/* mate_goes_first of shm/rooms.cpp, with a quantum of 0: an older waiter of the other pool, whose pool has a free
 * place for it. */
#ifdef SHARED
#define MATE_FIRST(pool) (mate != NONE && (oldest == NONE || ticket[mate] < ticket[oldest]) && STATE(place[1-(pool)]) == FREE)
#else
#define MATE_FIRST(pool) false
#endif

/* a place of the pool: FREE -> OPENING(me) */
inline occupy(pool, s, w) {
  d_step { s = (pool)*PLACES;
    do :: s < (pool)*PLACES + PLACES && STATE(place[s]) == FREE ->
          w = TO_OCCUPIED(place[s], me, 1); place[s] = w; assert(OCC(w) > 0 || OCCS == 8); break
       :: s < (pool)*PLACES + PLACES && STATE(place[s]) != FREE -> s++
       :: else -> s = NONE; break od; i = 0 }
}

inline free_room(s, w) {
#ifdef SHARED
#ifndef MUTANT_PERMIT_AFTER_PLACE_BLIND
  return_permit(s, OCC(w));
#endif
#endif
  d_step { assert(place[s] == w); place[s] = TO_FREE(w) };
#ifdef MUTANT_PERMIT_AFTER_PLACE_BLIND
  permit[0] = 0;
#endif
  w = 0
}

/* s: NONE if there is none, or no permit for it */
inline take_room(pool, s, w) {
#ifdef SHARED
  do
  :: occupy(pool, s, w);
     if :: s == NONE -> break :: else fi;
     take_permit(s, OCC(w), got);
     if :: got -> got = false; break :: else fi;
     free_room(s, w);
     s = NONE;
#ifdef MUTANT_NO_LOOK_FOR_PERMIT
     break
#else
     may_have_permit(got);
     if :: !got -> break :: else -> got = false fi
#endif
  od
#else
  occupy(pool, s, w)
#endif
}

/* gave: whether the room is not ours any more; else it is ours as `w` says. It is false before. */
inline offer_room(pool, s, w) {
  do
  :: look(pool);
     if
     :: oldest == NONE || MATE_FIRST(pool) -> break
     /* 2. claim the waiter; a death here leaves a claim that its owner takes back */
     :: d_step { !(oldest == NONE || MATE_FIRST(pool)) && waiter[oldest] == seen ->
                 in_order();
                 seen = WAITER(CLAIMED, oldest, s, INC(seen)); waiter[oldest] = seen; followed[oldest] = true };
        /* 3. offer; a death after it leaves an offer that stands */
        d_step { assert(place[s] == w); w = TO(w, OFFERED, oldest, INC(seen)); place[s] = w; followed[oldest] = false };
#ifdef MUTANT_NO_REREAD
        gave = true; break
#else
        /* 4. is it still there? */
        if
        :: waiter[oldest] == seen -> gave = true; break
        :: else ->
           /* 5. it left: withdraw, unless it or a tick was quicker */
           if :: d_step { place[s] == w -> w = TO(w, OPENING, me, 1); place[s] = w }
              :: else -> gave = true; break fi
        fi
#endif
     :: else
     fi
  od;
  atomic { oldest = NONE; mate = NONE; seen = 0; if :: gave -> w = 0 :: else fi }
}

/* hid: whether a room was held for a moment, so that others may have missed it */
inline match_one(pool) {
  do
  :: look(pool);
     if
     :: oldest == NONE && ANYBODY -> break
     :: oldest == NONE && !ANYBODY -> lower_demand(pool, got); if :: got -> got = false; break :: else fi
     :: else ->
        take_room(pool, ms, mw);
        if
        :: ms == NONE -> break
        :: else ->
           offer_room(pool, ms, mw);
           if
           :: gave -> gave = false
           :: else ->
              free_room(ms, mw);
#ifdef SHARED
              hid = true;
              look(pool);
              if :: MATE_FIRST(pool) -> break :: else fi
#endif
           fi
        fi
     fi
  od;
  atomic { oldest = NONE; mate = NONE; seen = 0; ms = NONE; mw = 0 }
}

/* whose wait is longest */
inline look_mates() {
  turn_of = 0; n = 255; i = 0;
  do :: i < WORKERS ->
        if :: WSTATE(waiter[i]) == WAITING && ticket[i] < n -> n = ticket[i]; turn_of = POOL_OF(i) :: else fi; i++
     :: else -> break od;
  i = 0; n = 0
}

inline match(pool) {
#ifdef SHARED
  /* over the pools of the quota in which somebody may wait, the longest wait first, until nobody hid anything */
  do
  :: hid = false;
     d_step { look_mates() };
     if :: demand[turn_of] -> match_one(turn_of) :: else fi;
     if :: demand[1-turn_of] -> match_one(1-turn_of) :: else fi;
     turn_of = 0;
#ifdef MUTANT_ONE_PASS
     break
#else
     if :: !hid -> break
        :: hid && passes < PASSES -> passes++; hid = false
        :: else -> harmed = true; hid = false; break   /* kMatchPasses: ticks find what is left */
     fi
#endif
  od; passes = 0
#else
  match_one(pool)
#endif
}
inline leave_room(pool, s, w) {
#ifdef MUTANT_DEMAND_BEFORE_FREE
  wanted = demand[pool];
#endif
  if :: demand[pool] -> offer_room(pool, s, w) :: else fi;
  if
  :: gave -> gave = false
  :: else ->
     free_room(s, w);
#ifdef MUTANT_DEMAND_BEFORE_FREE
     if :: wanted -> match(pool) :: else fi
#else
     if :: demand[pool] -> match(pool) :: else fi
#endif
  fi;
  s = NONE
}

/* OFFERED(me, inc) -> OPENING(me), if `claim` was followed by an offer */
inline accept(s, w, claim) {
  d_step { s = WHAT(claim);
    if :: STATE(place[s]) == OFFERED && IDX(place[s]) == me && GEN(place[s]) == INC(claim) ->
          w = TO(place[s], OPENING, me, 1); place[s] = w
       :: else -> s = NONE fi }
}

/* One place: what is void is taken over at once, what stands when it is too old. */
inline revoke(s) {
  mw = place[s];
  if
  :: STATE(mw) == OFFERED ->
     if
     :: waiter[IDX(mw)] != WAITER(CLAIMED, IDX(mw), s, GEN(mw)) -> got = true
     :: else -> atomic { if :: !ACTS(IDX(mw)) -> got = true
                            :: ACTS(IDX(mw)) && rushes < RUSH -> rushes++; got = true
                            :: ACTS(IDX(mw)) && rushes >= RUSH -> got = false fi }
     fi;
     if
     :: got ->
#ifdef MUTANT_REVOKE_BY_STORE
        place[s] = TO(mw, OPENING, me, 1);
#else
        cas(place[s], mw, TO(mw, OPENING, me, 1), got);
#endif
        if :: got -> got = false; mw = TO(mw, OPENING, me, 1); ms = s; leave_room(POOL_OF_PLACE(s), ms, mw)
           :: else fi
     :: else
     fi; got = false
  :: else
  fi; atomic { ms = NONE; mw = 0 }
}

/* ---- what the dead leave ---- */

/* r: the row of a dead worker. Every step compares with what was read. */
inline settle_dead(r) {
  d_step { if :: WSTATE(waiter[r]) != WAITS_NOT && row[r] == LIVE(1) ->
                 waiter[r] = WAITER(WAITS_NOT, 0, 0, INC(waiter[r])+1) :: else fi };
  j = 0;
  do
  :: j < ALL ->
     rw = place[j];
     if
     :: STATE(rw) == OFFERED ->
#ifndef MUTANT_REAPER_PASSES_OFFERS
        if :: waiter[IDX(rw)] != WAITER(CLAIMED, IDX(rw), j, GEN(rw)) ->
              d_step { if :: place[j] == rw -> place[j] = TO_FREE(rw) :: else fi }
           :: else fi
#else
        skip
#endif
     :: STATE(rw) == OPENING && IDX(rw) == r ->
#ifdef MUTANT_NO_LINGERING
        d_step { if :: place[j] == rw -> place[j] = TO_FREE(rw) :: else fi }
#else
        d_step { if :: place[j] == rw -> place[j] = TO(rw, LINGERING, 0, r) :: else fi }
#endif
     :: else
     fi; rw = 0; j++
  :: else -> j = 0; break
  od;
  atomic { if :: row[r] == LIVE(1) -> row[r] = LEFT(1) :: else fi };
  /* tell the living */
  demand[0] = true;
#ifdef SHARED
  demand[1] = true
#endif
}
inline reap() {
  r = 0;
  do
  :: r < WORKERS -> if :: dead[r] && row[r] == LIVE(1) -> settle_dead(r) :: else fi; r++
  :: else -> r = 0; break
  od
}

/* A lingering place of which the server has let go. */
inline settle(s) {
  d_step { rw = (STATE(place[s]) == LINGERING && !session[s] -> place[s] : 0) };
  if
  :: rw != 0 ->
#ifdef SHARED
     return_permit(s, OCC(rw));
#endif
     d_step { if :: place[s] == rw -> place[s] = TO_FREE(rw); got = true :: else -> got = false fi };
     rw = 0;
     if :: got && demand[POOL_OF_PLACE(s)] -> got = false; match(POOL_OF_PLACE(s)) :: else -> got = false fi
  :: else
  fi
}

/* ---- who does it ---- */

#define DEAD_ROW(w) (dead[w] && row[w] == LIVE(1))
#define TO_SETTLE(s) (STATE(place[s]) == LINGERING && !session[s])
#ifdef MUTANT_NO_REVOCATION
#define TO_REVOKE(s) false
#else
#define TO_REVOKE(s) (STATE(place[s]) == OFFERED && (!ACTS(IDX(place[s])) || !STANDS(s) || rushes < RUSH))
#endif
#if WORKERS == 2
#define ANY_DEAD (DEAD_ROW(0) || DEAD_ROW(1))
#else
#define ANY_DEAD (DEAD_ROW(0) || DEAD_ROW(1) || DEAD_ROW(2))
#endif
#if ALL == 1
#define ANY_TO_SETTLE TO_SETTLE(0)
#define ANY_TO_REVOKE TO_REVOKE(0)
#define SETTLE_ALL settle(0)
#define REVOKE_ALL revoke(0)
#else
#define ANY_TO_SETTLE (TO_SETTLE(0) || TO_SETTLE(1))
#define ANY_TO_REVOKE (TO_REVOKE(0) || TO_REVOKE(1))
#define SETTLE_ALL settle(0); settle(1)
#define REVOKE_ALL revoke(0); revoke(1)
#endif
/* A free place with what it takes, that waits for nobody but a look. */
#ifdef SHARED
#define PERMIT_TO_HAVE (permit[0] == 0 || IS_VOID(permit[0], place[PERMIT_PLACE(permit[0])]))
#define FREE_FOR(me) (STATE(place[POOL_OF(me)]) == FREE && PERMIT_TO_HAVE)
#elif ALL == 1
#define FREE_FOR(me) (STATE(place[0]) == FREE)
#else
#define FREE_FOR(me) (STATE(place[0]) == FREE || STATE(place[1]) == FREE)
#endif
#ifdef TICKLESS
#define TICK_FINDS(me) (ANY_DEAD || ANY_TO_SETTLE || (harmed && (ANY_TO_REVOKE || FREE_FOR(me))))
#else
#define TICK_FINDS(me) (ANY_DEAD || ANY_TO_SETTLE || ANY_TO_REVOKE || FREE_FOR(me))
#endif

/* in_line: from enter until out of it. */
bool in_line[WORKERS];

/* Only where somebody may come to harm: it costs the reduction of orders. */
#if KILLS + STOPS > 0
#define UNTIL_HARMED unless { dead[me] || stopped[me] }
#else
#define UNTIL_HARMED
#endif

proctype worker(byte me) {
  byte s = NONE, ms = NONE, oldest = NONE, mate = NONE, i, j, n, r, rounds, early, turn_of, passes;
  int w, mw, rw, pw, at, seen, mine;
  bool got, gave, hid, freed, over, wanted;
  {
    do
    :: rounds == ROUNDS -> break
    :: rounds < ROUNDS ->
       rounds++;
       /* Pool::take_opening: nobody in line comes before us */
#ifdef HOLDER
       if :: me == 0 && rounds == 1 -> s = 0; w = place[0]; goto have :: else fi;
#endif
       if
       :: demand[POOL_OF(me)] -> look(POOL_OF(me)); atomic { got = ANYBODY; oldest = NONE; mate = NONE; seen = 0 }
       :: else
       fi;
       if
       :: !got -> take_room(POOL_OF(me), s, w); if :: s != NONE -> goto have :: else fi
       :: else -> got = false
       fi;

       /* Waiter::enter */
       d_step { waiter[me] = WAITER(SETUP, me, 0, INC(waiter[me])+1); in_line[me] = true;
                ticket[me] = next_ticket; next_ticket++ };
#ifdef MUTANT_DEMAND_BEFORE_WAITING
       raise_demand(POOL_OF(me));
#endif
       d_step { assert(WSTATE(waiter[me]) == SETUP); waiter[me] = WAITER(WAITING, me, 0, INC(waiter[me])); note_who_is_ahead() };
#ifndef MUTANT_DEMAND_BEFORE_WAITING
       raise_demand(POOL_OF(me));
#endif
       match(POOL_OF(me));

end_asleep: /* Pool::wait_in_line, each time something may have changed */
       do
       :: WSTATE(waiter[me]) == CLAIMED ->
          mine = waiter[me];
claimed:  skip;
          accept(s, w, mine);
          if
          :: s != NONE && !over ->
             d_step { assert(waiter[me] == mine); waiter[me] = WAITER(WAITS_NOT, 0, 0, INC(mine)+1); in_line[me] = false };
             mine = 0;
             goto have
          :: else
          fi;
          if
          :: s == NONE && !over ->
             if
#ifndef MUTANT_CLAIM_KEPT
             :: !followed[me] && !(STATE(place[WHAT(mine)]) == OFFERED && IDX(place[WHAT(mine)]) == me && GEN(place[WHAT(mine)]) == INC(mine))
             :: early < EARLY -> early++
#endif
             :: STATE(place[WHAT(mine)]) == OFFERED && IDX(place[WHAT(mine)]) == me && GEN(place[WHAT(mine)]) == INC(mine) -> goto claimed
             :: IMPATIENT -> over = true; goto claimed
             fi
          :: else
          fi;
          /* back in line, or out of it; only we leave CLAIMED */
          atomic { assert(waiter[me] == mine);
            if :: over -> waiter[me] = WAITER(WAITS_NOT, 0, 0, INC(mine)+1)
               :: else -> waiter[me] = WAITER(WAITING, me, 0, INC(mine)+1) fi };
#ifndef MUTANT_NO_SECOND_LOOK
          if :: s == NONE -> accept(s, w, mine) :: else fi;
#endif
          mine = 0;
          if :: s != NONE -> leave_room(POOL_OF(me), s, w) :: else fi;
          if :: over -> match(POOL_OF(me)); in_line[me] = false; goto out :: else fi;
          raise_demand(POOL_OF(me));
#ifndef MUTANT_NO_REMATCH
          match(POOL_OF(me))
#endif
       :: d_step { IMPATIENT && WSTATE(waiter[me]) == WAITING ->
                   waiter[me] = WAITER(WAITS_NOT, 0, 0, INC(waiter[me])+1); in_line[me] = false };
          goto out
       :: WSTATE(waiter[me]) == WAITING && TICK_FINDS(me) ->
          raise_demand(POOL_OF(me));
          reap();
          SETTLE_ALL;
#ifndef MUTANT_NO_REVOCATION
          REVOKE_ALL;
#endif
#ifdef SHARED
          free_void(freed); freed = false;
#endif
          match(POOL_OF(me))
       od;

have:  skip;  /* connect, use, close; the server lets go */
       d_step { assert(IDX(place[s]) == me && STATE(place[s]) == OPENING && !session[s]);
                session[s] = true; opener[s] = me; count_sessions() };
#ifdef MUTANT_ROOM_LEFT_EARLY
       leave_room(POOL_OF(me), s, w);
#else
       d_step { session[s] = false; opener[s] = 0 };
       leave_room(POOL_OF(me), s, w);
#endif
out:   atomic { over = false; early = 0; finished[me] = rounds == ROUNDS }
    od
  } UNTIL_HARMED;
  if
  :: stopped[me] -> end: false
  :: else -> atomic { s=0; ms=0; oldest=0; mate=0; i=0; j=0; n=0; r=0; rounds=0; early=0; turn_of=0; passes=0; w=0; mw=0; rw=0; pw=0;
                      at=0; seen=0; mine=0; got=false; gave=false; hid=false; freed=false; over=false; wanted=false }
  fi
}

/* Whom the victim was about to offer something: nothing will follow. It holds the place that the claim names. */
inline forget_claims(v) {
  followed[0] = followed[0] && IDX(place[WHAT(waiter[0])]) != v;
  followed[1] = followed[1] && IDX(place[WHAT(waiter[1])]) != v;
#if WORKERS > 2
  followed[2] = followed[2] && IDX(place[WHAT(waiter[2])]) != v
#endif
}
#define AT_WORK(w) (ACTS(w) && !finished[w])
#if WORKERS > 2
#define ANY_LEFT (AT_WORK(0) || AT_WORK(1) || AT_WORK(2))
#define SOMEBODY if :: AT_WORK(0) -> v = 0 :: AT_WORK(1) -> v = 1 :: AT_WORK(2) -> v = 2 fi
#else
#define ANY_LEFT (AT_WORK(0) || AT_WORK(1))
#define SOMEBODY if :: AT_WORK(0) -> v = 0 :: AT_WORK(1) -> v = 1 fi
#endif

/* What happens to them. */
proctype fate() {
  byte v;
end: do
#if KILLS > 0
  :: kills < KILLS -> kills = KILLS  /* no more */
  :: atomic { kills < KILLS && ANY_LEFT -> SOMEBODY;
       dead[v] = true; kills++; harmed = true; in_line[v] = false; forget_claims(v); v = 0 }
#endif
#if STOPS > 0
  :: stops < STOPS -> stops = STOPS
  :: atomic { stops < STOPS && ANY_LEFT -> SOMEBODY;
       stopped[v] = true; stops++; harmed = true; in_line[v] = false; forget_claims(v); v = 0 }
#endif
  /* the server finds out that nobody listens */
  :: atomic { session[0] && dead[opener[0]] -> session[0] = false; opener[0] = 0 }
#if ALL > 1
  :: atomic { session[1] && dead[opener[1]] -> session[1] = false; opener[1] = 0 }
#endif
  od
}

/* The keeper of a worker that outlives all of this. */
#if KILLS > 0
#define KEEPER 1
proctype keeper() {
  byte me = WORKERS, ms = NONE, oldest = NONE, mate = NONE, i, j, n, r, turn_of, passes;
  int mw, rw, pw, at, seen;
  bool got, gave, hid, freed, wanted;
end: do
  :: ANY_DEAD -> reap()
  :: ANY_TO_SETTLE -> SETTLE_ALL
  od
}
#endif

#define GONE_FROM_LINE(w) (WSTATE(waiter[w]) == WAITS_NOT || stopped[w])
/* Who still waits may do so only because a stopped worker has every place or permit there is. */
#define STOPPED_HAS(s) (STATE(place[s]) == OPENING && stopped[IDX(place[s])])
/* What a stopped worker offered, or was offered, the next waiter's tick takes. */
#define AT_REST(s) (STATE(place[s]) == FREE || STOPPED_HAS(s) || (STOPS > 0 && harmed && STATE(place[s]) == OFFERED && (!STANDS(s) || stopped[IDX(place[s])])))
proctype quiet() {
end: timeout ->
  d_step {
    assert(GONE_FROM_LINE(0) || STOPPED_HAS(0) || (ALL > 1 && STOPPED_HAS(ALL-1)));
    assert(GONE_FROM_LINE(1) || STOPPED_HAS(0) || (ALL > 1 && STOPPED_HAS(ALL-1)));
    assert(GONE_FROM_LINE(WORKERS-1) || STOPPED_HAS(0) || (ALL > 1 && STOPPED_HAS(ALL-1)));
    assert(AT_REST(0));
    assert(AT_REST(ALL-1));
#ifdef SHARED
    assert(permit[0] == 0 || IS_VOID(permit[0], place[PERMIT_PLACE(permit[0])]) || !IS_VOID(permit[0], place[PERMIT_PLACE(permit[0])]) && AT_REST(PERMIT_PLACE(permit[0])));
#endif
  }
}

init {
  atomic {
#ifdef HOLDER
    place[0] = PLACE(OPENING, 0, 1, 1);
#ifdef SHARED
    permit[0] = HELD(0, 1);
#endif
#endif
    row[0] = LIVE(1); row[1] = LIVE(1);
#if WORKERS > 2
    row[2] = LIVE(1);
#endif
    run quiet();
    run worker(0); run worker(1);
#if WORKERS > 2
    run worker(2);
#endif
#if KILLS + STOPS > 0
    run fate();
#endif
#ifdef KEEPER
    run keeper()
#endif
  }
}

#ifdef LIVELY
ltl served { []((in_line[0] -> <>!in_line[0]) && (in_line[1] -> <>!in_line[1])) }
#endif
