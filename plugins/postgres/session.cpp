#include "session.h"

#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include "host.h"
#include "server_queries.h"
#include "tags.h"

namespace weir::postgres {
namespace {

const char* name_of(std::int32_t op) {
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
      return "statement";
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
    default:
      return "operation";
  }
}

// read_only_sql_transaction (PostgreSQL manual, "PostgreSQL Error Codes")
constexpr const char* kReadOnlyState = "25006";

bool fail(Failure* failure, std::int32_t code, const std::string& what) {
  *failure = {code, "postgres: " + what, {}};
  return false;
}

/// Every argument begins with its struct_size; no more of it need be there. 0: there is none.
std::uint32_t size_of(const void* argument) {
  std::uint32_t size = 0;
  if (argument != nullptr) std::memcpy(&size, argument, sizeof size);
  return size;
}

/// The argument as the operation's struct; null if it is missing or shorter than the ABI's first
/// version of it.
template <typename T>
T* argument_as(void* argument) {
  return size_of(argument) >= sizeof(T) ? static_cast<T*>(argument) : nullptr;
}

/// A host of ABI 1.0 gives the struct up to and without client_check_ms.
bool is_limits(const void* argument) {
  return size_of(argument) >= offsetof(weir_server_limits_t, client_check_ms);
}

bool refuse_argument(Failure* failure, const char* what) {
  return fail(failure, WEIR_BAD_ARGUMENT, std::string(what) + " is missing or too short");
}

/// The PGconn that an event is about; null if the event says none.
PGconn* conn_of(PGEventId event, void* info) {
  switch (event) {
    case PGEVT_RESULTCREATE:
      return static_cast<PGEventResultCreate*>(info)->conn;
    case PGEVT_CONNRESET:
      return static_cast<PGEventConnReset*>(info)->conn;
    case PGEVT_CONNDESTROY:
      return static_cast<PGEventConnDestroy*>(info)->conn;
    default:
      return nullptr;
  }
}

}  // namespace

Session::Session(const Dsn& dsn, SpareShells& spares, SessionOptions options,
                 weir_reset_mode reset_mode)
    : dsn_(dsn), spares_(spares), options_(std::move(options)), reset_mode_(reset_mode) {}

/// Cut before PQfinish, whose Terminate then neither blocks nor arrives.
void Session::Cut::operator()(PGconn* conn) const {
  if (PQsocket(conn) >= 0) shutdown(PQsocket(conn), SHUT_RDWR);
  PQfinish(conn);
}

// ---- starting -----------------------------------------------------------------------------------

bool Session::start(std::int32_t op, void* argument, std::uint64_t deadline_ns, Failure* failure) {
  if (op_ != 0 && op != WEIR_OP_CLOSE) {
    return fail(failure, WEIR_BAD_ARGUMENT,
                std::string(name_of(op)) + ": " + name_of(op_) + " has not ended yet");
  }
  op_ = op;  // from here on results are the driver's own
  is_described_ = false;
  is_asking_ = false;
  argument_ = argument;
  deadline_ns_ = deadline_ns;
  if (begin(op, argument, failure)) return true;
  end(Progress::kFailed, failure->code);
  return false;
}

