/* Turns to connect: few at a time, taken over from the dead and the overdue; and the word that the server is full.
 *
 * There are places for all, and TURNS turns. A worker takes a place and a turn and connects, or gets in line; who has
 * a turn gives it back and hands on what is free. A worker may be killed (KILLS) or stop for ever (STOPS) at any
 * step, or be so slow that its turn is overdue (SLOW). With FULL the server may refuse, and then all wait.
 *
 * What stands for what:
 *   take_turn, return_turn, free_turns   shm/turns.cpp (is_available, is_server_full included)
 *   match, leave_room                    shm/rooms.cpp: match_one, has_turn_to_offer, leave_room
 *   worker()                             core/pool/opening.cpp: take_opening, finish_connect, fail_connect;
 *                                        core/pool/waiting.cpp: wait_in_line, what follows an accepted offer
 *   settle_turns                         shm/reaper.cpp: settle_turns; the row was freed before it
 *
 * What is put more simply than it is: who waits is a flag, and an offer is one step that nobody revokes but when its
 * waiter is dead or stopped (rooms.pml has the line and the offers). A turn word carries a number where the code
 * has the time at which it was taken: both differ between two takings by the same worker as far as it matters, since
 * one that has been taken over was taken at least connect_timeout before. Places are not modelled as words.
 * The breaker's probe is one such word too: breaker.pml has it, and what it is for.
 *
 * Checked: as many handshakes at most as there are turns, but for overdue ones; a turn that is given back is one's own;
 * when all is quiet each turn is free, or its stopped owner's, and nobody who can act is in line. TICKLESS: nobody
 * depends on a tick unless somebody died, stopped, was overdue, or the server was full.
 */
#include "words.pml"

#ifndef TURNS
#define TURNS 1
#endif
#ifndef WORKERS
#define WORKERS 3
#endif
#ifndef KILLS
#define KILLS 0
#endif
#ifndef STOPS
#define STOPS 0
#endif
#ifndef SLOW
#define SLOW 0
#endif
#ifndef FULL            /* refusals in all */
#define FULL 0
#endif
#ifndef PLACES
#define PLACES WORKERS
#endif

/* used | worker<<1 | number of the taking<<4 */
#define TURN(me, since) (1 | ((me)<<1) | ((since)<<4))
#define TURN_OF(t) (((t)>>1)&7)

int turn[TURNS];
byte now = 1;           /* takings so far */
bool overdue[TURNS];    /* the turn that stands there is older than connect_timeout */
bool server_full;              /* server_full_until_ns is in the future */
byte free_places = PLACES;
byte held[WORKERS];     /* places that the worker has; those of a dead one come back when it is reaped */
bool waiting[WORKERS], offered[WORKERS];
bool demand;
bool row[WORKERS];      /* LIVE */

bool dead[WORKERS], stopped[WORKERS], finished[WORKERS];
bool connecting[WORKERS], late[WORKERS];
byte kills, stops, slow, refusals;
bool harmed;
#define ACTS(w) (!dead[w] && !stopped[w])
#define AT_WORK(w) (ACTS(w) && !finished[w])
#define AVAILABLE(t) (turn[t] == 0 || !row[TURN_OF(turn[t])] || overdue[t])
#if TURNS == 1
#define FREE_TURNS (server_full -> 0 : AVAILABLE(0))
#else
#define FREE_TURNS (server_full -> 0 : AVAILABLE(0) + AVAILABLE(1))
#endif
#if WORKERS == 2
#define OFFERS (offered[0] + offered[1])
#define WAITERS (waiting[0] + waiting[1])
#define CONNECTING ((connecting[0] && !late[0]) + (connecting[1] && !late[1]))
#else
#define OFFERS (offered[0] + offered[1] + offered[2])
#define WAITERS (waiting[0] + waiting[1] + waiting[2])
#define CONNECTING ((connecting[0] && !late[0]) + (connecting[1] && !late[1]) + (connecting[2] && !late[2]))
#endif

inline take_turn(got) {
  t = 0; got = false;
  if
  :: server_full
  :: else ->
     do
     :: t < TURNS ->
        seen = turn[t];
        if
        :: AVAILABLE(t) ->
#ifdef MUTANT_TAKEN_BY_STORE
           d_step { mine = TURN(me, now); now++; turn[t] = mine; overdue[t] = false; got = true }; break
#else
           if :: d_step { turn[t] == seen -> mine = TURN(me, now); now++; turn[t] = mine; overdue[t] = false; got = true } -> break
              :: else fi
#endif
        :: else
        fi; t++
     :: else -> t = 0; break
     od
  fi; seen = 0
}

