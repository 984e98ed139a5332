#include "conformance/null_under_test.h"

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <array>
#include <atomic>

namespace weir::test {
namespace {

// In a DSN, as a URL has it: hunter2&hunter2%?
constexpr const char* kPassword = "hunter2%26hunter2%25%3F";
constexpr const char* kPlainPassword = "hunter2&hunter2%?";

weir_null_t* null(void* native) { return static_cast<weir_null_t*>(native); }

}  // namespace

const weir_null_client_t& NullUnderTest::client() {
  static const auto* const client = [] {
    void* const library = dlopen(WEIR_PLUGIN_DIRECTORY "/null.so", RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) ADD_FAILURE() << WEIR_PLUGIN_DIRECTORY "/null.so cannot be loaded";
    const auto entry = reinterpret_cast<weir_driver_entry_fn>(dlsym(library, "weir_driver_entry"));
    return static_cast<const weir_null_client_t*>(entry()->get_extension(WEIR_NULL_CLIENT));
  }();
  return *client;
}

std::string null_answer(void* native, const std::string& statement) {
  std::array<char, WEIR_NULL_ANSWER_MAX> answer{};
  const std::int32_t code =
      NullUnderTest::client().query(null(native), statement.c_str(), answer.data(), answer.size());
  return code == WEIR_OK ? answer.data() : "failed";
}

NullUnderTest::NullUnderTest() {
  static std::atomic<int> number = 0;
  server_ = "server-" + std::to_string(++number);
}

std::string NullUnderTest::dsn() const {
  client().require_password(server_.c_str(), kPlainPassword);
  return "null://" + server_ + "?user=app&password=" + kPassword;
}

std::string NullUnderTest::same_server_other_secret_dsn() const {
  return "null://" + server_ + "?user=app&password=not-" + kPassword;
}

std::string NullUnderTest::same_server_other_session_dsn() const {
  return "null://" + server_ + "?user=somebody&password=" + kPassword;
}

std::string NullUnderTest::dsn_at_tcp(std::uint16_t port) const {
  return "null://127.0.0.1-" + std::to_string(port);
}

std::vector<DriverUnderTest::BadDsn> NullUnderTest::bad_dsns() const {
  return {{"", "scheme"},
          {"postgres://a", "scheme"},
          {"null://", "server"},
          {"null://app:hunter2@somewhere", "server"},
          {"null://a/b", "server"},
          {"null://a?", "expected user"},
          {"null://a?pong=ok", "pong"},
          {"null://a?ping", "ping"},
          {"null://a?ping=ok&ping=ok", "second"},
          {"null://a?ping=fali", "fali"},
          {"null://a?ping=fail:tired", "tired"},
          {"null://a?ping=fail:ok", "ok"},
          {"null://a?ping=fail:timeout:%zz", "%25"},
          {"null://a?ping=delay", "delay:"},
          {"null://a?ping=delay:20", "\"20\""},
          {"null://a?ping=delay:61m", "an hour"},
          {"null://a?ping=fail@0", "\"0\""},
          {"null://a?ping=fail@every:0", "every:0"},
          {"null://a?ping=fail@101%", "101%"},
          {"null://a?ping=", "ping"},
          {"null://a?ping=ok,", "ping"},
          {"null://a?limit=0", "limit"},
          {"null://a?limit=5&reserved=5", "reserved"},
          {"null://a?seed=-1", "seed"},
          {"null://a?linger=soon", "linger"},
          {"null://a?user=two words", "user"},
          // What follows a password may be a piece of it.
          {"null://a?password=hunter2%zz", "password"},
          {"null://a?password=a&hunter2", "%26"},
          {"null://a?password=a&ping=hunter2", "ping"}};
}

weir_null_counts_t NullUnderTest::counts() {
  weir_null_counts_t counts{};
  counts.struct_size = sizeof counts;
  client().counts(server_.c_str(), &counts);
  return counts;
}

bool NullUnderTest::is_busy(std::int64_t session) {
  weir_session_t found{};
  return client().describe(server_.c_str(), session, &found) == WEIR_OK &&
         std::string(found.state) == "active";
}

std::string NullUnderTest::client_name_of(std::int64_t session) {
  weir_session_t found{};
  EXPECT_EQ(client().describe(server_.c_str(), session, &found), WEIR_OK);
  return found.client_name;
}

void NullUnderTest::terminate(std::int64_t session) {
  EXPECT_EQ(client().hang_up(server_.c_str(), session), WEIR_OK);
}

std::int64_t NullUnderTest::session_of(void* native) { return null(native)->session; }

bool NullUnderTest::query(void* native) { return null_answer(native, "SELECT 42") == "42"; }

void NullUnderTest::leave_state(void* native) {
  EXPECT_EQ(null_answer(native, "SET search_path = left_behind"), "");
}

bool NullUnderTest::has_state(void* native) {
  return null_answer(native, "GET search_path") == "left_behind";
}

void NullUnderTest::leave_transaction(void* native) { EXPECT_EQ(null_answer(native, "BEGIN"), ""); }

void NullUnderTest::leave_unread(void* native) {
  EXPECT_EQ(client().send(null(native), "SELECT 1"), WEIR_OK);
}

bool NullUnderTest::sleep_long(void* native) { return null_answer(native, "SLEEP 60s").empty(); }

}  // namespace weir::test