bool Session::begin(std::int32_t op, void* argument, Failure* failure) {
  switch (op) {
    case WEIR_OP_CONNECT:
      return begin_connect(failure);
    case WEIR_OP_CANCEL_TOKEN:
      return begin_cancel_token(argument_as<weir_cancel_token_t>(argument), failure);
    case WEIR_OP_CLOSE:
      work_.emplace<std::monostate>();  // ends what was under way while conn_ is still there
      work_.emplace<Closing>(conn_.release());
      state_ = State::kClosed;
      return true;
    case WEIR_OP_PING:
      if (dsn_.writable() != Writable::kNotAsked) {
        is_asking_ = true;
        return begin_query(read_only_statement(dsn_.writable()), Query::Rows::kKeep, failure);
      }
      // An empty statement: a round trip that parses and plans nothing.
      return begin_query("", Query::Rows::kDiscard, failure);
    case WEIR_OP_RESET:
      return begin_reset(failure);
    case WEIR_OP_EXECUTE: {
      const auto* const execute = argument_as<weir_execute_t>(argument);
      if (execute == nullptr || execute->statement == nullptr) {
        return refuse_argument(failure, "weir_execute_t");
      }
      return begin_query(execute->statement, Query::Rows::kDiscard, failure);
    }
    case WEIR_OP_CONFIRM_GONE:
      return begin_confirm_gone(argument_as<weir_confirm_gone_t>(argument), failure);
    case WEIR_OP_LIMITS:
      if (!is_limits(argument)) {
        return refuse_argument(failure, "weir_server_limits_t");
      }
      return begin_query(kLimitsStatement, Query::Rows::kKeep, failure);
    case WEIR_OP_ACTIVITY:
      if (argument_as<weir_server_activity_t>(argument) == nullptr) {
        return refuse_argument(failure, "weir_server_activity_t");
      }
      return begin_query(kActivityStatement, Query::Rows::kKeep, failure);
    case WEIR_OP_SESSIONS: {
      const auto* const sessions = argument_as<weir_sessions_t>(argument);
      if (sessions == nullptr || sessions->each == nullptr) {
        return refuse_argument(failure, "weir_sessions_t");
      }
      return begin_query(kSessionsStatement, Query::Rows::kKeep, failure);
    }
    default:
      return fail(failure, WEIR_NOT_SUPPORTED, "operation " + std::to_string(op) + " is unknown");
  }
}

bool Session::begin_connect(Failure* failure) {
  if (state_ != State::kNew || conn_ != nullptr) {
    return fail(failure, WEIR_BAD_ARGUMENT, "connect: this object was connected before");
  }
  conn_.reset(work_.emplace<Connecting>().start(dsn_, options_));
  if (conn_ == nullptr) return fail(failure, WEIR_OUT_OF_MEMORY, "connect: out of memory");
  return watch(failure);
}

/// Has libpq tell of all that happens on the PGconn. A shell has the procedure from before.
bool Session::watch(Failure* failure) {
  PGconn* const conn = conn_.get();
  PQregisterEventProc(conn, &Session::on_event, "weir", nullptr);
  if (PQsetInstanceData(conn, &Session::on_event, this) == 0) {
    return fail(failure, WEIR_OUT_OF_MEMORY, "cannot watch the session");
  }
  default_receiver_ = PQsetNoticeReceiver(conn, &Session::on_notice, this);
  return true;
}

bool Session::begin_cancel_token(const weir_cancel_token_t* argument, Failure* failure) {
  if (argument == nullptr || argument->token == nullptr) {
    return refuse_argument(failure, "weir_cancel_token_t");
  }
  if (state_ != State::kNew) {
    return fail(failure, WEIR_BAD_ARGUMENT, "cancel_token: needs an unconnected object");
  }
  const auto token = SessionToken::from_bytes(*argument->token);
  if (!token) return fail(failure, WEIR_BAD_ARGUMENT, "cancel_token: not a token of this driver");
  if (!token->cancel_key) {
    return fail(failure, WEIR_NOT_SUPPORTED, "cancel_token: the session's key is not known");
  }
  work_.emplace<CancelRequest>(*token);
  return true;
}

bool Session::begin_query(const std::string& statement, Query::Rows rows, Failure* failure) {
  if (!is_ready_for_query(failure)) return false;
  hold();
  return send(statement, rows, failure);
}

bool Session::begin_reset(Failure* failure) {
  if (!is_ready_for_query(failure)) return false;
  hold();
  drop_notifications();
  has_discarded_ = false;
  return send_next_of_reset(failure);
}

bool Session::begin_confirm_gone(const weir_confirm_gone_t* argument, Failure* failure) {
  if (argument == nullptr || argument->token == nullptr) {
    return refuse_argument(failure, "weir_confirm_gone_t");
  }
  if (state_ == State::kNew) {
    return fail(failure, WEIR_NOT_SUPPORTED, "confirm_gone: needs a connected session");
  }
  const auto token = SessionToken::from_bytes(*argument->token);
  if (!token) return fail(failure, WEIR_BAD_ARGUMENT, "confirm_gone: not a token of this driver");
  if (token->pid < 0) {
    return fail(failure, WEIR_NOT_SUPPORTED,
                "confirm_gone: the session's id is a proxy's, of which the server knows nothing");
  }
  // Of several hosts this may be another one, which knows nothing of that session.
  if (!token_ || !(token_->address == token->address)) {
    return fail(failure, WEIR_NOT_SUPPORTED,
                "confirm_gone: that session is on another address than this one");
  }
  const std::uint64_t now = host::now_ns();
  const std::chrono::nanoseconds age(now > token->connected_ns ? now - token->connected_ns : 0);
  return begin_query(
      gone_statement(token->pid, std::chrono::duration_cast<std::chrono::milliseconds>(age)),
      Query::Rows::kKeep, failure);
}

