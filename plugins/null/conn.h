/* One connection: the client's side. Each operation goes through
 *
 *   IDLE -> DELAY (the script's) -> ASKING (the server, or nobody if the script says hang) -> IDLE
 *
 * Threads: one at a time per connection, apart from cancel. */
#ifndef WEIR_NULL_CONN_H
#define WEIR_NULL_CONN_H

#include "server.h"

struct weir_conn {
  weir_null_t native; /* first: leases come back with its address */
  const weir_dsn_t* dsn;
  char client_name[64];
  int32_t reset_mode;
  uint32_t statement_timeout_ms;
  uint32_t generation;          /* of the process that it was made in */
  struct null_session* session; /* null before CONNECT */

  /* What it knows of its session without asking. */
  bool is_connected;
  bool is_broken;
  bool in_transaction;
  bool is_unread; /* a lease has not received what it was or will be answered */
  bool is_dirty;
  bool has_unasked;
  bool is_exported; /* and not used since: letting go of it leaves it to another process */

  /* The operation under way. */
  enum { NULL_IDLE, NULL_DELAY, NULL_ASKING } phase;
  uint64_t deadline_ns;
  uint64_t due_ns; /* when the delay ends */
  struct null_outcome outcome;
  struct null_request request;

  /* The statement of a lease that is_unread. */
  char lease_statement[256];
  weir_execute_t lease_execute;
  struct null_request lease_request;
  struct null_reply lease_reply;
};

/* Whether the connection was made in this process. */
static inline bool null_conn_is_ours(const weir_conn_t* conn) {
  return conn->generation == null_server_generation();
}

/* An unconnected one; `doing` names the caller in messages. */
int32_t null_conn_make(const weir_dsn_t* dsn, const weir_conn_options_t* options, const char* doing,
                       weir_conn_t** conn, weir_error_t* error);

/* For leases; see null.h. */
int32_t null_lease_query(weir_null_t* native, const char* statement, char* answer, size_t size);
int32_t null_lease_send(weir_null_t* native, const char* statement);
int32_t null_lease_receive(weir_null_t* native, char* answer, size_t size);

#endif /* WEIR_NULL_CONN_H */
