// Which results of libpq say that a lease did more than plain queries and transactions: all that
// the reset mode "tracked" knows.
//
// What it cannot see: a side effect inside a plain query (SELECT set_config(...)), and a function
// called through PQfn, of which libpq tells no event procedure.
// Threads: pure functions.
#pragma once

#include <libpq-fe.h>

#include <string_view>

namespace weir::postgres {

/// Whether the session may differ from a fresh one after a result of this status and command tag
/// (PQresultStatus, PQcmdStatus). Unknown means yes.
[[nodiscard]] bool may_leave_traces(ExecStatusType status, std::string_view tag);

}  // namespace weir::postgres