bool Session::is_ready_for_query(Failure* failure) const {
  const std::string op = name_of(op_);
  if (state_ == State::kNew || state_ == State::kClosed) {
    return fail(failure, WEIR_NOT_OPEN, op + ": not connected");
  }
  const std::uint32_t condition = local_condition();
  if ((condition & WEIR_COND_BROKEN) != 0) {
    return fail(failure, WEIR_CONNECTION_BROKEN, op + ": the connection is broken");
  }
  if ((condition & WEIR_COND_UNREAD) != 0) {
    return fail(failure, WEIR_CONNECTION_BROKEN,
                op + ": a statement, its answer or a pipeline was left unfinished");
  }
  return true;
}

bool Session::send(const std::string& statement, Query::Rows rows, Failure* failure) {
  return work_.emplace<Query>().start(conn_.get(), statement.c_str(), name_of(op_), rows,
                                      failure) != Progress::kFailed;
}

bool Session::send_next_of_reset(Failure* failure) {
  // Two round trips: DISCARD ALL is refused inside a transaction and beside another statement.
  if (PQtransactionStatus(conn_.get()) != PQTRANS_IDLE) {
    return send("ROLLBACK", Query::Rows::kDiscard, failure);
  }
  if (!has_discarded_ && (is_dirty_ || reset_mode_ == WEIR_RESET_ALWAYS)) {
    has_discarded_ = true;
    return send("DISCARD ALL", Query::Rows::kDiscard, failure);
  }
  is_dirty_ = false;
  if (is_doubtful_) {  // last: what the lease itself had set is gone now
    is_asking_ = true;
    return send(read_only_statement(dsn_.writable()), Query::Rows::kKeep, failure);
  }
  work_.emplace<std::monostate>();  // nothing left to do
  return true;
}

// ---- stepping and ending ------------------------------------------------------------------------

Progress Session::step(Failure* failure) {
  if (op_ == 0) {
    fail(failure, WEIR_BAD_ARGUMENT, "step: no operation was started");
    return Progress::kFailed;
  }
  Progress progress = step_work(failure);
  const bool waits = progress == Progress::kWantRead || progress == Progress::kWantWrite;
  if (waits && host::now_ns() >= deadline_ns_) {
    *failure = timed_out(name_of(op_));
    progress = Progress::kFailed;
  }
  if (progress == Progress::kDone || progress == Progress::kFailed) end(progress, failure->code);
  return progress;
}

Progress Session::step_work(Failure* failure) {
  if (auto* connecting = std::get_if<Connecting>(&work_)) {
    const Progress progress = connecting->step(failure);
    return progress == Progress::kDone ? end_connect() : progress;
  }
  if (auto* closing = std::get_if<Closing>(&work_)) return closing->step(failure);
  if (auto* request = std::get_if<CancelRequest>(&work_)) return request->step(failure);
  if (auto* query = std::get_if<Query>(&work_)) {
    const Progress progress = query->step(failure);
    return progress == Progress::kDone ? end_query(failure) : progress;
  }
  return Progress::kDone;  // a reset that found nothing to do
}

Progress Session::end_connect() {
  token_ = std::get<Connecting>(work_).token();
  parameters_ = std::get<Connecting>(work_).parameters();
  state_ = State::kOpen;
  return Progress::kDone;
}

Progress Session::end_query(Failure* failure) {
  const Query& query = std::get<Query>(work_);
  if (query.error() != nullptr) {
    *failure = statement_failure(query.error(), conn_.get());
    return Progress::kFailed;
  }
  if (is_asking_) {
    is_asking_ = false;
    if (!is_still_writable(query.result(), failure)) return Progress::kFailed;
    is_doubtful_ = false;
  }
  if (op_ == WEIR_OP_RESET) {
    if (!send_next_of_reset(failure)) return Progress::kFailed;
    return std::holds_alternative<Query>(work_) ? Progress::kWantWrite : Progress::kDone;
  }
  return read_answer(query.result(), failure);
}

