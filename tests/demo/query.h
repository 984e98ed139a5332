// What a request of the demo does with its connection. Threads: one at a time per connection.
#pragma once

#include <libpq-fe.h>

#include <cstdint>
#include <memory>
#include <string>

namespace weir::demo {

struct FinishConnection {
  void operator()(PGconn* connection) const { PQfinish(connection); }
};
using OwnConnection = std::unique_ptr<PGconn, FinishConnection>;

/// Lets the server work for hold_us. Empty on success, else what libpq or the server said.
[[nodiscard]] std::string run_query(PGconn* connection, std::uint32_t hold_us);

/// The first column of the first row as a number. Throws std::runtime_error with the server's
/// words.
[[nodiscard]] std::uint32_t query_number(PGconn* connection, const char* sql);

}  // namespace weir::demo
