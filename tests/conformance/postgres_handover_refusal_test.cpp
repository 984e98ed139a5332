// Sessions that do not move, descriptions that are not believed, and that nothing is lost by it.
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <functional>

#include "conformance/handover_suite.h"

namespace weir::test {
namespace {

class PostgresHandoverRefusal : public PostgresHandover {
 protected:
  /// Expects that `connection` cannot move now, and why; `ends` makes it fit to.
  void expect_kept(Connection& connection, Code code, const std::string& why,
                   const std::function<void()>& ends) {
    const Status status = export_refusal(connection);
    EXPECT_EQ(status.code(), code) << status.to_string();
    EXPECT_NE(status.message().find(why), std::string::npos) << status.to_string();
    ends();
    EXPECT_TRUE(subject().query(connection.native())) << "the session is as before: " << why;
    run(connection, WEIR_OP_RESET);
    exported(connection);
  }
};

class PostgresTlsHandover : public PostgresHandoverRefusal {};

std::unique_ptr<DriverUnderTest> with_tls() {
  PostgresSettings settings = PostgresUnderTest::default_settings();
  settings.tcp = true;
  settings.tls = true;
  return std::make_unique<PostgresUnderTest>(settings);
}

void finish_results(PGconn* conn) {
  while (PGresult* const result = PQgetResult(conn)) PQclear(result);
}

}  // namespace

TEST_P(PostgresTlsHandover, SaysThatAnEncryptedSessionCannotMove) {
  const Dsn dsn = parse(tcp_dsn() + " sslmode=require");
  Connection connection = connect_to(dsn);
  ASSERT_EQ(PQsslInUse(pg(connection)), 1);
  const Status status = export_refusal(connection);
  EXPECT_EQ(status.code(), Code::kNotSupported) << status.to_string();
  EXPECT_NE(status.message().find("TLS"), std::string::npos) << status.to_string();
  EXPECT_TRUE(subject().query(connection.native()));
  run(connection, WEIR_OP_CLOSE);
}

TEST_P(PostgresHandoverRefusal, KeepsASessionWithAnAnswerACopyOrAPipelineUnfinished) {
  Connection connection = connect(WEIR_RESET_TRANSACTION);
  PGconn* const conn = pg(connection);
  ASSERT_EQ(PQsendQuery(conn, "SELECT 1"), 1);
  expect_kept(connection, Code::kBadArgument, "unfinished", [&] { finish_results(conn); });

  PQclear(PQexec(conn, "COPY (SELECT 1) TO STDOUT"));
  expect_kept(connection, Code::kBadArgument, "unfinished", [&] {
    char* row = nullptr;
    while (PQgetCopyData(conn, &row, 0) > 0) PQfreemem(row);
    finish_results(conn);
  });

  PQclear(PQexec(conn, "CREATE TEMPORARY TABLE numbers (n int)"));
  PQclear(PQexec(conn, "COPY numbers FROM STDIN"));
  expect_kept(connection, Code::kBadArgument, "unfinished", [&] {
    EXPECT_EQ(PQputCopyEnd(conn, nullptr), 1);
    finish_results(conn);
  });

  ASSERT_EQ(PQenterPipelineMode(conn), 1);
  expect_kept(connection, Code::kBadArgument, "unfinished",
              [&] { EXPECT_EQ(PQexitPipelineMode(conn), 1); });
}

TEST_P(PostgresHandoverRefusal, KeepsASessionThatIsInATransactionOrLeftTraces) {
  Connection connection = connect();
  subject().leave_transaction(connection.native());
  expect_kept(connection, Code::kBadArgument, "transaction", [] {});
  subject().leave_state(connection.native());
  expect_kept(connection, Code::kBadArgument, "traces", [] {});
  PQsetnonblocking(pg(connection), 1);
  expect_kept(connection, Code::kBadArgument, "traces",
              [&] { PQsetnonblocking(pg(connection), 0); });

  ASSERT_TRUE(connection.start(WEIR_OP_PING, nullptr, soon()).ok());
  EXPECT_EQ(export_refusal(connection).code(), Code::kBadArgument);
}

TEST_P(PostgresHandoverRefusal, KeepsASessionWhoseServerMayBeReadOnly) {
  const Dsn dsn = parse(subject().dsn() + " target_session_attrs=read-write");
  Connection connection = connect_to(dsn);
  exported(connection);
  EXPECT_EQ(ask(connection, "BEGIN READ ONLY; CREATE TABLE t ()"), "SQLSTATE 25006");
  ask(connection, "ROLLBACK");
  EXPECT_EQ(export_refusal(connection).code(), Code::kBadArgument);
  run(connection, WEIR_OP_RESET);
  exported(connection);
}

TEST_P(PostgresHandoverRefusal, SaysNotNowWhileTheServerHasSaidSomethingUnread) {
  Connection connection = connect(WEIR_RESET_TRANSACTION);
  ask(connection, "LISTEN somewhere");
  server().ask("NOTIFY somewhere");
  EXPECT_TRUE(eventually([&] {
    const Result<std::string> blob = connection.export_session();
    return !blob.ok() && heard(blob.status()).code() == Code::kWouldBlock;
  }));
  EXPECT_EQ(connection.condition(WEIR_LOOK_AT_SOCKET), 0U);
  exported(connection);
}

TEST_P(PostgresHandoverRefusal, SaysThatASessionIsLostOrWasNeverThere) {
  const Dsn dsn = parse(subject().dsn());
  Connection never = make(dsn);
  EXPECT_EQ(export_refusal(never).code(), Code::kNotOpen);

  Connection connection = connect_to(dsn);
  const std::string blob = exported(connection);
  const int copy = dup(connection.fd());
  server().stop();
  EXPECT_TRUE(eventually([&] {
    const Result<std::string> lost = connection.export_session();
    return !lost.ok() && (lost.status().code() == Code::kConnectionBroken ||
                          heard(lost.status()).code() == Code::kWouldBlock);
  }));
  EXPECT_NE(connection.condition(WEIR_LOOK_AT_SOCKET) & WEIR_COND_BROKEN, 0U);
  EXPECT_EQ(export_refusal(connection).code(), Code::kConnectionBroken);
  EXPECT_EQ(import_refusal(dsn, copy, blob).code(), Code::kConnectionBroken);
  close(copy);
}

TEST_P(PostgresHandoverRefusal, TellsVersionsAndServersApart) {
  const Dsn dsn = parse(subject().dsn());
  Connection connection = connect_to(dsn);
  const std::string blob = exported(connection);
  const int copy = dup(connection.fd());
  // The version stands behind the magic (8) and the driver's name (2 + 8).
  std::string newer = blob;
  newer[18] = 2;
  const Status refused = import_refusal(dsn, copy, newer);
  EXPECT_EQ(refused.code(), Code::kNotSupported);
  EXPECT_NE(refused.message().find("version 2 found, 1 expected"), std::string::npos)
      << refused.to_string();
  const Dsn elsewhere = parse(subject().dsn_at_tcp(1));
  EXPECT_NE(import_refusal(elsewhere, copy, blob).message().find("127.0.0.1:1 expected"),
            std::string::npos);
  close(copy);
}

TEST_P(PostgresHandoverRefusal, TakesNoDescriptorThatIsNotConnectedToTheServer) {
  const Dsn dsn = parse(subject().dsn());
  Connection connection = connect_to(dsn);
  const std::string blob = exported(connection);
  std::array<int, 2> pair{};
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()), 0);
  std::array<int, 2> pipe_ends{};
  ASSERT_EQ(pipe2(pipe_ends.data(), O_CLOEXEC), 0);
  const int unconnected = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int datagrams = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  for (const int wrong : {-1, 1'000'000, pair[0], pipe_ends[0], unconnected, datagrams}) {
    EXPECT_EQ(import_refusal(dsn, wrong, blob).code(), Code::kBadArgument) << wrong;
  }
  for (const int open : {pair[0], pair[1], pipe_ends[0], pipe_ends[1], unconnected, datagrams}) {
    close(open);
  }
  EXPECT_TRUE(subject().query(connection.native()));
}

