// Shell: a PGconn without a server behind it, ready to be told that it is a certain session. With
// that session's socket in the place of its own it is the session, as if it had connected itself.
//
// libpq offers no way to make a PGconn of a socket. But it believes what it reads: its descriptor
// is replaced by one end of a socket pair, and the other end says what the server once said:
// parameters, process id, cancel key, ready for a query. Nobody else can reach that pair.
//
// A new shell has to be libpq's own connection attempt to the server's true address: that is what
// PQcancel dials, and it is read from nowhere else. The attempt is dropped before a byte was sent.
// So a new shell costs the server a process that ends at once (and says nothing in its log). Those
// of sessions that moved away are kept and told anew, which costs it nothing, and nobody anything
// if it is that very session which comes back unchanged. Threads: one at a time per shell.
#pragma once

#include <libpq-fe.h>

#include <memory>
#include <string>
#include <vector>

#include "dsn.h"
#include "failure.h"
#include "session_blob.h"

namespace weir::postgres {

/// Finishes a PGconn that has no server behind it.
struct FinishShell {
  void operator()(PGconn* conn) const { PQfinish(conn); }
};

struct Shell {
  std::unique_ptr<PGconn, FinishShell> conn;  // its descriptor leads nowhere
  SessionToken session;                       // what it was told last; it dialled that address
  std::vector<std::string> parameters;        // names that it has a value of
};

/// A shell out of a connection whose session goes on elsewhere. Closes this process's descriptor of
/// it. Without a `conn` if there is no descriptor left to put in its place.
[[nodiscard]] Shell empty_shell(PGconn* conn, const SessionToken& session,
                                std::vector<std::string> parameters);

/// A new shell that is `blob`'s session already. Without a `conn`: *failure says why. Does not wait
/// for the server, but it has to take connections.
[[nodiscard]] Shell make_shell(const Dsn& dsn, const SessionBlob& blob, Failure* failure);

/// Tells `shell` that it is `blob`'s session, unless it is already. False: it cannot be, and is of
/// no more use. REQUIRES: it is idle, in libpq's ordinary modes, and of the same address.
[[nodiscard]] bool retell_shell(Shell& shell, const SessionBlob& blob);

/// Puts the session's socket in the place of that of `conn`, a shell's. On success `descriptor` is
/// gone into it; else it is still the caller's.
[[nodiscard]] bool plug_in(const PGconn* conn, int descriptor, Failure* failure);

}  // namespace weir::postgres
