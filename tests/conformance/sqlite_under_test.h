// The sqlite driver with a database file of its own. There is no server: sessions are counted by
// this process's descriptors, somebody else's lock on the file stands for a server that does not
// answer, and a file that is moved away for one that ended its sessions.
#pragma once

#include <sqlite3.h>

#include <atomic>
#include <memory>
#include <string>

#include "conformance/driver_under_test.h"
#include "support/temp_folder.h"

namespace weir::test {

class SqliteUnderTest final : public DriverUnderTest {
 public:
  static std::unique_ptr<DriverUnderTest> make() { return std::make_unique<SqliteUnderTest>(); }
  ~SqliteUnderTest() override { thaw(); }

  [[nodiscard]] std::string why_without(Means means) const override;
  [[nodiscard]] bool has_descriptor() const override { return false; }
  [[nodiscard]] bool names_sessions() const override { return false; }
  [[nodiscard]] bool cancel_asks_server() const override { return false; }
  [[nodiscard]] bool answers(weir_op op) const override { return op <= WEIR_OP_EXECUTE; }
  [[nodiscard]] bool needs_server(weir_op op) const override {
    return op != WEIR_OP_PING && op != WEIR_OP_CLOSE;
  }

  [[nodiscard]] std::string name() const override { return "sqlite"; }
  [[nodiscard]] std::string directory() const override { return WEIR_PLUGIN_DIRECTORY; }

  [[nodiscard]] std::string dsn() const override { return "sqlite:" + file(); }
  [[nodiscard]] std::string secret() const override { return ""; }
  [[nodiscard]] std::string same_server_other_secret_dsn() const override { return dsn(); }
  [[nodiscard]] std::string same_server_other_session_dsn() const override {
    return dsn() + "?foreign_keys=on";
  }
  [[nodiscard]] std::string dsn_at_tcp(std::uint16_t port) const override {
    return "sqlite:" + file() + std::to_string(port);
  }
  [[nodiscard]] std::vector<BadDsn> bad_dsns() const override;

  int count_sessions() override;
  bool is_busy(std::int64_t session) override { return busy_ == session; }
  std::string client_name_of(std::int64_t /*session*/) override { return ""; }
  void terminate(std::int64_t session) override;
  void freeze() override;
  void thaw() override;

  std::int64_t session_of(void* native) override { return reinterpret_cast<std::int64_t>(native); }
  bool query(void* native) override;
  void leave_state(void* native) override;
  bool has_state(void* native) override;
  void leave_transaction(void* native) override;
  void leave_unread(void* /*native*/) override {}
  bool sleep_long(void* native) override;

  [[nodiscard]] std::string statement() const override {
    return "CREATE TABLE IF NOT EXISTS kept (x); INSERT INTO kept VALUES (1); SELECT x FROM kept";
  }
  [[nodiscard]] std::string slow_statement() const override;  // for ever
  [[nodiscard]] std::string refused_statement() const override { return "SELECT * FROM nowhere"; }
  [[nodiscard]] std::string native_text_of_refusal() const override { return "ERROR"; }

  [[nodiscard]] std::string file() const { return (folder_.path() / "app.db").string(); }
  [[nodiscard]] std::string folder() const { return folder_.path().string(); }

 private:
  TempFolder folder_;
  sqlite3* locker_ = nullptr;
  int moved_ = 0;
  std::atomic<std::int64_t> busy_{0};
};

/// Runs statements on a native handle: the first column of the last row, "" if there was none, or
/// "error: " and SQLite's text.
std::string sqlite_answer(void* native, const std::string& statements);

}  // namespace weir::test
