/* The breaker and its probe: who may try a server that does not answer, and how everybody gets out of it.
 *
 * The server is away at first and comes back at some moment. Each worker wants one session and tries until it has it, as
 * the breaker lets it. A worker may be killed (KILLS) or stop for ever (STOPS) at any step, or be so slow that its
 * probe is overdue (SLOW).
 *
 * What stands for what:
 *   take_probe, half_open, return_probe   shm/turns.cpp: pass_breaker, return_probe; shm/breaker.cpp: half_open
 *   note_answer, note_no_answer           shm/breaker.cpp; core/pool/breaking.cpp: note_failure
 *   settle_probe                          shm/reaper.cpp: settle_turns; the row was freed before it
 *
 * What is put more simply than it is: time is one flag, `due`, which falls when the breaker opens and rises some time
 * after. The breaker opens after TO_OPEN failures and not as a policy says. The turns that a handshake needs besides are in
 * turns.pml, the line in rooms.pml: here who waits looks by itself, as callers who come again do, and ticks. The failures in
 * the word are never as many as it holds.
 *
 * Checked: one probe at a time but for overdue ones; none before its time; when all is quiet, everybody who can act has his
 * session, whoever came next could try as well, and the probe is free or its stopped owner's.
 */
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
#ifndef FAILS           /* attempts that fail, in all */
#define FAILS 3
#endif
#ifndef TO_OPEN
#define TO_OPEN 1
#endif

/* the breaker: state | failures<<2 */
#define CLOSED 0
#define OPEN 1
#define HALF 2
#define BREAKER(st, failures) ((st) | ((failures)<<2))
#define ST(b) ((b)&3)
#define FAILURES(b) ((b)>>2)

/* the probe: used | worker<<1 | number of the taking<<4 */
#define TURN(me, since) (1 | ((me)<<1) | ((since)<<4))
#define TURN_OF(t) (((t)>>1)&7)

int breaker, probe;
bool due;               /* the time in the breaker's word is over */
bool overdue;           /* the turn in `probe` is older than connect_timeout */
byte now = 1;           /* takings so far */
bool up;                /* the server is there */
byte fails;

bool row[WORKERS], dead[WORKERS], stopped[WORKERS], served[WORKERS];
bool probing[WORKERS];  /* connects as the one who may */
bool late[WORKERS];     /* its probe was overdue: somebody else may have it */
byte kills, stops, slow;
#define ACTS(w) (!dead[w] && !stopped[w])
#define AT_WORK(w) (ACTS(w) && !served[w])

#ifdef MUTANT_ORPHANS_LEFT
#define OF_NOBODY(t) false
#else
#define OF_NOBODY(t) (!row[TURN_OF(t)])
#endif
#ifdef MUTANT_NEVER_OVERDUE
#define AVAILABLE (probe == 0 || OF_NOBODY(probe))
#else
#define AVAILABLE (probe == 0 || OF_NOBODY(probe) || overdue)
#endif
#ifdef MUTANT_HALF_NOT_TAKEN
#define MAY_PROBE (ST(breaker) == OPEN && due && AVAILABLE)
#else
#define MAY_PROBE ((ST(breaker) == OPEN && due || ST(breaker) == HALF) && AVAILABLE)
#endif
#if WORKERS == 2
#define PROBING ((probing[0] && !late[0]) + (probing[1] && !late[1]))
#else
#define PROBING ((probing[0] && !late[0]) + (probing[1] && !late[1]) + (probing[2] && !late[2]))
#endif

/* The probe, by who has seen that it is to be had. mine: 0 if somebody was quicker. */
inline take_probe() {
  seen = probe;
  if
  :: AVAILABLE ->
#ifdef MUTANT_TAKEN_BY_STORE
     atomic { mine = TURN(me, now); now++; probe = mine; overdue = false; late[me] = false }
#else
     atomic {
       if :: probe == seen -> mine = TURN(me, now); now++; probe = mine; overdue = false; late[me] = false
          :: else -> mine = 0
       fi }
#endif
  :: else -> mine = 0
  fi; seen = 0
}

inline return_probe() {
#ifdef MUTANT_RETURNED_BY_STORE
  atomic { probe = 0; overdue = false; mine = 0 }
#else
  atomic { if :: mine != 0 && probe == mine -> probe = 0; overdue = false :: else fi; mine = 0 }
#endif
}

/* Open and due -> half open. */
inline half_open() {
  do
  :: seen = breaker;
     if
     :: ST(seen) != OPEN || !due -> break
     :: else ->
#ifdef MUTANT_HALF_BY_STORE
        d_step { assert(ST(breaker) != OPEN || due); breaker = BREAKER(HALF, FAILURES(seen)); seen = breaker }; break
#else
        if :: d_step { breaker == seen -> breaker = BREAKER(HALF, FAILURES(seen)); seen = breaker } -> break :: else fi
#endif
     fi
  od
}

