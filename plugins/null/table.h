/* Inside the server: the table of servers and their sessions, its mutex, and what happens to it at
 * a fork.
 *
 * Threads: whoever calls a function below holds the mutex, apart from null_table_lock. No callback
 * of the host's runs under it. */
#ifndef WEIR_NULL_TABLE_H
#define WEIR_NULL_TABLE_H

#include "session.h"

struct null_server {
  struct null_server* next;
  char name[NULL_NAME_MAX + 1];
  struct null_session* sessions;
  bool is_frozen;
  bool wants_password;
  char password[256];
  weir_null_counts_t counts;
};

void null_table_lock(void);
void null_table_unlock(void);

/* Gives up the mutex until a server thaws; false: not before the deadline. It may return early. */
bool null_table_wait_thawed(uint64_t deadline_ns);
void null_table_has_thawed(void);

/* The server of that name, made if need be; null: no memory. */
struct null_server* null_table_find(const char* name);
/* Its open session of that number, or null. */
struct null_session* null_table_session(struct null_server* server, int64_t id);
/* Frees the detached sessions whose time has come. */
void null_table_sweep(struct null_server* server);
void null_table_take_out(struct null_session* session);

/* KNOCKING -> OPEN; any -> ENDED; and ENDED with a ring for its client. */
void null_session_open(struct null_session* session);
void null_session_end(struct null_session* session);
void null_session_hang_up(struct null_session* session);

/* Sets the bell; 0: silent. What it rang for before is taken back. */
#define NULL_RING_NOW 1 /* a moment that has long passed */
void null_session_ring_at(const struct null_session* session, uint64_t at_ns);

#endif /* WEIR_NULL_TABLE_H */
