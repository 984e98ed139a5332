#include "conformance/suite.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <utility>

namespace weir::test {
namespace {

// A driver is initialised once per process with a log that lives for ever; tests come and go.
std::atomic<DriverSuite*> current = nullptr;

}  // namespace

void DriverSuite::sink(void* /*context*/, std::int32_t /*level*/, const char* line) {
  if (DriverSuite* suite = current.load()) suite->hear(line);
}

void DriverSuite::SetUp() {
  static Log& log = *new Log(&DriverSuite::sink, nullptr, LogLevel::kDebug);
  current = this;
  subject_ = GetParam()();
  auto loaded = subject_->table() != nullptr
                    ? driver::Driver::adopt(subject_->table(), subject_->name(), log)
                    : driver::Driver::load(subject_->name(), {subject_->directory()}, log);
  ASSERT_TRUE(loaded.ok()) << loaded.status().to_string();
  driver_ = loaded.value();
  dsn_ = std::make_unique<Dsn>(parse(subject_->dsn()));
}

void DriverSuite::TearDown() {
  current = nullptr;
  const std::lock_guard lock(mutex_);
  if (has(Means::kSecret)) {
    EXPECT_EQ(said_.find(subject_->secret()), std::string::npos) << said_;
  }
}

std::string DriverSuite::lacking(std::initializer_list<Means> needed) const {
  for (const Means means : needed) {
    if (std::string why = subject_->why_without(means); !why.empty()) return why;
  }
  return {};
}

bool DriverSuite::works(Connection& connection) {
  if (has(Means::kQuery)) return subject_->query(connection.native());
  return heard(connection.run(WEIR_OP_PING, nullptr, soon())).ok();
}

void DriverSuite::expect_sessions(int expected) {
  if (const std::string why = lacking({Means::kCountSessions}); !why.empty()) {
    RecordProperty("uncounted", why);
    return;
  }
  EXPECT_EQ(subject_->count_sessions(), expected) << "sessions on the server";
}

bool DriverSuite::is_answered(Connection& connection, weir_op op, void* argument) {
  const Status status = heard(connection.run(op, argument, soon()));
  const Code expected = subject_->answers(op) ? Code::kOk : Code::kNotSupported;
  EXPECT_EQ(status.code(), expected) << "operation " << op << ": " << status.to_string();
  return status.ok();
}

void DriverSuite::hear(const std::string& text) {
  const std::lock_guard lock(mutex_);
  said_ += text + "\n";
}

Status DriverSuite::heard(Status status) {
  hear(status.to_string() + " " + status.native_text());
  return status;
}

Dsn DriverSuite::parse(const std::string& text) {
  auto dsn = Dsn::parse(*driver_, text);
  EXPECT_TRUE(dsn.ok()) << heard(dsn.status()).to_string();
  hear(dsn.value().display());
  hear(dsn.value().server_identity());
  return std::move(dsn).value();
}

Connection DriverSuite::make(const Dsn& dsn, weir_reset_mode mode, const char* client_name) {
  weir_conn_options_t options = options_of(mode);
  options.client_name = client_name;
  auto connection = Connection::open(dsn, options);
  EXPECT_TRUE(connection.ok()) << heard(connection.status()).to_string();
  return std::move(connection).value();
}

Connection DriverSuite::connect(weir_reset_mode mode, const char* client_name) {
  Connection connection = make(*dsn_, mode, client_name);
  run(connection, WEIR_OP_CONNECT);
  return connection;
}

Connection DriverSuite::connect_to(const Dsn& dsn, weir_reset_mode mode) {
  Connection connection = make(dsn, mode);
  run(connection, WEIR_OP_CONNECT);
  return connection;
}

weir_conn_options_t DriverSuite::options_of(weir_reset_mode mode) {
  weir_conn_options_t options{};
  options.struct_size = sizeof options;
  options.client_name = "conformance";
  options.reset_mode = mode;
  return options;
}

std::string DriverSuite::exported(Connection& connection) {
  Result<std::string> blob = connection.export_session();
  EXPECT_TRUE(blob.ok()) << heard(blob.status()).to_string();
  if (!blob.ok()) return {};
  hear(blob.value());  // no secret may be in it either
  return std::move(blob).value();
}

Connection DriverSuite::moved(Connection connection, const Dsn& dsn, weir_reset_mode mode) {
  const std::string blob = exported(connection);
  const int copy = dup(connection.fd());
  connection.abandon();
  Result<Connection> arrived = Connection::import_session(dsn, options_of(mode), copy, blob);
  EXPECT_TRUE(arrived.ok()) << heard(arrived.status()).to_string();
  if (arrived.ok()) return std::move(arrived).value();
  close(copy);
  return {};
}

Status DriverSuite::export_refusal(Connection& connection) {
  const Result<std::string> blob = connection.export_session();
  EXPECT_FALSE(blob.ok());
  return heard(blob.status());
}

Status DriverSuite::import_refusal(const Dsn& dsn, int descriptor, const std::string& blob,
                                   weir_reset_mode mode) {
  const bool was_open = fcntl(descriptor, F_GETFD) >= 0;
  const Result<Connection> arrived =
      Connection::import_session(dsn, options_of(mode), descriptor, blob);
  EXPECT_FALSE(arrived.ok());
  EXPECT_EQ(fcntl(descriptor, F_GETFD) >= 0, was_open) << "the descriptor stays the caller's";
  return heard(arrived.status());
}

bool DriverSuite::eventually(const std::function<bool()>& condition) {
  const Deadline deadline = soon();
  while (!condition()) {
    if (deadline.passed(monotonic_ns())) return false;
    poll(nullptr, 0, 1);
  }
  return true;
}

void DriverSuite::run(Connection& connection, weir_op op, void* argument) {
  const Status status = heard(connection.run(op, argument, soon()));
  EXPECT_TRUE(status.ok()) << "operation " << op << ": " << status.to_string();
}

void DriverSuite::settle(Connection& connection) {
  if (!subject().sees_statements()) run(connection, WEIR_OP_RESET);
  EXPECT_EQ(connection.condition(WEIR_LOOK_LOCAL), 0U);
}

Status DriverSuite::execute(Connection& connection, const std::string& statement,
                            Deadline deadline) {
  weir_execute_t argument{sizeof argument, statement.c_str()};
  return heard(connection.run(WEIR_OP_EXECUTE, &argument, deadline));
}

}  // namespace weir::test
