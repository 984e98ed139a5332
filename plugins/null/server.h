/* The server: sessions in a table of this process, behind one mutex.
 *
 * It has no thread: whoever asks runs the server for a moment. A session's bell, a timer's
 * descriptor, becomes readable when asking again is worth it: a statement is due, the server
 * thawed, hung up, or sent something. So a host polls it like a socket and never spins.
 *
 * Ownership: a session belongs to the connection that knocked, until it detaches.
 * Threads: all functions from any thread. Fork: the child's servers are new and empty; sessions
 * that its parent made are foreign there (null_server_generation) and may only be forgotten. */
#ifndef WEIR_NULL_SERVER_H
#define WEIR_NULL_SERVER_H

#include <stdbool.h>

#include "dsn.h"
#include "null.h"

struct null_session;

#define NULL_VARIABLES_MAX 16
struct null_variable {
  char key[32];
  char value[WEIR_NULL_ANSWER_MAX]; /* empty: free */
};

/* Keeps the host's clock, and notices forks from now on. [load thread, once] */
void null_server_init(const weir_host_t* host);
uint64_t null_now_ns(void);
/* Another number in a forked child. */
uint32_t null_server_generation(void);

/* A session that knocks at the server of `dsn` and is not let in yet. Null: errno says why. */
struct null_session* null_server_knock(const weir_dsn_t* dsn, const char* client_name);
/* The client is gone without a goodbye: the session is too, at once or after `linger_ns`. */
void null_server_detach(struct null_session* session, uint64_t linger_ns);
/* A session that was another process's and goes on here, open, with its `bell`, which is its own
 * now; null: no memory. It is let in whatever the limit is: it was in. */
struct null_session* null_server_adopt(const weir_dsn_t* dsn, const char* client_name, int64_t id,
                                       int bell);
/* It goes on in another process: this one's server no longer has it, nor its descriptor. */
void null_server_part(struct null_session* session);
/* In a child: frees the copy and its descriptor; the parent's session does not notice. */
void null_server_forget(struct null_session* session);

int64_t null_session_id(const struct null_session* session);
int null_session_bell(const struct null_session* session);
/* Copies those that are set, at most NULL_VARIABLES_MAX; returns how many. */
size_t null_session_variables(const struct null_session* session, struct null_variable* variables);
void null_session_set_variables(struct null_session* session, const struct null_variable* variables,
                                size_t count);

/* One look at a session. Rings the bell at `bell_ns` (0: only when something happens) after taking
 * back what it rang for before. */
struct null_sight {
  bool has_ended;
  bool has_unasked; /* the server sent something that nobody asked for */
};
struct null_sight null_session_look(struct null_session* session, uint64_t bell_ns);

/* What is asked of the server in one operation. */
struct null_request {
  int32_t op; /* enum weir_op */
  void* argument;
  const weir_dsn_t* dsn;
  uint32_t statement_timeout_ms;
  bool only_roll_back; /* of a reset */
  bool is_lease;       /* an EXECUTE that a lease sent */
  bool has_begun;      /* the server's: it runs */
};

/* What came of it. */
struct null_reply {
  bool is_there;           /* false: not yet; the bell rings when to ask again */
  int32_t code;            /* WEIR_OK, or a failure and its texts: */
  const char* text;        /* never null once is_there */
  const char* native_text; /* or null */
  bool in_transaction;     /* whether the session is */
  char answer[WEIR_NULL_ANSWER_MAX];
};
struct null_reply null_server_ask(struct null_session* session, struct null_request* request);

/* Stops what the session runs. Waits until the server takes the request, or WEIR_TIMEOUT at the
 * deadline. [blocks until deadline_ns] */
int32_t null_server_cancel(struct null_session* session, uint64_t deadline_ns);
/* Ends a session as if the server did. */
void null_server_end(struct null_session* session);

/* Names the session: its process, server and number. */
void null_server_token(const struct null_session* session, weir_token_t* token);

/* The second half of weir_null_client_t. */
void null_server_counts(const char* server, weir_null_counts_t* counts);
int32_t null_server_describe(const char* server, int64_t session, weir_session_t* description);
/* All open sessions, in memory for the caller to free; null: no memory. */
size_t null_server_list(const char* server, weir_session_t** list);
int32_t null_server_hang_up(const char* server, int64_t session);
int32_t null_server_send_unasked(const char* server, int64_t session);
void null_server_freeze(const char* server);
void null_server_thaw(const char* server);
void null_server_require_password(const char* server, const char* password);

#endif /* WEIR_NULL_SERVER_H */
