// Describing a session that another process shall go on with: what can move, and what it takes.
// Threads: one at a time per connection. No system call but one look at the socket.
#pragma once

#include <libpq-fe.h>

#include <string>
#include <vector>

#include "failure.h"
#include "session_blob.h"

namespace weir::postgres {

/// Whether the transport of `conn` can move. It cannot where libpq itself keeps a part of it: the
/// keys of TLS and GSS. False: *failure, WEIR_NOT_SUPPORTED, says why.
bool is_movable(const PGconn* conn, Failure* failure);

/// Whether nothing waits to be read from `conn`, which would be lost on the way. False: *failure,
/// WEIR_WOULD_BLOCK if something does, WEIR_CONNECTION_BROKEN if the server hung up. Reads nothing.
bool is_silent(const PGconn* conn, Failure* failure);

/// What the server reported of `names` and of all that PostgreSQL is known to report; libpq tells
/// parameters by name only. False: *failure, WEIR_NOT_SUPPORTED, names one that is too long to
/// move.
bool read_parameters(const PGconn* conn, const std::vector<std::string>& names,
                     std::vector<Parameter>* parameters, Failure* failure);

}  // namespace weir::postgres
