/* Moving a session to another process: export_session and import_session of weir/driver.h.
 *
 * A session's server is a table in its process, so a session moves from the table of one process
 * into that of another, where the server of the same name goes on with it: its number, its client's
 * name, its variables. The descriptor that goes along is its bell.
 *
 * The blob, in the machine's byte order: struct null_blob, that many variables, a checksum of all
 * before it. None of it is trusted. Threads: as the functions of the table. */
#ifndef WEIR_NULL_MOVING_H
#define WEIR_NULL_MOVING_H

#include "conn.h"

int32_t null_export(weir_conn_t* conn, void* blob, size_t* size, weir_error_t* error);
int32_t null_import(const weir_dsn_t* dsn, const weir_conn_options_t* options, int32_t descriptor,
                    const void* blob, size_t size, weir_conn_t** conn, weir_error_t* error);

#endif /* WEIR_NULL_MOVING_H */
