/* The client's side of a session. */
#include "server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "failure.h"
#include "table.h"
#include "token.h"

static int64_t last_id; /* guarded by the table's mutex */

/* Of one process that no other gives: its sessions may move there. */
static int64_t next_id(void) { return ((int64_t)getpid() << 32) + ++last_id; }

struct null_session* null_server_knock(const weir_dsn_t* dsn, const char* client_name) {
  struct null_session* const session = calloc(1, sizeof *session);
  if (session == NULL) return NULL;
  session->bell = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  if (session->bell < 0) {
    free(session);
    return NULL;
  }
  null_copy_cut(session->client_name, sizeof session->client_name, client_name);
  null_table_lock();
  session->server = null_table_find(dsn->server);
  if (session->server != NULL) {
    session->id = next_id();
    session->next = session->server->sessions;
    session->server->sessions = session;
  }
  null_table_unlock();
  if (session->server == NULL) {
    null_server_forget(session);
    errno = ENOMEM;
    return NULL;
  }
  return session;
}

void null_server_detach(struct null_session* session, uint64_t linger_ns) {
  null_table_lock();
  close(session->bell);
  session->is_detached = true;
  session->ends_ns = null_now_ns() + linger_ns;
  if (session->state != NULL_OPEN || linger_ns == 0) {
    null_session_hang_up(session);
    null_table_take_out(session);
    free(session);
  } else {
    session->bell = -1;
    session->is_running = false;
  }
  null_table_unlock();
}

struct null_session* null_server_adopt(const weir_dsn_t* dsn, const char* client_name, int64_t id,
                                       int bell) {
  struct null_session* const session = calloc(1, sizeof *session);
  if (session == NULL) return NULL;
  session->id = id;
  session->bell = bell;
  null_copy_cut(session->client_name, sizeof session->client_name, client_name);
  null_table_lock();
  session->server = null_table_find(dsn->server);
  if (session->server != NULL) {
    session->next = session->server->sessions;
    session->server->sessions = session;
    null_session_open(session);
    --session->server->counts.connects; /* it came by another way */
  }
  null_table_unlock();
  if (session->server != NULL) return session;
  free(session);
  return NULL;
}

void null_server_part(struct null_session* session) {
  null_table_lock();
  null_session_end(session);
  null_table_take_out(session);
  null_table_unlock();
  null_server_forget(session);
}

size_t null_session_variables(const struct null_session* session, struct null_variable* variables) {
  size_t count = 0;
  null_table_lock();
  for (size_t i = 0; i < NULL_VARIABLES_MAX; ++i) {
    if (session->variables[i].value[0] != '\0') variables[count++] = session->variables[i];
  }
  null_table_unlock();
  return count;
}

void null_session_set_variables(struct null_session* session, const struct null_variable* variables,
                                size_t count) {
  null_table_lock();
  memcpy(session->variables, variables, count * sizeof *variables);
  null_table_unlock();
}

void null_server_forget(struct null_session* session) {
  close(session->bell);
  free(session);
}

int64_t null_session_id(const struct null_session* session) { return session->id; }
int null_session_bell(const struct null_session* session) { return session->bell; }

struct null_sight null_session_look(struct null_session* session, uint64_t bell_ns) {
  null_table_lock();
  const struct null_sight sight = {.has_ended = session->state == NULL_ENDED,
                                   .has_unasked = session->has_unasked};
  null_session_ring_at(session, sight.has_ended ? NULL_RING_NOW : bell_ns);
  null_table_unlock();
  return sight;
}

void null_server_end(struct null_session* session) {
  null_table_lock();
  null_session_hang_up(session);
  null_table_unlock();
}

int32_t null_server_cancel(struct null_session* session, uint64_t deadline_ns) {
  int32_t code = WEIR_OK;
  null_table_lock();
  while (session->server->is_frozen && code == WEIR_OK) {
    if (!null_table_wait_thawed(deadline_ns)) code = WEIR_TIMEOUT;
  }
  if (code == WEIR_OK && session->is_running) {
    session->is_cancelled = true;
    null_session_ring_at(session, NULL_RING_NOW);
  }
  null_table_unlock();
  return code;
}

void null_server_token(const struct null_session* session, weir_token_t* token) {
  null_token_write(session->server->name, session->id, token);
}
