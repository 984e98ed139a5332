// The ways to share connections that weir is compared with, on real servers: what benchmarks say
// about them is only worth something if they do what they are said to do.
#include <gtest/gtest.h>
#include <libpq-fe.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "demo/board.h"
#include "demo/postgres.h"
#include "demo/query.h"
#include "demo/static_pool.h"
#include "support/pgbouncer.h"
#include "support/postgres_server.h"

namespace weir::demo {
namespace {

using namespace std::chrono_literals;

std::uint64_t in(std::chrono::milliseconds time) { return Deadline::after(time).ns(); }

/// A server that allows the role "app" one connection.
test::PostgresSettings of_one_connection() {
  return {.max_connections = 3, .superuser_reserved_connections = 2};
}

TEST(AStaticPool, FailsARequestWhenTheServerRefuses) {
  const test::PostgresServer server(of_one_connection());
  const PostgresClient client(server.dsn());
  Board board(2, 0);
  StaticPool first(client, 1, board, board.gauge(0));
  StaticPool second(client, 1, board, board.gauge(1));
  ASSERT_EQ(first.serve(in(20s), 0), End::kServed);
  EXPECT_EQ(second.serve(in(20s), 0), End::kFailed);
  EXPECT_NE(board.first_error(), "");
}

TEST(AStaticPool, ThatRetriesTimesOutWhileTheServerIsFull) {
  const test::PostgresServer server(of_one_connection());
  const PostgresClient client(server.dsn());
  Board board(2, 0);
  StaticPool first(client, 1, board, board.gauge(0));
  StaticPool second(client, 1, board, board.gauge(1), 1ms);
  ASSERT_EQ(first.serve(in(20s), 0), End::kServed);
  const std::uint64_t deadline_ns = in(100ms);
  EXPECT_EQ(second.serve(deadline_ns, 0), End::kTimedOut);
  EXPECT_EQ(board.first_error(), "");
}

TEST(AStaticPool, ThatRetriesIsServedOnceTheServerHasRoom) {
  const test::PostgresServer server(of_one_connection());
  const PostgresClient client(server.dsn());
  Board board(2, 0);
  auto first = std::make_unique<StaticPool>(client, 1, board, board.gauge(0));
  StaticPool second(client, 1, board, board.gauge(1), 1ms);
  ASSERT_EQ(first->serve(in(20s), 0), End::kServed);
  End end = End::kNone;
  std::jthread waiting([&] { end = second.serve(in(20s), 0); });
  first.reset();
  waiting.join();
  EXPECT_EQ(end, End::kServed);
}

class OurPgbouncer : public testing::Test {
 protected:
  void SetUp() override {
    if (!test::Pgbouncer::is_installed()) GTEST_SKIP() << "PgBouncer is not installed";
  }
};

TEST_F(OurPgbouncer, OpensNoMoreConnectionsThanItsPoolHas) {
  test::PostgresServer server;
  const test::Pgbouncer pgbouncer(server, {.pool_size = 2});
  std::vector<std::jthread> clients;
  std::vector<std::string> errors(6);
  for (std::string& error : errors) {
    clients.emplace_back([&] {
      const OwnConnection connection(PQconnectdb(pgbouncer.dsn().c_str()));
      error = run_query(connection.get(), 20'000);
    });
  }
  clients.clear();
  for (const std::string& error : errors) EXPECT_EQ(error, "");
  EXPECT_LE(server.count_sessions(), 2);
}

TEST_F(OurPgbouncer, IsGoneWhenKilledAndThereAgainWhenStarted) {
  const test::PostgresServer server;
  test::Pgbouncer pgbouncer(server);
  const OwnConnection before(PQconnectdb(pgbouncer.dsn().c_str()));
  ASSERT_EQ(run_query(before.get(), 0), "");
  pgbouncer.kill();
  EXPECT_NE(run_query(before.get(), 0), "");
  EXPECT_EQ(PQping(pgbouncer.dsn().c_str()), PQPING_NO_RESPONSE);
  pgbouncer.start();
  const OwnConnection after(PQconnectdb(pgbouncer.dsn().c_str()));
  EXPECT_EQ(run_query(after.get(), 0), "");
}

}  // namespace
}  // namespace weir::demo
