// Context: hiredis' redisContext, from the first packet to the last.
//
// It is made non-blocking, as hiredis does it, and turned into the ordinary blocking kind, which a
// lease expects, once it is connected. The driver itself only uses its descriptor.
// Threads: one at a time per context.
#pragma once

#include <memory>

#include "dsn.h"
#include "failure.h"
#include "hiredis_c.h"

namespace weir::redis {

/// Cuts the session: neither a copy of the descriptor in another process nor a goodbye keeps it.
struct CutContext {
  void operator()(redisContext* context) const;
};
using ContextPtr = std::unique_ptr<redisContext, CutContext>;

/// Begins to connect. Null: *failure says why. Looking up a host's name can block for the resolver.
[[nodiscard]] ContextPtr dial(const Dsn& dsn, Failure* failure);
/// kDone: connected, and in blocking mode.
[[nodiscard]] Progress finish_dialling(redisContext& context, const Dsn& dsn, Failure* failure);

/// A context around a connected socket of `dsn`'s server. On success the descriptor is the
/// context's; null: out of memory.
[[nodiscard]] ContextPtr wrap(int descriptor, const Dsn& dsn);

/// Takes back what a lease set in hiredis itself or in the socket: timeouts, non-blocking mode, the
/// reader's functions and limit.
void restore(redisContext& context);

}  // namespace weir::redis
