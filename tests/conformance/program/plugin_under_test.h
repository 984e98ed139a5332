// Any driver as a subject of the conformance suite: a plugin's file, a DSN, and means from the
// command line or from the driver's own weir.conformance.1 (weir/conformance.h). What neither
// gives, tests go without, and say so.
#pragma once

#include <array>
#include <memory>
#include <string>

#include "base/log.h"
#include "base/status.h"
#include "conformance/driver_under_test.h"
#include "conformance/program/means.h"
#include "weir/conformance.h"

namespace weir::test {

/// A loaded plugin, and what one connection of it has shown.
struct Plugin {
  GivenMeans given;
  const weir_driver_t* table = nullptr;
  const weir_conformance_t* extension = nullptr;  // null: it has none
  bool has_descriptor = false;
  bool names_sessions = false;
  std::array<bool, WEIR_OP_SESSIONS + 1> answers{};
  std::string why_uncounted;  // empty: sessions can be counted
};

/// Loads it, verifies its table and tries a connection. Blocks for as long as a server takes.
Result<Plugin> look_at_plugin(GivenMeans given, Log& log);

class PluginUnderTest final : public DriverUnderTest {
 public:
  /// The plugin that make() makes subjects of. REQUIRES: set before the first test.
  static void use(const Plugin* plugin) { plugin_ = plugin; }
  /// Waits, for a while, until the sessions of the test before are gone.
  static std::unique_ptr<DriverUnderTest> make();
  ~PluginUnderTest() override;

  [[nodiscard]] std::string why_without(Means means) const override;
  [[nodiscard]] bool has_descriptor() const override { return plugin_->has_descriptor; }
  [[nodiscard]] bool names_sessions() const override { return plugin_->names_sessions; }
  [[nodiscard]] bool answers(weir_op op) const override {
    return plugin_->answers.at(static_cast<std::size_t>(op));
  }
  [[nodiscard]] const weir_driver_t* table() const override { return plugin_->table; }

  [[nodiscard]] std::string name() const override { return plugin_->table->name; }
  [[nodiscard]] std::string directory() const override { return ""; }
  [[nodiscard]] std::string dsn() const override { return given().dsn; }
  [[nodiscard]] std::string secret() const override { return given().secret; }
  [[nodiscard]] std::string same_server_other_secret_dsn() const override {
    return given().wrong_password_dsn;
  }
  [[nodiscard]] std::string same_server_other_session_dsn() const override {
    return given().other_session_dsn;
  }
  [[nodiscard]] std::string dsn_at_tcp(std::uint16_t port) const override;
  [[nodiscard]] std::vector<BadDsn> bad_dsns() const override;

  int count_sessions() override { return extension().count_sessions(given().dsn.c_str()); }
  bool is_busy(std::int64_t session) override;
  std::string client_name_of(std::int64_t session) override;
  void terminate(std::int64_t session) override;
  void freeze() override;
  void thaw() override;

  std::int64_t session_of(void* native) override { return extension().session_of(native); }
  bool query(void* native) override { return extension().query(native) == WEIR_OK; }
  void leave_state(void* native) override;
  bool has_state(void* native) override;
  void leave_transaction(void* native) override;
  void leave_unread(void* native) override;
  bool sleep_long(void* native) override;

  [[nodiscard]] std::string statement() const override;
  [[nodiscard]] std::string slow_statement() const override;
  [[nodiscard]] std::string refused_statement() const override;
  [[nodiscard]] std::string native_text_of_refusal() const override;

 private:
  static const GivenMeans& given() { return plugin_->given; }
  static const weir_conformance_t& extension() { return *plugin_->extension; }
  static inline const Plugin* plugin_ = nullptr;
  bool is_frozen_ = false;
};

}  // namespace weir::test
