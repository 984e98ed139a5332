#include "conformance/redis_under_test.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>
#include <sstream>

namespace weir::test {
namespace {

// What makes a DSN hard to read, with the same word in each piece of it.
constexpr const char* kPassword = "hunter2/hunter2:hunter2?hunter2@hunter2%";
constexpr const char* kEncoded = "hunter2%2Fhunter2%3Ahunter2%3Fhunter2%40hunter2%25";
constexpr const char* kSecret = "hunter2";

constexpr int kDb = 3;
constexpr const char* kLeftDb = "7";

redisContext* context(void* native) { return static_cast<redisContext*>(native); }

}  // namespace

std::string redis_answer(void* native, const std::string& line) {
  std::istringstream split(line);
  std::vector<std::string> words;
  for (std::string word; split >> word;) words.push_back(word);
  std::vector<const char*> texts;
  for (const std::string& word : words) texts.push_back(word.c_str());
  auto* const reply = static_cast<redisReply*>(
      redisCommandArgv(context(native), static_cast<int>(texts.size()), texts.data(), nullptr));
  if (reply == nullptr) return std::string("lost: ") + context(native)->errstr;
  std::string answer;
  if (reply->type == REDIS_REPLY_INTEGER) answer = std::to_string(reply->integer);
  if (reply->str != nullptr) answer = std::string(reply->str, reply->len);
  if (reply->type == REDIS_REPLY_ERROR) answer = "error: " + answer;
  freeReplyObject(reply);
  return answer;
}

RedisUnderTest::RedisUnderTest(RedisSettings settings, Way way)
    : server_(std::move(settings)), way_(way) {}

RedisSettings RedisUnderTest::default_settings() {
  return {.tcp = true, .users = {std::string("app on >") + kPassword + " ~* &* +@all"}};
}

std::unique_ptr<DriverUnderTest> RedisUnderTest::make_by_tcp() {
  return std::make_unique<RedisUnderTest>(default_settings(), Way::kTcp);
}

std::unique_ptr<DriverUnderTest> RedisUnderTest::make_without_reset() {
  RedisSettings settings = default_settings();
  settings.extra = {"rename-command RESET \"\""};
  return std::make_unique<RedisUnderTest>(std::move(settings));
}

std::string RedisUnderTest::directory() const { return WEIR_PLUGIN_DIRECTORY; }

std::string RedisUnderTest::dsn_with(const std::string& password, int db) const {
  const std::string who = "app:" + password + "@";
  if (way_ == Way::kUnixSocket) {
    return "unix://" + who + server_.socket_path() + "?db=" + std::to_string(db);
  }
  return "redis://" + who + "127.0.0.1:" + std::to_string(server_.tcp_port()) + "/" +
         std::to_string(db);
}

std::string RedisUnderTest::dsn_of_db(int db) const { return dsn_with(kEncoded, db); }

std::string RedisUnderTest::dsn() const { return dsn_of_db(kDb); }

std::string RedisUnderTest::secret() const { return kSecret; }

std::string RedisUnderTest::same_server_other_secret_dsn() const {
  return dsn_with(std::string("not-") + kEncoded, kDb);
}

std::string RedisUnderTest::same_server_other_session_dsn() const { return dsn_of_db(kDb + 1); }

std::string RedisUnderTest::dsn_at_tcp(std::uint16_t port) const {
  return std::string("redis://app:") + kEncoded + "@127.0.0.1:" + std::to_string(port) + "/" +
         std::to_string(kDb);
}

std::vector<DriverUnderTest::BadDsn> RedisUnderTest::bad_dsns() const {
  return {{"", "scheme"},
          {"postgres://a", "scheme"},
          {"redis:/a", "scheme"},
          {"rediss://a", "TLS"},
          {"redis://a:0", "port"},
          {"redis://a:65536", "port"},
          {"redis://a:port", "port"},
          {"redis://a:", "port"},
          {"redis://a:1:2", "[' and ']'"},
          {"redis://[::1", "]"},
          {"redis://[::1]6379", "]"},
          {"redis://[]:1", "IPv6"},
          {"redis://[name]:1", "IPv6"},
          {"redis://a b", "host"},
          {"redis://a/b", "db"},
          {"redis://a/-1", "db"},
          {"redis://a/1/2", "db"},
          {"redis://a/1000000", "db"},
          {"redis://a/1?db=1", "second"},
          {"redis://a?db=", "db"},
          {"redis://a?db", "'='"},
          {"redis://a?", "unknown"},
          {"redis://a?ssl=true", "\"ssl\""},
          {"redis://a?ssl=true", "client_name"},
          {"redis://a?protocol=3", "RESP2"},
          {"redis://a?client_name=two%20words", "client_name"},
          {"redis://a?client_name=", "client_name"},
          {"redis://a?socket_timeout=5", "statement_timeout"},
          {"redis://a?socket_connect_timeout=5", "connect_timeout"},
          {"redis://a?health_check_interval=5", "keepalive"},
          {"redis://a?username=x%0", "username"},
          {"redis://a?username=x%00", "username"},
          {"redis://a#1", "%23"},
          {"unix://", "path"},
          {"unix://a", "path"},
          {"unix:///", "path"},
          {"unix:///" + std::string(120, 'x'), "path"},
          {"unix:///a?db=x", "db"},
          // What follows a password may be a piece of it.
          {"redis://:hunter2/x@a", "%2F"},
          {"redis://:hunter2?x@a", "%3F"},
          {"redis://:hunter2#x@a", "%23"},
          {"redis://:hunter2%zz@a", "password"},
          {"redis://a?password=x&hunter2", "%26"},
          {"redis://:x@a?password=hunter2", "second"},
          {"redis://:x@a:hunter2", "port"},
          {"unix://:hunter2@x/y", "path"}};
}

bool RedisUnderTest::is_busy(std::int64_t session) {
  return server_.client_field(session, "flags").find('b') != std::string::npos;
}

std::string RedisUnderTest::client_name_of(std::int64_t session) {
  return server_.client_field(session, "name");
}

std::string RedisUnderTest::shown_name(const std::string& name) const {
  std::string shown = name;
  std::replace(shown.begin(), shown.end(), ' ', '_');
  return shown;
}

void RedisUnderTest::terminate(std::int64_t session) {
  EXPECT_EQ(server_.ask({"CLIENT", "KILL", "ID", std::to_string(session)}), "1");
}

/// Past hiredis, so that it is not the lease who asked.
std::int64_t RedisUnderTest::session_of(void* native) {
  constexpr std::string_view kQuestion = "CLIENT ID\r\n";
  const int fd = context(native)->fd;
  EXPECT_EQ(send(fd, kQuestion.data(), kQuestion.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(kQuestion.size()));
  std::string answer;
  for (char byte = 0; !answer.ends_with("\r\n") && recv(fd, &byte, 1, 0) == 1;) answer += byte;
  EXPECT_TRUE(answer.starts_with(':')) << answer;
  return answer.starts_with(':') ? std::stoll(answer.substr(1)) : -1;
}

bool RedisUnderTest::query(void* native) {
  const std::string answer = redis_answer(native, "ECHO 42");
  return answer == "42" || answer == "QUEUED";
}

void RedisUnderTest::leave_state(void* native) {
  const std::string answer = redis_answer(native, std::string("SELECT ") + kLeftDb);
  EXPECT_TRUE(answer == "OK" || answer == "QUEUED") << answer;
}

bool RedisUnderTest::has_state(void* native) {
  return redis_answer(native, "CLIENT INFO").find(std::string(" db=") + kLeftDb + " ") !=
         std::string::npos;
}

void RedisUnderTest::leave_transaction(void* native) {
  EXPECT_EQ(redis_answer(native, "MULTI"), "OK");
}

/// Two commands in one packet are answered in one, so hiredis has read the second answer with the
/// first. What it has not read yet cannot be seen; redis_reset_test.cpp is about that.
void RedisUnderTest::leave_unread(void* native) {
  EXPECT_EQ(redisAppendCommand(context(native), "ECHO first"), REDIS_OK);
  EXPECT_EQ(redisAppendCommand(context(native), "ECHO second"), REDIS_OK);
  void* reply = nullptr;
  EXPECT_EQ(redisGetReply(context(native), &reply), REDIS_OK);
  freeReplyObject(reply);
}

bool RedisUnderTest::sleep_long(void* native) {
  const std::string answer = redis_answer(native, "BLPOP nothing 60");
  return !answer.starts_with("error") && !answer.starts_with("lost");
}

}  // namespace weir::test
