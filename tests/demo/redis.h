// The demo's Redis: its own, on a Unix socket in a temporary folder, which keeps nothing on disk
// and refuses one connection more than the quota. A request is a BLPOP on a list that stays empty:
// the server has the client blocked for that long, and answers.
//
// Ignores SIGPIPE, in this process and those that it forks, as whoever speaks by hiredis should.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "demo/database.h"
#include "support/redis_server.h"

namespace weir::demo {

class RedisClient final : public Client {
 public:
  explicit RedisClient(std::string socket_path);
  [[nodiscard]] Connection open(std::string* error) const override;
  void close(void* native) const override;
  [[nodiscard]] std::string serve(void* native, std::uint32_t hold_us) const override;

 private:
  const std::string socket_path_;
};

class RedisDatabase final : public Database {
 public:
  /// Starts it. Throws if that fails.
  explicit RedisDatabase(std::uint32_t quota);

  [[nodiscard]] const DatabaseFacts& facts() const override;
  [[nodiscard]] std::string dsn() const override { return server_.dsn(); }
  [[nodiscard]] const Client& client() const override { return client_; }
  [[nodiscard]] std::unique_ptr<SessionCounter> make_counter(const Board& board) const override;
  [[nodiscard]] std::optional<Tally> tally() override;

 private:
  test::RedisServer server_;
  const RedisClient client_;
};

}  // namespace weir::demo
