/* The driver's table: weir/driver.h on one side, a connection's state and the server on the other.
 * Read this file first: a driver for a real database has the same functions, and its client
 * library where this one has server.h. */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "conformance.h"
#include "conn.h"
#include "failure.h"
#include "moving.h"

/* ---- the driver, DSNs, objects -------------------------------------------------------------- */

static int32_t init(const weir_host_t* host, weir_error_t* error) {
  if (host == NULL || !WEIR_HAS_FIELD(host, weir_host_t, now_ns)) {
    return null_fail(error, WEIR_BAD_ARGUMENT, NULL, "init: the host offers no clock");
  }
  null_server_init(host);
  return WEIR_OK;
}

static int32_t open_conn(const weir_dsn_t* dsn, const weir_conn_options_t* options,
                         weir_conn_t** conn, weir_error_t* error) {
  return null_conn_make(dsn, options, "open_conn", conn, error);
}

static void free_conn(weir_conn_t* conn) {
  if (conn == NULL) return;
  if (conn->session != NULL) {
    if (null_conn_is_ours(conn)) {
      null_server_detach(conn->session, conn->dsn->linger_ns);
    } else {
      null_server_forget(conn->session); /* a copy, made by fork: the parent's lives on */
    }
  }
  free(conn);
}

/* ---- operations ----------------------------------------------------------------------------- */

/* Whether `argument` has room for the answer. */
static bool is_good_argument(int32_t op, const void* argument) {
  size_t least = 0;
  switch (op) {
    case WEIR_OP_EXECUTE:
      least = sizeof(weir_execute_t);
      break;
    case WEIR_OP_CONFIRM_GONE:
      least = sizeof(weir_confirm_gone_t);
      break;
    case WEIR_OP_CANCEL_TOKEN:
      least = sizeof(weir_cancel_token_t);
      break;
    case WEIR_OP_LIMITS:
      least = offsetof(weir_server_limits_t, client_check_ms); /* of ABI 1.0 */
      break;
    case WEIR_OP_ACTIVITY:
      least = sizeof(weir_server_activity_t);
      break;
    case WEIR_OP_SESSIONS:
      least = sizeof(weir_sessions_t);
      break;
    default:
      return true;
  }
  uint32_t size = 0; /* every argument begins with its struct_size */
  if (argument != NULL) memcpy(&size, argument, sizeof size);
  if (size < least) return false;
  switch (op) {
    case WEIR_OP_EXECUTE:
      return ((const weir_execute_t*)argument)->statement != NULL;
    case WEIR_OP_CONFIRM_GONE:
      return ((const weir_confirm_gone_t*)argument)->token != NULL;
    case WEIR_OP_CANCEL_TOKEN:
      return ((const weir_cancel_token_t*)argument)->token != NULL;
    case WEIR_OP_SESSIONS:
      return ((const weir_sessions_t*)argument)->each != NULL;
    default:
      return true;
  }
}

/* Whether `op` may begin now, in the connection's state. */
static int32_t check_state(const weir_conn_t* conn, int32_t op, weir_error_t* error) {
  const char* const name = null_operation_name(op);
  if (op == WEIR_OP_CLOSE) return WEIR_OK; /* always, whatever is under way */
  if (conn->phase != NULL_IDLE) {
    return null_fail(error, WEIR_BAD_ARGUMENT, NULL, "%s: another operation is under way", name);
  }
  if (conn->is_broken) {
    return null_fail(error, WEIR_CONNECTION_BROKEN, NULL, "%s: the connection is broken", name);
  }
  const bool wants_new = op == WEIR_OP_CONNECT || op == WEIR_OP_CANCEL_TOKEN;
  if (wants_new ? conn->is_connected : !conn->is_connected && op != WEIR_OP_CONFIRM_GONE) {
    return null_fail(error, WEIR_BAD_ARGUMENT, NULL, "%s: expected %s connection", name,
                     wants_new ? "an unconnected" : "a connected");
  }
  if (conn->is_unread) {
    return null_fail(error, WEIR_CONNECTION_BROKEN, NULL, "%s: an answer is unread", name);
  }
  return WEIR_OK;
}

