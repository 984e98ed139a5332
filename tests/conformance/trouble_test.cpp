// Deadlines, servers that do not answer, connections that break.
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

#include "conformance/suite.h"

namespace weir::test {
namespace {

/// Something that listens on 127.0.0.1, takes connections into its backlog and never says a word.
class SilentListener {
 public:
  SilentListener() : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto* const raw = reinterpret_cast<sockaddr*>(&address);
    socklen_t size = sizeof address;
    is_listening_ =
        bind(fd_, raw, size) == 0 && getsockname(fd_, raw, &size) == 0 && listen(fd_, 8) == 0;
    port_ = ntohs(address.sin_port);
  }
  SilentListener(const SilentListener&) = delete;
  SilentListener& operator=(const SilentListener&) = delete;
  ~SilentListener() { stop(); }

  [[nodiscard]] bool is_listening() const { return is_listening_; }
  [[nodiscard]] std::uint16_t port() const { return port_; }
  void stop() {
    if (fd_ >= 0) close(std::exchange(fd_, -1));
  }

 private:
  int fd_;
  bool is_listening_ = false;
  std::uint16_t port_ = 0;
};

/// Runs `op` with a deadline of 150 ms that has to end it, neither early nor late.
void expect_timeout(Connection& connection, weir_op op, void* argument = nullptr) {
  const std::uint64_t start_ns = monotonic_ns();
  const Deadline deadline = Deadline::after(milliseconds(150));
  const Status status = connection.run(op, argument, deadline);
  const std::uint64_t end_ns = monotonic_ns();
  EXPECT_EQ(status.code(), Code::kTimeout) << status.to_string();
  EXPECT_TRUE(deadline.passed(end_ns));
  EXPECT_LT(Nanos(end_ns - start_ns), seconds(2));
}

}  // namespace

TEST_P(DriverSuite, GivesUpConnectingToASilentServerAtItsDeadline) {
  WEIR_NEEDS(Means::kSockets, Means::kOtherServers);
  const SilentListener listener;
  ASSERT_TRUE(listener.is_listening());
  const Dsn dsn = parse(subject().dsn_at_tcp(listener.port()));
  Connection connection = make(dsn);
  expect_timeout(connection, WEIR_OP_CONNECT);
  EXPECT_NE(connection.condition(WEIR_LOOK_LOCAL) & WEIR_COND_BROKEN, 0U);
  // Whether there is a session behind it is not known, so neither is that it is gone.
  expect_timeout(connection, WEIR_OP_CLOSE);
}

TEST_P(DriverSuite, SaysThatNobodyListens) {
  WEIR_NEEDS(Means::kSockets, Means::kOtherServers);
  SilentListener listener;
  ASSERT_TRUE(listener.is_listening());
  const Dsn dsn = parse(subject().dsn_at_tcp(listener.port()));
  listener.stop();
  Connection connection = make(dsn);
  const Status status = heard(connection.run(WEIR_OP_CONNECT, nullptr, soon()));
  EXPECT_EQ(status.code(), Code::kConnectFailed) << status.to_string();
  EXPECT_NE(status.message().find(std::to_string(listener.port())), std::string::npos)
      << status.to_string();
  run(connection, WEIR_OP_CLOSE);
}

TEST_P(DriverSuite, KeepsTheDeadlineOfEachOperationWhenTheServerStops) {
  WEIR_NEEDS(Means::kFreeze);
  for (const weir_op op : {WEIR_OP_PING, WEIR_OP_CLOSE}) {
    Connection connection = connect();
    subject().freeze();
    if (subject().needs_server(op)) {
      expect_timeout(connection, op);
    } else {
      run(connection, op);
    }
    subject().thaw();
  }
  Connection connection = connect(WEIR_RESET_ALWAYS);
  subject().freeze();
  if (subject().needs_server(WEIR_OP_RESET)) {
    expect_timeout(connection, WEIR_OP_RESET);
    EXPECT_NE(connection.condition(WEIR_LOOK_LOCAL) & WEIR_COND_BROKEN, 0U);
  } else {
    run(connection, WEIR_OP_RESET);
  }
  const Dsn dsn = parse(subject().dsn());
  Connection late = make(dsn);
  expect_timeout(late, WEIR_OP_CONNECT);
  subject().thaw();
}

TEST_P(DriverSuite, SaysItselfThatItsDeadlinePassed) {
  WEIR_NEEDS(Means::kFreeze);
  // The suite's run() would say so in the driver's stead.
  const Dsn dsn = parse(subject().dsn());
  for (const weir_op op : {WEIR_OP_CONNECT, WEIR_OP_PING, WEIR_OP_CLOSE}) {
    if (!subject().needs_server(op)) continue;  // it ends at once, as the test before this one saw
    Connection connection = op == WEIR_OP_CONNECT ? make(dsn) : connect();
    subject().freeze();
    const Deadline deadline = Deadline::after(milliseconds(20));
    ASSERT_TRUE(heard(connection.start(op, nullptr, deadline)).ok()) << op;
    Status failure;
    driver::Step step = driver::Step::kWantWrite;
    for (bool is_late = false; step != driver::Step::kError && !is_late;) {
      is_late = deadline.passed(monotonic_ns());
      step = connection.step(&failure);
      if (!is_late && step != driver::Step::kError) {
        connection.wait(step, deadline);
      }
    }
    EXPECT_TRUE(deadline.passed(monotonic_ns())) << op;
    EXPECT_EQ(step, driver::Step::kError) << op;
    EXPECT_EQ(heard(failure).code(), Code::kTimeout) << op;
    subject().thaw();
  }
}

