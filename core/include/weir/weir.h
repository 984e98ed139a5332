/* weir/weir.h: the C face of weir: open, acquire, release, look, close.
 *
 *   weir_error_t error = WEIR_ERROR_INIT;
 *   weir_runtime_t* weir;
 *   weir_pool_t* pool;
 *   weir_lease_t lease;
 *   if (weir_open(&(weir_open_options_t){.struct_size = sizeof(weir_open_options_t),
 *                                        .config_path = "weir.toml"}, &weir, &error) ||
 *       weir_pool(weir, "main", &pool, &error)) die(error.message);
 *   if (weir_acquire(pool, NULL, &lease, &error) == WEIR_OK) {
 *     PGresult* r = PQexec(weir_lease_native(&lease), "SELECT 1");
 *     ...
 *     weir_release(&lease, &error);
 *   }
 *
 * Conventions
 *  - Functions return a code of weir/codes.h (WEIR_OK is 0) and fill in `error`, which may be null;
 *    on WEIR_OK they leave it as it is.
 *  - Structs that can grow begin with struct_size, which the caller sets to sizeof; weir reads and
 *    writes no member beyond it.
 *  - Durations are nanoseconds in int64_t; a deadline covers everything a call may wait for.
 *  - Handles belong to weir; there is one runtime per configuration in a process, and one pool per
 *    name in a runtime: opening again gives the same.
 *  - Fork: handles stay valid in a child and attach anew on first use. A lease does not: in a child
 *    every call on it answers WEIR_FORKED and touches nothing.
 *  - Each function ends with its tags: [thread rule; blocking rule].
 */
#ifndef WEIR_WEIR_H
#define WEIR_WEIR_H

#include <stddef.h>
#include <stdint.h>

#include "weir/codes.h"

