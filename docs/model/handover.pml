/* A connection that moves: who has it at every step, whoever dies or stops in between.
 *
 * Row 0 opens sessions and gives them to row 1, which receives, uses and closes them; with BACK it gives them to row 0
 * again, whose next worker gives them to row 1 once more. Row 2 reaps and keeps; row 3 does the same (REAPERS=2), or opens and gives as row 0 does (GIVERS=2, with a place
 * each). Rows 0 and 1 may be killed and stopped at every step (KILLS, STOPS), the reapers too (REAPERS_DIE), and are taken again by a later
 * generation (AGAIN). The kernel closes what was in a dead worker's mailbox some time after its lock is free. The server
 * ends a session some time after a goodbye, or after the last copy of its connection is gone.
 *
 * What stands for what:
 *   give                   shm/handover.cpp: Giving::claim, begin, send, withdraw, park
 *   receive                shm/handover.cpp: Inbox::pass, drain, is_for_us, judge (SWEEPS: Inbox::sweep, which drains although
 *                          it noted nothing)
 *   settle_giving, second_look    shm/parking.cpp, of the same names
 *   reap, orphans          shm/reaper.cpp: settle_dead_worker, settle_places, settle_parked, settle_orphans
 *   join                   shm/worker_table.cpp: Membership::join, as far as words that move matter
 *   open, close            core/pool: connect, start_closing, finish_close (their order is lingering.pml's business)
 *   confirm                core/pool/keeping.cpp: settle_lingering_places, with a server that always answers
 *
 * What is put more simply than it is: the generations in GIVING have two bits each, and nothing wraps. A mailbox holds two
 * letters. The waiter's side (claimed, un-claimed, granted) is left out. A letter has its place and occupation; forged ones are not
 * modelled (tests/unit/shm/handover_test.cpp has them). Fork, closefrom: no model.
 *
 * Checked: never more sessions at the server than places; who lends a connection is the only process with a copy;
 * a lingering place has no copy in a living process or its mailbox, or no time would be long enough; a living giver's steps on its
 * words succeed; while nobody dies no connection is lost; when all is quiet every place is free, but for what a stopped worker itself has.
 *
 * Not mutants, since nothing comes of it here: no bits of the receiver's generation in GIVING, a named row that is joined
 * (both count only once the bits have wrapped); no occupation in the letter (GIVING and PARKED name one at a time); no second look by
 * who parks, or no second scan by who reaps, since the orphan rule finds what they leave, only later.
 */
#include "words.pml"

#define GIVING 5
#define PARKED 6
#ifndef PLACES
#define PLACES 1
#endif
#ifndef KILLS
#define KILLS 0
#endif
#ifndef STOPS
#define STOPS 0
#endif
#ifndef REAPERS
#define REAPERS 1
#endif
#ifndef GIVERS
#define GIVERS 1
#endif
#ifndef ROUNDS
#define ROUNDS 1
#endif
#ifndef SWEEPS
#define SWEEPS 0
#endif
#define ROWS 4

/* GIVING(from, to): from's row where a worker's stands; gen has from's:2 | to's row:2 | to's:2. */
#ifdef MUTANT_GIVER_WITHOUT_GENERATION
#define GIVEN(w, from, fg, to, tg) (PLACE(GIVING, from, ((to)<<2) | (((tg)&3)<<4), OCC(w)))
#define BY(w, r, g) (STATE(w) == GIVING && IDX(w) == (r))
#else
#define GIVEN(w, from, fg, to, tg) (PLACE(GIVING, from, ((fg)&3) | ((to)<<2) | (((tg)&3)<<4), OCC(w)))
#define BY(w, r, g) (STATE(w) == GIVING && IDX(w) == (r) && (GEN(w)&3) == ((g)&3))
#endif
#define TO_ROW(w) ((GEN(w)>>2)&3)
#define TO_GEN(w) ((GEN(w)>>4)&3)
#define MINE(w, st, r, g) ((w) != 0 && STATE(w) == (st) && IDX(w) == (r) && GEN(w) == (g))
#define ON_ITS_WAY_TO(w, r, g) (MINE(w, PARKED, r, g) || STATE(w) == GIVING && TO_ROW(w) == (r) && TO_GEN(w) == (g))
#define NAMES_WORKER(w) (STATE(w) == OPENING || STATE(w) == USED || STATE(w) == CLOSING || STATE(w) == PARKED)

