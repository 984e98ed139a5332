#include "moving.h"

#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>

#include "failure.h"

static const char magic[8] = "WNULL-B1"; /* driver and version; no zero at its end */

struct null_blob {
  char magic[8];
  uint32_t size; /* of all */
  uint32_t variables;
  uint64_t fingerprint; /* of the DSN */
  int64_t session;
  int32_t reset_mode;
  uint32_t statement_timeout_ms;
  char server[NULL_NAME_MAX + 8]; /* ends with a zero, as does: */
  char client_name[64];
};

static uint64_t checksum(const unsigned char* bytes, size_t size) {
  uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a (Fowler, Noll, Vo), 64 bits */
  for (size_t i = 0; i < size; ++i) hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
  return hash;
}

/* What the script says of this call: WEIR_OK or the failure, filled in. */
static int32_t ask_script(const weir_dsn_t* dsn, int script, int32_t usual, const char* doing,
                          weir_error_t* error) {
  const struct null_outcome outcome = null_dsn_next_outcome(dsn, script);
  if (outcome.action != NULL_ACTION_FAIL) return WEIR_OK;
  return null_fail(error, outcome.code != WEIR_OK ? outcome.code : usual, "script",
                   "%s: server %s: %s", doing, dsn->server,
                   outcome.text[0] != '\0' ? outcome.text : "failed, as the DSN says");
}

/* ---- here ----------------------------------------------------------------------------------- */

static int32_t check_clean(weir_conn_t* conn, weir_error_t* error) {
  if (!null_conn_is_ours(conn)) {
    return null_fail(error, WEIR_FORKED, NULL, "export: the connection was made before a fork");
  }
  if (!conn->is_connected && !conn->is_broken) {
    return null_fail(error, WEIR_NOT_OPEN, NULL, "export: not connected");
  }
  const char* const found = conn->phase != NULL_IDLE ? "an operation under way"
                            : conn->is_unread        ? "an unread answer"
                            : conn->in_transaction   ? "an open transaction"
                            : conn->is_dirty         ? "what a lease left behind"
                                                     : NULL;
  if (found != NULL && !conn->is_broken) {
    return null_fail(error, WEIR_BAD_ARGUMENT, NULL,
                     "export: expected an idle, clean session, found %s", found);
  }
  const struct null_sight sight = conn->session != NULL ? null_session_look(conn->session, 0)
                                                        : (struct null_sight){.has_ended = true};
  if (conn->is_broken || sight.has_ended) {
    return null_fail(error, WEIR_CONNECTION_BROKEN, NULL, "export: the server hung up");
  }
  if (sight.has_unasked) {
    return null_fail(error, WEIR_WOULD_BLOCK, NULL, "export: the server said something unasked");
  }
  return WEIR_OK;
}

int32_t null_export(weir_conn_t* conn, void* blob, size_t* size, weir_error_t* error) {
  conn->is_exported = false;
  int32_t code = check_clean(conn, error);
  if (code == WEIR_OK) {
    code = ask_script(conn->dsn, NULL_EXPORT, WEIR_NOT_SUPPORTED, "export", error);
  }
  if (code != WEIR_OK) return code;
  struct null_variable variables[NULL_VARIABLES_MAX];
  struct null_blob head = {.variables = (uint32_t)null_session_variables(conn->session, variables),
                           .fingerprint = conn->dsn->fingerprint,
                           .session = null_session_id(conn->session),
                           .reset_mode = conn->reset_mode,
                           .statement_timeout_ms = conn->statement_timeout_ms};
  memcpy(head.magic, magic, sizeof head.magic);
  null_copy_cut(head.server, sizeof head.server, conn->dsn->server);
  null_copy_cut(head.client_name, sizeof head.client_name, conn->client_name);
  const size_t variable_bytes = head.variables * sizeof variables[0];
  const size_t summed = sizeof head + variable_bytes;
  head.size = (uint32_t)(summed + sizeof(uint64_t));
  const size_t room = *size < WEIR_BLOB_MAX ? *size : WEIR_BLOB_MAX;
  if (head.size > room) {
    return null_fail(error, WEIR_NOT_SUPPORTED, NULL,
                     "export: the session's %u variables do not fit into %zu bytes", head.variables,
                     room);
  }
  unsigned char* const bytes = blob;
  memcpy(bytes, &head, sizeof head);
  memcpy(bytes + sizeof head, variables, variable_bytes);
  const uint64_t sum = checksum(bytes, summed);
  memcpy(bytes + summed, &sum, sizeof sum);
  *size = head.size;
  conn->is_exported = true;
  return WEIR_OK;
}

/* ---- there ---------------------------------------------------------------------------------- */

static int32_t refuse(weir_error_t* error, const char* why) {
  return null_fail(error, WEIR_BAD_ARGUMENT, NULL, "import: %s", why);
}

