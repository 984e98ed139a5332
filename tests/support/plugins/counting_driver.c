/* The driver of tests/support/counting_server.h: a session is a socket that says who it is, and a
 * goodbye is over when the server has closed it. So a test with many workers has a server that
 * counts them all, and needs no database.
 *
 * DSN: counting://<folder>, where the server's two sockets are. A session's name, and its token, is
 * the process that opened it and how many it had opened before. Sessions run nothing: reset,
 * execute and cancel have nothing to do. */
#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "weir/driver.h"

static const char scheme[] = "counting://";

struct weir_dsn {
  char folder[80];
};

struct name {
  uint32_t process, number;
};

struct weir_conn {
  const weir_dsn_t* dsn;
  int session, question; /* -1: none */
  struct name name;
  bool connected, broken;
  int32_t op; /* 0: none under way */
  uint64_t deadline_ns;
  weir_confirm_gone_t* confirm;
};

static const weir_host_t* host;
static atomic_uint opened;

static int32_t fail(weir_error_t* error, int32_t code, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  error->code = code;
  error->native_code = errno;
  vsnprintf(error->message, sizeof error->message, format, arguments);
  va_end(arguments);
  return code;
}

static int32_t init(const weir_host_t* offered, weir_error_t* error) {
  (void)error;
  host = offered;
  return WEIR_OK;
}

/* ---- DSNs and objects ----------------------------------------------------------------------- */

static int32_t parse_dsn(const char* text, weir_dsn_t** dsn, weir_dsn_info_t* info,
                         weir_error_t* error) {
  const size_t length = sizeof scheme - 1;
  const char* const folder = text + length;
  if (strncmp(text, scheme, length) != 0 || strlen(folder) >= sizeof(*dsn)->folder) {
    return fail(error, WEIR_BAD_CONFIG, "dsn: expected %s and a short folder", scheme);
  }
  *dsn = calloc(1, sizeof **dsn);
  if (*dsn == NULL) return fail(error, WEIR_OUT_OF_MEMORY, "dsn: no memory");
  strcpy((*dsn)->folder, folder);
  snprintf(info->display, sizeof info->display, "%s", text);
  snprintf(info->server_identity, sizeof info->server_identity, "counting:%s", folder);
  info->fingerprint = 1;
  return WEIR_OK;
}
static void free_dsn(weir_dsn_t* dsn) { free(dsn); }

static int32_t open_conn(const weir_dsn_t* dsn, const weir_conn_options_t* options,
                         weir_conn_t** conn, weir_error_t* error) {
  (void)options;
  *conn = calloc(1, sizeof **conn);
  if (*conn == NULL) return fail(error, WEIR_OUT_OF_MEMORY, "open_conn: no memory");
  (*conn)->dsn = dsn;
  (*conn)->session = (*conn)->question = -1;
  return WEIR_OK;
}

static void hang_up(int* fd) {
  if (*fd >= 0) close(*fd);
  *fd = -1;
}
static void free_conn(weir_conn_t* conn) {
  hang_up(&conn->session);
  hang_up(&conn->question);
  free(conn);
}

/* ---- operations ----------------------------------------------------------------------------- */

/* Connects to one of the server's sockets and says `name`. -1 on failure. */
static int say(const weir_dsn_t* dsn, const char* socket_name, struct name name) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof address.sun_path, "%s/%s", dsn->folder, socket_name);
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -1;
  if (connect(fd, (const struct sockaddr*)&address, sizeof address) == 0 &&
      send(fd, &name, sizeof name, MSG_NOSIGNAL) == (ssize_t)sizeof name) {
    return fd;
  }
  close(fd);
  return -1;
}

static int32_t start(weir_conn_t* conn, int32_t op, void* argument, uint64_t deadline_ns,
                     weir_error_t* error) {
  conn->deadline_ns = deadline_ns;
  conn->op = op;
  switch (op) {
    case WEIR_OP_CONNECT:
      conn->name = (struct name){(uint32_t)getpid(), atomic_fetch_add(&opened, 1)};
      conn->session = say(conn->dsn, "sessions", conn->name);
      if (conn->session >= 0) return WEIR_OK;
      return fail(error, WEIR_CONNECT_FAILED, "connect: %s", strerror(errno));
    case WEIR_OP_PING:
      if (send(conn->session, &conn->name, sizeof conn->name, MSG_NOSIGNAL) > 0) return WEIR_OK;
      conn->broken = true;
      return fail(error, WEIR_CONNECTION_BROKEN, "ping: %s", strerror(errno));
    case WEIR_OP_CLOSE:
      if (conn->session >= 0) shutdown(conn->session, SHUT_WR);
      return WEIR_OK;
    case WEIR_OP_CONFIRM_GONE: {
      struct name name;
      conn->confirm = argument;
      if (conn->confirm->token->size != sizeof name) {
        return fail(error, WEIR_BAD_ARGUMENT, "confirm_gone: no token of this driver");
      }
      memcpy(&name, conn->confirm->token->bytes, sizeof name);
      conn->question = say(conn->dsn, "questions", name);
      if (conn->question >= 0) return WEIR_OK;
      return fail(error, WEIR_DATABASE_ERROR, "confirm_gone: %s", strerror(errno));
    }
    case WEIR_OP_RESET:
    case WEIR_OP_EXECUTE:
    case WEIR_OP_CANCEL_TOKEN:
      return WEIR_OK;
    default:
      return fail(error, WEIR_NOT_SUPPORTED, "there is no operation %d", (int)op);
  }
}