inline return_turn() {
#ifdef MUTANT_RETURNED_BY_STORE
  atomic { turn[t] = 0; t = 0; mine = 0 }
#else
  atomic { if :: turn[t] == mine -> turn[t] = 0; overdue[t] = false :: else fi; t = 0; mine = 0 }
#endif
}

/* Offers free places to those who wait, as long as a handshake could begin. */
inline match() {
  do
  :: WAITERS == 0 ->
     demand = false;
#ifndef MUTANT_NO_LOOK_AFTER_LOWERING
     if :: WAITERS > 0 -> demand = true :: else -> break fi
#else
     break
#endif
  :: else ->
     if
#ifdef MUTANT_OFFERED_WITHOUT_TURN
     :: false
#else
     :: FREE_TURNS <= OFFERS -> break
#endif
     :: else ->
        if :: d_step { free_places > 0 -> free_places--; held[me]++ } :: else -> break fi;
        atomic { held[me]--;
          if :: waiting[0] -> waiting[0] = false; offered[0] = true
             :: else ->
                if :: waiting[1] -> waiting[1] = false; offered[1] = true
                   :: else ->
                      if :: waiting[WORKERS-1] -> waiting[WORKERS-1] = false; offered[WORKERS-1] = true
                         :: else -> free_places++
                      fi
                fi
          fi }
     fi
  od
}

/* A place of ours, empty: to who waits, if a turn is there as well, else free; then once more. */
inline leave_room() {
  atomic { free_places++; held[me]-- };
#ifndef MUTANT_NO_MATCH_AFTER_LEAVING
  if :: demand -> match() :: else fi
#endif
}

inline settle_turns() {
  t = 0;
  do
  :: t < TURNS ->
     seen = turn[t];
     if
     :: seen != 0 && !row[TURN_OF(seen)] -> d_step { if :: turn[t] == seen -> turn[t] = 0; overdue[t] = false :: else fi }
     :: else
     fi; t++
  :: else -> break
  od; atomic { t = 0; seen = 0 }
}

#define DEAD_ROW(w) (dead[w] && row[w])
#if WORKERS == 2
#define ANY_DEAD (DEAD_ROW(0) || DEAD_ROW(1))
#define VOID_OFFERS (offered[0] && !ACTS(0) || offered[1] && !ACTS(1))
#else
#define ANY_DEAD (DEAD_ROW(0) || DEAD_ROW(1) || DEAD_ROW(2))
#define VOID_OFFERS (offered[0] && !ACTS(0) || offered[1] && !ACTS(1) || offered[2] && !ACTS(2))
#endif
/* What a tick finds: the dead and their turns, offers nobody will take up; and something that waits for a look alone. */
#ifdef MUTANT_ORPHANS_LEFT
#define ORPHANS false
#elif TURNS == 1
#define ORPHANS (turn[0] != 0 && !row[TURN_OF(turn[0])])
#else
#define ORPHANS (turn[0] != 0 && !row[TURN_OF(turn[0])] || turn[1] != 0 && !row[TURN_OF(turn[1])])
#endif
#ifdef TICKLESS
#define TICK_FINDS (harmed && (ANY_DEAD || VOID_OFFERS || ORPHANS || FREE_TURNS > OFFERS && free_places > 0))
#else
#define TICK_FINDS (ANY_DEAD || VOID_OFFERS || ORPHANS || FREE_TURNS > OFFERS && free_places > 0)
#endif

inline see_to(w) {
  atomic { if :: DEAD_ROW(w) -> row[w] = false; waiting[w] = false; free_places = free_places + held[w]; held[w] = 0 :: else fi };
  atomic { if :: offered[w] && !ACTS(w) -> offered[w] = false; free_places++ :: else fi }
}