/* Whether a reset has nothing to do: most releases. */
static bool is_clean(const weir_conn_t* conn) {
  return conn->reset_mode != WEIR_RESET_ALWAYS && !conn->in_transaction && !conn->is_dirty;
}

static int32_t start(weir_conn_t* conn, int32_t op, void* argument, uint64_t deadline_ns,
                     weir_error_t* error) {
  const char* const name = null_operation_name(op);
  if (name == NULL) {
    return null_fail(error, WEIR_NOT_SUPPORTED, NULL, "there is no operation %d", op);
  }
  if (!null_conn_is_ours(conn)) {
    return null_fail(error, WEIR_FORKED, NULL, "%s: the connection was made before a fork", name);
  }
  if (!is_good_argument(op, argument)) {
    return null_fail(error, WEIR_BAD_ARGUMENT, NULL, "%s: expected an argument with struct_size",
                     name);
  }
  const int32_t code = check_state(conn, op, error);
  if (code != WEIR_OK) return code;
  /* What asks the server needs a way to hear it. Only a CLOSE has nobody to talk to without. */
  if (conn->session == NULL && op != WEIR_OP_CLOSE) {
    conn->session = null_server_knock(conn->dsn, conn->client_name);
    if (conn->session == NULL) {
      return null_fail(error, WEIR_SYSTEM_ERROR, NULL, "%s: %s", name,
                       errno == EMFILE || errno == ENFILE ? "no descriptor left" : "no memory");
    }
  }
  conn->request = (struct null_request){.op = op,
                                        .argument = argument,
                                        .dsn = conn->dsn,
                                        .statement_timeout_ms = conn->statement_timeout_ms,
                                        .only_roll_back = !conn->is_dirty};
  if (conn->reset_mode == WEIR_RESET_ALWAYS) conn->request.only_roll_back = false;
  if (conn->reset_mode == WEIR_RESET_TRANSACTION) conn->request.only_roll_back = true;
  conn->deadline_ns = deadline_ns;
  const struct null_outcome nothing_to_close = {.action = NULL_ACTION_OK};
  conn->outcome = conn->session != NULL ? null_dsn_next_outcome(conn->dsn, op) : nothing_to_close;
  conn->phase = conn->outcome.delay_ns > 0 ? NULL_DELAY : NULL_ASKING;
  conn->is_exported = false;
  conn->due_ns = null_now_ns() + conn->outcome.delay_ns;
  return WEIR_OK;
}

/* ---- the end of an operation ---------------------------------------------------------------- */

static int32_t done(weir_conn_t* conn) {
  conn->phase = NULL_IDLE;
  switch (conn->request.op) {
    case WEIR_OP_CONNECT:
      conn->is_connected = true;
      conn->native.session = null_session_id(conn->session);
      break;
    case WEIR_OP_RESET:
      conn->in_transaction = conn->is_dirty = false;
      break;
    case WEIR_OP_CLOSE:
      conn->is_connected = false;
      conn->is_broken = true;
      break;
    default:
      break;
  }
  return WEIR_STEP_DONE;
}

/* Whether `code` leaves the connection as it was, and not fit for a CLOSE only. */
static bool is_mere_refusal(int32_t op, int32_t code) {
  const bool is_vital =
      op == WEIR_OP_CONNECT || op == WEIR_OP_PING || op == WEIR_OP_RESET || op == WEIR_OP_CLOSE;
  return !is_vital && code != WEIR_CONNECTION_BROKEN && code != WEIR_TIMEOUT;
}

static int32_t failed(weir_conn_t* conn, weir_error_t* error, int32_t code, const char* native_text,
                      const char* text) {
  conn->phase = NULL_IDLE;
  if (!is_mere_refusal(conn->request.op, code)) conn->is_broken = true;
  null_fail(error, code, native_text, "%s: server %s: %s", null_operation_name(conn->request.op),
            conn->dsn->server, text);
  return WEIR_STEP_ERROR;
}

