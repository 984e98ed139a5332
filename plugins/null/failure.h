/* Failures as weir/driver.h wants them: a code, and an error that the caller owns.
 *
 * Threads: plain functions, from any thread. No message may hold a password; callers see to it. */
#ifndef WEIR_NULL_FAILURE_H
#define WEIR_NULL_FAILURE_H

#include "weir/driver.h"

/* Fills in `error` (which may be null) within its struct_size: code, native text (null: none) and
 * the message "null: ...", cut to fit. Returns `code`. */
int32_t null_fail(weir_error_t* error, int32_t code, const char* native_text, const char* format,
                  ...) __attribute__((format(printf, 4, 5)));

/* Copies as much of `text` as fits into `size` bytes; always ends with a zero. */
void null_copy_cut(char* target, size_t size, const char* text);

#endif /* WEIR_NULL_FAILURE_H */