bool Session::is_still_writable(const PGresult* result, Failure* failure) {
  bool is_read_only = false;
  if (!read_read_only(result, &is_read_only)) {
    return fail(failure, WEIR_CONNECTION_BROKEN,
                std::string(name_of(op_)) + ": the server does not say whether it is read-only");
  }
  if (!is_read_only) return true;
  is_doubtful_ = true;
  fail(failure, WEIR_CONNECTION_BROKEN,
       std::string(name_of(op_)) + ": the server is read-only now, " +
           (dsn_.writable() == Writable::kPrimary ? "a primary" : "a read-write one") +
           " was asked for");
  failure->sqlstate = kReadOnlyState;
  return false;
}

Progress Session::read_answer(const PGresult* result, Failure* failure) {
  bool is_understood = true;
  switch (op_) {
    case WEIR_OP_LIMITS:
      is_understood = read_limits(result, static_cast<weir_server_limits_t*>(argument_));
      break;
    case WEIR_OP_ACTIVITY:
      is_understood = read_activity(result, static_cast<weir_server_activity_t*>(argument_));
      break;
    case WEIR_OP_SESSIONS:
      is_understood = read_sessions(result, static_cast<weir_sessions_t*>(argument_));
      break;
    case WEIR_OP_CONFIRM_GONE: {
      GoneAnswer answer;
      is_understood = read_gone(result, &answer);
      if (is_understood && answer.own_pid != PQbackendPID(conn_.get())) {
        // A proxy made up the pids that it told its clients; the server knows none of them.
        fail(failure, WEIR_NOT_SUPPORTED,
             "confirm_gone: something between here and the server changes session ids");
        return Progress::kFailed;
      }
      if (is_understood) static_cast<weir_confirm_gone_t*>(argument_)->gone = answer.is_gone;
      break;
    }
    default:  // ping, execute: what was answered does not matter
      break;
  }
  if (is_understood) return Progress::kDone;
  fail(failure, WEIR_DATABASE_ERROR,
       std::string(name_of(op_)) + ": the server's answer has not the shape that was asked for");
  return Progress::kFailed;
}

void Session::end(Progress progress, std::int32_t code) {
  work_.emplace<std::monostate>();
  if (progress == Progress::kFailed) {
    const bool was_connect = op_ == WEIR_OP_CONNECT && conn_ != nullptr && state_ == State::kNew;
    const bool is_lost = code == WEIR_CONNECTION_BROKEN || code == WEIR_TIMEOUT;
    const bool must_work = op_ == WEIR_OP_RESET || op_ == WEIR_OP_PING;
    if (was_connect || (state_ == State::kOpen && (is_lost || must_work))) state_ = State::kFailed;
  }
  if (state_ == State::kOpen) hand_out();
  op_ = 0;
}

// ---- what leases do -----------------------------------------------------------------------------

int Session::on_event(PGEventId event, void* info, void* /*unused*/) {
  const PGconn* const conn = conn_of(event, info);
  if (conn == nullptr) return 1;
  auto* const session = static_cast<Session*>(PQinstanceData(conn, &Session::on_event));
  if (session == nullptr) return 1;  // a shell
  switch (event) {
    case PGEVT_RESULTCREATE:
      session->note(static_cast<PGEventResultCreate*>(info)->result);
      break;
    case PGEVT_CONNRESET:
      // A lease called PQreset: this is another session, which nobody made clean or can name.
      session->state_ = State::kFailed;
      break;
    case PGEVT_CONNDESTROY:
      // By a lease, if it is still ours here: the object is gone and must not be touched again.
      if (session->conn_.release() != nullptr) session->state_ = State::kFailed;
      break;
    default:
      break;
  }
  return 1;
}

void Session::note(const PGresult* result) {
  if (op_ == 0 && dsn_.writable() != Writable::kNotAsked && !is_doubtful_) {
    const char* const state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    is_doubtful_ = state != nullptr && std::string_view(state) == kReadOnlyState;
  }
  if (op_ != 0 || is_dirty_ || reset_mode_ == WEIR_RESET_TRANSACTION) return;
  // PQcmdStatus only reads; its parameter is not const for historical reasons.
  const char* const tag = PQcmdStatus(const_cast<PGresult*>(result));
  is_dirty_ = reset_mode_ == WEIR_RESET_ALWAYS || may_leave_traces(PQresultStatus(result), tag);
}

