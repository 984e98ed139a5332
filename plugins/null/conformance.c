#include "conformance.h"

#include <string.h>

#include "conn.h"
#include "failure.h"

/* ---- a lease ---- */

static int32_t run(void* native, const char* statement, const char* expected) {
  char answer[WEIR_NULL_ANSWER_MAX];
  const int32_t code = null_lease_query(native, statement, answer, sizeof answer);
  if (code != WEIR_OK) return code;
  return strcmp(answer, expected) == 0 ? WEIR_OK : WEIR_DATABASE_ERROR;
}

static int64_t session_of(void* native) { return ((const weir_null_t*)native)->session; }
static int32_t query(void* native) { return run(native, "SELECT 42", "42"); }
static int32_t leave_state(void* native) { return run(native, "SET left = behind", ""); }
static int32_t has_state(void* native) { return run(native, "GET left", "behind") == WEIR_OK; }
static int32_t leave_transaction(void* native) { return run(native, "BEGIN", ""); }
static int32_t leave_unread(void* native) { return null_lease_send(native, "SELECT 1"); }
static int32_t sleep_long(void* native) {
  return run(native, "SLEEP 60s", "") == WEIR_OK ? WEIR_OK : WEIR_CANCELLED;
}

/* ---- the server ---- */

struct server_name {
  char text[NULL_NAME_MAX + 1];
};

/* null://<server>?... */
static struct server_name server_of(const char* dsn) {
  struct server_name name = {""};
  const char* const at = strstr(dsn, "://");
  if (at == NULL) return name;
  const size_t length = strcspn(at + 3, "?");
  if (length < sizeof name.text) memcpy(name.text, at + 3, length);
  return name;
}

static int32_t count_sessions(const char* dsn) {
  weir_null_counts_t counts = {.struct_size = sizeof counts};
  null_server_counts(server_of(dsn).text, &counts);
  return counts.sessions;
}

static int32_t is_busy(const char* dsn, int64_t session) {
  weir_session_t found = {.struct_size = sizeof found};
  return null_server_describe(server_of(dsn).text, session, &found) == WEIR_OK &&
         strcmp(found.state, "active") == 0;
}

static int32_t client_name_of(const char* dsn, int64_t session, char* name, size_t size) {
  weir_session_t found = {.struct_size = sizeof found};
  const int32_t code = null_server_describe(server_of(dsn).text, session, &found);
  if (code == WEIR_OK) null_copy_cut(name, size, found.client_name);
  return code;
}

static int32_t terminate(const char* dsn, int64_t session) {
  return null_server_hang_up(server_of(dsn).text, session);
}

static int32_t freeze(const char* dsn) {
  null_server_freeze(server_of(dsn).text);
  return WEIR_OK;
}

static int32_t thaw(const char* dsn) {
  null_server_thaw(server_of(dsn).text);
  return WEIR_OK;
}

const weir_conformance_t* null_conformance(void) {
  static const weir_conformance_t table = {
      .struct_size = sizeof table,
      .session_of = session_of,
      .query = query,
      .leave_state = leave_state,
      .has_state = has_state,
      .leave_transaction = leave_transaction,
      .leave_unread = leave_unread,
      .sleep_long = sleep_long,
      .statement = "SET search_path = public",
      .slow_statement = "SLEEP 60s",
      .refused_statement = "DIVIDE 1 BY 0",
      .refusal = "syntax",
      .count_sessions = count_sessions,
      .is_busy = is_busy,
      .client_name_of = client_name_of,
      .terminate = terminate,
      .freeze = freeze,
      .thaw = thaw,
  };
  return &table;
}
