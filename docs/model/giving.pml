/* Connections that are given back: idle places, grants to one's own waiters, and the demand word.
 *
 * The threads of one worker share its connections. Each lends one (at once, or after a wait in line) and gives
 * it back, ROUNDS times. A thread may run out of time in line (IMPATIENT). The worker's keeper gives out what is
 * idle when it is rung. Nobody looks by clock: no tick is needed where nobody dies.
 *
 * What stands for what:
 *   take_idle, set_idle              core/pool/pool.h: take_idle_at, set_idle
 *   wanted                           core/pool/giving.cpp: is_wanted, whom_to_grant
 *   serve, serve_idle                core/pool/giving.cpp
 *   put_back                         core/pool/pool.cpp: give_back, serve_if_wanted
 *   look, lower_demand, grant        shm/line.cpp
 *   thread()                         core/pool/pool.cpp: acquire; core/pool/waiting.cpp: wait_in_line
 *
 * What is put more simply than it is: the sessions are open before anything begins, and stay open; all waiters are
 * this worker's, so nothing is closed for another's sake (rooms.pml has what follows then). Resets and checks are
 * part of USED. One look at the line is one step. A worker's death takes all its threads at once: lingering.pml.
 *
 * Checked: one lease of a place at a time; when all is quiet nobody is in line, each place is idle and no
 * waiter word is left. LIVELY: who does not run out of time is served (weak fairness).
 */
#include "words.pml"

#ifndef THREADS
#define THREADS 3
#endif
#ifndef PLACES
#define PLACES 1
#endif
#ifndef ROUNDS
#define ROUNDS 1
#endif
#ifndef IMPATIENT
#define IMPATIENT false
#endif

int place[PLACES];
int waiter[THREADS];
byte ticket[THREADS], next_ticket = 1;
bool demand;
bool leased[PLACES];  /* not in the segment */
bool in_line[THREADS];

inline look() {
  d_step { oldest = NONE; seen = 0; i = 0;
    do
    :: i < THREADS ->
       if :: WSTATE(waiter[i]) == WAITING && (oldest == NONE || ticket[i] < ticket[oldest]) -> oldest = i; seen = waiter[i]
          :: else fi; i++
    :: else -> break
    od; i = 0 }
}

/* needed: whether somebody waits; where nobody does, demand says so from now on */
inline wanted(needed) {
  if
  :: !demand -> needed = false
  :: else ->
     look();
     if
     :: oldest != NONE -> needed = true
     :: else ->
        demand = false;
#ifdef MUTANT_NO_LOOK_AFTER_LOWERING
        needed = false
#else
        look();
        if :: oldest != NONE -> demand = true; needed = true :: else -> needed = false fi
#endif
     fi
  fi;
  atomic { oldest = NONE; seen = 0 }
}

inline set_idle(p) { d_step { assert(STATE(place[p]) == USED); place[p] = TO(place[p], IDLE, 0, 1) } }
inline take_idle(p, took) {
  d_step { if :: STATE(place[p]) == IDLE -> place[p] = TO(place[p], USED, 0, 1); took = true :: else -> took = false fi }
}

/* p is USED and nobody's in particular: to who is next, else idle. */
inline serve(p) {
  do
  :: look();
     if
     :: d_step { oldest != NONE && waiter[oldest] == seen -> waiter[oldest] = WAITER(GRANTED, 0, p, INC(seen)) } -> break
     :: oldest == NONE ->
        set_idle(p);
        wanted(needed);
        if :: needed -> needed = false; take_idle(p, took); if :: took -> took = false :: else -> break fi
           :: else -> break fi
     :: else
     fi
  od;
  atomic { oldest = NONE; seen = 0; needed = false; took = false }
}

inline put_back(p) {
#ifdef MUTANT_DEMAND_BEFORE_IDLE
  wanted(needed);
  set_idle(p);
#else
  set_idle(p);
  wanted(needed);
#endif
  if
  :: needed -> needed = false; take_idle(p, took); if :: took -> took = false; serve(p) :: else fi
  :: else
  fi
}

inline serve_idle() {
  q = 0;
  do
  :: q < PLACES ->
     if
     :: STATE(place[q]) == IDLE ->
        wanted(needed);
        if :: needed -> needed = false; take_idle(q, took); if :: took -> took = false; serve(q) :: else fi
           :: else -> break fi
     :: else
     fi; q++
  :: else -> break
  od; q = 0
}

proctype thread(byte me) {
  byte p, q, i, oldest = NONE, rounds;
  int seen;
  bool needed, took;
  do
  :: rounds == ROUNDS -> break
  :: rounds < ROUNDS ->
     rounds++;
     /* may_pass_the_line: not past an older waiter of one's own worker */
     if :: demand -> look() :: else fi;
     if
     :: oldest == NONE ->
        p = 0;
        do :: p < PLACES -> take_idle(p, took); if :: took -> break :: else -> p++ fi :: else -> break od
     :: else -> atomic { oldest = NONE; seen = 0 }
     fi;
     if :: took -> took = false; goto lent :: else fi;

     d_step { waiter[me] = WAITER(SETUP, 0, 0, INC(waiter[me])+1); ticket[me] = next_ticket; next_ticket++;
              in_line[me] = true };
#ifdef MUTANT_DEMAND_BEFORE_WAITING
     demand = true;
     waiter[me] = WAITER(WAITING, 0, 0, INC(waiter[me]));
#else
     waiter[me] = WAITER(WAITING, 0, 0, INC(waiter[me]));
     demand = true;
#endif
#ifndef MUTANT_NO_LOOK_BEFORE_SLEEP
     serve_idle();
#endif
     if
     :: atomic { WSTATE(waiter[me]) == GRANTED ->
                 p = WHAT(waiter[me]); waiter[me] = WAITER(WAITS_NOT, 0, 0, INC(waiter[me])+1); in_line[me] = false }
#ifdef MUTANT_LEAVES_GRANTED
     :: atomic { IMPATIENT -> waiter[me] = WAITER(WAITS_NOT, 0, 0, INC(waiter[me])+1); in_line[me] = false }; goto out
#else
     :: atomic { IMPATIENT && WSTATE(waiter[me]) == WAITING ->
                 waiter[me] = WAITER(WAITS_NOT, 0, 0, INC(waiter[me])+1); in_line[me] = false }; goto out
#endif
     fi;
lent:
     atomic { assert(STATE(place[p]) == USED && !leased[p]); leased[p] = true };
     leased[p] = false;
     put_back(p);
out: p = 0
  od
}

/* Rung by whoever waits: gives out what is idle. Any number of times, at any time. */
#ifdef KEEPER
proctype keeper() {
  byte q, i, oldest = NONE;
  int seen;
  bool needed, took;
end: do :: demand -> serve_idle() od
}
#endif

proctype quiet() {
end: timeout ->
  assert(WSTATE(waiter[0]) == WAITS_NOT && WSTATE(waiter[1]) == WAITS_NOT && WSTATE(waiter[THREADS-1]) == WAITS_NOT);
  assert(STATE(place[0]) == IDLE && STATE(place[PLACES-1]) == IDLE)
}

init {
  atomic {
    place[0] = PLACE(IDLE, 0, 1, 1);
#if PLACES > 1
    place[1] = PLACE(IDLE, 0, 1, 1);
#endif
    run quiet(); run thread(0); run thread(1);
#if THREADS > 2
    run thread(2);
#endif
#ifdef KEEPER
    run keeper()
#endif
  }
}

#ifdef LIVELY
ltl served { []((in_line[0] -> <>!in_line[0]) && (in_line[1] -> <>!in_line[1])) }
#endif
