#include "conn.h"

#include <stddef.h>
#include <stdlib.h>

#include "failure.h"

int32_t null_conn_make(const weir_dsn_t* dsn, const weir_conn_options_t* options, const char* doing,
                       weir_conn_t** conn, weir_error_t* error) {
  /* What a host of ABI 1.0 fills in; a later member would be looked for with WEIR_HAS_FIELD. */
  const size_t least = offsetof(weir_conn_options_t, reset_mode) + sizeof options->reset_mode;
  if (dsn == NULL || options == NULL || conn == NULL || options->struct_size < least) {
    return null_fail(error, WEIR_BAD_ARGUMENT, NULL, "%s: an argument is missing", doing);
  }
  if (options->reset_mode < WEIR_RESET_TRACKED || options->reset_mode > WEIR_RESET_TRANSACTION) {
    return null_fail(error, WEIR_BAD_ARGUMENT, NULL, "%s: unknown reset mode %d", doing,
                     options->reset_mode);
  }
  weir_conn_t* const made = calloc(1, sizeof *made);
  if (made == NULL) return null_fail(error, WEIR_OUT_OF_MEMORY, NULL, "%s: no memory", doing);
  made->native.struct_size = sizeof made->native;
  made->dsn = dsn;
  made->reset_mode = options->reset_mode;
  made->statement_timeout_ms = options->statement_timeout_ms;
  made->generation = null_server_generation();
  null_copy_cut(made->client_name, sizeof made->client_name,
                options->client_name != NULL ? options->client_name : "");
  *conn = made;
  return WEIR_OK;
}