/* One byte of an answer: WEIR_STEP_DONE, and then *answer is it, or 0 if the server hung up. */
static int32_t hear(weir_conn_t* conn, int fd, char* answer, weir_error_t* error) {
  *answer = 0;
  if (fd < 0) return WEIR_STEP_DONE;
  const ssize_t got = recv(fd, answer, 1, MSG_DONTWAIT);
  if (got >= 0 || errno != EAGAIN) return WEIR_STEP_DONE;
  if (host->now_ns(host->host_data) < conn->deadline_ns) return WEIR_STEP_WANT_READ;
  fail(error, WEIR_TIMEOUT, "no answer before the deadline");
  conn->broken = true;
  return WEIR_STEP_ERROR;
}

static int32_t step(weir_conn_t* conn, weir_error_t* error) {
  char answer;
  int32_t heard;
  switch (conn->op) {
    case WEIR_OP_CONNECT:
    case WEIR_OP_PING:
      heard = hear(conn, conn->session, &answer, error);
      if (heard != WEIR_STEP_DONE) return heard;
      conn->connected = answer == 'w';
      if (conn->connected) return WEIR_STEP_DONE;
      conn->broken = true;
      fail(error, conn->op == WEIR_OP_PING ? WEIR_CONNECTION_BROKEN : WEIR_CONNECT_FAILED,
           "the server hung up");
      return WEIR_STEP_ERROR;
    case WEIR_OP_CLOSE:
      do {
        heard = hear(conn, conn->session, &answer, error);
        if (heard != WEIR_STEP_DONE) return heard;
      } while (answer != 0);
      hang_up(&conn->session);
      conn->broken = true;
      return WEIR_STEP_DONE;
    case WEIR_OP_CONFIRM_GONE:
      heard = hear(conn, conn->question, &answer, error);
      if (heard != WEIR_STEP_DONE) return heard;
      hang_up(&conn->question);
      conn->confirm->gone = answer == 'y';
      return WEIR_STEP_DONE;
    default:
      return WEIR_STEP_DONE;
  }
}

/* ---- looks ---------------------------------------------------------------------------------- */

static int32_t fd(weir_conn_t* conn) {
  return conn->question >= 0 ? conn->question : conn->session;
}
static void* native(weir_conn_t* conn) { return conn; }

static uint32_t is_usable(weir_conn_t* conn, int32_t look) {
  char byte;
  if (look == WEIR_LOOK_AT_SOCKET && conn->session >= 0) {
    const ssize_t got = recv(conn->session, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (got == 0) conn->broken = true;
    if (got > 0) return WEIR_COND_UNEXPECTED;
  }
  return conn->broken || !conn->connected ? WEIR_COND_BROKEN : 0;
}

static void session_token(weir_conn_t* conn, weir_token_t* token) {
  token->size = conn->connected ? sizeof conn->name : 0;
  memcpy(token->bytes, &conn->name, sizeof conn->name);
}

static int32_t cancel(weir_conn_t* conn, uint64_t deadline_ns, weir_error_t* error) {
  (void)conn;
  (void)deadline_ns;
  (void)error;
  return WEIR_OK;
}

const weir_driver_t* weir_driver_entry(void) {
  static const weir_driver_t table = {
      .magic = WEIR_DRIVER_MAGIC,
      .abi_major = WEIR_DRIVER_ABI_MAJOR,
      .abi_minor = WEIR_DRIVER_ABI_MINOR,
      .struct_size = sizeof(weir_driver_t),
      .name = "counting",
      .version = "1",
      .init = init,
      .parse_dsn = parse_dsn,
      .free_dsn = free_dsn,
      .open_conn = open_conn,
      .free_conn = free_conn,
      .start = start,
      .step = step,
      .fd = fd,
      .native = native,
      .is_usable = is_usable,
      .abandon = free_conn,
      .session_token = session_token,
      .cancel = cancel,
  };
  return &table;
}
