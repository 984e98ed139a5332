// Sessions that move between two processes, as workers send them.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <optional>
#include <vector>

#include "conformance/handover_suite.h"
#include "support/courier.h"
#include "support/worker_process.h"

namespace weir::test {
namespace {

constexpr int kRounds = 300;  // of two moves each

using Clock = std::chrono::steady_clock;

double microseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::micro>(Clock::now() - start).count();
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

/// Sends the session away: as the protocol has it, this process's copy goes before anybody else can
/// go on.
bool send_away(Courier& courier, Courier::End end, Connection connection) {
  const Result<std::string> blob = connection.export_session();
  if (!blob.ok()) {
    std::fprintf(stderr, "export: %s\n", blob.status().to_string().c_str());
    return false;
  }
  const bool is_sent = courier.send(end, connection.fd(), blob.value());
  connection.abandon();
  return is_sent;
}

/// Without an object: nothing came, or it could not be taken.
Connection take_in(Courier& courier, Courier::End end, const Dsn& dsn,
                   const weir_conn_options_t& options, std::vector<double>* attach_us) {
  const std::optional<Parcel> parcel = courier.receive(end);
  if (!parcel) return {};
  const auto start = Clock::now();
  Result<Connection> connection =
      Connection::import_session(dsn, options, parcel->descriptor, parcel->bytes);
  attach_us->push_back(microseconds_since(start));
  if (connection.ok()) return std::move(connection).value();
  std::fprintf(stderr, "import: %s\n", connection.status().to_string().c_str());
  return {};
}

}  // namespace

TEST_P(PostgresHandover, MovesBetweenTwoProcessesManyTimesAndStaysOneSession) {
  const Dsn dsn = parse(subject().dsn());
  const weir_conn_options_t options = options_of(WEIR_RESET_TRACKED);
  Courier courier;
  WorkerProcess worker([&] {
    std::vector<double> attach_us;
    for (int i = 0; i < kRounds; ++i) {
      Connection connection = take_in(courier, Courier::End::kChild, dsn, options, &attach_us);
      if (!connection.is_open()) return 1;
      const std::string pid = answer_of(connection.native(), "SELECT pg_backend_pid()");
      if (pid != std::to_string(subject().session_of(connection.native()))) return 2;
      if (!send_away(courier, Courier::End::kChild, std::move(connection))) return 3;
    }
    return 0;
  });

  std::vector<double> connect_us;
  for (int i = 0; i < 20; ++i) {
    Connection fresh = make(dsn);
    const auto start = Clock::now();
    run(fresh, WEIR_OP_CONNECT);
    connect_us.push_back(microseconds_since(start));
    run(fresh, WEIR_OP_CLOSE);
  }
  Connection connection = connect_to(dsn);
  const std::int64_t session = subject().session_of(connection.native());
  std::vector<double> attach_us;
  std::vector<double> round_us;
  for (int i = 0; i < kRounds; ++i) {
    const auto start = Clock::now();
    ASSERT_TRUE(send_away(courier, Courier::End::kParent, std::move(connection)));
    connection = take_in(courier, Courier::End::kParent, dsn, options, &attach_us);
    round_us.push_back(microseconds_since(start));
    ASSERT_TRUE(connection.is_open())
        << "round " << i << ", the worker ended with " << worker.wait_at_most();
    ASSERT_EQ(subject().session_of(connection.native()), session);
  }
  EXPECT_EQ(worker.wait_at_most(), 0);
  EXPECT_EQ(ask(connection, "SELECT pg_backend_pid()"), std::to_string(session));
  EXPECT_EQ(subject().count_sessions(), 1);
  const std::size_t description_bytes = exported(connection).size();
  run(connection, WEIR_OP_CLOSE);
  EXPECT_EQ(subject().count_sessions(), 0);
  std::printf(
      "fresh connect p50 %.0f us; attach p50 %.1f us, first one %.1f us; two moves and a query"
      " p50 %.0f us; description %zu bytes\n",
      median(connect_us), median(attach_us), attach_us.front(), median(round_us),
      description_bytes);
}

TEST_P(PostgresHandover, LetsAForkedChildUseTheShellsItInheritedAndNoSession) {
  const Dsn here = parse(subject().dsn());
  const Dsn there = parse(subject().dsn());
  const weir_conn_options_t options = options_of(WEIR_RESET_TRACKED);
  Connection stays = moved(connect_to(here), there);  // its shell is a spare of `here` now
  Connection goes = connect_to(there);
  Courier courier;
  WorkerProcess child([&] {
    stays.abandon();
    goes.abandon();
    std::vector<double> attach_us;
    Connection arrived = take_in(courier, Courier::End::kChild, here, options, &attach_us);
    if (!arrived.is_open()) return 1;
    if (answer_of(arrived.native(), "SELECT 42") != "42") return 2;
    arrived.abandon();
    return 0;
  });
  ASSERT_TRUE(send_away(courier, Courier::End::kParent, std::move(goes)));
  EXPECT_EQ(child.wait_at_most(), 0);
  EXPECT_TRUE(subject().query(stays.native()));
  // The spare is still the parent's as well.
  stays = moved(std::move(stays), here);
  EXPECT_TRUE(subject().query(stays.native()));
}

}  // namespace weir::test
