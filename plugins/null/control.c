/* For who controls a server: the second half of weir_null_client_t, and its list of sessions. */
#include <stdlib.h>
#include <string.h>

#include "failure.h"
#include "table.h"

void null_server_counts(const char* name, weir_null_counts_t* counts) {
  null_table_lock();
  struct null_server* const server = null_table_find(name);
  if (server != NULL) {
    null_table_sweep(server);
    weir_null_counts_t told = server->counts;
    told.struct_size = counts->struct_size;
    memcpy(counts, &told, told.struct_size < sizeof told ? told.struct_size : sizeof told);
  }
  null_table_unlock();
}

static void describe(const struct null_session* session, weir_session_t* description) {
  const uint64_t now_ns = null_now_ns();
  description->server_pid = session->id;
  null_copy_cut(description->client_name, sizeof description->client_name, session->client_name);
  null_copy_cut(description->state, sizeof description->state, null_session_state(session));
  description->state_ms = (int64_t)((now_ns - session->since_ns) / 1000000);
  null_copy_cut(description->wait, sizeof description->wait, session->is_running ? "sleep" : "");
}

int32_t null_server_describe(const char* name, int64_t id, weir_session_t* description) {
  null_table_lock();
  struct null_server* const server = null_table_find(name);
  const struct null_session* session = NULL;
  if (server != NULL) {
    null_table_sweep(server);
    session = null_table_session(server, id);
  }
  if (session != NULL) describe(session, description);
  null_table_unlock();
  return session != NULL ? WEIR_OK : WEIR_NOT_FOUND;
}

size_t null_server_list(const char* name, weir_session_t** list) {
  null_table_lock();
  struct null_server* const server = null_table_find(name);
  const size_t room = server != NULL ? (size_t)server->counts.sessions : 0;
  size_t count = 0;
  *list = calloc(room + 1, sizeof **list);
  if (*list != NULL && room > 0) {
    for (const struct null_session* at = server->sessions; at != NULL; at = at->next) {
      if (at->state != NULL_OPEN || count == room) continue;
      (*list)[count].struct_size = sizeof **list;
      describe(at, &(*list)[count++]);
    }
  }
  null_table_unlock();
  return count;
}

int32_t null_server_hang_up(const char* name, int64_t id) {
  null_table_lock();
  struct null_server* const server = null_table_find(name);
  struct null_session* const session = server != NULL ? null_table_session(server, id) : NULL;
  if (session != NULL) null_session_hang_up(session);
  null_table_unlock();
  return session != NULL ? WEIR_OK : WEIR_NOT_FOUND;
}

int32_t null_server_send_unasked(const char* name, int64_t id) {
  null_table_lock();
  struct null_server* const server = null_table_find(name);
  struct null_session* const session = server != NULL ? null_table_session(server, id) : NULL;
  if (session != NULL && !session->is_detached) {
    session->has_unasked = true;
    null_session_ring_at(session, NULL_RING_NOW);
  }
  null_table_unlock();
  return session != NULL ? WEIR_OK : WEIR_NOT_FOUND;
}

static void set_frozen(const char* name, bool is_frozen) {
  null_table_lock();
  struct null_server* const server = null_table_find(name);
  if (server != NULL) {
    server->is_frozen = is_frozen;
    if (!is_frozen) {
      /* Whoever waits for an answer asks again. */
      for (const struct null_session* at = server->sessions; at != NULL; at = at->next) {
        if (!at->is_detached && at->is_asking) null_session_ring_at(at, NULL_RING_NOW);
      }
      null_table_has_thawed();
    }
  }
  null_table_unlock();
}

void null_server_freeze(const char* name) { set_frozen(name, true); }
void null_server_thaw(const char* name) { set_frozen(name, false); }

void null_server_require_password(const char* name, const char* password) {
  null_table_lock();
  struct null_server* const server = null_table_find(name);
  if (server != NULL) {
    server->wants_password = password != NULL;
    null_copy_cut(server->password, sizeof server->password, password != NULL ? password : "");
  }
  null_table_unlock();
}