/* What "fail" means if the script does not say. */
static int32_t usual_failure(int32_t op) {
  switch (op) {
    case WEIR_OP_CONNECT:
    case WEIR_OP_CANCEL_TOKEN:
      return WEIR_CONNECT_FAILED;
    case WEIR_OP_PING:
    case WEIR_OP_RESET:
    case WEIR_OP_CLOSE:
      return WEIR_CONNECTION_BROKEN;
    default:
      return WEIR_DATABASE_ERROR;
  }
}

/* ---- a step --------------------------------------------------------------------------------- */

/* Hands each session to the host; not while the server is locked, for `each` is foreign code. */
static int32_t tell_sessions(weir_conn_t* conn, weir_error_t* error) {
  const weir_sessions_t* const request = conn->request.argument;
  weir_session_t* list = NULL;
  const size_t count = null_server_list(conn->dsn->server, &list);
  if (list == NULL) return failed(conn, error, WEIR_OUT_OF_MEMORY, NULL, "no memory");
  for (size_t i = 0; i < count; ++i) request->each(request->context, &list[i]);
  free(list);
  return done(conn);
}

static int32_t ask(weir_conn_t* conn, weir_error_t* error) {
  const int32_t op = conn->request.op;
  if (conn->session == NULL || (op == WEIR_OP_RESET && is_clean(conn))) return done(conn);
  const struct null_reply reply = null_server_ask(conn->session, &conn->request);
  if (!reply.is_there) return WEIR_STEP_WANT_READ;
  conn->in_transaction = reply.in_transaction;
  if (reply.code != WEIR_OK) {
    return failed(conn, error, reply.code, reply.native_text, reply.text);
  }
  return op == WEIR_OP_SESSIONS ? tell_sessions(conn, error) : done(conn);
}

/* Waits, with the bell set to `bell_ns`, unless the server hangs up. A goodbye then has succeeded.
 */
static int32_t wait(weir_conn_t* conn, uint64_t bell_ns, weir_error_t* error) {
  const struct null_sight sight = null_session_look(conn->session, bell_ns);
  if (!sight.has_ended) return WEIR_STEP_WANT_READ;
  if (conn->request.op == WEIR_OP_CLOSE) return done(conn);
  return failed(conn, error, WEIR_CONNECTION_BROKEN, NULL, "the server hung up");
}

static int32_t step(weir_conn_t* conn, weir_error_t* error) {
  if (!null_conn_is_ours(conn)) {
    null_fail(error, WEIR_FORKED, NULL, "step: the connection was made before a fork");
    return WEIR_STEP_ERROR;
  }
  if (conn->phase == NULL_IDLE) {
    null_fail(error, WEIR_BAD_ARGUMENT, NULL, "step: no operation is under way");
    return WEIR_STEP_ERROR;
  }
  const uint64_t now_ns = null_now_ns();
  if (now_ns >= conn->deadline_ns) {
    return failed(conn, error, WEIR_TIMEOUT, NULL, "no answer before the deadline");
  }
  if (conn->phase == NULL_DELAY) {
    if (now_ns < conn->due_ns) return wait(conn, conn->due_ns, error);
    conn->phase = NULL_ASKING;
  }
  const struct null_outcome* const outcome = &conn->outcome;
  switch (outcome->action) {
    case NULL_ACTION_HANG:
      return wait(conn, 0, error);
    case NULL_ACTION_DROP:
      null_server_end(conn->session);
      return conn->request.op == WEIR_OP_CLOSE
                 ? done(conn)
                 : failed(conn, error,
                          conn->request.op == WEIR_OP_CONNECT ? WEIR_CONNECT_FAILED
                                                              : WEIR_CONNECTION_BROKEN,
                          NULL, "the server hung up, as the DSN says");
    case NULL_ACTION_FAIL:
      return failed(conn, error,
                    outcome->code != WEIR_OK ? outcome->code : usual_failure(conn->request.op),
                    "script", outcome->text[0] != '\0' ? outcome->text : "failed, as the DSN says");
    default:
      return ask(conn, error);
  }
}

