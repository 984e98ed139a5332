// The postgres driver with a PostgreSQL of its own, whose roles prove themselves by SCRAM.
#pragma once

#include <libpq-fe.h>

#include <memory>
#include <string>

#include "conformance/driver_under_test.h"
#include "support/postgres_server.h"

namespace weir::test {

class PostgresUnderTest final : public DriverUnderTest {
 public:
  explicit PostgresUnderTest(PostgresSettings settings = default_settings());
  static PostgresSettings default_settings();
  static std::unique_ptr<DriverUnderTest> make() { return std::make_unique<PostgresUnderTest>(); }

  [[nodiscard]] std::string name() const override { return "postgres"; }
  [[nodiscard]] std::string directory() const override;

  [[nodiscard]] std::string dsn() const override;
  [[nodiscard]] std::string secret() const override;
  [[nodiscard]] std::string same_server_other_secret_dsn() const override;
  [[nodiscard]] std::string same_server_other_session_dsn() const override;
  [[nodiscard]] std::string dsn_at_tcp(std::uint16_t port) const override;
  [[nodiscard]] std::vector<BadDsn> bad_dsns() const override;

  int count_sessions() override { return server_.count_sessions(); }
  bool is_busy(std::int64_t session) override;
  std::string client_name_of(std::int64_t session) override;
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

  [[nodiscard]] std::string statement() const override;
  [[nodiscard]] std::string slow_statement() const override { return "SELECT pg_sleep(60)"; }
  [[nodiscard]] std::string refused_statement() const override { return "SELECT 1/0"; }
  [[nodiscard]] std::string native_text_of_refusal() const override { return "22012"; }

  [[nodiscard]] PostgresServer& server() { return server_; }

 private:
  PostgresServer server_;
};

/// Runs `statement` on a native handle; the first field of the first row, or "SQLSTATE 12345".
std::string answer_of(void* native, const std::string& statement);

}  // namespace weir::test
