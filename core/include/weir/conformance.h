/* weir/conformance.h: what the conformance suite (`weir conformance`) asks a driver for beyond
 * weir/driver.h: to do what a lease does, with its client library, and to look at its server.
 *
 * A driver offers it as get_extension(WEIR_CONFORMANCE). All of it is for tests and may be left
 * out, as may each member (null): tests that need what is missing are skipped, and the suite says
 * so by name. weir itself never asks for it.
 *
 * The first half is given native(), of a connection that nobody else uses meanwhile, and blocks. It
 * answers WEIR_OK, or any other code of weir/codes.h if it did not work. The second half asks the
 * server over another way than the driver's connections; `dsn` is what the suite was given,
 * password and all. No exceptions, no output. */
#ifndef WEIR_CONFORMANCE_H
#define WEIR_CONFORMANCE_H

#include <stddef.h>
#include <stdint.h>

#include "weir/driver.h"

#ifdef __cplusplus
extern "C" {
#endif

#define WEIR_CONFORMANCE "weir.conformance.1"

typedef struct weir_conformance {
  uint32_t struct_size;

  /* ---- a lease ---- [one thread at a time per connection; blocks] */

  /* The session's number, as weir_session_t.server_pid has it; below 0: unknown. */
  int64_t (*session_of)(void* native);
  /* Runs a plain statement, which leaves nothing behind, and reads its answer. */
  int32_t (*query)(void* native);
  /* Changes something in the session that a reset has to take back, ... */
  int32_t (*leave_state)(void* native);
  /* ... and 1 as long as it is there, 0 else; a code below 0 if that cannot be told. */
  int32_t (*has_state)(void* native);
  int32_t (*leave_transaction)(void* native);
  /* Sends a statement and does not read its answer. */
  int32_t (*leave_unread)(void* native);
  /* Runs a statement that takes a minute. WEIR_CANCELLED: it was interrupted. */
  int32_t (*sleep_long)(void* native);

  /* ---- statements for WEIR_OP_EXECUTE ---- */

  const char* statement;         /* any that works */
  const char* slow_statement;    /* takes some seconds, and goes on if the client hangs up */
  const char* refused_statement; /* the server refuses it, ... */
  const char* refusal;           /* ... and this is the error's native_text then */

  /* ---- the server ---- [any thread; blocks] */

  /* How many sessions it has that are like those of `dsn`, without the one that asks; below 0: it
   * cannot be asked. */
  int32_t (*count_sessions)(const char* dsn);
  /* 1: the session runs a statement right now; 0: not. */
  int32_t (*is_busy)(const char* dsn, int64_t session);
  /* Writes the client's name of a session, cut to `size` bytes with the ending zero. */
  int32_t (*client_name_of)(const char* dsn, int64_t session, char* name, size_t size);
  /* Ends a session from the server's side. */
  int32_t (*terminate)(const char* dsn, int64_t session);
  /* From now on it answers nobody, until thaw. Both or neither. */
  int32_t (*freeze)(const char* dsn);
  int32_t (*thaw)(const char* dsn);
} weir_conformance_t;

#ifdef __cplusplus
}
#endif

#endif /* WEIR_CONFORMANCE_H */
