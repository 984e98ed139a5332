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
 *  - Structs that can grow begin with struct_size, which the caller sets to sizeof.
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

/* A connection on loan, in memory of the caller's. Its fields are weir's; copy it if you like, but
 * only one release of all copies counts. All zero: no lease. */
typedef struct weir_lease {
  void* owner;
  void* native;
  uint64_t serial;
  uint32_t place;
  uint32_t reserved;
} weir_lease_t;

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
} weir_acquire_options_t;

#define WEIR_ACQUIRE_OPTIONS_INIT \
  { sizeof(weir_acquire_options_t), WEIR_TIMEOUT_DEFAULT, 0 }

/* Lends a connection. `options` may be null. The deadline covers attaching, standing in line,
 * connecting, validation and retries together. On failure *lease is all zero. Codes:
 *  - WEIR_TIMEOUT: nothing came free in time; the message carries pool, limits and waited time.
 *  - WEIR_TOO_MANY_WAITERS: the line is full (max_waiting, or the segment's).
 *  - WEIR_CONNECT_FAILED, WEIR_AUTH_FAILED, WEIR_SERVER_FULL: the server's word is in the message.
 *  - WEIR_BREAKER_OPEN: the server is believed down; the message and retry_after_ms say when to try
 * again.
 *  - WEIR_CLOSED: the runtime was closed.
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

/* As weir_release, but the connection is closed, not lent again. [any thread; does not block, but
 * after weir_close as weir_release] */
WEIR_EXPORT int32_t weir_discard(weir_lease_t* lease, weir_error_t* error);

/* The client library's handle (PGconn* for postgres), or null if the lease is not good here: given
 * back, all zero, or a parent process's. Do not close it, do not change its descriptor.
 * [one thread at a time per lease; does not block] */
WEIR_EXPORT void* weir_lease_native(const weir_lease_t* lease);

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
} weir_pool_stats_t;

/* [any thread; waits for nobody, but maps and scans a file where the process is not attached] */
WEIR_EXPORT int32_t weir_pool_stats(weir_pool_t* pool, weir_pool_stats_t* stats,
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
