#include "driver/connection.h"

#include <poll.h>

#include <cerrno>
#include <ctime>
#include <string>
#include <utility>

#include "driver/password_file.h"

namespace weir::driver {
namespace {

// How long to wait before the next step of a driver that has nothing to poll right now.
constexpr auto kBlindWait = std::chrono::milliseconds(1);

const char* op_name(weir_op op) {
  switch (op) {
    case WEIR_OP_CONNECT:
      return "connect";
    case WEIR_OP_PING:
      return "ping";
    case WEIR_OP_RESET:
      return "reset";
    case WEIR_OP_CLOSE:
      return "close";
    case WEIR_OP_EXECUTE:
      return "execute";
    case WEIR_OP_CONFIRM_GONE:
      return "confirm_gone";
    case WEIR_OP_CANCEL_TOKEN:
      return "cancel_token";
    case WEIR_OP_LIMITS:
      return "limits";
    case WEIR_OP_ACTIVITY:
      return "activity";
    case WEIR_OP_SESSIONS:
      return "sessions";
  }
  return "operation";
}

Status bad_driver(const weir_driver_t& table, const std::string& what) {
  return {Code::kBadDriver, std::string("driver ") + table.name + ": " + what};
}

Status cannot_move(const weir_driver_t& table) {
  return {Code::kNotSupported,
          std::string("driver ") + table.name + ": sessions cannot move to another process"};
}

timespec to_timespec(Nanos duration) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(duration);
  return {static_cast<time_t>(seconds.count()),
          static_cast<decltype(timespec::tv_nsec)>((duration - seconds).count())};
}

}  // namespace

Result<Connection> Connection::open(const Dsn& dsn, const weir_conn_options_t& options) {
  const weir_driver_t& table = dsn.driver().table();
  weir_conn_t* conn = nullptr;
  weir_error_t error = WEIR_ERROR_INIT;
  WEIR_TRY(read_error(table.open_conn(dsn.get(), &options, &conn, &error), error));
  if (conn == nullptr) return bad_driver(table, "open_conn succeeded without a connection");
  return Connection(table, conn);
}

Result<Connection> Connection::open(const Dsn& dsn, weir_conn_options_t options,
                                    const std::string& password_file) {
  if (password_file.empty()) return open(dsn, options);
  Result<std::string> password = read_password_file(password_file);
  if (!password.ok()) return password.status();
  options.password = password.value().c_str();
  Result<Connection> connection = open(dsn, options);
  wipe(password.value());
  return connection;
}

Result<Connection> Connection::import_session(const Dsn& dsn, const weir_conn_options_t& options,
                                              int descriptor, std::string_view blob) {
  const weir_driver_t& table = dsn.driver().table();
  if (!dsn.driver().can_move_sessions()) return cannot_move(table);
  weir_conn_t* conn = nullptr;
  weir_error_t error = WEIR_ERROR_INIT;
  WEIR_TRY(read_error(table.import_session(dsn.get(), &options, descriptor, blob.data(),
                                           blob.size(), &conn, &error),
                      error));
  if (conn == nullptr) return bad_driver(table, "import_session succeeded without a connection");
  return Connection(table, conn);
}

Connection::Connection(Connection&& other) noexcept
    : table_(other.table_), conn_(std::exchange(other.conn_, nullptr)) {}

Connection& Connection::operator=(Connection&& other) noexcept {
  // Through a temporary: the old object is freed now, not when `other` goes.
  Connection taken(std::move(other));
  std::swap(table_, taken.table_);
  std::swap(conn_, taken.conn_);
  return *this;
}

Connection::~Connection() {
  if (conn_ != nullptr) table_->free_conn(conn_);
}

Status Connection::start(weir_op op, void* argument, Deadline deadline) {
  weir_error_t error = WEIR_ERROR_INIT;
  return read_error(table_->start(conn_, op, argument, deadline.ns(), &error), error);
}

Step Connection::step(Status* status) {
  weir_error_t error = WEIR_ERROR_INIT;
  const std::int32_t answer = table_->step(conn_, &error);
  switch (answer) {
    case WEIR_STEP_DONE:
      return Step::kDone;
    case WEIR_STEP_WANT_READ:
      return Step::kWantRead;
    case WEIR_STEP_WANT_WRITE:
      return Step::kWantWrite;
    case WEIR_STEP_ERROR:
      *status = error.code != WEIR_OK ? read_error(error.code, error)
                                      : bad_driver(*table_, "step failed without a code");
      return Step::kError;
    default:
      *status = bad_driver(
          *table_, "step answered " + std::to_string(answer) + ", one of enum weir_step expected");
      return Step::kError;
  }
}

Status Connection::run(weir_op op, void* argument, Deadline deadline) {
  WEIR_TRY(start(op, argument, deadline));
  for (bool is_late = false;;) {
    Status failure;
    const Step next = step(&failure);
    if (next == Step::kDone) return {};
    if (next == Step::kError) return failure;
    // A late driver has had one more step, to say so in its own words; now it is told.
    if (is_late) {
      return {Code::kTimeout,
              std::string("driver ") + table_->name + ": " + op_name(op) + " did not end in time"};
    }
    wait(next, deadline);
    is_late = deadline.passed(monotonic_ns());
  }
}

void Connection::wait(Step step, Deadline deadline) const {
  const int descriptor = fd();
  const bool is_blind = descriptor < 0;
  poll_until(descriptor, step,
             is_blind ? deadline.earlier_of(Deadline::after(kBlindWait)) : deadline);
}

weir_token_t Connection::session_token() const {
  weir_token_t token{};
  table_->session_token(conn_, &token);
  if (token.size > WEIR_TOKEN_MAX) token.size = 0;
  return token;
}

Status Connection::cancel(Deadline deadline) {
  weir_error_t error = WEIR_ERROR_INIT;
  return read_error(table_->cancel(conn_, deadline.ns(), &error), error);
}

Result<std::string> Connection::export_session() {
  if (!can_move_sessions(*table_)) return cannot_move(*table_);
  std::string blob(WEIR_BLOB_MAX, '\0');
  std::size_t size = blob.size();
  weir_error_t error = WEIR_ERROR_INIT;
  WEIR_TRY(read_error(table_->export_session(conn_, blob.data(), &size, &error), error));
  if (size > blob.size()) {
    return bad_driver(*table_, "export_session wrote " + std::to_string(size) + " bytes, at most " +
                                   std::to_string(blob.size()) + " expected");
  }
  blob.resize(size);
  return blob;
}

void Connection::abandon() {
  if (conn_ != nullptr) table_->abandon(std::exchange(conn_, nullptr));
}

bool poll_until(int fd, Step step, Deadline deadline) {
  pollfd watched{};
  watched.fd = fd;
  watched.events = step == Step::kWantWrite ? POLLOUT : POLLIN;
  for (;;) {
    // ppoll, because poll's milliseconds would round a deadline up or spin before it.
    const timespec left = to_timespec(deadline.left(monotonic_ns()));
    const int ready = ppoll(&watched, 1, deadline.is_never() ? nullptr : &left, nullptr);
    if (ready > 0) return true;  // also for an error or a hang-up: the next step finds out
    if (ready == 0 && deadline.passed(monotonic_ns())) return false;
    if (ready < 0 && errno != EINTR) return true;  // as above; never waits past the deadline
  }
}

}  // namespace weir::driver