#ifdef __cplusplus
extern "C" {
#endif

#if defined(WEIR_BUILDING)
#define WEIR_EXPORT __attribute__((visibility("default")))
#else
#define WEIR_EXPORT
#endif

typedef struct weir_runtime_t weir_runtime_t;
typedef struct weir_pool_t weir_pool_t;
typedef struct weir_ticket_t weir_ticket_t; /* an acquire that no thread sleeps for */
typedef struct weir_cancel_t weir_cancel_t; /* ends other threads' acquires */

/* A connection on loan, in memory of the caller's. Its fields are weir's; copy it if you like, but
 * only one release of all copies counts. All zero: no lease. */
typedef struct weir_lease {
  void* owner;
  void* native;
  uint64_t serial;
  uint32_t place;
  uint32_t over; /* non-zero: was invalidated; giving it back does nothing */
} weir_lease_t;

/* ---- events --------------------------------------------------------------------------------- */

/* Why a connection was closed. */
enum weir_close_reason {
  WEIR_CLOSE_IDLE = 0,     /* idle for longer than idle_timeout */
  WEIR_CLOSE_LIFETIME = 1, /* older than max_lifetime */
  WEIR_CLOSE_STALE = 2,    /* opened before the pool was cleared or drained */
  WEIR_CLOSE_ERROR = 3,    /* broken, or it could not be opened */
  WEIR_CLOSE_INVALID = 4,  /* failed a check */
  WEIR_CLOSE_INVALIDATED = 5,
  WEIR_CLOSE_RESET_FAILED = 6,
  WEIR_CLOSE_OVERFLOW = 7, /* above `keep`, of the reserve, or above its worker's cap */
  WEIR_CLOSE_POOL_CLOSED = 8,
  WEIR_CLOSE_INTERRUPTED = 9,
  WEIR_CLOSE_QUOTA_RECLAIM = 10, /* to make room for others, or because a limit shrank */
  WEIR_CLOSE_FORK = 11,
  WEIR_CLOSE_CANCELLED = 12,
  WEIR_CLOSE_DETACHED = 13 /* its holder had detached it */
};
#define WEIR_CLOSE_REASONS 14

/* What happened. Of one connection in this order: CREATED, then READY or CLOSED; CHECKED_OUT,
 * CHECKED_IN, and so on; CLOSED, DETACHED or SENT last. Of one acquire: CHECKOUT_STARTED, then
 * exactly one of CHECKED_OUT and CHECKOUT_FAILED. */
enum weir_event_kind {
  WEIR_EVENT_POOL_CREATED = 1,
  WEIR_EVENT_POOL_READY = 2, /* resumed */
  WEIR_EVENT_POOL_PAUSED = 3,
  WEIR_EVENT_POOL_CLEARED = 4, /* count: 1 with interrupt */
  WEIR_EVENT_POOL_DRAINED = 5,
  WEIR_EVENT_POOL_RESIZED = 6, /* count: max */
  WEIR_EVENT_POOL_CLOSED = 7,
  WEIR_EVENT_CHECKOUT_STARTED = 8,
  WEIR_EVENT_CHECKED_OUT = 9, /* duration_ns: from its start. Can be refused */
  WEIR_EVENT_CHECKOUT_FAILED = 10,
  WEIR_EVENT_CHECKED_IN = 11,   /* duration_ns: how long it was lent, to a few milliseconds */
  WEIR_EVENT_CONN_CREATED = 12, /* before anything is sent */
  WEIR_EVENT_CONN_READY = 13,   /* duration_ns: of connecting. Can be refused */
  WEIR_EVENT_CONN_CLOSED = 14,  /* reason; the goodbye may go on for a while */
  WEIR_EVENT_CONN_DETACHED = 15,
  WEIR_EVENT_CONN_RESET = 16,     /* code */
  WEIR_EVENT_CONN_VALIDATED = 17, /* code */
  WEIR_EVENT_CONN_SENT = 18,      /* live, to another worker */
  WEIR_EVENT_CONN_RECEIVED = 19,
  WEIR_EVENT_LEAK_SUSPECTED = 20, /* label, duration_ns; text: the stack, with capture_stack */
  WEIR_EVENT_BREAKER_OPEN = 21,
  WEIR_EVENT_BREAKER_HALF_OPEN = 22,
  WEIR_EVENT_BREAKER_CLOSED = 23,
  WEIR_EVENT_POLICY_ERROR = 24,
  WEIR_EVENT_QUOTA_DENIED = 25,
  WEIR_EVENT_QUOTA_RECLAIMED = 26 /* count: places of dead workers */
};

typedef struct weir_event {
  uint32_t struct_size; /* as weir was compiled; later members may follow */
  int32_t kind;         /* enum weir_event_kind */
  const char* pool;     /* its name */
  uint64_t connection;  /* 1, 2, 3 ... in the order in which the pool's connections were begun, on
                           the whole machine, never used again; 0: of none in particular */
  int32_t reason;       /* enum weir_close_reason, of CONN_CLOSED */
  int32_t code;         /* enum weir_code: of CHECKOUT_FAILED, CONN_RESET, CONN_VALIDATED */
  uint64_t duration_ns;
  uint64_t count;
  const char* label; /* of who acquires; may be empty */
  const char* text;  /* more, for people; may be empty. No secrets */
} weir_event_t;

/* Told of what happens in this process, on the thread on which it happens, outside every lock: it
 * may call weir, but must not wait for what the same thread is doing. Pointers are good during the
 * call. WEIR_OK, or the code with which to refuse what can be refused: the connection is given back
 * or closed, and the acquire fails with that code. A C++ exception counts as WEIR_OK.
 * While somebody listens, acquire and release cost more: nobody does by default. */
typedef int32_t (*weir_event_fn)(void* context, const weir_event_t* event);

/* ---- runtime -------------------------------------------------------------------------------- */

typedef void (*weir_log_fn)(void* context, int32_t level, const char* line);

typedef struct weir_open_options {
  uint32_t struct_size;
  const char* config_path; /* a weir.toml; or ... */
  const char* config_text; /* ... its text. Both null: the file that WEIR_CONFIG names, else
                              weir.toml in the working folder, else the environment alone */
  weir_log_fn log;         /* null: no log. Called from any thread; must not call weir */
  void* log_context;
  int32_t log_level;  /* least level that is passed on: 0 debug, 1 info, 2 warn, 3 error */
  int32_t no_threads; /* non-zero: weir starts no thread; the host calls weir_keep */
  /* Later members, for who sets struct_size to have them. */
  weir_event_fn event; /* null: nobody listens. As weir_set_event_callback, from the start on */
  void* event_context;
} weir_open_options_t;

/* Reads the configuration and loads the drivers it names. Touches neither segment nor network and
 * starts no thread: a master may open before it forks. WEIR_BAD_CONFIG names file, line and key.
 * The environment may say otherwise than the file: docs/configuration.md.
 * Opening the same path or text again in one process gives the same runtime, to be closed as often.
 * [any thread; reads files] */
WEIR_EXPORT int32_t weir_open(const weir_open_options_t* options, weir_runtime_t** runtime,
                              weir_error_t* error);

/* Ends the last use of a runtime: idle connections are closed, waiters fail with WEIR_CLOSED,
 * leases stay usable and are closed when released. The handle must not be used afterwards; leases
 * may, and calls that began before end with WEIR_CLOSED. [any thread; blocks at most the pools'
 * close_timeout] */
WEIR_EXPORT int32_t weir_close(weir_runtime_t* runtime, weir_error_t* error);

/* As weir_close, but waits until the leases of this process have come back, at most timeout_ns.
 * WEIR_TIMEOUT: some are still out; it is closed all the same, and they are closed as they come
 * back. [any thread; blocks] */
WEIR_EXPORT int32_t weir_close_within(weir_runtime_t* runtime, int64_t timeout_ns,
                                      weir_error_t* error);

/* Reads the configuration again, from where it came, and does what it changes: limits, sizes,
 * timeouts and the like at once, without a restart. What holds for the machine (max, min, a quota's
 * limit) then holds in all workers; `weir reload` asks all of them. Refused whole, and nothing has
 * changed: WEIR_BAD_CONFIG names the file, the line and the key, or what cannot change while
 * workers run (docs/configuration.md says which keys can); WEIR_SHM_FULL names the limit that there
 * is no room for. WEIR_NOT_SUPPORTED: opened with a text. [any thread; reads files, and waits a
 * second at most for who else declares] */
WEIR_EXPORT int32_t weir_reload(weir_runtime_t* runtime, weir_error_t* error);

/* From now on `event` is told what happens in this process, and nobody else; null: nobody. A call
 * of the one before may still be under way. [any thread; does not block] */
WEIR_EXPORT int32_t weir_set_event_callback(weir_runtime_t* runtime, weir_event_fn event,
                                            void* context, weir_error_t* error);

/* The pool of that name in the configuration. WEIR_NOT_FOUND lists the names there are. Does not
 * touch segment or network; the first acquire does. [any thread; does not block] */
WEIR_EXPORT int32_t weir_pool(weir_runtime_t* runtime, const char* name, weir_pool_t** pool,
                              weir_error_t* error);

/* Does what is due by clock (expiry, checks, closing, reaping, giving to other workers), then
 * returns; *next_in_ns (may be null) tells when it wants to be called again at the latest. For
 * hosts that opened with no_threads; harmless beside the keeper thread. [any thread; does not block
 * on the network for longer than 1 ms] */
WEIR_EXPORT int32_t weir_keep(weir_runtime_t* runtime, int64_t* next_in_ns, weir_error_t* error);

/* ---- leases --------------------------------------------------------------------------------- */

#define WEIR_TIMEOUT_DEFAULT INT64_MIN /* the pool's acquire_timeout */
#define WEIR_TIMEOUT_NEVER INT64_MAX

typedef struct weir_acquire_options {
  uint32_t struct_size;
  int64_t
      timeout_ns; /* from now; WEIR_TIMEOUT_DEFAULT, WEIR_TIMEOUT_NEVER; 0 or less: do not wait */
  const char* label; /* who wants it, for people: cut to 31 bytes; may be null */
  /* Later members, for who sets struct_size to have them. */
  weir_cancel_t* cancel;  /* null: nobody cancels. weir_acquire only */
  const char* class_name; /* of the pool's priority classes; null: none. An unknown one is
                             WEIR_BAD_ARGUMENT */
} weir_acquire_options_t;

#define WEIR_ACQUIRE_OPTIONS_INIT \
  { sizeof(weir_acquire_options_t), WEIR_TIMEOUT_DEFAULT, 0, 0, 0 }

/* For ending acquires of other threads. One may serve many acquires; it is good for one weir_cancel
 * and must live until those acquires have ended. Null: out of memory.
 * [any thread; does not block] */
WEIR_EXPORT weir_cancel_t* weir_cancel_new(void);
/* Every acquire that has it ends with WEIR_CANCELLED within some milliseconds, wherever it is, and
 * those that begin later at once, without a word to the server. One that has got its lease keeps
 * it. [any thread; does not block] */
WEIR_EXPORT void weir_cancel(weir_cancel_t* cancel);
WEIR_EXPORT void weir_cancel_free(weir_cancel_t* cancel);

/* Lends a connection. `options` may be null. The deadline covers attaching, standing in line,
 * connecting, validation and retries together. On failure *lease is all zero. Codes:
 *  - WEIR_TIMEOUT: nothing came free in time; the message carries pool, limits and waited time.
 *  - WEIR_TOO_MANY_WAITERS: the line is full (max_waiting, or the segment's).
 *  - WEIR_CONNECT_FAILED, WEIR_AUTH_FAILED, WEIR_SERVER_FULL: the server's word is in the message.
 *  - WEIR_BREAKER_OPEN: the server is believed down; the message and retry_after_ms say when to try
 * again.
 *  - WEIR_CLOSED: the runtime or the pool was closed.
 *  - WEIR_PAUSED: the pool is paused; try again once it is resumed.
 *  - WEIR_CANCELLED: options->cancel was cancelled.
 *  - WEIR_SHM_*: the segment cannot be used; the message says what to do.
 * [any thread; blocks until the deadline] */
WEIR_EXPORT int32_t weir_acquire(weir_pool_t* pool, const weir_acquire_options_t* options,
                                 weir_lease_t* lease, weir_error_t* error);

/* As weir_acquire, but only an idle connection of this worker: WEIR_WOULD_BLOCK if there is none.
 * No network, no line, and it does not attach: in a process that has not yet, in a child, or after
 * this worker had to start anew, that is the answer until weir_acquire or weir_keep has attached.
 * WEIR_CLOSED  the runtime was closed [any thread; does not block] */
WEIR_EXPORT int32_t weir_try_acquire(weir_pool_t* pool, const weir_acquire_options_t* options,
                                     weir_lease_t* lease, weir_error_t* error);

/* Gives a connection back; the session is made clean first, as the pool's `reset` says. A
 * connection that cannot be made clean, is broken or has unread answers is closed instead, which is
 * no error. On WEIR_OK *lease becomes all zero; the other two codes alter nothing:
 *  - WEIR_NOT_CHECKED_OUT: this lease was given back before, or never was one.
 *  - WEIR_FORKED: it is a parent process's.
 * [any thread; blocks for the reset's round trip at most, never for a close; but after weir_close,
 * in a host without weir's threads, for that too, at most the pool's close_timeout] */
WEIR_EXPORT int32_t weir_release(weir_lease_t* lease, weir_error_t* error);

/* As weir_release, for who may hold leases of several pools: WEIR_FOREIGN_CONNECTION, and nothing
 * has changed, if it is not one of `pool`. [any thread; as weir_release] */
WEIR_EXPORT int32_t weir_release_to(weir_pool_t* pool, weir_lease_t* lease, weir_error_t* error);

/* As weir_release, but the connection is closed, not lent again. [any thread; does not block, but
 * after weir_close as weir_release] */
WEIR_EXPORT int32_t weir_discard(weir_lease_t* lease, weir_error_t* error);

/* As weir_release, but never blocks: a reset that takes a round trip is left to the keeper, and the
 * connection is idle again after it. For event loops. [any thread; does not block] */
WEIR_EXPORT int32_t weir_release_later(weir_lease_t* lease, weir_error_t* error);

/* The connection is not fit to be lent again. Soft (non-zero): it stays usable, and is closed when
 * it is given back. Hard: as weir_discard, but the lease remembers: giving it back is allowed, and
 * does nothing. [any thread; does not block] */
WEIR_EXPORT int32_t weir_invalidate(weir_lease_t* lease, int32_t soft, weir_error_t* error);

/* As a soft weir_invalidate, by a caller or client library that has seen it fail: counted and
 * reported as an error. [any thread; does not block] */
WEIR_EXPORT int32_t weir_mark_broken(weir_lease_t* lease, weir_error_t* error);

/* The caller means to keep the connection: it is never lent again, no leak is reported, nothing
 * resets it. It keeps its place, and counts against max and quota, until weir_release or
 * weir_discard closes it; else the quota could not hold. [any thread; does not block] */
WEIR_EXPORT int32_t weir_detach(weir_lease_t* lease, weir_error_t* error);

/* Closes the connection of this lease and opens another in its place, without standing in line: for
 * who has found it broken and goes on. weir_lease_native changes. `options` as of weir_acquire. On
 * failure the lease is over, and all zero, but for WEIR_TIMEOUT before anything was closed: then it
 * is as before. [one thread at a time per lease; blocks until the deadline] */
WEIR_EXPORT int32_t weir_replace(weir_lease_t* lease, const weir_acquire_options_t* options,
                                 weir_error_t* error);

/* The number of the leased connection, as events have it; 0 if the lease is not good here.
 * [any thread; does not block] */
WEIR_EXPORT uint64_t weir_lease_connection(const weir_lease_t* lease);

/* The client library's handle (PGconn* for postgres), or null if the lease is not good here: given
 * back, all zero, or a parent process's. Do not close it, do not change its descriptor.
 * [one thread at a time per lease; does not block] */
WEIR_EXPORT void* weir_lease_native(const weir_lease_t* lease);

/* ---- acquiring without a thread ------------------------------------------------------------- */

/* Begins an acquire that no thread sleeps for: it stands in the same line, with the same deadline
 * and the same codes as weir_acquire. Once it has ended, weir_event_fd is readable and
 * weir_next_done hands it out; weir_acquire_finish takes the lease or says why there is none. That
 * may be so at once. options->cancel says nothing here. In a process that has not attached yet, or
 * in a child, it attaches first, which reads and writes files (and, with limit = "auto", asks the
 * server); weir_keep does so beforehand. Every ticket ends in weir_acquire_finish or
 * weir_acquire_cancel. WEIR_NOT_SUPPORTED: the pool's driver can only block.
 * [any thread; does not block once attached] */
WEIR_EXPORT int32_t weir_acquire_start(weir_pool_t* pool, const weir_acquire_options_t* options,
                                       void* user_data, weir_ticket_t** ticket,
                                       weir_error_t* error);
/* A descriptor for poll, select or epoll: readable while weir_next_done has something. Belongs to
 * weir. In a child, ask again. *fd is -1 on failure. [any thread; does not block] */
WEIR_EXPORT int32_t weir_event_fd(weir_runtime_t* runtime, int32_t* fd, weir_error_t* error);
/* The ticket that has ended first, each once, and its user_data (may be null). WEIR_WOULD_BLOCK:
 * none, and the descriptor is quiet. [any thread; does not block] */
WEIR_EXPORT int32_t weir_next_done(weir_runtime_t* runtime, weir_ticket_t** ticket,
                                   void** user_data, weir_error_t* error);
/* The outcome. WEIR_WOULD_BLOCK: it has not ended, and nothing has changed; any other answer frees
 * the ticket. WEIR_FORKED: it is a parent process's. [any thread; does not block] */
WEIR_EXPORT int32_t weir_acquire_finish(weir_ticket_t* ticket, weir_lease_t* lease,
                                        weir_error_t* error);
/* Out of the line at once, and frees the ticket; a lease that it has got is given back. Null is
 * allowed. [any thread; does not block] */
WEIR_EXPORT void weir_acquire_cancel(weir_ticket_t* ticket);

/* ---- deciding for a pool -------------------------------------------------------------------- */

/* These five hold for the pool in all workers of the machine, at once and until they are changed;
 * each attaches if it has to. What is so already stays so, silently.
 *
 * pause   nothing is lent; acquires, and those in line, fail with WEIR_PAUSED. Connections stay.
 * resume  lends again.
 * clear   pause, and what was opened until now is closed: idle ones now, lent ones when they come
 *         back. With `interrupt` handshakes are broken off, and the sockets of lent ones are shut
 *         down: their holders find the server gone. A paused pool is not cleared.
 * drain   closes as clear does, but goes on lending: what is opened from now on.
 * resize  max and min; shrinking takes nothing from anybody. WEIR_BAD_CONFIG names what is wrong,
 *         and nothing has changed.
 * [any thread; block for files at most] */
WEIR_EXPORT int32_t weir_pause(weir_pool_t* pool, weir_error_t* error);
WEIR_EXPORT int32_t weir_resume(weir_pool_t* pool, weir_error_t* error);
WEIR_EXPORT int32_t weir_clear(weir_pool_t* pool, int32_t interrupt, weir_error_t* error);
WEIR_EXPORT int32_t weir_drain(weir_pool_t* pool, weir_error_t* error);
WEIR_EXPORT int32_t weir_resize(weir_pool_t* pool, uint32_t max, uint32_t min, weir_error_t* error);

/* These concern this process alone.
 *
 * dispose     closes what is idle here; leases come back as ever.
 * check       pings what is idle here; closes what does not answer, and opens as many. *good and
 *             *dead may be null.
 * wait_ready  until `min` connections are open on the machine. WEIR_TIMEOUT says how many are.
 * pool_close  the pool lends nothing in this process any more: idle ones are closed, those in line
 *             fail with WEIR_CLOSED, leases stay usable and are closed when they come back. Waits
 *             for them, at most timeout_ns; 0 does not wait. WEIR_TIMEOUT: some are still out.
 *             Closing again is allowed.
 * [any thread; check, wait_ready and pool_close block until the timeout] */
WEIR_EXPORT int32_t weir_dispose(weir_pool_t* pool, weir_error_t* error);
WEIR_EXPORT int32_t weir_check(weir_pool_t* pool, int64_t timeout_ns, uint32_t* good,
                               uint32_t* dead, weir_error_t* error);
WEIR_EXPORT int32_t weir_wait_ready(weir_pool_t* pool, int64_t timeout_ns, weir_error_t* error);
WEIR_EXPORT int32_t weir_pool_close(weir_pool_t* pool, int64_t timeout_ns, weir_error_t* error);

/* ---- looking -------------------------------------------------------------------------------- */

/* One look at a pool. Machine-wide figures are recomputed from the words of the segment, so
 * total == idle + used + connecting + closing + lingering always holds. Counters start with the
 * pool's row in the segment and may lag behind a killed worker's last moments.
 * Looking neither attaches nor starts a thread. A process that is not attached (a master before it
 * forks) sees the segment as a monitor does, and zeros for this worker; where there is no segment
 * or no such pool in it yet, what is configured and zeros. */
typedef struct weir_pool_stats_t {
  uint32_t struct_size;
  /* configured */
  uint32_t max, min, keep;
  /* the whole machine, now */
  uint32_t total, idle, used, connecting, closing, lingering, waiting;
  /* this worker, now */
  uint32_t worker_idle, worker_used;
  /* the whole machine, since the pool was declared */
  uint64_t acquires, acquires_waited, timeouts, connects, connect_failures, closes, handed_on,
      resets, reset_failures, pings, ping_failures, too_many_waiters;
  uint64_t wait_ns; /* sum over acquires_waited */
  /* connections that moved between workers as they were; that should have and did not */
  uint64_t handed_live, handover_failures;
  /* acquires that were cancelled; that failed because a connect did; that a closed or paused pool
   * refused */
  uint64_t cancelled, connect_refusals, refused;
  uint64_t connect_ns; /* sum over connects */
  uint64_t use_ns;     /* time on loan, by samples once a second */
  uint64_t detached, forks, policy_errors, reclaimed, leaks;
  uint64_t closed[WEIR_CLOSE_REASONS]; /* by enum weir_close_reason */
  uint32_t paused;                     /* 1 while it is */
  uint32_t generation;                 /* counts clears and drains */
} weir_pool_stats_t;

/* [any thread; waits for nobody, but maps and scans a file where the process is not attached] */
WEIR_EXPORT int32_t weir_pool_stats(weir_pool_t* pool, weir_pool_stats_t* stats,
                                    weir_error_t* error);

/* As weir_pool_stats, and every counter begins at zero again, for all who look, weir status
 * included: each count is in one answer. Attaches. [any thread; does not block once attached] */
WEIR_EXPORT int32_t weir_pool_pop_stats(weir_pool_t* pool, weir_pool_stats_t* stats,
                                        weir_error_t* error);

/* The stable name of a code ("timeout"), whether the same call may succeed later, whether a
 * deadline passed. Unknown numbers: "unknown", 0, 0. [any thread; does not block] */
WEIR_EXPORT const char* weir_code_name(int32_t code);
WEIR_EXPORT int32_t weir_code_is_retryable(int32_t code);
WEIR_EXPORT int32_t weir_code_is_timeout(int32_t code);

/* "major.minor.patch". [any thread; does not block] */
WEIR_EXPORT const char* weir_version(void);

#ifdef __cplusplus
}
#endif

#endif /* WEIR_WEIR_H */