TEST_P(DriverSuite, EndsAStatementAtItsDeadline) {
  WEIR_NEEDS(Means::kSlowStatement);
  Connection connection = connect();
  const std::string statement = subject().slow_statement();
  weir_execute_t argument{sizeof argument, statement.c_str()};
  expect_timeout(connection, WEIR_OP_EXECUTE, &argument);
  EXPECT_NE(connection.condition(WEIR_LOOK_LOCAL) & WEIR_COND_BROKEN, 0U);
}

TEST_P(DriverSuite, NeverBlocksInAStep) {
  WEIR_NEEDS(Means::kFreeze);
  if (driver().blocks()) GTEST_SKIP() << subject().name() << " says WEIR_DRIVER_BLOCKS";
  Connection connection = connect();
  subject().freeze();
  ASSERT_TRUE(heard(connection.start(WEIR_OP_PING, nullptr, soon())).ok());
  Status failure;
  // Nobody answers: a step that waited would not come back before the deadline.
  const std::uint64_t start_ns = monotonic_ns();
  for (int i = 0; i < 100; ++i) {
    const driver::Step step = connection.step(&failure);
    ASSERT_TRUE(step == driver::Step::kWantRead || step == driver::Step::kWantWrite)
        << heard(failure).to_string();
  }
  EXPECT_LT(Nanos(monotonic_ns() - start_ns), seconds(2));
  subject().thaw();
  driver::Step step = driver::Step::kWantRead;
  while (step == driver::Step::kWantRead || step == driver::Step::kWantWrite) {
    connection.wait(step, soon());
    step = connection.step(&failure);
  }
  EXPECT_EQ(step, driver::Step::kDone) << heard(failure).to_string();
}

TEST_P(DriverSuite, NeverBlocksInAStepOfConnectOrClose) {
  WEIR_NEEDS(Means::kFreeze);
  if (driver().blocks()) GTEST_SKIP() << subject().name() << " says WEIR_DRIVER_BLOCKS";
  const Dsn dsn = parse(subject().dsn());
  Connection open = connect();
  Connection fresh = make(dsn);
  subject().freeze();
  ASSERT_TRUE(heard(open.start(WEIR_OP_CLOSE, nullptr, soon())).ok());
  ASSERT_TRUE(heard(fresh.start(WEIR_OP_CONNECT, nullptr, soon())).ok());
  Status failure;
  const std::uint64_t start_ns = monotonic_ns();
  for (int i = 0; i < 100; ++i) {
    for (Connection* connection : {&open, &fresh}) {
      const driver::Step step = connection->step(&failure);
      ASSERT_TRUE(step == driver::Step::kWantRead || step == driver::Step::kWantWrite)
          << heard(failure).to_string();
    }
  }
  EXPECT_LT(Nanos(monotonic_ns() - start_ns), seconds(2));
  subject().thaw();
}

TEST_P(DriverSuite, NoticesWithoutAskingThatTheServerEndedTheSession) {
  WEIR_NEEDS(Means::kTerminate, Means::kSessionNumber);
  Connection connection = connect();
  subject().terminate(subject().session_of(connection.native()));
  EXPECT_TRUE(eventually(
      [&] { return (connection.condition(WEIR_LOOK_AT_SOCKET) & WEIR_COND_BROKEN) != 0; }));
  EXPECT_NE(connection.condition(WEIR_LOOK_LOCAL) & WEIR_COND_BROKEN, 0U);
  EXPECT_EQ(heard(connection.run(WEIR_OP_PING, nullptr, soon())).code(), Code::kConnectionBroken);
  run(connection, WEIR_OP_CLOSE);
}

TEST_P(DriverSuite, NoticesABrokenSessionInEveryOperation) {
  WEIR_NEEDS(Means::kTerminate, Means::kSessionNumber, Means::kCountSessions, Means::kStatement);
  for (const weir_op op : {WEIR_OP_PING, WEIR_OP_RESET, WEIR_OP_EXECUTE}) {
    Connection connection = connect(WEIR_RESET_ALWAYS);
    subject().terminate(subject().session_of(connection.native()));
    ASSERT_TRUE(eventually([&] { return subject().count_sessions() == 0; }));
    const std::string statement = subject().statement();
    weir_execute_t execute{sizeof execute, statement.c_str()};
    const Status status =
        heard(connection.run(op, op == WEIR_OP_EXECUTE ? &execute : nullptr, soon()));
    EXPECT_EQ(status.code(), Code::kConnectionBroken) << op << ": " << status.to_string();
    EXPECT_NE(connection.condition(WEIR_LOOK_LOCAL) & WEIR_COND_BROKEN, 0U) << op;
    run(connection, WEIR_OP_CLOSE);
  }
}

TEST_P(DriverSuite, RefusesAWrongSecretAsAnAuthenticationFailure) {
  WEIR_NEEDS(Means::kWrongSecretDsn);
  const Dsn dsn = parse(subject().same_server_other_secret_dsn());
  Connection connection = make(dsn);
  const Status status = heard(connection.run(WEIR_OP_CONNECT, nullptr, soon()));
  EXPECT_EQ(status.code(), Code::kAuthFailed) << status.to_string();
  run(connection, WEIR_OP_CLOSE);
  expect_sessions(0);
}

}  // namespace weir::test