int place[PLACES];
int row[ROWS];
bool lock[ROWS], dead[ROWS], stopped[ROWS];
byte kills, stops, sweeps;

/* A connection is known by its session: place and occupation, 1 to 3. */
#define NAME(p, occ) ((p)*4+(occ))
byte copy[ROWS*2];       /* a process's copy of a connection, for each place */
byte hand[ROWS];         /* out of the mailbox, and not looked at yet */
byte letter[8];          /* two for each mailbox: rows 0 and 1, generations 1 and 2 */
#define NO_BOX 0
#define BOX 1
#define DEAD_BOX 2       /* its process is gone, the kernel has not closed what is in it */
byte box[4];
#define B(r, g) ((r)*2+(g)-1)
bool session[8], goodbye[8];

#define HAS(r, e) (copy[(r)*2] == (e) || copy[(r)*2+1] == (e) || hand[r] == (e))
#define IN(b, e) (letter[(b)*2] == (e) || letter[(b)*2+1] == (e))
#define ANYWHERE(e) (HAS(0, e) || HAS(1, e) || HAS(2, e) || HAS(3, e) || IN(0, e) || IN(1, e) || IN(2, e) || IN(3, e))
#define ALIVE_IN(b, e) (box[b] == BOX && IN(b, e))
#define WITH_THE_LIVING(e) (HAS(0, e) || HAS(1, e) || HAS(2, e) || HAS(3, e) || ALIVE_IN(0, e) || ALIVE_IN(1, e) || \
                            ALIVE_IN(2, e) || ALIVE_IN(3, e))
#define SESSIONS (session[1]+session[2]+session[3]+session[5]+session[6]+session[7])

/* is_row_expecting, is_row_in_giving: looks, all words at once, since a word that is missed is met by its compare-and-swap */
#define EXPECTS(w, r) (STATE(w) == GIVING && TO_ROW(w) == (r) || STATE(w) == PARKED && IDX(w) == (r))
#define IN_GIVING(w, r) (STATE(w) == GIVING && (TO_ROW(w) == (r) || IDX(w) == (r)))
#define ANY(look, r) (look(place[0], r) || look(place[PLACES-1], r))

#define EMPTY_IT(b) \
  :: atomic { box[b] == DEAD_BOX -> box[b] = NO_BOX; letter[(b)*2] = 0; letter[(b)*2+1] = 0 }
#define ENDS(e) \
  :: atomic { session[e] && (goodbye[e] || !ANYWHERE(e)) -> session[e] = false }
proctype kernel_and_server() {
end: do
  EMPTY_IT(0) EMPTY_IT(1) EMPTY_IT(2) EMPTY_IT(3)
  ENDS(1) ENDS(2) ENDS(3)
#if PLACES > 1
  ENDS(5) ENDS(6) ENDS(7)
#endif
  od
}

/* ---- settling ---- */

inline linger(p, w) {
  d_step { if :: place[p] == w -> place[p] = TO(w, LINGERING, 0, 0) :: else fi }
}

/* PARKED, as `w` says: is its receiver still there? */
inline second_look(p, w) {
  if :: row[IDX(w)] != LIVE(GEN(w)) -> linger(p, w) :: else fi
}

/* GIVING, as `w` says, of a giver that is gone. */
inline settle_giving(p, w) {
  to = row[TO_ROW(w)];
  if
  :: IS_LIVE(to) && (ROW_GEN(to)&3) == TO_GEN(w) ->
     d_step { ww = TO(w, PARKED, TO_ROW(w), ROW_GEN(to)); if :: place[p] == w -> place[p] = ww :: else -> ww = 0 fi };
     if :: ww != 0 -> second_look(p, ww) :: else fi
  :: else -> linger(p, w)
  fi;
  atomic { ww = 0; to = 0 }
}

