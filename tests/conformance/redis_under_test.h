// The redis driver with a Redis of its own, whose user "app" proves himself by a password.
#pragma once

#include <hiredis/hiredis.h>

#include <memory>
#include <string>
#include <vector>

#include "conformance/driver_under_test.h"
#include "support/redis_server.h"

namespace weir::test {

class RedisUnderTest final : public DriverUnderTest {
 public:
  enum class Way { kUnixSocket, kTcp };  // how dsn() gets there
  explicit RedisUnderTest(RedisSettings settings = default_settings(), Way way = Way::kUnixSocket);
  static RedisSettings default_settings();
  static std::unique_ptr<DriverUnderTest> make() { return std::make_unique<RedisUnderTest>(); }
  static std::unique_ptr<DriverUnderTest> make_by_tcp();
  /// A server that does not know RESET, as all before Redis 6.2.
  static std::unique_ptr<DriverUnderTest> make_without_reset();

  [[nodiscard]] std::string name() const override { return "redis"; }
  [[nodiscard]] std::string directory() const override;
  [[nodiscard]] bool sees_statements() const override { return false; }

  [[nodiscard]] std::string dsn() const override;
  [[nodiscard]] std::string secret() const override;
  [[nodiscard]] std::string same_server_other_secret_dsn() const override;
  [[nodiscard]] std::string same_server_other_session_dsn() const override;
  [[nodiscard]] std::string dsn_at_tcp(std::uint16_t port) const override;
  [[nodiscard]] std::vector<BadDsn> bad_dsns() const override;

  int count_sessions() override { return server_.count_sessions(); }
  bool is_busy(std::int64_t session) override;
  std::string client_name_of(std::int64_t session) override;
  [[nodiscard]] std::string shown_name(const std::string& name) const override;
  void terminate(std::int64_t session) override;
  void freeze() override { server_.freeze(); }
  void thaw() override { server_.thaw(); }

  std::int64_t session_of(void* native) override;
  bool query(void* native) override;
  void leave_state(void* native) override;
  bool has_state(void* native) override;
  void leave_transaction(void* native) override;
  void leave_unread(void* native) override;
  bool sleep_long(void* native) override;

  [[nodiscard]] std::string statement() const override { return "SET greeting \"good day\""; }
  [[nodiscard]] std::string slow_statement() const override { return "BLPOP nothing 60"; }
  [[nodiscard]] std::string refused_statement() const override { return "SELECT 999"; }
  [[nodiscard]] std::string native_text_of_refusal() const override { return "ERR"; }

  [[nodiscard]] RedisServer& server() { return server_; }
  /// As dsn(), with another database.
  [[nodiscard]] std::string dsn_of_db(int db) const;

 private:
  [[nodiscard]] std::string dsn_with(const std::string& password, int db) const;

  RedisServer server_;
  const Way way_;
};

/// Runs a command, split at spaces, on a native handle: the answer's text, "error: ..." of one that
/// the server refused, or "lost: ..." if none came.
std::string redis_answer(void* native, const std::string& line);

}  // namespace weir::test