/* ---- looks ---------------------------------------------------------------------------------- */

static int32_t fd(weir_conn_t* conn) {
  return conn->session != NULL ? null_session_bell(conn->session) : -1;
}

static void* native(weir_conn_t* conn) { return &conn->native; }

static uint32_t is_usable(weir_conn_t* conn, int32_t look) {
  if (look == WEIR_LOOK_AT_SOCKET && conn->session != NULL && null_conn_is_ours(conn)) {
    const struct null_sight sight = null_session_look(conn->session, 0);
    if (sight.has_ended) conn->is_broken = true;
    conn->has_unasked = sight.has_unasked;
  }
  uint32_t condition = 0;
  if (conn->is_broken || !conn->is_connected) condition |= WEIR_COND_BROKEN;
  if (conn->in_transaction) condition |= WEIR_COND_IN_TRANSACTION;
  if (conn->is_unread) condition |= WEIR_COND_UNREAD;
  if (conn->is_dirty) condition |= WEIR_COND_DIRTY;
  if (look == WEIR_LOOK_AT_SOCKET && conn->has_unasked) condition |= WEIR_COND_UNEXPECTED;
  return condition;
}

/* In a child free_conn does not say goodbye; in its own process nobody else can hold a session that
 * was not exported, so that letting go of it ends it, as end-of-file would. */
static void abandon(weir_conn_t* conn) {
  if (conn->is_exported && null_conn_is_ours(conn)) {
    null_server_part(conn->session);
    conn->session = NULL;
  }
  free_conn(conn);
}

static void session_token(weir_conn_t* conn, weir_token_t* token) {
  memset(token, 0, sizeof *token);
  if (conn->is_connected) null_server_token(conn->session, token);
}

static int32_t cancel(weir_conn_t* conn, uint64_t deadline_ns, weir_error_t* error) {
  if (!null_conn_is_ours(conn)) {
    return null_fail(error, WEIR_FORKED, NULL, "cancel: the connection was made before a fork");
  }
  if (!conn->is_connected) {
    return null_fail(error, WEIR_BAD_ARGUMENT, NULL, "cancel: expected a connected connection");
  }
  const int32_t code = null_server_cancel(conn->session, deadline_ns);
  if (code == WEIR_OK) return WEIR_OK;
  return null_fail(error, code, NULL, "cancel: server %s: no answer before the deadline",
                   conn->dsn->server);
}

static const void* get_extension(const char* id) {
  static const weir_null_client_t client = {
      .struct_size = sizeof client,
      .query = null_lease_query,
      .send = null_lease_send,
      .receive = null_lease_receive,
      .counts = null_server_counts,
      .describe = null_server_describe,
      .hang_up = null_server_hang_up,
      .send_unasked = null_server_send_unasked,
      .freeze = null_server_freeze,
      .thaw = null_server_thaw,
      .require_password = null_server_require_password,
  };
  if (id != NULL && strcmp(id, WEIR_CONFORMANCE) == 0) return null_conformance();
  return id != NULL && strcmp(id, WEIR_NULL_CLIENT) == 0 ? &client : NULL;
}

const weir_driver_t* weir_driver_entry(void) {
  static const weir_driver_t table = {
      .magic = WEIR_DRIVER_MAGIC,
      .abi_major = WEIR_DRIVER_ABI_MAJOR,
      .abi_minor = WEIR_DRIVER_ABI_MINOR,
      .struct_size = sizeof(weir_driver_t),
      .flags = 0,
      .name = "null",
      .version = "1",
      .init = init,
      .parse_dsn = null_dsn_parse,
      .free_dsn = null_dsn_free,
      .open_conn = open_conn,
      .free_conn = free_conn,
      .start = start,
      .step = step,
      .fd = fd,
      .native = native,
      .is_usable = is_usable,
      .abandon = abandon,
      .session_token = session_token,
      .cancel = cancel,
      .export_session = null_export,
      .import_session = null_import,
      .get_extension = get_extension,
  };
  return &table;
}
