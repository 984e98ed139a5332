/* Inside the server: one session, and the statements it understands.
 *
 * Threads: the caller holds the server's mutex. */
#ifndef WEIR_NULL_SESSION_H
#define WEIR_NULL_SESSION_H

#include "server.h"

struct null_server;

struct null_session {
  struct null_session* next; /* in its server's list */
  struct null_server* server;
  int64_t id;
  int bell;
  enum { NULL_KNOCKING, NULL_OPEN, NULL_ENDED } state; /* only OPEN ones count */
  bool is_detached;                                    /* lingers until: */
  uint64_t ends_ns;
  char client_name[64];
  bool is_asking; /* its client waits for an answer */
  bool has_unasked;
  bool in_transaction;
  bool is_running; /* a SLEEP, until: */
  uint64_t due_ns;
  bool is_due_by_timeout; /* the statement timeout comes first */
  bool is_cancelled;
  uint64_t since_ns; /* in the state that it is in */
  struct null_variable variables[NULL_VARIABLES_MAX];
};

/* Runs one statement or begins to. The reply is not there yet while the session is_running. */
void null_session_begin(struct null_session* session, const char* statement,
                        uint32_t statement_timeout_ms, struct null_reply* reply);
/* Goes on with what is_running. */
void null_session_go_on(struct null_session* session, struct null_reply* reply);
/* A new session's state. */
void null_session_clean(struct null_session* session, bool only_roll_back);
/* "active", "idle", ... */
const char* null_session_state(const struct null_session* session);

#endif /* WEIR_NULL_SESSION_H */
