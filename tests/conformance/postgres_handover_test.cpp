// Sessions that move: what they are afterwards, and what cannot move.
#include <fcntl.h>
#include <sys/socket.h>

#include <array>
#include <thread>
#include <vector>

#include "conformance/handover_suite.h"

namespace weir::test {
namespace {

constexpr std::array kNames = {"server_version",
                               "server_encoding",
                               "client_encoding",
                               "is_superuser",
                               "session_authorization",
                               "DateStyle",
                               "IntervalStyle",
                               "TimeZone",
                               "integer_datetimes",
                               "standard_conforming_strings",
                               "application_name",
                               "in_hot_standby",
                               "default_transaction_read_only"};

std::string parameter(const PGconn* conn, const char* name) {
  const char* const value = PQparameterStatus(conn, name);
  return value != nullptr ? value : "(none)";
}

/// All that PQ functions say of a session.
std::vector<std::string> sights(const PGconn* conn) {
  std::vector<std::string> seen;
  for (const char* const name : kNames) seen.push_back(name + ("=" + parameter(conn, name)));
  seen.push_back(std::to_string(PQserverVersion(conn)));
  seen.push_back(std::to_string(PQprotocolVersion(conn)));
  seen.push_back(std::to_string(PQbackendPID(conn)));
  seen.push_back(std::to_string(PQclientEncoding(conn)));
  seen.push_back(std::to_string(PQtransactionStatus(conn)));
  seen.push_back(std::to_string(PQpipelineStatus(conn)));
  seen.push_back(std::to_string(PQisnonblocking(conn)));
  for (const char* const text :
       {PQhost(conn), PQport(conn), PQdb(conn), PQuser(conn), PQhostaddr(conn)}) {
    seen.emplace_back(text != nullptr ? text : "(none)");
  }
  return seen;
}

/// Interrupts what `connection` runs by libpq's own means; whether libpq says that it was sent.
bool cancel_natively(PGconn* conn) {
  PGcancel* const cancel = PQgetCancel(conn);
  std::array<char, 256> why{};
  const bool is_sent = PQcancel(cancel, why.data(), why.size()) == 1;
  PQfreeCancel(cancel);
  return is_sent;
}

}  // namespace

TEST_P(PostgresHandover, LooksToLibpqAsIfItHadConnectedItself) {
  for (const char* const more :
       {"", " client_encoding=LATIN1", " options='-c TimeZone=Asia/Kolkata -c DateStyle=German'",
        " application_name='with a name'", " options='-c default_transaction_read_only=on'"}) {
    const Dsn here = parse(subject().dsn() + more);
    const Dsn there = parse(subject().dsn() + more);
    Connection connection = connect_to(here);
    const auto before = sights(pg(connection));
    Connection arrived = moved(std::move(connection), there);
    EXPECT_EQ(sights(pg(arrived)), before) << more;
    EXPECT_EQ(arrived.condition(WEIR_LOOK_AT_SOCKET), 0U);
    EXPECT_EQ(ask(arrived, "SELECT pg_backend_pid()"), std::to_string(PQbackendPID(pg(arrived))));
    // Back into the shell that it left, which another session was in meanwhile or not.
    Connection back = moved(std::move(arrived), here);
    EXPECT_EQ(sights(pg(back)), before) << more;
    EXPECT_TRUE(subject().query(back.native()));
    run(back, WEIR_OP_CLOSE);
  }
  EXPECT_EQ(subject().count_sessions(), 0);
}

TEST_P(PostgresHandover, CancelsNativelyAfterAnyNumberOfMoves) {
  const Dsn here = parse(subject().dsn());
  const Dsn there = parse(subject().dsn());
  Connection connection = connect_to(here);
  int moves = 0;
  for (const int until : {1, 2, 10}) {
    for (; moves < until; ++moves) {
      connection = moved(std::move(connection), moves % 2 == 0 ? there : here);
    }
    const std::int64_t session = subject().session_of(connection.native());
    std::jthread canceller([&, conn = pg(connection)] {
      EXPECT_TRUE(eventually([&] { return subject().is_busy(session); }));
      EXPECT_TRUE(cancel_natively(conn));
    });
    EXPECT_EQ(ask(connection, "SELECT pg_sleep(20)"), "SQLSTATE 57014") << moves << " moves";
    canceller.join();
    EXPECT_TRUE(subject().query(connection.native())) << moves << " moves";
    run(connection, WEIR_OP_RESET);  // as a pool does before a move; an error counts as a trace
  }
}

INSTANTIATE_TEST_SUITE_P(Postgres, PostgresHandover, testing::Values(&PostgresUnderTest::make));

}  // namespace weir::test
