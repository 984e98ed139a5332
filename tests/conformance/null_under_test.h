// The null driver with a server of its own, in this process.
#pragma once

#include <memory>
#include <string>

#include "conformance/driver_under_test.h"
#include "plugins/null/null.h"

namespace weir::test {

class NullUnderTest final : public DriverUnderTest {
 public:
  NullUnderTest();
  static std::unique_ptr<DriverUnderTest> make() { return std::make_unique<NullUnderTest>(); }

  [[nodiscard]] std::string name() const override { return "null"; }
  [[nodiscard]] std::string directory() const override { return WEIR_PLUGIN_DIRECTORY; }

  [[nodiscard]] std::string dsn() const override;
  [[nodiscard]] std::string secret() const override { return "hunter2"; }
  [[nodiscard]] std::string same_server_other_secret_dsn() const override;
  [[nodiscard]] std::string same_server_other_session_dsn() const override;
  [[nodiscard]] std::string dsn_at_tcp(std::uint16_t port) const override;
  [[nodiscard]] std::string why_without(Means means) const override {
    return means == Means::kSockets ? "null opens no sockets" : "";
  }
  [[nodiscard]] std::vector<BadDsn> bad_dsns() const override;

  int count_sessions() override { return counts().sessions; }
  bool is_busy(std::int64_t session) override;
  std::string client_name_of(std::int64_t session) override;
  void terminate(std::int64_t session) override;
  void freeze() override { client().freeze(server_.c_str()); }
  void thaw() override { client().thaw(server_.c_str()); }

  std::int64_t session_of(void* native) override;
  bool query(void* native) override;
  void leave_state(void* native) override;
  bool has_state(void* native) override;
  void leave_transaction(void* native) override;
  void leave_unread(void* native) override;
  bool sleep_long(void* native) override;

  [[nodiscard]] std::string statement() const override { return "SET search_path = public"; }
  [[nodiscard]] std::string slow_statement() const override { return "SLEEP 60s"; }
  [[nodiscard]] std::string refused_statement() const override { return "DIVIDE 1 BY 0"; }
  [[nodiscard]] std::string native_text_of_refusal() const override { return "syntax"; }

  /// A DSN of this server with more of a query: "ping=fail&seed=1".
  [[nodiscard]] std::string dsn_with(const std::string& more) const { return dsn() + "&" + more; }
  [[nodiscard]] weir_null_counts_t counts();
  [[nodiscard]] const std::string& server() const { return server_; }
  /// The driver's own "client library"; it is loaded by now.
  static const weir_null_client_t& client();

 private:
  std::string server_;
};

/// Runs `statement` on a native handle; its answer, or "failed".
std::string null_answer(void* native, const std::string& statement);

}  // namespace weir::test
