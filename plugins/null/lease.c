/* What a lease does with the native handle: the "client library". */
#include <poll.h>
#include <string.h>

#include "conn.h"
#include "failure.h"

static weir_conn_t* conn_of(weir_null_t* native) { return (weir_conn_t*)(void*)native; }

/* Whether a statement may leave something in the session. */
static bool leaves_traces(const char* statement) { return strncmp(statement, "SET ", 4) == 0; }

int32_t null_lease_send(weir_null_t* native, const char* statement) {
  weir_conn_t* const conn = conn_of(native);
  if (!null_conn_is_ours(conn)) return WEIR_FORKED;
  if (conn->is_broken || !conn->is_connected) return WEIR_CONNECTION_BROKEN;
  if (conn->is_unread || conn->phase != NULL_IDLE || statement == NULL ||
      strlen(statement) >= sizeof conn->lease_statement) {
    return WEIR_BAD_ARGUMENT;
  }
  null_copy_cut(conn->lease_statement, sizeof conn->lease_statement, statement);
  conn->lease_execute =
      (weir_execute_t){.struct_size = sizeof(weir_execute_t), .statement = conn->lease_statement};
  conn->lease_request = (struct null_request){.op = WEIR_OP_EXECUTE,
                                              .argument = &conn->lease_execute,
                                              .dsn = conn->dsn,
                                              .statement_timeout_ms = conn->statement_timeout_ms,
                                              .is_lease = true};
  conn->is_unread = true;
  conn->is_exported = false;
  if (conn->reset_mode == WEIR_RESET_ALWAYS ||
      (conn->reset_mode == WEIR_RESET_TRACKED && leaves_traces(statement))) {
    conn->is_dirty = true;
  }
  conn->lease_reply = null_server_ask(conn->session, &conn->lease_request);
  return WEIR_OK;
}

int32_t null_lease_receive(weir_null_t* native, char* answer, size_t size) {
  weir_conn_t* const conn = conn_of(native);
  if (!null_conn_is_ours(conn)) return WEIR_FORKED;
  if (!conn->is_unread || answer == NULL || size == 0) return WEIR_BAD_ARGUMENT;
  struct null_reply* const reply = &conn->lease_reply;
  while (!reply->is_there) {
    struct pollfd bell = {.fd = null_session_bell(conn->session), .events = POLLIN};
    poll(&bell, 1, -1);
    *reply = null_server_ask(conn->session, &conn->lease_request);
  }
  conn->is_unread = false;
  conn->in_transaction = reply->in_transaction;
  if (reply->code == WEIR_CONNECTION_BROKEN) conn->is_broken = true;
  null_copy_cut(answer, size, reply->code == WEIR_OK ? reply->answer : reply->text);
  return reply->code;
}

int32_t null_lease_query(weir_null_t* native, const char* statement, char* answer, size_t size) {
  const int32_t code = null_lease_send(native, statement);
  return code == WEIR_OK ? null_lease_receive(native, answer, size) : code;
}