#define DEAD(r) (IS_LIVE(row[r]) && !lock[r])
/* settle_dead_worker */
inline reap(r) {
  was = row[r];
  if
  :: IS_LIVE(was) && !lock[r] && row[r] == was ->
     p = 0;
     do
     :: p < PLACES ->
        w = place[p];
        if
        :: BY(w, r, ROW_GEN(was)) && row[r] == was -> settle_giving(p, w)
        :: NAMES_WORKER(w) && IDX(w) == r && GEN(w) == ROW_GEN(was) && row[r] == was -> linger(p, w)
        :: else
        fi; p++; w = 0
     :: else -> break
     od;
     p = 0;
     d_step { if :: row[r] == was -> row[r] = LEFT(ROW_GEN(was)) :: else fi };
     do
     :: p < PLACES ->
        w = place[p];
        if :: MINE(w, PARKED, r, ROW_GEN(was)) -> linger(p, w) :: else fi; p++; w = 0
     :: else -> break
     od;
     p = 0
  :: else
  fi;
  was = 0
}

#define ORPHAN(w) (NAMES_WORKER(w) && row[IDX(w)] != LIVE(GEN(w)))
#define GIVEN_BY_NOBODY(w) (STATE(w) == GIVING && !(IS_LIVE(row[IDX(w)]) && BY(w, IDX(w), ROW_GEN(row[IDX(w)]))))
inline confirm(q) {
  w = place[q];
  if
  :: STATE(w) == LINGERING && !session[NAME(q, OCC(w))] ->
     d_step { if :: place[q] == w -> place[q] = TO_FREE(w) :: else fi }
  :: else
  fi;
  w = 0
}

#ifdef MUTANT_NO_ORPHANS
#define SEES_TO_ORPHANS(q)
#else
#define SEES_TO_ORPHANS(q) \
  :: ORPHAN(place[q]) -> w = place[q]; if :: ORPHAN(w) -> linger(q, w) :: else fi; w = 0 \
  :: GIVEN_BY_NOBODY(place[q]) -> w = place[q]; if :: GIVEN_BY_NOBODY(w) -> settle_giving(q, w) :: else fi; w = 0
#endif
#define CONFIRMS(q) \
  :: STATE(place[q]) == LINGERING && !session[NAME(q, OCC(place[q]))] -> confirm(q)

proctype reaper(byte me) {
  byte p;
  int was, w, ww, to;
#ifdef REAPERS_DIE       /* the second begins where the first one died */
end_wait: me == 2 || dead[2];
#endif
  {
end: do
    :: DEAD(0) -> reap(0)
    :: DEAD(1) -> reap(1)
#ifdef REAPERS_DIE
    :: me != 2 && DEAD(2) -> reap(2)
#endif
#if GIVERS > 1
    :: DEAD(3) -> reap(3)
#endif
    SEES_TO_ORPHANS(0)
    CONFIRMS(0)
#if PLACES > 1
    SEES_TO_ORPHANS(1)
    CONFIRMS(1)
#endif
    od
  } unless { dead[me] };
  d_step { p = 0; was = 0; w = 0; ww = 0; to = 0 }
}

/* ---- giving and receiving ---- */

/* From what `w` says of a place that is ours to another state: the giver's steps succeed while it lives. */
inline step(p, to_word) {
  d_step { assert(place[p] == w); w = to_word; place[p] = w }
}

/* 1. a look; 2. USED(me) -> GIVING; 3. send, or back; 4. the copy, then PARKED; 5. a second look. Not ours after: w == 0. */
inline give(p, r) {
  atomic { if :: IS_LIVE(row[r]) && !ANY(EXPECTS, r) -> to = ROW_GEN(row[r]) :: else -> to = 0 fi };
  if
  :: to != 0 ->
     step(p, GIVEN(w, me, mine, r, to));
     if
     :: atomic { box[B(r, to)] == BOX && letter[B(r, to)*2+1] == 0 ->
          if :: letter[B(r, to)*2] == 0 -> letter[B(r, to)*2] = copy[me*2+p]
             :: else -> letter[B(r, to)*2+1] = copy[me*2+p] fi };
#ifdef MUTANT_PARKED_WITH_A_COPY
        step(p, TO(w, PARKED, r, to));
        copy[me*2+p] = 0;
#else
        copy[me*2+p] = 0;
        step(p, TO(w, PARKED, r, to));
#endif
        second_look(p, w);
        w = 0
     :: step(p, TO(w, USED, me, mine))   /* full, gone, refused */
     fi
  :: else
  fi;
  to = 0
}

