// RedisSuite: what the redis driver promises beyond the suite for all drivers.
#pragma once

#include <string>

#include "conformance/redis_under_test.h"
#include "conformance/suite.h"

namespace weir::test {

class RedisSuite : public DriverSuite {
 protected:
  [[nodiscard]] RedisUnderTest& redis() { return static_cast<RedisUnderTest&>(subject()); }
  [[nodiscard]] RedisServer& server() { return redis().server(); }
  static redisContext* context(Connection& connection) {
    return static_cast<redisContext*>(connection.native());
  }
  /// As a lease does it.
  static std::string ask(Connection& connection, const std::string& line) {
    return redis_answer(connection.native(), line);
  }
  /// Sends a command, and leaves its answer, if there will be one, to others.
  static void send_only(Connection& connection, const std::string& line) {
    int is_sent = 0;
    EXPECT_EQ(redisAppendCommand(context(connection), line.c_str()), REDIS_OK);
    EXPECT_EQ(redisBufferWrite(context(connection), &is_sent), REDIS_OK);
    EXPECT_EQ(is_sent, 1);
  }
  /// What CLIENT LIST says of the session.
  std::string field(Connection& connection, const std::string& key) {
    return server().client_field(id_of(connection), key);
  }
  /// From the token, so that nobody has to be asked.
  static std::int64_t id_of(Connection& connection) {
    const weir_token_t token = connection.session_token();
    std::int64_t id = 0;
    for (int i = 7; i >= 0; --i) id = id << 8 | token.bytes[44 + i];  // plugins/redis/token.h
    return id;
  }
  static bool has(Connection& connection, std::uint32_t bit) {
    return (connection.condition(WEIR_LOOK_LOCAL) & bit) != 0;
  }
  /// Makes the session clean, and makes sure that it is itself and serves.
  void reset(Connection& connection) {
    run(connection, WEIR_OP_RESET);
    EXPECT_EQ(connection.condition(WEIR_LOOK_AT_SOCKET), 0U);
    EXPECT_EQ(redis().session_of(connection.native()), id_of(connection));
    EXPECT_TRUE(subject().query(connection.native()));
  }
  /// Expects that a reset finds the session beyond saving, and closes it.
  void expect_no_reset(Connection& connection) {
    EXPECT_FALSE(reset_refusal(connection).message().empty());
  }
  Status reset_refusal(Connection& connection) {
    const Status status = heard(connection.run(WEIR_OP_RESET, nullptr, soon()));
    EXPECT_EQ(status.code(), Code::kConnectionBroken) << status.to_string();
    EXPECT_TRUE(has(connection, WEIR_COND_BROKEN));
    run(connection, WEIR_OP_CLOSE);
    return status;
  }
  /// Tries to connect as `dsn` says and expects that it fails.
  Status refusal(const std::string& dsn) {
    const Dsn parsed = parse(dsn);
    Connection connection = make(parsed);
    Status status = heard(connection.run(WEIR_OP_CONNECT, nullptr, soon()));
    EXPECT_FALSE(status.ok());
    run(connection, WEIR_OP_CLOSE);
    return status;
  }
  [[nodiscard]] bool knows_reset() {
    try {
      server().ask({"RESET", "x"});  // too many words for it
    } catch (const std::exception& error) {
      return std::string(error.what()).find("unknown command") == std::string::npos;
    }
    return true;
  }
};

}  // namespace weir::test
