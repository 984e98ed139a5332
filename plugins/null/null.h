/* null.h: the null driver's "client library": what a lease does with the native handle, and what a
 * test does to the server behind the driver's back.
 *
 * weir_lease_native() (and native() of weir/driver.h) is a weir_null_t*. The functions come from
 * get_extension(WEIR_NULL_CLIENT) of the driver's table, because a driver exports one name only.
 *
 * A server is a table in this process; its name is the DSN's. It exists from its first mention on.
 * After a fork the child's servers are new and empty.
 *
 * Statements (upper case, one space between words):
 *   SELECT <text>            plain; answers the text           GET <key>      plain; its value, or
 * "" SET <key> = <value>      leaves a trace in the session     SLEEP <time>   plain; 20ms, 3s, ...
 *   BEGIN, COMMIT, ROLLBACK  open and end a transaction; what was set inside one stays set
 *
 * Functions return codes of weir/codes.h. Threads: one thread at a time per handle, like the
 * connection itself; the functions that take a server's name may be called from any thread. */
#ifndef WEIR_NULL_H
#define WEIR_NULL_H

#include "weir/driver.h"

#ifdef __cplusplus
extern "C" {
#endif

#define WEIR_NULL_CLIENT "weir.null.client.1"
#define WEIR_NULL_ANSWER_MAX 128 /* bytes of an answer with its ending zero */

/* The native handle. */
typedef struct weir_null {
  uint32_t struct_size;
  int64_t session; /* its number, unique on this machine; 0: not connected */
} weir_null_t;

/* What a server has done since it exists. */
typedef struct weir_null_counts {
  uint32_t struct_size;
  int32_t sessions;      /* open now, lingering ones too */
  int32_t most_sessions; /* that were open at once */
  uint64_t connects;     /* sessions it let in */
  uint64_t refusals;     /* that it did not: full, or a wrong password */
  uint64_t pings;
  uint64_t resets;
  uint64_t closes;     /* goodbyes */
  uint64_t executes;   /* the driver's statements */
  uint64_t statements; /* leases' */
} weir_null_counts_t;

typedef struct weir_null_client {
  uint32_t struct_size;

  /* ---- for a lease ---- */

  /* send and receive in one. WEIR_DATABASE_ERROR: refused or cancelled, the answer says why.
   * [blocks until the server answers] */
  int32_t (*query)(weir_null_t* native, const char* statement, char* answer, size_t size);
  /* Sends a statement; its answer is unread until receive. WEIR_BAD_ARGUMENT: an answer is unread
   * already. [does not block] */
  int32_t (*send)(weir_null_t* native, const char* statement);
  /* WEIR_BAD_ARGUMENT: nothing was sent. [blocks until the server answers] */
  int32_t (*receive)(weir_null_t* native, char* answer, size_t size);

  /* ---- for who controls the server ---- [any thread; do not block] */

  void (*counts)(const char* server, weir_null_counts_t* counts);
  /* WEIR_NOT_FOUND: it has no such session. */
  int32_t (*describe)(const char* server, int64_t session, weir_session_t* description);
  /* Ends a session from the server's side. WEIR_NOT_FOUND as above. */
  int32_t (*hang_up)(const char* server, int64_t session);
  /* Sends a session something that it has not asked for. WEIR_NOT_FOUND as above. */
  int32_t (*send_unasked)(const char* server, int64_t session);
  /* While frozen a server answers nothing. */
  void (*freeze)(const char* server);
  void (*thaw)(const char* server);
  /* From now on only this password is let in; null: any. */
  void (*require_password)(const char* server, const char* password);
} weir_null_client_t;

#ifdef __cplusplus
}
#endif

#endif /* WEIR_NULL_H */
