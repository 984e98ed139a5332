/* The null driver's DSN: null://<server>[?<key>=<value>[&...]].
 *
 *   user=<name> password=<text>        who connects; the password is shown nowhere
 *   limit=<n> reserved=<n>             sessions that the server has room for (default 100, 0)
 *   linger=<duration>                  how long the server keeps a session that was cut
 *   seed=<n>                           for behaviours with a probability
 *   <operation>=<script>               see script.h; connect, ping, reset, close, execute,
 *                                      confirm_gone, cancel_token, limits, activity, sessions
 *   export=<script> import=<script>    the same, of ok and fail only
 *
 * Values are percent-encoded where they hold & or %. Threads: constant once parsed, apart from the
 * counts of calls, which are atomic. */
#ifndef WEIR_NULL_DSN_H
#define WEIR_NULL_DSN_H

#include <stdatomic.h>

#include "script.h"
#include "weir/driver.h"

#define NULL_OPERATIONS (WEIR_OP_SESSIONS + 1) /* arrays are indexed by enum weir_op */
/* What has a script but is no operation: it never waits. */
enum { NULL_EXPORT = NULL_OPERATIONS, NULL_IMPORT, NULL_SCRIPTS };
#define NULL_NAME_MAX 64

struct weir_dsn {
  char server[NULL_NAME_MAX + 1];
  char user[NULL_NAME_MAX + 1];
  char password[256];
  uint32_t limit;
  uint32_t reserved;
  uint64_t linger_ns;
  uint64_t seed;
  uint64_t fingerprint;
  struct null_script scripts[NULL_SCRIPTS];
  _Atomic uint64_t calls[NULL_SCRIPTS]; /* begun so far, by all connections of this DSN */
};

/* The name of an operation as DSNs and messages have it; null if there is no such operation. */
const char* null_operation_name(int32_t op);

/* parse_dsn of weir/driver.h. */
int32_t null_dsn_parse(const char* text, weir_dsn_t** dsn, weir_dsn_info_t* info,
                       weir_error_t* error);
void null_dsn_free(weir_dsn_t* dsn);

/* Counts a call of `op`, an operation or NULL_EXPORT or NULL_IMPORT, and says what happens to it.
 * [any thread] */
struct null_outcome null_dsn_next_outcome(const weir_dsn_t* dsn, int32_t op);

#endif /* WEIR_NULL_DSN_H */
