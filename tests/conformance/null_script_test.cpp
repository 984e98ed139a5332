// What a DSN's script does to operations.
#include <poll.h>

#include <vector>

#include "conformance/null_suite.h"

namespace weir::test {
namespace {

class NullScript : public NullSuite {};

/// Whether `fd` is readable right now.
bool is_readable(int fd) {
  pollfd watched{fd, POLLIN, 0};
  return poll(&watched, 1, 0) == 1;
}

}  // namespace

TEST_P(NullScript, DelaysAnOperationAndWakesItsHostWhenItIsDue) {
  Connection connection = connect_to(scripted("ping=delay:30ms,delay:20ms"));
  const std::uint64_t start_ns = monotonic_ns();
  ASSERT_TRUE(connection.start(WEIR_OP_PING, nullptr, soon()).ok());
  Status failure;
  int steps = 0;
  driver::Step step = connection.step(&failure);
  for (; step == driver::Step::kWantRead; ++steps) {
    ASSERT_TRUE(driver::poll_until(connection.fd(), step, soon()));
    step = connection.step(&failure);
  }
  EXPECT_EQ(step, driver::Step::kDone);
  EXPECT_GE(Nanos(monotonic_ns() - start_ns), milliseconds(50));
  EXPECT_EQ(steps, 1) << "the host was woken when there was nothing to do";
  EXPECT_FALSE(is_readable(connection.fd())) << "an idle connection's descriptor stays quiet";
}

TEST_P(NullScript, BearsEarlyStepsDuringADelay) {
  Connection connection = connect_to(scripted("ping=delay:30ms"));
  ASSERT_TRUE(connection.start(WEIR_OP_PING, nullptr, soon()).ok());
  Status failure;
  for (int i = 0; i < 10; ++i) {
    ASSERT_EQ(connection.step(&failure), driver::Step::kWantRead);
    EXPECT_FALSE(is_readable(connection.fd()));
  }
  ASSERT_TRUE(driver::poll_until(connection.fd(), driver::Step::kWantRead, soon()));
  EXPECT_EQ(connection.step(&failure), driver::Step::kDone);
}

TEST_P(NullScript, EndsADelayAtTheDeadline) {
  Connection connection = connect_to(scripted("ping=delay:1m"));
  const Deadline deadline = Deadline::after(milliseconds(30));
  EXPECT_EQ(heard(connection.run(WEIR_OP_PING, nullptr, deadline)).code(), Code::kTimeout);
  EXPECT_TRUE(deadline.passed(monotonic_ns()));
  run(connection, WEIR_OP_CLOSE);
  EXPECT_EQ(subject().count_sessions(), 0);
}

TEST_P(NullScript, HangsInEachOperationUntilTheDeadline) {
  for (const auto& [op, key] : std::vector<std::pair<weir_op, std::string>>{
           {WEIR_OP_PING, "ping"}, {WEIR_OP_RESET, "reset"}, {WEIR_OP_CLOSE, "close"}}) {
    Connection connection = connect_to(scripted(key + "=hang"));
    const Deadline deadline = Deadline::after(milliseconds(20));
    EXPECT_EQ(heard(connection.run(op, nullptr, deadline)).code(), Code::kTimeout) << key;
    EXPECT_TRUE(deadline.passed(monotonic_ns())) << key;
    EXPECT_NE(connection.condition(WEIR_LOOK_LOCAL) & WEIR_COND_BROKEN, 0U) << key;
  }
  Connection connecting = make(scripted("connect=hang"));
  EXPECT_EQ(
      heard(connecting.run(WEIR_OP_CONNECT, nullptr, Deadline::after(milliseconds(20)))).code(),
      Code::kTimeout);
  run(connecting, WEIR_OP_CLOSE);
}

TEST_P(NullScript, LeavesAHangWhenTheServerHangsUp) {
  Connection connection = connect_to(scripted("ping=hang"));
  ASSERT_TRUE(connection.start(WEIR_OP_PING, nullptr, soon()).ok());
  Status failure;
  ASSERT_EQ(connection.step(&failure), driver::Step::kWantRead);
  subject().terminate(subject().session_of(connection.native()));
  ASSERT_TRUE(driver::poll_until(connection.fd(), driver::Step::kWantRead, soon()));
  EXPECT_EQ(connection.step(&failure), driver::Step::kError);
  EXPECT_EQ(heard(failure).code(), Code::kConnectionBroken);
}

TEST_P(NullScript, FailsWithTheCodeAndTheTextThatAreAskedFor) {
  Connection connection = make(scripted("connect=fail:server_full:come%20back%20at%20noon"));
  const Status status = heard(connection.run(WEIR_OP_CONNECT, nullptr, soon()));
  EXPECT_EQ(status.code(), Code::kServerFull);
  EXPECT_NE(status.message().find("come back at noon"), std::string::npos) << status.message();
  run(connection, WEIR_OP_CLOSE);
  EXPECT_EQ(subject().count_sessions(), 0);
}

TEST_P(NullScript, FailsEachOperationInItsOwnWayIfNoCodeIsAskedFor) {
  Connection connecting = make(scripted("connect=fail"));
  EXPECT_EQ(outcome(connecting, WEIR_OP_CONNECT), Code::kConnectFailed);
  for (const std::string key : {"ping", "reset", "close"}) {
    Connection connection = connect_to(scripted(key + "=fail"));
    const weir_op op = key == "ping"    ? WEIR_OP_PING
                       : key == "reset" ? WEIR_OP_RESET
                                        : WEIR_OP_CLOSE;
    EXPECT_EQ(outcome(connection, op), Code::kConnectionBroken) << key;
  }
  Connection executing = connect_to(scripted("execute=fail"));
  EXPECT_EQ(execute(executing, "SELECT 1").code(), Code::kDatabaseError);
  EXPECT_EQ(executing.condition(WEIR_LOOK_AT_SOCKET), 0U) << "a mere refusal";
}

TEST_P(NullScript, FailsTheCallsThatItNames) {
  const Dsn& dsn = scripted("connect=fail@2,fail:auth_failed@every:3");
  std::vector<Code> outcomes;
  for (int i = 0; i < 6; ++i) {
    Connection connection = make(dsn);
    outcomes.push_back(outcome(connection, WEIR_OP_CONNECT));
  }
  EXPECT_EQ(outcomes, (std::vector<Code>{Code::kOk, Code::kConnectFailed, Code::kAuthFailed,
                                         Code::kOk, Code::kOk, Code::kAuthFailed}));
}

TEST_P(NullScript, RepeatsARunFromItsSeed) {
  const auto run_of = [&](const std::string& seed) {
    const Dsn& dsn = scripted("connect=fail@50%&seed=" + seed);
    std::string outcomes;
    for (int i = 0; i < 64; ++i) {
      Connection connection = make(dsn);
      outcomes += outcome(connection, WEIR_OP_CONNECT) == Code::kOk ? '+' : '-';
    }
    return outcomes;
  };
  const std::string seven = run_of("7");
  EXPECT_EQ(run_of("7"), seven);
  EXPECT_NE(run_of("8"), seven);
  EXPECT_NE(seven.find('+'), std::string::npos);
  EXPECT_NE(seven.find('-'), std::string::npos);
}

TEST_P(NullScript, DropsASessionSoThatTheServerHasItNoMore) {
  Connection connection = connect_to(scripted("ping=drop"));
  EXPECT_EQ(outcome(connection, WEIR_OP_PING), Code::kConnectionBroken);
  EXPECT_EQ(subject().count_sessions(), 0);
  run(connection, WEIR_OP_CLOSE);
}

TEST_P(NullScript, LetsAnOperationRunOutOfTheListWhenOkComesFirst) {
  Connection connection = connect_to(scripted("ping=ok@1,fail"));
  run(connection, WEIR_OP_PING);
  EXPECT_EQ(outcome(connection, WEIR_OP_PING), Code::kConnectionBroken);
}

// The suite for all drivers, and this one.
INSTANTIATE_TEST_SUITE_P(Null, DriverSuite, testing::Values(&NullUnderTest::make));
INSTANTIATE_TEST_SUITE_P(Null, NullScript, testing::Values(&NullUnderTest::make));

}  // namespace weir::test