inline close(p) {
  d_step { assert(place[p] == w); w = TO(w, CLOSING, me, mine); place[p] = w; goodbye[NAME(p, OCC(w))] = true };
  !session[NAME(p, OCC(w))];
  d_step { assert(place[p] == w); copy[me*2+p] = 0; place[p] = TO_FREE(w); w = 0 }
}

inline open(p) {
  d_step { w = TO_OCCUPIED(place[p], me, mine); place[p] = w };
  d_step { session[NAME(p, OCC(w))] = true; copy[me*2+p] = NAME(p, OCC(w)); assert(SESSIONS <= PLACES);
           assert(place[p] == w); w = TO(w, USED, me, mine); place[p] = w }
}

#define PLACE_OF(e) ((e)/4)
#define OCC_OF(e) ((e)%4)
/* What is in the mailbox: kept if its place is on its way to us in that occupation, else closed. */
inline drain() {
  do
  :: atomic { letter[B(me, mine)*2] != 0 ->
       hand[me] = letter[B(me, mine)*2]; letter[B(me, mine)*2] = letter[B(me, mine)*2+1]; letter[B(me, mine)*2+1] = 0 };
     d_step {
#ifdef MUTANT_NOT_KEPT
       if :: note[PLACE_OF(hand[me])] != 0 && OCC(note[PLACE_OF(hand[me])]) == OCC_OF(hand[me]) ->
#else
       if :: ON_ITS_WAY_TO(place[PLACE_OF(hand[me])], me, mine) && OCC(place[PLACE_OF(hand[me])]) == OCC_OF(hand[me]) ->
#endif
             copy[me*2+PLACE_OF(hand[me])] = hand[me]
          :: else
       fi;
       hand[me] = 0 }
  :: letter[B(me, mine)*2] == 0 -> break
  od
}

inline note_words() {
  p = 0;
  do
  :: p < PLACES -> d_step { if :: MINE(place[p], PARKED, me, mine) -> note[p] = place[p] :: else -> note[p] = 0 fi; p++ }
  :: else -> break
  od;
  p = 0
}

/* 6. note, drain, judge. `always`: although nothing was noted. */
inline receive(always) {
#ifdef MUTANT_DRAINS_FIRST
  drain(); note_words();
#else
  note_words();
  if :: always || note[0] != 0 || note[PLACES-1] != 0 -> drain() :: else fi;
#endif
  do
  :: p < PLACES && note[p] != 0 && copy[me*2+p] == NAME(p, OCC(note[p])) ->
     w = note[p];
     d_step { note[p] = 0; assert(place[p] == w); w = TO(w, USED, me, mine); place[p] = w;
              assert(!HAS((me+1)%ROWS, NAME(p, OCC(w))) && !HAS((me+2)%ROWS, NAME(p, OCC(w))) && !HAS((me+3)%ROWS, NAME(p, OCC(w)))) };
#ifdef BACK
     if :: me == 1 || opened < ROUNDS -> opened++; give(p, 1-me) :: else fi;
#endif
     if :: w != 0 -> close(p) :: else fi; p++
  :: p < PLACES && note[p] != 0 && copy[me*2+p] != NAME(p, OCC(note[p])) ->
     assert(kills > 0);   /* while nobody dies no connection is lost */
#ifdef MUTANT_FREED_WITHOUT_A_LETTER
     d_step { assert(place[p] == note[p]); place[p] = TO_FREE(note[p]); note[p] = 0; p++ }
#else
     d_step { assert(place[p] == note[p]); place[p] = TO(note[p], LINGERING, 0, 0); note[p] = 0; p++ }
#endif
  :: p < PLACES && note[p] == 0 -> p++
  :: else -> break
  od;
  p = 0;
  /* letters whose place speaks of us no more */
  d_step { do :: p < PLACES -> if :: copy[me*2+p] != 0 && !(ON_ITS_WAY_TO(place[p], me, mine) && OCC(place[p]) == OCC_OF(copy[me*2+p]))
                                     -> copy[me*2+p] = 0 :: else fi; p++ :: else -> break od; p = 0 }
}