TEST_P(PostgresHandoverRefusal, GivesTheDescriptorBackWhereTheServerTakesNoConnections) {
  namespace fs = std::filesystem;
  const Dsn here = parse(subject().dsn());
  const Dsn there = parse(subject().dsn());
  Connection connection = connect_to(here);
  const std::string blob = exported(connection);
  const int copy = dup(connection.fd());
  connection.abandon();
  const fs::path socket = fs::path(server().socket_folder()) / ".s.PGSQL.5432";
  const fs::path away = fs::path(server().socket_folder()) / "away";
  fs::rename(socket, away);
  EXPECT_EQ(import_refusal(there, copy, blob).code(), Code::kConnectFailed);
  // A shell needs nobody: the one that the session left is here.
  auto back = Connection::import_session(here, options_of(WEIR_RESET_TRACKED), copy, blob);
  ASSERT_TRUE(back.ok()) << heard(back.status()).to_string();
  EXPECT_TRUE(subject().query(back.value().native()));
  fs::rename(away, socket);
}

INSTANTIATE_TEST_SUITE_P(Postgres, PostgresHandoverRefusal,
                         testing::Values(&PostgresUnderTest::make));
INSTANTIATE_TEST_SUITE_P(Postgres, PostgresTlsHandover, testing::Values(&with_tls));

}  // namespace weir::test
