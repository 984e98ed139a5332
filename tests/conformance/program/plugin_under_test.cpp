#include "conformance/program/plugin_under_test.h"

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <cstdlib>
#include <utility>

#include "conformance/suite.h"

namespace weir::test {
namespace {

/// Whether the driver's extension has `member`.
#define WEIR_OFFERS(member) \
  (plugin_->extension != nullptr && WEIR_HAS_FIELD(plugin_->extension, weir_conformance_t, member))

std::string needs_option(const char* option) { return std::string("needs ") + option; }
std::string needs_driver(const char* member) {
  return std::string("needs ") + member + " of the driver's " WEIR_CONFORMANCE;
}
std::string needs_either(const char* option, const char* member) {
  return needs_option(option) + ", or " + member + " of the driver's " WEIR_CONFORMANCE;
}

std::string text_of(const std::string& given, const char* offered) {
  return !given.empty() ? given : offered != nullptr ? offered : "";
}

/// Waits until nobody of the DSN's kind is on the server; false if somebody stays.
bool await_nobody(const weir_conformance_t& extension, const std::string& dsn, seconds patience) {
  const Deadline deadline = Deadline::after(patience);
  while (extension.count_sessions(dsn.c_str()) != 0) {
    if (deadline.passed(monotonic_ns())) return false;
    poll(nullptr, 0, 5);
  }
  return true;
}

Result<const weir_driver_t*> open_file(const std::string& path) {
  const auto refuse = [&](const std::string& why) {
    return Status(Code::kBadDriver, path + ": " + why);
  };
  // A bare name is a file here, not one that the loader looks for elsewhere.
  const std::string file = path.find('/') == std::string::npos ? "./" + path : path;
  void* const library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  // glibc keeps this text per thread (dlerror(3), ATTRIBUTES).
  // NOLINTNEXTLINE(concurrency-mt-unsafe)
  if (library == nullptr) return refuse(std::string("cannot be loaded: ") + dlerror());
  void* const entry = dlsym(library, "weir_driver_entry");
  if (entry == nullptr) return refuse("is not a weir driver: has no function weir_driver_entry");
  return reinterpret_cast<weir_driver_entry_fn>(entry)();
}

/// Fills in what one connection shows.
Status try_connection(const driver::Driver& driver, Plugin& plugin) {
  const Result<Dsn> dsn = Dsn::parse(driver, plugin.given.dsn);
  if (!dsn.ok()) return Status(dsn.status()).in("--dsn");
  weir_conn_options_t options{};
  options.struct_size = sizeof options;
  options.client_name = "conformance";
  Result<Connection> made = Connection::open(dsn.value(), options);
  if (!made.ok()) return made.status();
  Connection connection = std::move(made).value();
  Status connected = connection.run(WEIR_OP_CONNECT, nullptr, soon());
  if (!connected.ok()) return std::move(connected).in("connecting to --dsn");
  plugin.has_descriptor = connection.fd() >= 0;
  plugin.names_sessions = connection.session_token().size > 0;
  plugin.answers.fill(true);
  weir_server_limits_t limits{};
  limits.struct_size = sizeof limits;
  weir_server_activity_t activity{};
  activity.struct_size = sizeof activity;
  weir_sessions_t sessions{sizeof sessions, [](void*, const weir_session_t*) {}, nullptr};
  for (const auto& [op, argument] : {std::pair<weir_op, void*>{WEIR_OP_LIMITS, &limits},
                                     {WEIR_OP_ACTIVITY, &activity},
                                     {WEIR_OP_SESSIONS, &sessions}}) {
    plugin.answers.at(op) = connection.run(op, argument, soon()).code() != Code::kNotSupported;
  }
  return connection.run(WEIR_OP_CLOSE, nullptr, soon());
}

}  // namespace

Result<Plugin> look_at_plugin(GivenMeans given, Log& log) {
  Plugin plugin;
  plugin.given = std::move(given);
  const Result<const weir_driver_t*> table = open_file(plugin.given.plugin);
  if (!table.ok()) return table.status();
  const auto driver = driver::Driver::adopt(table.value(), plugin.given.plugin, log);
  if (!driver.ok()) return driver.status();
  plugin.table = table.value();
  if (WEIR_HAS_FIELD(plugin.table, weir_driver_t, get_extension)) {
    plugin.extension =
        static_cast<const weir_conformance_t*>(plugin.table->get_extension(WEIR_CONFORMANCE));
  }
  WEIR_TRY(try_connection(*driver.value(), plugin));
  const bool offers_count = plugin.extension != nullptr &&
                            WEIR_HAS_FIELD(plugin.extension, weir_conformance_t, count_sessions);
  if (!offers_count) {
    plugin.why_uncounted = needs_driver("count_sessions");
  } else if (!await_nobody(*plugin.extension, plugin.given.dsn, seconds(3))) {
    plugin.why_uncounted = "needs a server without other sessions like those of --dsn";
  }
  return plugin;
}

std::unique_ptr<DriverUnderTest> PluginUnderTest::make() {
  if (plugin_->why_uncounted.empty()) await_nobody(extension(), given().dsn, seconds(10));
  return std::make_unique<PluginUnderTest>();
}

PluginUnderTest::~PluginUnderTest() {
  if (is_frozen_) thaw();
}

std::string PluginUnderTest::why_without(Means means) const {
  const auto unless = [](bool has, const std::string& why) { return has ? std::string() : why; };
  const GivenMeans& has = given();
  switch (means) {
    case Means::kSecret:
      return unless(!has.secret.empty(), needs_option("--secret"));
    case Means::kWrongSecretDsn:
      return unless(!has.wrong_password_dsn.empty(), needs_option("--wrong-password-dsn"));
    case Means::kOtherSessionDsn:
      return unless(!has.other_session_dsn.empty(), needs_option("--other-session-dsn"));
    case Means::kOtherServers:
      return unless(!has.tcp_dsn.empty() || !has.other_server_dsn.empty(),
                    needs_option("--tcp-dsn or --other-server-dsn"));
    case Means::kSockets:
      return unless(!has.tcp_dsn.empty(), needs_option("--tcp-dsn"));
    case Means::kBadDsns:
      return unless(!has.bad_dsns.empty(), needs_option("--bad-dsn"));
    case Means::kCountSessions:
      return plugin_->why_uncounted;
    case Means::kSeeBusy:
      return unless(WEIR_OFFERS(is_busy), needs_driver("is_busy"));
    case Means::kClientName:
      return unless(WEIR_OFFERS(client_name_of), needs_driver("client_name_of"));
    case Means::kTerminate:
      return unless(WEIR_OFFERS(terminate), needs_driver("terminate"));
    case Means::kFreeze:
      return unless(!has.freeze.empty() || (WEIR_OFFERS(freeze) && WEIR_OFFERS(thaw)),
                    needs_either("--freeze and --thaw", "freeze and thaw"));
    case Means::kSessionNumber:
      return unless(WEIR_OFFERS(session_of), needs_driver("session_of"));
    case Means::kQuery:
      return unless(WEIR_OFFERS(query), needs_driver("query"));
    case Means::kState:
      return unless(WEIR_OFFERS(leave_state) && WEIR_OFFERS(has_state),
                    needs_driver("leave_state and has_state"));
    case Means::kTransaction:
      return unless(WEIR_OFFERS(leave_transaction), needs_driver("leave_transaction"));
    case Means::kUnread:
      return unless(WEIR_OFFERS(leave_unread), needs_driver("leave_unread"));
    case Means::kSleep:
      return unless(WEIR_OFFERS(sleep_long), needs_driver("sleep_long"));
    case Means::kStatement:
      return unless(!statement().empty(), needs_either("--statement", "statement"));
    case Means::kSlowStatement:
      return unless(!slow_statement().empty(), needs_either("--slow-statement", "slow_statement"));
    case Means::kRefusedStatement:
      return unless(!refused_statement().empty(),
                    needs_either("--refused-statement", "refused_statement"));
  }
  return "needs what this program does not know";
}

std::string PluginUnderTest::dsn_at_tcp(std::uint16_t port) const {
  if (given().tcp_dsn.empty()) return port == 1 ? given().dsn : given().other_server_dsn;
  constexpr std::string_view kPort = "{port}";
  std::string text = given().tcp_dsn;
  const std::size_t at = text.find(kPort);
  return at == std::string::npos ? text : text.replace(at, kPort.size(), std::to_string(port));
}

std::vector<DriverUnderTest::BadDsn> PluginUnderTest::bad_dsns() const {
  std::vector<BadDsn> bad;
  for (const auto& [text, names] : given().bad_dsns) bad.push_back({text, names});
  return bad;
}

// ---- the server ---------------------------------------------------------------------------------

bool PluginUnderTest::is_busy(std::int64_t session) {
  return extension().is_busy(given().dsn.c_str(), session) == 1;
}

std::string PluginUnderTest::client_name_of(std::int64_t session) {
  std::array<char, 256> name{};
  EXPECT_EQ(extension().client_name_of(given().dsn.c_str(), session, name.data(), name.size()),
            WEIR_OK);
  return name.data();
}

void PluginUnderTest::terminate(std::int64_t session) {
  EXPECT_EQ(extension().terminate(given().dsn.c_str(), session), WEIR_OK);
}

void PluginUnderTest::freeze() {
  is_frozen_ = true;
  if (!given().freeze.empty()) {
    // What the user asked for, in the one thread there is. NOLINTNEXTLINE(concurrency-mt-unsafe)
    ASSERT_EQ(std::system(given().freeze.c_str()), 0) << "--freeze failed";
  } else {
    ASSERT_EQ(extension().freeze(given().dsn.c_str()), WEIR_OK);
  }
}

void PluginUnderTest::thaw() {
  is_frozen_ = false;
  if (!given().freeze.empty()) {
    // As above. NOLINTNEXTLINE(concurrency-mt-unsafe)
    EXPECT_EQ(std::system(given().thaw.c_str()), 0) << "--thaw failed";
  } else {
    EXPECT_EQ(extension().thaw(given().dsn.c_str()), WEIR_OK);
  }
}

// ---- a lease ------------------------------------------------------------------------------------

void PluginUnderTest::leave_state(void* native) {
  EXPECT_EQ(extension().leave_state(native), WEIR_OK);
}

bool PluginUnderTest::has_state(void* native) {
  const std::int32_t answer = extension().has_state(native);
  EXPECT_GE(answer, 0) << "has_state failed";
  return answer == 1;
}

void PluginUnderTest::leave_transaction(void* native) {
  EXPECT_EQ(extension().leave_transaction(native), WEIR_OK);
}

void PluginUnderTest::leave_unread(void* native) {
  EXPECT_EQ(extension().leave_unread(native), WEIR_OK);
}

bool PluginUnderTest::sleep_long(void* native) {
  return extension().sleep_long(native) != WEIR_CANCELLED;
}

// ---- statements ---------------------------------------------------------------------------------

std::string PluginUnderTest::statement() const {
  return text_of(given().statement, WEIR_OFFERS(statement) ? extension().statement : nullptr);
}

std::string PluginUnderTest::slow_statement() const {
  return text_of(given().slow_statement,
                 WEIR_OFFERS(slow_statement) ? extension().slow_statement : nullptr);
}

std::string PluginUnderTest::refused_statement() const {
  return text_of(given().refused_statement,
                 WEIR_OFFERS(refused_statement) ? extension().refused_statement : nullptr);
}

std::string PluginUnderTest::native_text_of_refusal() const {
  // Of one's own statement only what is said about it counts.
  if (!given().refused_statement.empty()) return given().refusal;
  return text_of("", WEIR_OFFERS(refusal) ? extension().refusal : nullptr);
}

INSTANTIATE_TEST_SUITE_P(Plugin, DriverSuite, testing::Values(&PluginUnderTest::make));

}  // namespace weir::test
