/* weir/driver.h: what a database driver is to weir. All that a driver includes.
 *
 * A driver is a shared object that exports one function, weir_driver_entry, which returns a
 * constant table. weir loads it with RTLD_NOW | RTLD_LOCAL from configured directories only, and
 * never unloads it.
 *
 * Conventions
 *  - C11 or C++, fixed-width integers, enums passed as int32_t, text is UTF-8 and zero-ended.
 *  - Failure is a code of weir/codes.h as return value (WEIR_OK is 0) and a filled-in
 *    caller-owned weir_error_t. A driver writes at most error->struct_size bytes. No message, and
 *    nothing a driver logs, ever contains a password.
 *  - Deadlines are absolute CLOCK_MONOTONIC nanoseconds (UINT64_MAX: none). Waiting past one is a
 * bug.
 *  - Whatever talks to the server is an operation: start() names it, step() is called until it says
 *    DONE or ERROR; between steps the host polls the descriptor for what step() asked for. So one
 *    driver serves threads and event loops. One operation at a time per connection; but a CLOSE may
 *    begin at any time, and breaks off what was under way.
 *  - No exceptions, longjmp, exit, signal handlers, stdout, threads or fork inside a driver.
 *  - Growth: members are only appended. A reader checks struct_size, and null, before it uses a
 *    member past the first version (WEIR_HAS_FIELD). The same ABI major loads; another is refused.
 *    Rare abilities come by get_extension.
 *  - Each function ends with its tags: [thread rule; blocking rule].
 */
#ifndef WEIR_DRIVER_H
#define WEIR_DRIVER_H

#include <stddef.h>
#include <stdint.h>

#include "weir/codes.h"