/// Takes the PGconn back from a lease: what it set in libpq itself, where no server can reset it.
void Session::hold() {
  PQsetNoticeReceiver(conn_.get(), &Session::on_notice, this);
  PQsetErrorVerbosity(conn_.get(), PQERRORS_DEFAULT);
  PQsetErrorContextVisibility(conn_.get(), PQSHOW_CONTEXT_ERRORS);
  PQuntrace(conn_.get());
  PQsetnonblocking(conn_.get(), 0);
}

/// Leaves the PGconn as a lease expects it, apart from notices: libpq would print them on stderr.
void Session::hand_out() {
  PQsetNoticeReceiver(conn_.get(), default_receiver_, nullptr);
  PQsetNoticeProcessor(
      conn_.get(), [](void*, const char*) {}, nullptr);
}

/// Returns whether there were any.
bool Session::drop_notifications() {
  bool had_some = false;
  while (PGnotify* notification = PQnotifies(conn_.get())) {
    PQfreemem(notification);
    had_some = true;
  }
  return had_some;
}

void Session::on_notice(void* self, const PGresult* notice) {
  auto* const session = static_cast<Session*>(self);
  const char* const severity = PQresultErrorField(notice, PG_DIAG_SEVERITY_NONLOCALIZED);
  const char* const sqlstate = PQresultErrorField(notice, PG_DIAG_SQLSTATE);
  const std::string_view how = severity != nullptr ? severity : "";
  if (how == "FATAL" || how == "PANIC") {
    session->said_farewell_ = true;
  } else if (sqlstate == nullptr || how == "ERROR") {
    session->is_unexpected_ = true;  // libpq's own warnings have no SQLSTATE
  }
  // Not its text, which can quote anything.
  host::debug(
      (std::string("event=notice sqlstate=") + (sqlstate != nullptr ? sqlstate : "none")).c_str());
}

std::uint32_t Session::condition(std::int32_t look) {
  if (op_ != 0) return WEIR_COND_BROKEN;  // an operation that was given up
  std::uint32_t bits = local_condition();
  const bool can_look = (bits & (WEIR_COND_BROKEN | WEIR_COND_UNREAD)) == 0;
  if (look == WEIR_LOOK_AT_SOCKET && can_look) bits |= look_at_socket();
  return bits;
}

std::uint32_t Session::look_at_socket() {
  hold();
  is_unexpected_ = false;
  // Twice: what the server sends on leaving, and then that it left. More can wait for the next
  // look.
  for (int i = 0; i < 2; ++i) {
    char byte = 0;
    const ssize_t n = recv(PQsocket(conn_.get()), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) break;
    if (n <= 0 || PQconsumeInput(conn_.get()) == 0) {
      state_ = State::kFailed;
      return WEIR_COND_BROKEN;
    }
    // Reads notices, changed parameters and notifications, which may come at any time.
    static_cast<void>(PQisBusy(conn_.get()));
  }
  if (drop_notifications() && reset_mode_ != WEIR_RESET_TRANSACTION) is_dirty_ = true;
  hand_out();
  std::uint32_t bits = local_condition();
  if (is_unexpected_) bits |= WEIR_COND_UNEXPECTED;
  return bits;
}

// ---- from outside -------------------------------------------------------------------------------

int Session::fd() const {
  if (const auto* closing = std::get_if<Closing>(&work_)) return closing->fd();
  if (const auto* request = std::get_if<CancelRequest>(&work_)) return request->fd();
  return conn_ != nullptr ? PQsocket(conn_.get()) : -1;
}

void Session::abandon() {
  if (auto* closing = std::get_if<Closing>(&work_)) closing->abandon();
  work_.emplace<std::monostate>();
  if (conn_ != nullptr && is_described_ && local_condition() == 0) {
    leave_shell();
  } else if (conn_ != nullptr) {
    abandon_connection(conn_.release());
  }
  state_ = State::kClosed;
}

weir_token_t Session::token() const { return token_ ? token_->to_bytes() : weir_token_t{}; }

bool Session::cancel(std::uint64_t deadline_ns, Failure* failure) const {
  if (!token_ || !token_->cancel_key) {
    return fail(failure, WEIR_NOT_SUPPORTED, "cancel: the session's key is not known");
  }
  *failure = CancelRequest::send(*token_, deadline_ns);
  return failure->code == WEIR_OK;
}

}  // namespace weir::postgres
