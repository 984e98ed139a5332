// Going on with a session that another process described and whose descriptor it sent.
//
// Nothing is trusted: the description has to fit this DSN and these options, and the descriptor has
// to be a connected socket to the server that the description names.
// Threads: any. Does not wait.
#pragma once

#include <cstdint>

#include "dsn.h"
#include "failure.h"
#include "session_blob.h"
#include "shell.h"
#include "spare_shells.h"

namespace weir::postgres {

/// What a session has to be like to be taken for one of this pool's own.
struct Expected {
  const Dsn& dsn;
  weir_reset_mode reset_mode;
  std::uint32_t statement_timeout_ms;
};

/// False: *failure, WEIR_BAD_ARGUMENT, names what differs.
bool fits(const SessionBlob& blob, const Expected& expected, Failure* failure);

/// Whether `descriptor` is a connected socket to `server`. False: *failure, WEIR_BAD_ARGUMENT, or
/// WEIR_CONNECTION_BROKEN if the server has hung up.
bool is_connected_to(int descriptor, const ServerAddress& server, Failure* failure);

/// A spare that was told that it is `blob`'s session, or else a new shell. Without a `conn`: see
/// *failure.
[[nodiscard]] Shell find_shell(const SessionBlob& blob, const Dsn& dsn, SpareShells& spares,
                               Failure* failure);

}  // namespace weir::postgres
