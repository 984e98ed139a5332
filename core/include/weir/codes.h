/* weir/codes.h: the one list of result codes, and the error a caller owns.
 *
 * C, C++, drivers, Lua and Python share these numbers. They are ABI: append, never renumber.
 * A code is chosen by what its receiver can do about it:
 *   retryable   the same call may succeed later without anybody changing anything
 *   is_timeout  a deadline of the caller's passed
 * Valid C11 and C++.
 */
#ifndef WEIR_CODES_H
#define WEIR_CODES_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* X(NAME, number, text, retryable, is_timeout) */
#define WEIR_CODES(X)                                   \
  X(OK, 0, "ok", 0, 0)                                  \
  X(TIMEOUT, 1, "timeout", 1, 1)                        \
  X(CLOSED, 2, "closed", 0, 0)                          \
  X(NOT_OPEN, 3, "not_open", 0, 0)                      \
  X(PAUSED, 4, "paused", 1, 0)                          \
  X(CONNECT_FAILED, 5, "connect_failed", 1, 0)          \
  X(AUTH_FAILED, 6, "auth_failed", 0, 0)                \
  X(SERVER_FULL, 7, "server_full", 1, 0)                \
  X(TOO_MANY_WAITERS, 8, "too_many_waiters", 1, 0)      \
  X(WOULD_BLOCK, 9, "would_block", 1, 0)                \
  X(CANCELLED, 10, "cancelled", 0, 0)                   \
  X(FOREIGN_CONNECTION, 11, "foreign_connection", 0, 0) \
  X(NOT_CHECKED_OUT, 12, "not_checked_out", 0, 0)       \
  X(FORKED, 13, "forked", 0, 0)                         \
  X(BAD_CONFIG, 14, "bad_config", 0, 0)                 \
  X(BAD_ARGUMENT, 15, "bad_argument", 0, 0)             \
  X(SHM_INCOMPATIBLE, 16, "shm_incompatible", 0, 0)     \
  X(SHM_CORRUPT, 17, "shm_corrupt", 0, 0)               \
  X(SHM_FULL, 18, "shm_full", 0, 0)                     \
  X(QUOTA_EXHAUSTED, 19, "quota_exhausted", 1, 0)       \
  X(BREAKER_OPEN, 20, "breaker_open", 1, 0)             \
  X(POLICY_BUDGET, 21, "policy_budget", 0, 0)           \
  X(POLICY_MEMORY, 22, "policy_memory", 0, 0)           \
  X(POLICY_RUNTIME, 23, "policy_runtime", 0, 0)         \
  X(POLICY_TYPE, 24, "policy_type", 0, 0)               \
  X(BAD_DRIVER, 25, "bad_driver", 0, 0)                 \
  X(NOT_SUPPORTED, 26, "not_supported", 0, 0)           \
  X(CONNECTION_BROKEN, 27, "connection_broken", 1, 0)   \
  X(DATABASE_ERROR, 28, "database_error", 0, 0)         \
  X(NO_PERMISSION, 29, "no_permission", 0, 0)           \
  X(OUT_OF_MEMORY, 30, "out_of_memory", 0, 0)           \
  X(SYSTEM_ERROR, 31, "system_error", 0, 0)             \
  X(NOT_FOUND, 32, "not_found", 0, 0)

enum weir_code {
#define WEIR_CODE_ENUMERATOR(name, number, text, retryable, is_timeout) WEIR_##name = (number),
  WEIR_CODES(WEIR_CODE_ENUMERATOR)
#undef WEIR_CODE_ENUMERATOR
};

/* What went wrong, in memory of the caller's. Set struct_size = sizeof(weir_error_t) before a call
 * (WEIR_ERROR_INIT does); a callee writes nothing past it. `message` is UTF-8, ends with a zero,
 * names the thing, what was expected and what was found, and never carries a password. */
typedef struct weir_error {
  uint32_t struct_size;
  int32_t code;         /* enum weir_code */
  int32_t native_code;  /* the client library's or errno; 0 where there is none */
  char native_text[12]; /* e.g. an SQLSTATE; empty where there is none */
  char message[512];
  /* In how many milliseconds the same call may be worth making again, as far as that is known
   * (WEIR_BREAKER_OPEN); 0: nothing is known. */
  uint32_t retry_after_ms;
} weir_error_t;

#ifdef __cplusplus
#define WEIR_ERROR_INIT \
  { sizeof(weir_error_t), 0, 0, {0}, {0}, 0 }
#else
#define WEIR_ERROR_INIT \
  { .struct_size = sizeof(weir_error_t) }
#endif

#ifdef __cplusplus
}
#endif

#endif /* WEIR_CODES_H */