#ifdef __cplusplus
extern "C" {
#endif

#define WEIR_DRIVER_MAGIC 0x52564457u /* "WDVR" in memory */
#define WEIR_DRIVER_ABI_MAJOR 1
#define WEIR_DRIVER_ABI_MINOR                          \
  4 /* 1: conn_options.password, WEIR_COND_DOUBTFUL    \
       2: server_limits.client_check_ms                \
       3: WEIR_BLOB_MAX, what a live handover promises \
       4: WEIR_DRIVER_ENDS_WITH_PROCESS */

/* Whether `member` lies inside what the other side says it filled in, and is set. */
#define WEIR_HAS_FIELD(table, type, member)                                       \
  ((table)->struct_size >= offsetof(type, member) + sizeof(((type*)0)->member) && \
   (table)->member != 0)

#if defined(_WIN32)
#define WEIR_DRIVER_EXPORT
#else
#define WEIR_DRIVER_EXPORT __attribute__((visibility("default")))
#endif

typedef struct weir_dsn weir_dsn_t;   /* a parsed DSN; the driver's own */
typedef struct weir_conn weir_conn_t; /* one connection or request; the driver's own */

/* ---- what the host offers ------------------------------------------------------------------- */

enum weir_log_level {
  WEIR_LOG_DEBUG = 0,
  WEIR_LOG_INFO = 1,
  WEIR_LOG_WARN = 2,
  WEIR_LOG_ERROR = 3
};

typedef struct weir_host {
  uint32_t struct_size;
  void* host_data;
  /* One event, "key=value key=value". [any thread; does not block] */
  void (*log)(void* host_data, int32_t level, const char* line);
  /* CLOCK_MONOTONIC. [any thread; does not block] */
  uint64_t (*now_ns)(void* host_data);
} weir_host_t;

/* ---- DSN ------------------------------------------------------------------------------------ */

/* What the host learns of a DSN. Strings are cut to fit. */
typedef struct weir_dsn_info {
  uint32_t struct_size;
  char display[512];         /* normalised, without password or other secrets: for people */
  char server_identity[256]; /* names the server and nothing else: equal for equal servers */
  uint64_t fingerprint;      /* of everything that makes two sessions differ, password excluded */
} weir_dsn_info_t;

/* ---- connections ---------------------------------------------------------------------------- */

enum weir_reset_mode {
  WEIR_RESET_TRACKED = 0,     /* roll back; everything once other than plain queries was seen */
  WEIR_RESET_ALWAYS = 1,      /* everything a lease can change in a session, every time */
  WEIR_RESET_TRANSACTION = 2, /* roll back only */
};

/* How to make one connection. Pointers are only read during open_conn. */
typedef struct weir_conn_options {
  uint32_t struct_size;
  const char* client_name;       /* shown by the server for this session, unless the DSN sets one */
  uint32_t statement_timeout_ms; /* 0: the server's own */
  int32_t reset_mode;            /* enum weir_reset_mode */
  /* Since 1.1; only given to drivers with WEIR_DRIVER_TAKES_PASSWORD. Goes before the DSN's own;
   * null (or a shorter struct): the DSN's. */
  const char* password;
} weir_conn_options_t;

enum weir_op {
  WEIR_OP_CONNECT = 1, /* argument: none. On success the session is clean and usable */
  WEIR_OP_PING = 2,    /* argument: none. A round trip through the session */
  WEIR_OP_RESET = 3,   /* argument: none. Makes the session clean as the reset mode says */
  WEIR_OP_CLOSE = 4,   /* argument: none. Goodbye; DONE only when the server has let go (EOF) */
  WEIR_OP_EXECUTE = 5, /* argument: weir_execute_t. One statement, rows discarded */
  WEIR_OP_CONFIRM_GONE = 6, /* argument: weir_confirm_gone_t. On a connected session (a spare), or,
                               if the driver can, on an unconnected one; else WEIR_NOT_SUPPORTED */
  WEIR_OP_CANCEL_TOKEN = 7, /* argument: weir_cancel_token_t. On an unconnected weir_conn_t */
  WEIR_OP_LIMITS = 8,       /* argument: weir_server_limits_t. On a connected session */
  WEIR_OP_ACTIVITY = 9,     /* argument: weir_server_activity_t. On a connected session */
  WEIR_OP_SESSIONS = 10     /* argument: weir_sessions_t. On a connected session */
};

enum weir_step {
  WEIR_STEP_DONE = 0,
  WEIR_STEP_WANT_READ = 1,
  WEIR_STEP_WANT_WRITE = 2,
  WEIR_STEP_ERROR = 3
};

/* Names a session on the server; the host keeps it in the segment, readable by the workers' user.
 */
#define WEIR_TOKEN_MAX 320
typedef struct weir_token {
  uint32_t size; /* bytes in use; 0: none */
  uint8_t bytes[WEIR_TOKEN_MAX];
} weir_token_t;

/* Since 1.3: the most that export_session writes. */
#define WEIR_BLOB_MAX 4096

typedef struct weir_execute {
  uint32_t struct_size;
  const char* statement; /* stays valid until the operation ends */
} weir_execute_t;

typedef struct weir_confirm_gone {
  uint32_t struct_size;
  const weir_token_t* token; /* stays valid until the operation ends */
  int32_t gone;              /* out: 1 the server no longer has the session, 0 it has */
} weir_confirm_gone_t;

/* Makes a session end, or at least what it runs, knowing only its token. */
typedef struct weir_cancel_token {
  uint32_t struct_size;
  const weir_token_t* token; /* stays valid until the operation ends */
} weir_cancel_token_t;

typedef struct weir_server_limits { /* -1: unknown or none */
  uint32_t struct_size;
  int32_t max_connections; /* of the server */
  int32_t reserved;        /* of those, kept for superusers and the like */
  int32_t role_limit;      /* of the role that is connected */
  int32_t database_limit;  /* of the database that is connected */
  /* Since 1.2: how often the server looks, while a statement runs, whether its client is still
   * there; 0: not before the statement ends. */
  int32_t client_check_ms;
} weir_server_limits_t;

typedef struct weir_server_activity { /* of the connected database's server; -1: unknown */
  uint32_t struct_size;
  int32_t total;
  int32_t active;
  int32_t idle;
  int32_t idle_in_transaction;
  int64_t longest_query_ms;
} weir_server_activity_t;

/* One session as the server describes it. Strings are cut to fit; -1: unknown. */
typedef struct weir_session {
  uint32_t struct_size;
  int64_t server_pid;
  char client_name[64];
  char state[32];
  int64_t state_ms; /* for how long in that state */
  char wait[64];    /* what it waits for; empty: nothing */
} weir_session_t;

/* The host's callback gets each session once, in no order, during step(). */
typedef struct weir_sessions {
  uint32_t struct_size;
  void (*each)(void* context, const weir_session_t* session);
  void* context;
} weir_sessions_t;

/* is_usable: 0 is usable; else any of these. */
enum weir_condition {
  WEIR_COND_BROKEN = 1,         /* will never work again: close it */
  WEIR_COND_IN_TRANSACTION = 2, /* reset rolls it back */
  WEIR_COND_UNREAD = 4,         /* an answer nobody has read */
  WEIR_COND_DIRTY = 8,          /* session state may differ from a fresh one's; reset cleans it */
  WEIR_COND_UNEXPECTED = 16,    /* bytes arrived that nobody asked for (only with LOOK_AT_SOCKET) */
  WEIR_COND_DOUBTFUL = 32       /* since 1.1: the server may no longer be one that the DSN asks for,
                                   e.g. it turned read-only. RESET and PING find out: they clear the
                                   bit, or fail and leave it beside BROKEN */
};
enum weir_look {
  WEIR_LOOK_LOCAL = 0,    /* memory only: no system call */
  WEIR_LOOK_AT_SOCKET = 1 /* also whether the server hung up or sent something: a system call */
};

/* ---- the table ------------------------------------------------------------------------------ */

typedef struct weir_driver {
  /* These six never move. */
  uint32_t magic; /* WEIR_DRIVER_MAGIC */
  uint16_t abi_major;
  uint16_t abi_minor;
  uint32_t struct_size; /* sizeof(weir_driver_t) as the driver was compiled */
  uint32_t flags;       /* enum weir_driver_flags */
  const char* name;     /* "postgres"; [a-z][a-z0-9]* */
  const char* version;  /* the driver's and its client library's, for people */

  /* Called once before all else; `host` lives as long as the process.
   * [load thread, once; does not block] */
  int32_t (*init)(const weir_host_t* host, weir_error_t* error);

  /* Validates and normalises. On success *dsn belongs to the caller until free_dsn.
   * WEIR_BAD_CONFIG names the part that is wrong. [any thread; does not block] */
  int32_t (*parse_dsn)(const char* text, weir_dsn_t** dsn, weir_dsn_info_t* info,
                       weir_error_t* error);
  /* [any thread; does not block] */
  void (*free_dsn)(weir_dsn_t* dsn);

  /* Makes an unconnected connection object: no network. The DSN must outlive it.
   * [any thread; does not block] */
  int32_t (*open_conn)(const weir_dsn_t* dsn, const weir_conn_options_t* options,
                       weir_conn_t** conn, weir_error_t* error);
  /* Frees the object, whatever state it is in; a session still open is cut without a goodbye.
   * [one thread at a time per connection; does not block] */
  void (*free_conn)(weir_conn_t* conn);

  /* Begins an operation (enum weir_op; `argument` as it says, valid until the operation ends).
   * [one thread at a time per connection; does not block] */
  int32_t (*start)(weir_conn_t* conn, int32_t op, void* argument, uint64_t deadline_ns,
                   weir_error_t* error);
  /* Goes on with it as far as possible without waiting. Returns enum weir_step; after ERROR
   * `error` is filled in (its code is never WEIR_OK; WEIR_TIMEOUT once the deadline has passed).
   * After a failed CONNECT, PING, RESET, CLOSE or EXECUTE only CLOSE or free_conn may follow,
   * except that an EXECUTE refused by the server leaves the connection as is_usable says.
   * [one thread at a time per connection; does not block] */
  int32_t (*step)(weir_conn_t* conn, weir_error_t* error);

  /* The descriptor to poll now; may change from step to step; -1: none. Then the host steps again
   * after about a millisecond, so a driver that waits for something that cannot be polled, such as
   * a lock on a file, says WANT_READ and looks again. [one thread at a time per connection; does
   * not block] */
  int32_t (*fd)(weir_conn_t* conn);
  /* The client library's handle (PGconn*, redisContext*, ...), the caller's while it has the lease.
   * [one thread at a time per connection; does not block] */
  void* (*native)(weir_conn_t* conn);
  /* A cheap local look (enum weir_condition bits); `look` is enum weir_look.
   * [one thread at a time per connection; does not block] */
  uint32_t (*is_usable)(weir_conn_t* conn, int32_t look);

  /* Lets go without a word to the server and without shutdown (after a fork, after an export):
   * closes this process's descriptor and frees the object. Afterwards this process has no copy of
   * the session's socket.
   * [one thread at a time per connection; does not block] */
  void (*abandon)(weir_conn_t* conn);

  /* Names the connected session; token->size is 0 if it cannot.
   * [one thread at a time per connection; does not block] */
  void (*session_token)(weir_conn_t* conn, weir_token_t* token);

  /* Asks the server to stop what runs on a connection that another thread is using.
   * [any thread while the connection is open; blocks until deadline_ns] */
  int32_t (*cancel)(weir_conn_t* conn, uint64_t deadline_ns, weir_error_t* error);

  /* Optional from here: null where the driver cannot. */

  /* Live handover: a session goes on in another process of this machine. Both or neither.
   *
   *   here   export_session(conn) -> blob        the connection is as before; nothing has moved
   *          send the blob and a copy of fd(conn)
   *          abandon(conn)                       this process has no copy of the socket any more
   *   there  import_session(copy, blob) -> conn  connected, idle and clean
   *
   * Who does not abandon after an export just goes on. What must not be is that both go on: the
   * importer's host uses its connection only once the exporter's has abandoned.
   *
   * export_session describes the session of an open, idle, clean connection in at most *size bytes
   * (WEIR_BLOB_MAX is always enough); *size becomes what was written. The blob names driver, blob
   * version and server identity, and holds what it takes to cancel the session, but no password.
   * WEIR_NOT_SUPPORTED: this session can never move (the message says why). WEIR_WOULD_BLOCK: not
   * now, the server has said something that nobody has read; WEIR_LOOK_AT_SOCKET reads it.
   * WEIR_BAD_ARGUMENT: it is not idle or not clean. WEIR_CONNECTION_BROKEN: it is lost. In all but
   * the last case the connection is as before.
   * [one thread at a time per connection; does not block] */
  int32_t (*export_session)(weir_conn_t* conn, void* blob, size_t* size, weir_error_t* error);
  /* Makes a connected connection from a descriptor and a blob. `dsn` and `options` have to be as
   * the exporter's: WEIR_BAD_ARGUMENT names what differs, or what is wrong with the blob or the
   * descriptor; none of them is trusted. Unknown blob versions are WEIR_NOT_SUPPORTED. On success
   * the descriptor is the driver's; on failure still the caller's, who may try again or close it.
   * [any thread; does not block] */
  int32_t (*import_session)(const weir_dsn_t* dsn, const weir_conn_options_t* options,
                            int32_t descriptor, const void* blob, size_t size, weir_conn_t** conn,
                            weir_error_t* error);
  /* A table of functions for a rare ability, or null. [any thread; does not block] */
  const void* (*get_extension)(const char* id);
} weir_driver_t;

enum weir_driver_flags {
  WEIR_DRIVER_BLOCKS = 1, /* step() may block until the deadline: never used on an event loop */
  WEIR_DRIVER_TAKES_PASSWORD = 2, /* open_conn reads weir_conn_options_t.password */
  /* Since 1.4: a session is in this process alone (an embedded database) and ends with it, however
   * that ends: what a dead worker had is gone at once, and nobody need be asked. */
  WEIR_DRIVER_ENDS_WITH_PROCESS = 4
};

/* The one function a driver exports under the name "weir_driver_entry". The table is constant and
 * lives as long as the process. [load thread; does not block] */
typedef const weir_driver_t* (*weir_driver_entry_fn)(void);
WEIR_DRIVER_EXPORT const weir_driver_t* weir_driver_entry(void);

#ifdef __cplusplus
}
#endif

#endif /* WEIR_DRIVER_H */