proctype worker(byte me) {
  byte t;
  int seen, mine;
  bool got;
  {
    /* take_opening: a place and a turn, unless somebody waits */
    if
    :: demand && WAITERS > 0
    :: else ->
       if
       :: d_step { free_places > 0 -> free_places--; held[me]++ } ->
          take_turn(got);
          if :: got -> goto connect :: else -> leave_room() fi
       :: else
       fi
    fi;
#ifdef MUTANT_DEMAND_BEFORE_WAITING
    demand = true; waiting[me] = true;
#else
    waiting[me] = true; demand = true;
#endif
    match();
end: do
    :: atomic { offered[me] -> offered[me] = false; held[me]++ };
       take_turn(got);
       if
       :: got -> goto connect
       :: else ->
          /* back in line; what was offered goes on */
          waiting[me] = true;
          leave_room();
          demand = true;
          match()
       fi
    :: waiting[me] && TICK_FINDS ->
       demand = true;
       see_to(0); see_to(1);
#if WORKERS > 2
       see_to(2);
#endif
#ifndef MUTANT_ORPHANS_LEFT
       settle_turns();
#endif
       match()
    od;
connect:
    atomic { got = false; connecting[me] = true; assert(CONNECTING <= TURNS) };
    if
    :: d_step { connecting[me] = false; late[me] = false } -> skip
#if FULL > 0
    :: d_step { refusals < FULL -> refusals++; connecting[me] = false; late[me] = false; server_full = true; harmed = true }
#endif
    fi;
    return_turn();
#ifndef MUTANT_NO_MATCH_AFTER_RETURN
    if :: demand -> match() :: else fi;
#endif
    /* use it; close it; the place goes on: note_server_has_room */
    server_full = false;
    leave_room();
    finished[me] = true
  } unless { dead[me] || stopped[me] };
  if :: stopped[me] -> end2: false :: else -> atomic { t = 0; seen = 0; mine = 0; got = false } fi
}

#if KILLS + STOPS + SLOW + FULL > 0
proctype fate() {
  byte v;
end: do
  :: kills < KILLS -> kills = KILLS
  :: atomic { kills < KILLS && (AT_WORK(0) || AT_WORK(1) || AT_WORK(WORKERS-1)) ->
       if :: AT_WORK(0) -> v = 0 :: AT_WORK(1) -> v = 1 :: AT_WORK(WORKERS-1) -> v = WORKERS-1 fi;
       dead[v] = true; kills++; harmed = true; connecting[v] = false; late[v] = false; v = 0 }
  :: stops < STOPS -> stops = STOPS
  :: atomic { stops < STOPS && (AT_WORK(0) || AT_WORK(1) || AT_WORK(WORKERS-1)) ->
       if :: AT_WORK(0) -> v = 0 :: AT_WORK(1) -> v = 1 :: AT_WORK(WORKERS-1) -> v = WORKERS-1 fi;
       stopped[v] = true; stops++; harmed = true; v = 0 }
  /* time passes: over one who stopped, SLOW times over one who did not */
  :: atomic { turn[0] != 0 && !overdue[0] && !dead[TURN_OF(turn[0])] && (stopped[TURN_OF(turn[0])] || slow < SLOW) ->
       v = TURN_OF(turn[0]); if :: stopped[v] :: else -> slow++ fi; overdue[0] = true; harmed = true; late[v] = true; v = 0 }
#if TURNS > 1
  :: atomic { turn[1] != 0 && !overdue[1] && !dead[TURN_OF(turn[1])] && (stopped[TURN_OF(turn[1])] || slow < SLOW) ->
       v = TURN_OF(turn[1]); if :: stopped[v] :: else -> slow++ fi; overdue[1] = true; harmed = true; late[v] = true; v = 0 }
#endif
  :: server_full -> server_full = false   /* the pause is over, and nobody says so */
  od
}
#endif

proctype keeper() {
  byte t;
  int seen;
end: do
  :: ANY_DEAD || ORPHANS -> see_to(0); see_to(1);
#if WORKERS > 2
     see_to(2);
#endif
#ifndef MUTANT_ORPHANS_LEFT
     settle_turns()
#endif
  od
}

/* A stopped worker may have every place there is, as if they were lent. */
#define NOTHING_LEFT (free_places == 0 && (stopped[0] || stopped[1] || stopped[WORKERS-1]))
#define OUT_OF_LINE(w) (!waiting[w] && !offered[w] || !ACTS(w) || NOTHING_LEFT)
proctype quiet() {
end: timeout ->
  assert(OUT_OF_LINE(0) && OUT_OF_LINE(1) && OUT_OF_LINE(WORKERS-1));
  assert(turn[0] == 0 || stopped[TURN_OF(turn[0])]);
  assert(turn[TURNS-1] == 0 || stopped[TURN_OF(turn[TURNS-1])])
}

init {
  atomic {
    run quiet();
    row[0] = true; run worker(0); row[1] = true; run worker(1);
#if WORKERS > 2
    row[2] = true; run worker(2);
#endif
#if KILLS > 0
    run keeper();
#endif
#if KILLS + STOPS + SLOW + FULL > 0
    run fate()
#endif
  }
}
