// The demo's PostgreSQL: its own, on a Unix socket in a temporary folder, so small that, while the
// sampler is connected, an ordinary role gets `quota` connections and the server refuses the next
// one. A request is a pg_sleep.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "demo/database.h"
#include "demo/query.h"
#include "support/postgres_server.h"

namespace weir::demo {

class PostgresClient final : public Client {
 public:
  explicit PostgresClient(std::string conninfo);
  [[nodiscard]] Connection open(std::string* error) const override;
  void close(void* native) const override;
  [[nodiscard]] std::string serve(void* native, std::uint32_t hold_us) const override;

 private:
  const std::string conninfo_;
};

/// The sessions of one role, as the server counts them.
class PostgresCounter final : public SessionCounter {
 public:
  /// `conninfo` should be a superuser's, so that it takes none of the role's connections. `role` is
  /// a plain name. Throws std::runtime_error with the server's words.
  PostgresCounter(const std::string& conninfo, const std::string& role);
  [[nodiscard]] std::uint32_t count() override;
  [[nodiscard]] pid_t backend() const override;

 private:
  const OwnConnection connection_;
  const std::string sql_;
};

class PostgresDatabase final : public Database {
 public:
  /// Starts it; takes a second or two. Throws if that fails.
  explicit PostgresDatabase(std::uint32_t quota);

  [[nodiscard]] const DatabaseFacts& facts() const override;
  /// As a role that may not use the reserved connections.
  [[nodiscard]] std::string dsn() const override;
  [[nodiscard]] const Client& client() const override { return client_; }
  [[nodiscard]] std::unique_ptr<SessionCounter> make_counter() const;
  [[nodiscard]] std::unique_ptr<SessionCounter> make_counter(
      const Board& /*board*/) const override {
    return make_counter();
  }
  /// From its log.
  [[nodiscard]] std::optional<Tally> tally() override;
  /// For what stands between workers and server, e.g. a proxy.
  [[nodiscard]] const test::PostgresServer& server() const { return server_; }

 private:
  test::PostgresServer server_;
  const PostgresClient client_;
};

}  // namespace weir::demo