/* Reads the blob's head and checks that its variables follow. */
static int32_t read_head(const unsigned char* bytes, size_t size, struct null_blob* head,
                         weir_error_t* error) {
  if (size < sizeof magic || memcmp(bytes, magic, sizeof magic - 2) != 0) {
    return refuse(error, "the blob is no session of this driver");
  }
  if (memcmp(bytes, magic, sizeof magic) != 0) {
    return null_fail(error, WEIR_NOT_SUPPORTED, NULL, "import: blob version %c found, %c expected",
                     bytes[7] >= ' ' && bytes[7] < 0x7f ? bytes[7] : '?', magic[7]);
  }
  if (size < sizeof *head + sizeof(uint64_t)) return refuse(error, "the blob is cut");
  memcpy(head, bytes, sizeof *head);
  if (head->variables > NULL_VARIABLES_MAX || head->size != size ||
      size != sizeof *head + head->variables * sizeof(struct null_variable) + sizeof(uint64_t)) {
    return refuse(error, "the blob's size is not what it says");
  }
  uint64_t sum = 0;
  memcpy(&sum, bytes + size - sizeof sum, sizeof sum);
  if (sum != checksum(bytes, size - sizeof sum)) {
    return refuse(error, "the blob's checksum is wrong");
  }
  if (head->session <= 0 || memchr(head->server, '\0', sizeof head->server) == NULL ||
      memchr(head->client_name, '\0', sizeof head->client_name) == NULL) {
    return refuse(error, "the blob names no session");
  }
  return WEIR_OK;
}

/* Whether a session like that would be one of this DSN's, made with this object's options. */
static int32_t check_fit(const struct null_blob* head, const weir_conn_t* conn,
                         weir_error_t* error) {
  const weir_dsn_t* const dsn = conn->dsn;
  if (strcmp(head->server, dsn->server) != 0 || head->fingerprint != dsn->fingerprint) {
    return null_fail(error, WEIR_BAD_ARGUMENT, NULL,
                     "import: a session of server %s with another DSN found, one of %s expected",
                     head->server, dsn->server);
  }
  if (head->reset_mode != conn->reset_mode ||
      head->statement_timeout_ms != conn->statement_timeout_ms) {
    return refuse(error, "the session has another reset mode or statement_timeout");
  }
  return WEIR_OK;
}

static bool are_texts(const struct null_variable* variables, uint32_t count) {
  for (uint32_t i = 0; i < count; ++i) {
    if (memchr(variables[i].key, '\0', sizeof variables[i].key) == NULL ||
        memchr(variables[i].value, '\0', sizeof variables[i].value) == NULL) {
      return false;
    }
  }
  return true;
}

/* Makes the unconnected `conn` the blob's session. */
static int32_t take(weir_conn_t* conn, int32_t descriptor, const unsigned char* blob, size_t size,
                    weir_error_t* error) {
  const weir_dsn_t* const dsn = conn->dsn;
  struct null_blob head;
  int32_t code = read_head(blob, size, &head, error);
  if (code == WEIR_OK) code = check_fit(&head, conn, error);
  if (code != WEIR_OK) return code;
  struct null_variable variables[NULL_VARIABLES_MAX];
  memcpy(variables, blob + sizeof head, head.variables * sizeof variables[0]);
  if (!are_texts(variables, head.variables)) return refuse(error, "a variable is no text");
  struct itimerspec ignored;
  if (timerfd_gettime(descriptor, &ignored) != 0) {
    return refuse(error, "the descriptor is no session's bell");
  }
  code = ask_script(dsn, NULL_IMPORT, WEIR_CONNECTION_BROKEN, "import", error);
  if (code != WEIR_OK) return code;
  conn->session = null_server_adopt(dsn, head.client_name, head.session, descriptor);
  if (conn->session == NULL) {
    return null_fail(error, WEIR_OUT_OF_MEMORY, NULL, "import: no memory");
  }
  null_session_set_variables(conn->session, variables, head.variables);
  null_copy_cut(conn->client_name, sizeof conn->client_name, head.client_name);
  conn->native.session = head.session;
  conn->is_connected = true;
  return WEIR_OK;
}

int32_t null_import(const weir_dsn_t* dsn, const weir_conn_options_t* options, int32_t descriptor,
                    const void* blob, size_t size, weir_conn_t** conn, weir_error_t* error) {
  weir_conn_t* made = NULL;
  int32_t code = null_conn_make(dsn, options, "import", &made, error);
  if (code != WEIR_OK) return code;
  code = conn == NULL || blob == NULL ? refuse(error, "an argument is missing")
                                      : take(made, descriptor, blob, size, error);
  if (code == WEIR_OK) {
    *conn = made;
  } else {
    free(made);
  }
  return code;
}