inline note_answer() {
  do
  :: seen = breaker;
     if :: seen == 0 -> break
        :: else -> if :: d_step { breaker == seen -> breaker = 0 } -> break :: else fi
     fi
  od; seen = 0
}

inline note_no_answer() {
  by_probe = (mine != 0 && probe == mine);
  do
  :: seen = breaker;
     if
     :: ST(seen) != CLOSED && !by_probe -> break
     :: ST(seen) == CLOSED && FAILURES(seen) + 1 < TO_OPEN ->
        if :: d_step { breaker == seen -> breaker = BREAKER(CLOSED, FAILURES(seen) + 1) } -> break :: else fi
     :: else ->
        if :: d_step { breaker == seen -> breaker = BREAKER(OPEN, FAILURES(seen) + 1); due = false } -> break :: else fi
     fi
  od; atomic { seen = 0; by_probe = false }
}

proctype worker(byte me) {
  int seen, mine;
  bool by_probe, was_up;
  {
     skip;
end: if
     :: ST(breaker) == CLOSED -> goto connect
     :: MAY_PROBE -> skip
     fi;
     take_probe();
     if :: mine == 0 -> goto end :: else fi;
     half_open();
     if
     :: ST(seen) == HALF -> atomic { seen = 0; probing[me] = true; assert(PROBING <= 1) }
     :: ST(seen) == CLOSED -> seen = 0; return_probe()
     :: else -> seen = 0; return_probe(); goto end
     fi;
connect:
     was_up = up;
     if
     :: up -> atomic { probing[me] = false; was_up = false };
        note_answer();
        return_probe();
        served[me] = true
     :: d_step { !was_up && fails < FAILS -> fails++; probing[me] = false } ->
        note_no_answer();
        return_probe();
        goto end
     fi
  } unless { dead[me] || stopped[me] };
  if :: stopped[me] -> end2: false :: else -> atomic { probing[me] = false; seen = 0; mine = 0; by_probe = false; was_up = false } fi
}

#if KILLS + STOPS + SLOW > 0
proctype fate() {
  byte v;
end: do
  :: kills < KILLS -> kills = KILLS
  :: atomic { kills < KILLS && (AT_WORK(0) || AT_WORK(1) || AT_WORK(WORKERS-1)) ->
       if :: AT_WORK(0) -> v = 0 :: AT_WORK(1) -> v = 1 :: AT_WORK(WORKERS-1) -> v = WORKERS-1 fi;
       dead[v] = true; probing[v] = false; kills++; v = 0 }
  :: stops < STOPS -> stops = STOPS
  :: atomic { stops < STOPS && (AT_WORK(0) || AT_WORK(1) || AT_WORK(WORKERS-1)) ->
       if :: AT_WORK(0) -> v = 0 :: AT_WORK(1) -> v = 1 :: AT_WORK(WORKERS-1) -> v = WORKERS-1 fi;
       stopped[v] = true; stops++; v = 0 }
  :: atomic { probe != 0 && !overdue && row[TURN_OF(probe)] && !dead[TURN_OF(probe)] && (stopped[TURN_OF(probe)] || slow < SLOW) ->
       v = TURN_OF(probe); if :: stopped[v] :: else -> slow++ fi; overdue = true; late[v] = true; v = 0 }
  od
}
#endif

#if KILLS > 0
/* The reaper: the row, then what the dead one had. */
proctype keeper() {
  byte w;
end: do
  :: atomic { dead[0] && row[0] -> row[0] = false }
  :: atomic { dead[1] && row[1] -> row[1] = false }
  :: atomic { dead[WORKERS-1] && row[WORKERS-1] -> row[WORKERS-1] = false }
#ifndef MUTANT_ORPHANS_LEFT
  :: d_step { probe != 0 && !row[TURN_OF(probe)] -> probe = 0; overdue = false }
#endif
  od
}
#endif

/* Time passes, and the server comes back. */
proctype world() {
end: do
  :: d_step { ST(breaker) == OPEN && !due -> due = true }
  :: d_step { !up -> up = true }
  od
}

#define HAS_ALL(w) (served[w] || !ACTS(w))
proctype quiet() {
end: timeout ->
  assert(HAS_ALL(0) && HAS_ALL(1) && HAS_ALL(WORKERS-1));
  assert(ST(breaker) == CLOSED || MAY_PROBE);
  assert(probe == 0 || stopped[TURN_OF(probe)])
}

init {
  atomic {
    run quiet(); run world();
    row[0] = true; run worker(0); row[1] = true; run worker(1);
#if WORKERS > 2
    row[2] = true; run worker(2);
#endif
#if KILLS > 0
    run keeper();
#endif
#if KILLS + STOPS + SLOW > 0
    run fate()
#endif
  }
}
