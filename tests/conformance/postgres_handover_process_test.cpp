// Sessions that move between two processes, as workers send them.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <optional>
#include <vector>

#include "conformance/handover_suite.h"
#include "conformance/moving_between.h"
#include "support/worker_process.h"

namespace weir::test {
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
