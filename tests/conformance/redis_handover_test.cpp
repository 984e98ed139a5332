// Sessions that move: what a lease finds afterwards, what is refused, and two real processes.
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <optional>
#include <thread>
#include <vector>

#include "conformance/moving_between.h"
#include "conformance/redis_suite.h"
#include "support/worker_process.h"

namespace weir::test {

class RedisHandover : public RedisSuite {};

INSTANTIATE_TEST_SUITE_P(Redis, RedisHandover, testing::Values(&RedisUnderTest::make));
INSTANTIATE_TEST_SUITE_P(RedisByTcp, RedisHandover, testing::Values(&RedisUnderTest::make_by_tcp));

TEST_P(RedisHandover, MovesBetweenTwoProcessesManyTimesAndStaysOneClient) {
  const Dsn dsn = parse(subject().dsn());
  const weir_conn_options_t options = options_of(WEIR_RESET_TRACKED);
  Connection connection = connect_to(dsn);
  const std::int64_t client = id_of(connection);
  Courier courier;
  WorkerProcess worker([&] {
    for (int i = 0; i < kRounds; ++i) {
      Connection here = take_in(courier, Courier::End::kChild, dsn, options);
      if (!here.is_open()) return 1;
      if (ask(here, "CLIENT ID") != std::to_string(client)) return 2;
      if (!here.run(WEIR_OP_RESET, nullptr, soon()).ok()) return 3;
      if (!send_away(courier, Courier::End::kChild, std::move(here))) return 4;
    }
    return 0;
  });
  std::vector<double> round_us;
  std::size_t description_bytes = 0;
  for (int i = 0; i < kRounds; ++i) {
    if (i == 0) description_bytes = exported(connection).size();
    const auto start = Clock::now();
    ASSERT_TRUE(send_away(courier, Courier::End::kParent, std::move(connection)));
    connection = take_in(courier, Courier::End::kParent, dsn, options);
    round_us.push_back(microseconds_since(start));
    ASSERT_TRUE(connection.is_open())
        << "round " << i << ", the worker ended with " << worker.wait_at_most();
  }
  EXPECT_EQ(worker.wait_at_most(), 0);
  EXPECT_EQ(ask(connection, "CLIENT ID"), std::to_string(client));
  EXPECT_EQ(subject().count_sessions(), 1);
  run(connection, WEIR_OP_CLOSE);
  EXPECT_EQ(subject().count_sessions(), 0);
  std::printf("two moves, a command and a reset p50 %.0f us; description %zu bytes\n",
              median(round_us), description_bytes);
}

TEST_P(RedisHandover, LooksToALeaseAsIfItHadConnectedHere) {
  const Dsn dsn = parse(subject().dsn());
  Connection connection = connect_to(dsn);
  const redisContext made = *context(connection);
  const std::string path = made.unix_sock.path != nullptr ? made.unix_sock.path : "";
  const std::string host = made.tcp.host != nullptr ? made.tcp.host : "";
  connection = moved(std::move(connection), dsn);
  const redisContext& now = *context(connection);
  EXPECT_EQ(now.connection_type, made.connection_type);
  EXPECT_EQ(now.flags & (REDIS_BLOCK | REDIS_CONNECTED), REDIS_BLOCK | REDIS_CONNECTED);
  EXPECT_EQ(now.unix_sock.path != nullptr ? now.unix_sock.path : "", path);
  EXPECT_EQ(now.tcp.host != nullptr ? now.tcp.host : "", host);
  EXPECT_EQ(now.tcp.port, made.tcp.port);
  EXPECT_EQ(field(connection, "db"), "3");
}

TEST_P(RedisHandover, CanBeCancelledAndNamedByItsTokenThere) {
  const Dsn dsn = parse(subject().dsn());
  Connection connection = connect_to(dsn);
  const weir_token_t before = connection.session_token();
  connection = moved(std::move(connection), dsn);
  const weir_token_t after = connection.session_token();
  EXPECT_EQ(before.size, after.size);
  EXPECT_TRUE(std::equal(before.bytes, before.bytes + before.size, after.bytes));
  bool slept_through = true;
  std::thread lease([&] { slept_through = subject().sleep_long(connection.native()); });
  EXPECT_TRUE(eventually([&] { return subject().is_busy(id_of(connection)); }));
  EXPECT_TRUE(heard(connection.cancel(soon())).ok());
  lease.join();
  EXPECT_FALSE(slept_through);
  EXPECT_TRUE(subject().query(connection.native()));
}

TEST_P(RedisHandover, BearsTheNameOfItsNewOwnerAfterAReset) {
  const Dsn dsn = parse(subject().dsn());
  Connection connection = connect(WEIR_RESET_TRACKED, "first");
  const std::string blob = exported(connection);
  const int copy = dup(connection.fd());
  connection.abandon();
  weir_conn_options_t options = options_of(WEIR_RESET_TRACKED);
  options.client_name = "second";
  auto arrived = Connection::import_session(dsn, options, copy, blob);
  ASSERT_TRUE(arrived.ok()) << heard(arrived.status()).to_string();
  EXPECT_EQ(field(arrived.value(), "name"), "first");
  EXPECT_TRUE(subject().query(arrived.value().native()));
  run(arrived.value(), WEIR_OP_RESET);
  EXPECT_EQ(field(arrived.value(), "name"), "second");
}

TEST_P(RedisHandover, DoesNotMoveWhileTheServerHasSaidSomething) {
  Connection connection = connect();
  const char word[] = "PING\r\n";
  ASSERT_EQ(send(connection.fd(), word, sizeof word - 1, 0), static_cast<ssize_t>(sizeof word - 1));
  EXPECT_TRUE(eventually(
      [&] { return (connection.condition(WEIR_LOOK_AT_SOCKET) & WEIR_COND_UNEXPECTED) != 0; }));
  EXPECT_EQ(export_refusal(connection).code(), Code::kWouldBlock);
}

TEST_P(RedisHandover, TakesNoOtherSocketForTheSessions) {
  const Dsn dsn = parse(subject().dsn());
  Connection connection = connect_to(dsn);
  const std::string blob = exported(connection);
  int pair[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
  EXPECT_EQ(import_refusal(dsn, pair[0], blob).code(), Code::kBadArgument);
  const int unconnected = socket(AF_INET, SOCK_STREAM, 0);
  EXPECT_EQ(import_refusal(dsn, unconnected, blob).code(), Code::kBadArgument);
  int pipes[2];
  ASSERT_EQ(pipe(pipes), 0);
  EXPECT_EQ(import_refusal(dsn, pipes[0], blob).code(), Code::kBadArgument);
  // One of another server by TCP; a Unix socket's name is the server's own idea of it.
  RedisServer other({.tcp = true});
  redisContext* const elsewhere = redisConnect("127.0.0.1", other.tcp_port());
  ASSERT_EQ(elsewhere->err, 0);
  EXPECT_EQ(import_refusal(dsn, elsewhere->fd, blob).code(), Code::kBadArgument);
  redisFree(elsewhere);
  for (const int fd : {pair[0], pair[1], unconnected, pipes[0], pipes[1]}) close(fd);
  EXPECT_TRUE(subject().query(connection.native()));
}

TEST_P(RedisHandover, SaysThatTheServerHungUpOnTheWay) {
  const Dsn dsn = parse(subject().dsn());
  Connection connection = connect_to(dsn);
  const std::string blob = exported(connection);
  subject().terminate(id_of(connection));
  char byte = 0;
  EXPECT_TRUE(eventually([&] { return recv(connection.fd(), &byte, 1, MSG_PEEK) == 0; }));
  EXPECT_EQ(export_refusal(connection).code(), Code::kConnectionBroken);
  const int copy = dup(connection.fd());
  EXPECT_EQ(import_refusal(dsn, copy, blob).code(), Code::kConnectionBroken);
  close(copy);
}

TEST_P(RedisHandover, KeepsItsResetMode) {
  const Dsn dsn = parse(subject().dsn());
  Connection connection = connect_to(dsn, WEIR_RESET_TRANSACTION);
  EXPECT_EQ(ask(connection, "SELECT 9"), "OK");
  run(connection, WEIR_OP_RESET);
  connection = moved(std::move(connection), dsn, WEIR_RESET_TRANSACTION);
  EXPECT_EQ(field(connection, "db"), "9");
  EXPECT_EQ(ask(connection, "MULTI"), "OK");
  run(connection, WEIR_OP_RESET);
  EXPECT_EQ(field(connection, "multi"), "-1");
}

}  // namespace weir::test
