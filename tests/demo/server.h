// The demo's PostgreSQL: its own, on a Unix socket in a temporary folder, so small that, while the
// sampler is connected, an ordinary role gets `quota` connections and the server refuses the next
// one.
#pragma once

#include <cstdint>
#include <string>

#include "demo/phase.h"
#include "support/postgres_server.h"

namespace weir::demo {

class DemoServer {
 public:
  /// Starts it; takes a second or two. Throws if that fails.
  explicit DemoServer(std::uint32_t quota);

  /// For the workers: a role that may not use the reserved connections.
  [[nodiscard]] std::string dsn() const;
  /// REQUIRES: used while this lives.
  [[nodiscard]] ServerAccess access() const;
  /// For what stands between workers and server, e.g. a proxy.
  [[nodiscard]] const test::PostgresServer& server() const { return server_; }

 private:
  test::PostgresServer server_;
};

}  // namespace weir::demo