#define EXPECTING (MINE(place[0], PARKED, me, mine) || MINE(place[PLACES-1], PARKED, me, mine))
#ifdef BACK
#define RECEIVES(r) ((r) < 2)
#else
#define RECEIVES(r) ((r) == 1)
#endif
#define OPENS(r, g) ((r) == 0 && ((g) == 1 || !RECEIVES(r)) || (r) == 3)
#define MY_PLACE(r) ((r) == 3 -> PLACES-1 : 0)

proctype worker(byte me) {
  byte p, opened, mine = 1;
  int w, to, note[PLACES];
end_work:
  {
end: do
    :: OPENS(me, mine) && opened < ROUNDS && STATE(place[MY_PLACE(me)]) == FREE && OCC(place[MY_PLACE(me)]) < 3 ->
       d_step { p = MY_PLACE(me); opened++ };
       open(p); give(p, 1);
       if :: w != 0 -> close(p) :: else fi; p = 0
    :: RECEIVES(me) && EXPECTING -> receive(false)
    :: RECEIVES(me) && sweeps < SWEEPS -> sweeps++; receive(true)
    od
  } unless { dead[me] || stopped[me] };
  if
  :: dead[me] ->
     d_step { p = 0; w = 0; to = 0; note[0] = 0; note[PLACES-1] = 0; opened = 0; mine = 0 };
#ifdef AGAIN
     /* another process in the same row */
end_join: atomic { me < 2 && !lock[me] && row[me] == LEFT(1) -> lock[me] = true };
     if
     :: ANY(IN_GIVING, me) -> lock[me] = false; goto end_join
     :: else -> atomic { dead[me] = false; mine = 2; row[me] = LIVE(2); box[B(me, 2)] = BOX }
     fi;
     goto end_work
#endif
  :: stopped[me]
  fi
}

/* What a kill takes at once: its copies and its lock. Its mailbox goes later. */
inline kill(r) {
  dead[r] = true; kills++; lock[r] = false; copy[r*2] = 0; copy[r*2+1] = 0; hand[r] = 0;
  if :: r < 2 -> if :: box[B(r, 1)] == BOX -> box[B(r, 1)] = DEAD_BOX :: else fi;
                 if :: box[B(r, 2)] == BOX -> box[B(r, 2)] = DEAD_BOX :: else fi
     :: else fi
}
#define LIVES(r) (lock[r] && !dead[r] && !stopped[r])
proctype fate() {
end: do
#if KILLS > 0
  :: atomic { kills < KILLS && LIVES(0) -> kill(0) }
  :: atomic { kills < KILLS && LIVES(1) -> kill(1) }
#if GIVERS > 1
  :: atomic { kills < KILLS && LIVES(3) -> kill(3) }
#endif
#ifdef REAPERS_DIE   /* one is left */
  :: atomic { kills < KILLS && LIVES(2) -> kill(2) }
#endif
#endif
#if STOPS > 0
  :: atomic { stops < STOPS && LIVES(0) -> stopped[0] = true; stops++ }
  :: atomic { stops < STOPS && LIVES(1) -> stopped[1] = true; stops++ }
#endif
  :: kills + stops < KILLS + STOPS -> kills = KILLS; stops = STOPS
  od
}

#define COPY_LEFT(p) (STATE(place[p]) == LINGERING && WITH_THE_LIVING(NAME(p, OCC(place[p]))))
proctype judge() {
end: do
  :: atomic { COPY_LEFT(0) || COPY_LEFT(PLACES-1) -> assert(false) }
  od
}

#define WITH_THE_STOPPED(w) ((NAMES_WORKER(w) || STATE(w) == GIVING) && stopped[IDX(w)])
#define AT_REST(w) (STATE(w) == FREE || WITH_THE_STOPPED(w))
proctype quiet() {
end: timeout ->
  assert(AT_REST(place[0]) && AT_REST(place[PLACES-1]))
}

init {
  atomic {
    row[0] = LIVE(1); row[1] = LIVE(1); row[2] = LIVE(1); row[3] = LIVE(1);
    lock[0] = true; lock[1] = true; lock[2] = true; lock[3] = true;
    box[B(0, 1)] = BOX; box[B(1, 1)] = BOX;
    run quiet(); run judge(); run kernel_and_server(); run fate();
    run worker(0); run worker(1); run reaper(2);
#if GIVERS > 1
    run worker(3);
#endif
#if REAPERS > 1
    run reaper(3);
#endif
  }
}
