#include "driver/connection.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#include <optional>
#include <thread>
#include <utility>

#include "scripted_driver.h"

namespace weir::driver {
namespace {

using std::chrono::milliseconds;

class Pipe {
 public:
  Pipe() { EXPECT_EQ(pipe2(ends_, O_CLOEXEC), 0); }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  ~Pipe() {
    close(ends_[0]);
    close_writer();
  }
  [[nodiscard]] int reader() const { return ends_[0]; }
  [[nodiscard]] int writer() const { return ends_[1]; }
  void put_byte() const { EXPECT_EQ(write(ends_[1], "x", 1), 1); }
  void close_writer() {
    if (ends_[1] >= 0) close(std::exchange(ends_[1], -1));
  }

 private:
  int ends_[2] = {-1, -1};
};

bool is_readable(int fd) {
  pollfd watched{fd, POLLIN, 0};
  return poll(&watched, 1, 0) == 1;
}

class AConnection : public testing::Test {
 protected:
  Connection open() {
    weir_conn_options_t options{sizeof options, "weir:test", 0, WEIR_RESET_TRACKED, nullptr};
    return Connection::open(dsn_, options).value();
  }

  ScriptedDriver scripted_;
  Dsn dsn_ = scripted_.dsn();
};

// ---- the object
// -----------------------------------------------------------------------------------

TEST_F(AConnection, IsMadeWithTheHostsOptionsAndFreedOnce) {
  {
    const Connection connection = open();
    EXPECT_TRUE(connection.is_open());
    EXPECT_EQ(scripted_.client_name, "weir:test");
  }
  EXPECT_EQ(scripted_.opened, 1);
  EXPECT_EQ(scripted_.freed, 1);
}

TEST_F(AConnection, BelongsToWhomItWasMovedTo) {
  {
    Connection first = open();
    Connection second = std::move(first);
    EXPECT_TRUE(second.is_open());
    first = open();
    second = std::move(first);
    EXPECT_EQ(scripted_.freed, 1) << "the old object goes when another takes its place";
  }
  EXPECT_EQ(scripted_.opened, 2);
  EXPECT_EQ(scripted_.freed, 2);
}

TEST_F(AConnection, ThatIsAbandonedIsNotFreedAsWell) {
  {
    Connection connection = open();
    connection.abandon();
    EXPECT_FALSE(connection.is_open());
    connection.abandon();
  }
  EXPECT_EQ(scripted_.abandoned, 1);
  EXPECT_EQ(scripted_.freed, 0);
}

TEST_F(AConnection, ThatCannotBeMadeIsTheDriversWord) {
  scripted_.open_code = WEIR_OUT_OF_MEMORY;
  const weir_conn_options_t options{sizeof options, "weir:test", 0, WEIR_RESET_TRACKED, nullptr};
  EXPECT_EQ(Connection::open(dsn_, options).status().to_string(),
            "out_of_memory: open_conn failed");
}

TEST_F(AConnection, ThatADriverForgotToGiveIsTheDriversFault) {
  scripted_.gives_objects = false;
  const weir_conn_options_t options{sizeof options, "weir:test", 0, WEIR_RESET_TRACKED, nullptr};
  EXPECT_EQ(Connection::open(dsn_, options).status().code(), Code::kBadDriver);
}

TEST_F(AConnection, PassesTheDriversLookOn) {
  const Connection connection = open();
  EXPECT_EQ(connection.condition(WEIR_LOOK_LOCAL), 0u);
  EXPECT_EQ(connection.condition(WEIR_LOOK_AT_SOCKET), static_cast<unsigned>(WEIR_COND_UNEXPECTED));
  EXPECT_NE(connection.native(), nullptr);
}

TEST_F(AConnection, HasNoTokenIfTheDriversIsLongerThanATokenCanBe) {
  const Connection connection = open();
  scripted_.token.size = 3;
  EXPECT_EQ(connection.session_token().size, 3u);
  scripted_.token.size = WEIR_TOKEN_MAX + 1;
  EXPECT_EQ(connection.session_token().size, 0u);
}

TEST_F(AConnection, ReportsACancelThatFailed) {
  EXPECT_EQ(open().cancel(Deadline::never()).to_string(), "not_supported: nothing runs here");
}

// ---- one step
// -------------------------------------------------------------------------------------

TEST_F(AConnection, StartsAnOperationWithItsArgumentAndDeadline) {
  Connection connection = open();
  int argument = 0;
  EXPECT_TRUE(connection.start(WEIR_OP_EXECUTE, &argument, Deadline::at_ns(77)).ok());
  ASSERT_EQ(scripted_.started.size(), 1u);
  EXPECT_EQ(scripted_.started[0].op, WEIR_OP_EXECUTE);
  EXPECT_EQ(scripted_.started[0].argument, &argument);
  EXPECT_EQ(scripted_.started[0].deadline_ns, 77u);
}

TEST_F(AConnection, StepsAsTheDriverAnswers) {
  scripted_.steps = {WEIR_STEP_WANT_READ, WEIR_STEP_WANT_WRITE, WEIR_STEP_DONE};
  Connection connection = open();
  Status status;
  EXPECT_EQ(connection.step(&status), Step::kWantRead);
  EXPECT_EQ(connection.step(&status), Step::kWantWrite);
  EXPECT_EQ(connection.step(&status), Step::kDone);
  EXPECT_TRUE(status.ok());
}

TEST_F(AConnection, TellsWhyAStepFailed) {
  scripted_.steps = {WEIR_STEP_ERROR};
  Connection connection = open();
  Status status;
  EXPECT_EQ(connection.step(&status), Step::kError);
  EXPECT_EQ(status.to_string(), "connection_broken: the server hung up");
}

TEST_F(AConnection, BlamesADriverThatFailsWithoutACode) {
  scripted_.steps = {WEIR_STEP_ERROR};
  scripted_.step_error_code = WEIR_OK;
  Connection connection = open();
  Status status;
  EXPECT_EQ(connection.step(&status), Step::kError);
  EXPECT_EQ(status.code(), Code::kBadDriver);
}

TEST_F(AConnection, BlamesADriverThatAnswersWhatNoStepIs) {
  scripted_.steps = {17};
  Connection connection = open();
  Status status;
  EXPECT_EQ(connection.step(&status), Step::kError);
  EXPECT_EQ(status.message(), "driver scripted: step answered 17, one of enum weir_step expected");
}

// ---- run
// ------------------------------------------------------------------------------------------

TEST_F(AConnection, RunsAnOperationThatNeedsNoWaiting) {
  EXPECT_TRUE(open().run(WEIR_OP_PING, nullptr, Deadline::never()).ok());
  EXPECT_EQ(scripted_.steps_taken, 1);
}

TEST_F(AConnection, DoesNotStepAnOperationThatDidNotStart) {
  scripted_.start_code = WEIR_NOT_SUPPORTED;
  EXPECT_EQ(open().run(WEIR_OP_PING, nullptr, Deadline::never()).to_string(),
            "not_supported: start failed");
  EXPECT_EQ(scripted_.steps_taken, 0);
}

TEST_F(AConnection, WaitsForTheDescriptorBetweenTwoSteps) {
  const Pipe pipe;
  scripted_.descriptor = pipe.reader();
  scripted_.steps = {WEIR_STEP_WANT_READ, WEIR_STEP_DONE};
  bool was_ready = false;
  std::jthread writer;
  scripted_.on_step = [&] {
    if (scripted_.steps_taken == 1) writer = std::jthread([&] { pipe.put_byte(); });
    if (scripted_.steps_taken == 2) was_ready = is_readable(pipe.reader());
  };
  EXPECT_TRUE(open().run(WEIR_OP_PING, nullptr, Deadline::never()).ok());
  EXPECT_TRUE(was_ready);
  EXPECT_EQ(scripted_.steps_taken, 2);
}

TEST_F(AConnection, FollowsADescriptorThatChangesFromStepToStep) {
  const Pipe silent;
  const Pipe speaking;
  speaking.put_byte();
  scripted_.descriptor = silent.writer();
  scripted_.steps = {WEIR_STEP_WANT_WRITE, WEIR_STEP_WANT_READ, WEIR_STEP_DONE};
  scripted_.on_step = [&] {
    if (scripted_.steps_taken == 2) scripted_.descriptor = speaking.reader();
  };
  EXPECT_TRUE(open().run(WEIR_OP_CONNECT, nullptr, Deadline::never()).ok());
}

TEST_F(AConnection, StepsADriverWithNothingToPollAgainSoon) {
  scripted_.descriptor = -1;
  scripted_.steps = {WEIR_STEP_WANT_READ, WEIR_STEP_WANT_READ, WEIR_STEP_DONE};
  EXPECT_TRUE(open().run(WEIR_OP_PING, nullptr, Deadline::never()).ok());
}

TEST_F(AConnection, WithNothingToPollIsNotWaitedForUntilTheDeadline) {
  scripted_.descriptor = -1;
  const std::uint64_t start = monotonic_ns();
  open().wait(Step::kWantRead, Deadline::after(std::chrono::seconds(10)));
  EXPECT_LT(Nanos(monotonic_ns() - start), std::chrono::seconds(5));
}

TEST_F(AConnection, GivesALateDriverOneStepToSaySoInItsOwnWords) {
  const Pipe pipe;
  scripted_.descriptor = pipe.reader();
  scripted_.steps = {WEIR_STEP_WANT_READ, WEIR_STEP_ERROR};
  scripted_.step_error_code = WEIR_TIMEOUT;
  EXPECT_EQ(open().run(WEIR_OP_PING, nullptr, Deadline::after(milliseconds(5))).to_string(),
            "timeout: the server hung up");
}

TEST_F(AConnection, GivesUpAtTheDeadlineIfTheDriverDoesNot) {
  const Pipe pipe;
  scripted_.descriptor = pipe.reader();
  scripted_.steps = {WEIR_STEP_WANT_READ};
  const Deadline deadline = Deadline::after(milliseconds(5));
  EXPECT_EQ(open().run(WEIR_OP_RESET, nullptr, deadline).to_string(),
            "timeout: driver scripted: reset did not end in time");
  EXPECT_TRUE(deadline.passed(monotonic_ns()));
  EXPECT_EQ(scripted_.steps_taken, 2);
}

TEST_F(AConnection, GivesUpAtTheDeadlineAlsoIfItsDescriptorIsAlwaysReady) {
  Pipe pipe;
  pipe.close_writer();
  scripted_.descriptor = pipe.reader();
  scripted_.steps = {WEIR_STEP_WANT_READ};
  EXPECT_EQ(open().run(WEIR_OP_PING, nullptr, Deadline::after(milliseconds(5))).code(),
            Code::kTimeout);
}

// ---- moving to another process ----------------------------------------------------------------

TEST_F(AConnection, IsDescribedByItsDriverAndMadeOfADescription) {
  Connection here = open();
  const Result<std::string> blob = here.export_session();
  ASSERT_TRUE(blob.ok());
  EXPECT_EQ(blob.value(), "a session");
  EXPECT_TRUE(here.is_open());
  here.abandon();
  EXPECT_EQ(scripted_.abandoned, 1);

  const weir_conn_options_t options{sizeof options, "weir:there", 0, WEIR_RESET_TRACKED, nullptr};
  const Result<Connection> there = Connection::import_session(dsn_, options, 7, blob.value());
  ASSERT_TRUE(there.ok());
  EXPECT_EQ(scripted_.imported_descriptor, 7);
  EXPECT_EQ(scripted_.imported_blob, "a session");
  EXPECT_EQ(scripted_.client_name, "weir:there");
}

TEST_F(AConnection, SaysWhyItCannotMove) {
  const weir_conn_options_t options{sizeof options, "weir:there", 0, WEIR_RESET_TRACKED, nullptr};
  Connection here = open();
  scripted_.export_code = WEIR_WOULD_BLOCK;
  EXPECT_EQ(here.export_session().status().code(), Code::kWouldBlock);
  scripted_.import_code = WEIR_BAD_ARGUMENT;
  const Result<Connection> there = Connection::import_session(dsn_, options, 7, "x");
  EXPECT_EQ(there.status().code(), Code::kBadArgument);
  EXPECT_EQ(there.status().message(), "import failed");
}

TEST_F(AConnection, TakesNoNonsenseFromADriverThatMovesIt) {
  const weir_conn_options_t options{sizeof options, "weir:there", 0, WEIR_RESET_TRACKED, nullptr};
  Connection here = open();
  scripted_.blob_size = WEIR_BLOB_MAX + 1;
  EXPECT_EQ(here.export_session().status().code(), Code::kBadDriver);
  scripted_.gives_objects = false;
  EXPECT_EQ(Connection::import_session(dsn_, options, 7, "x").status().code(), Code::kBadDriver);
}

TEST_F(AConnection, CannotMoveWhereItsDriverCannotOrIsOlder) {
  static Log log;
  static weir_driver_t half = ScriptedDriver::table();
  half.import_session = nullptr;
  static weir_driver_t older = ScriptedDriver::table();
  older.struct_size = offsetof(weir_driver_t, export_session);
  for (const weir_driver_t* const table : {&half, &older}) {
    const Driver* const driver = Driver::adopt(table, "connection_test.cpp", log).value();
    EXPECT_FALSE(driver->can_move_sessions());
    const Dsn dsn = Dsn::parse(*driver, "good").value();
    const weir_conn_options_t options{sizeof options, "weir:test", 0, WEIR_RESET_TRACKED, nullptr};
    Connection connection = Connection::open(dsn, options).value();
    EXPECT_EQ(connection.export_session().status().code(), Code::kNotSupported);
    EXPECT_EQ(Connection::import_session(dsn, options, 7, "x").status().code(),
              Code::kNotSupported);
    EXPECT_EQ(scripted_.imported_descriptor, -1);
  }
  EXPECT_TRUE(scripted_.driver().can_move_sessions());
}

// ---- poll_until
// -----------------------------------------------------------------------------------

TEST(PollUntil, ReturnsAtOnceWhenTheDescriptorIsReady) {
  const Pipe pipe;
  EXPECT_TRUE(poll_until(pipe.writer(), Step::kWantWrite, Deadline::never()));
  pipe.put_byte();
  EXPECT_TRUE(poll_until(pipe.reader(), Step::kWantRead, Deadline::never()));
}

TEST(PollUntil, TakesAHangUpForReady) {
  Pipe pipe;
  pipe.close_writer();
  EXPECT_TRUE(poll_until(pipe.reader(), Step::kWantRead, Deadline::never()));
}

TEST(PollUntil, ReturnsFalseOnceTheDeadlineHasPassedAndNotBefore) {
  const Pipe pipe;
  const Deadline deadline = Deadline::after(milliseconds(5));
  EXPECT_FALSE(poll_until(pipe.reader(), Step::kWantRead, deadline));
  EXPECT_TRUE(deadline.passed(monotonic_ns()));
}

TEST(PollUntil, GoesOnAfterASignal) {
  struct sigaction ignore {};
  struct sigaction before {};
  ignore.sa_handler = [](int) {};  // without SA_RESTART: every tick interrupts the call
  ASSERT_EQ(sigaction(SIGALRM, &ignore, &before), 0);
  const itimerval every_ms{{0, 1'000}, {0, 1'000}};
  ASSERT_EQ(setitimer(ITIMER_REAL, &every_ms, nullptr), 0);

  const Pipe pipe;
  const Deadline deadline = Deadline::after(milliseconds(20));
  EXPECT_FALSE(poll_until(pipe.reader(), Step::kWantRead, deadline));
  EXPECT_TRUE(deadline.passed(monotonic_ns()));

  const itimerval off{};
  setitimer(ITIMER_REAL, &off, nullptr);
  sigaction(SIGALRM, &before, nullptr);
}

}  // namespace
}  // namespace weir::driver
