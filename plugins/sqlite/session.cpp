#include "session.h"

#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>

#include "host.h"
#include "sql.h"

namespace weir::sqlite {
namespace {

constexpr std::uint64_t kMillisecond = 1'000'000;
// Instructions of SQLite's machine between two looks at the clock: about 20 us of them.
constexpr int kInstructionsPerLook = 1000;

const char* op_name(std::int32_t op) {
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
    default:
      return nullptr;
  }
}

/// Whether `argument` is as weir/driver.h says for `op`; each begins with its struct_size.
bool is_good_argument(std::int32_t op, const void* argument) {
  const auto has = [argument](std::size_t least) {
    return argument != nullptr && *static_cast<const std::uint32_t*>(argument) >= least;
  };
  switch (op) {
    case WEIR_OP_EXECUTE:
      return has(sizeof(weir_execute_t)) &&
             static_cast<const weir_execute_t*>(argument)->statement != nullptr;
    case WEIR_OP_CONFIRM_GONE:
      return has(sizeof(weir_confirm_gone_t));
    case WEIR_OP_CANCEL_TOKEN:
      return has(sizeof(weir_cancel_token_t));
    case WEIR_OP_LIMITS:
      return has(offsetof(weir_server_limits_t, client_check_ms));  // of ABI 1.0
    case WEIR_OP_ACTIVITY:
      return has(sizeof(weir_server_activity_t));
    case WEIR_OP_SESSIONS:
      return has(sizeof(weir_sessions_t));
    default:
      return true;
  }
}

bool is_offered(std::int32_t op) { return op >= WEIR_OP_CONNECT && op <= WEIR_OP_EXECUTE; }

}  // namespace

// While the driver works itself: nothing is noted, nobody waits for locks inside SQLite, and the
// operation's deadline ends what runs. Afterwards all is as leases have it.
class Session::OwnWork {
 public:
  explicit OwnWork(Session& session) : session_(session) {
    session_.is_own_work_ = true;
    session_.traces_.look_away(true);
    sqlite3_busy_timeout(session_.db_, 0);
    sqlite3_progress_handler(session_.db_, kInstructionsPerLook, &Session::on_progress, &session_);
  }
  OwnWork(const OwnWork&) = delete;
  OwnWork& operator=(const OwnWork&) = delete;
  ~OwnWork() {
    session_.is_own_work_ = false;
    session_.traces_.look_away(false);
    if (session_.db_ == nullptr) return;
    int patience_ms = session_.dsn_.busy_timeout_ms();
    if (session_.statement_timeout_ns_ != 0) {
      const auto limit_ms = static_cast<int>(
          std::min<std::uint64_t>(session_.statement_timeout_ns_ / kMillisecond, 3'600'000));
      patience_ms = std::min(patience_ms, limit_ms);
    } else {
      sqlite3_progress_handler(session_.db_, 0, nullptr, nullptr);
    }
    sqlite3_busy_timeout(session_.db_, patience_ms);
  }

 private:
  Session& session_;
};

Session::Session(const Dsn& dsn, std::uint32_t statement_timeout_ms, weir_reset_mode reset_mode)
    : dsn_(dsn),
      statement_timeout_ns_(statement_timeout_ms * kMillisecond),
      reset_mode_(reset_mode),
      pid_(getpid()) {}

Session::~Session() {
  if (!is_ours()) {
    mark_.leave();  // and what SQLite has is left where it is
  } else if (db_ != nullptr && !let_go()) {
    give_up();
  }
}

bool Session::is_ours() const { return getpid() == pid_; }

// ---- SQLite's callbacks -------------------------------------------------------------------------

int Session::on_progress(void* self) {
  const Session& session = *static_cast<const Session*>(self);
  const std::uint64_t now_ns = host::now_ns();
  if (session.is_own_work_ && now_ns >= session.deadline_ns_) return 1;
  const std::uint64_t limit_ns = session.statement_timeout_ns_;
  return limit_ns != 0 && now_ns >= session.statement_began_ns_ + limit_ns ? 1 : 0;
}

int Session::on_statement(unsigned /*kind*/, void* self, void* /*statement*/, void* text) {
  const char* const sql = static_cast<const char*>(text);
  const bool is_trigger = sql != nullptr && sql[0] == '-' && sql[1] == '-';
  if (!is_trigger) static_cast<Session*>(self)->statement_began_ns_ = host::now_ns();
  return 0;
}

// ---- operations ---------------------------------------------------------------------------------

/// Why `op` cannot begin now; null if it can.
const char* Session::why_not(std::int32_t op, std::int32_t* code) const {
  if (op == WEIR_OP_CLOSE) return nullptr;  // always, whatever is under way
  *code = WEIR_BAD_ARGUMENT;
  if (op_ != 0) return "another operation is under way";
  const bool wants_new = op == WEIR_OP_CONNECT || op == WEIR_OP_CANCEL_TOKEN;
  if (wants_new && state_ != State::kNew) return "expected an unconnected connection";
  if (!wants_new && state_ == State::kNew) return "expected a connected connection";
  *code = WEIR_CONNECTION_BROKEN;
  if (!wants_new && state_ != State::kOpen) return "the connection is broken or closed";
  *code = WEIR_NOT_SUPPORTED;
  if (!is_offered(op)) return "a database file has no server that could be asked";
  return nullptr;
}

bool Session::start(std::int32_t op, void* argument, std::uint64_t deadline_ns, Failure* failure) {
  const char* const name = op_name(op);
  if (name == nullptr) {
    *failure = failed(WEIR_NOT_SUPPORTED, "there is no operation " + std::to_string(op),
                      "expected enum weir_op");
    return false;
  }
  if (!is_ours()) {
    *failure = failed(WEIR_FORKED, name, "the connection was made before a fork");
    return false;
  }
  if (!is_good_argument(op, argument)) {
    *failure = failed(WEIR_BAD_ARGUMENT, name, "expected an argument with its struct_size");
    return false;
  }
  std::int32_t code = WEIR_OK;
  if (const char* const why = why_not(op, &code)) {
    *failure = failed(code, name, why);
    return false;
  }
  op_ = op;
  deadline_ns_ = deadline_ns;
  began_ns_ = host::now_ns();
  locked_ = SQLITE_OK;
  if (op == WEIR_OP_EXECUTE) rest_ = static_cast<const weir_execute_t*>(argument)->statement;
  return true;
}

Progress Session::step(Failure* failure) {
  if (!is_ours()) {
    *failure = failed(WEIR_FORKED, "step", "the connection was made before a fork");
    return Progress::kFailed;
  }
  if (op_ == 0) {
    *failure = failed(WEIR_BAD_ARGUMENT, "step", "no operation is under way");
    return Progress::kFailed;
  }
  Progress progress = work(failure);
  if (progress == Progress::kWantRead && host::now_ns() >= deadline_ns_) {
    if (op_ == WEIR_OP_CLOSE) give_up();
    *failure = timed_out(op_name(op_), dsn_.path(), locked_);
    progress = Progress::kFailed;
    state_ = State::kBroken;
  }
  if (progress != Progress::kWantRead) op_ = 0;
  return progress;
}

Progress Session::work(Failure* failure) {
  switch (op_) {
    case WEIR_OP_CONNECT:
      return connect(failure);
    case WEIR_OP_PING:
      return ping(failure);
    case WEIR_OP_RESET:
      return reset(failure);
    case WEIR_OP_EXECUTE:
      return execute(failure);
    default:
      return close(failure);
  }
}

/// What `result` means for an operation after which the connection is fit or lost.
Progress Session::outcome(int result, const char* doing, Failure* failure) {
  if (result == SQLITE_OK) return Progress::kDone;
  locked_ = result;
  if (is_locked(result)) return Progress::kWantRead;
  const bool is_late = (result & 0xff) == SQLITE_INTERRUPT && host::now_ns() >= deadline_ns_;
  *failure = is_late ? timed_out(doing, dsn_.path(), result)
                     : sqlite_failure(db_, result, doing, dsn_.path());
  state_ = State::kBroken;
  return Progress::kFailed;
}

Progress Session::lost(const char* doing, Failure* failure) {
  state_ = State::kBroken;
  *failure = failed(WEIR_CONNECTION_BROKEN, doing,
                    dsn_.path() + ": the file was moved, deleted or replaced since it was opened");
  return Progress::kFailed;
}

Progress Session::connect(Failure* failure) {
  constexpr const char* kDoing = "connect";
  if (db_ == nullptr) {
    const bool is_private = dsn_.kind() == Kind::kPrivateMemory;
    if (!is_private && is_inherited(dsn_.server_identity())) {
      state_ = State::kBroken;
      *failure =
          failed(WEIR_FORKED, kDoing,
                 dsn_.path() +
                     ": the parent process had it open when it forked, and SQLite's locks do "
                     "not survive that; expected a fork before the first lease, or an exec");
      return Progress::kFailed;
    }
    default_values();
    if (!is_private) mark_ = OpenMark(dsn_.server_identity());
    const int opened = sqlite3_open_v2(dsn_.open_name().c_str(), &db_, dsn_.open_flags(), nullptr);
    if (db_ != nullptr) sqlite3_extended_result_codes(db_, 1);
    if (opened != SQLITE_OK) return outcome(opened, kDoing, failure);
  }
  const OwnWork own(*this);
  // The first look into the file: whether it is a database shows here and not in a lease.
  int result = run(db_, "PRAGMA schema_version");
  if (result == SQLITE_OK) result = settle_in();
  std::string journal;
  if (result == SQLITE_OK && !dsn_.journal().empty()) {
    result = run(db_, "PRAGMA journal_mode = " + dsn_.journal(), &journal);
    if (result == SQLITE_OK && journal != dsn_.journal()) {
      state_ = State::kBroken;
      *failure =
          failed(WEIR_CONNECT_FAILED, kDoing,
                 dsn_.path() + ": journal: expected " + dsn_.journal() + ", found " + journal);
      return Progress::kFailed;
    }
  }
  const Progress progress = outcome(result, kDoing, failure);
  if (progress != Progress::kDone) return progress;
  settings_.remember(db_);
  watch();
  state_ = State::kOpen;
  return progress;
}

/// Whoever set an authorizer or a trace before, these are here now.
void Session::watch() {
  if (reset_mode_ != WEIR_RESET_TRANSACTION) traces_.watch(db_);
  const bool has_limit = statement_timeout_ns_ != 0;
  sqlite3_trace_v2(db_, has_limit ? SQLITE_TRACE_STMT : 0,
                   has_limit ? &Session::on_statement : nullptr, this);
}

/// The DSN's PRAGMAs.
int Session::settle_in() {
  int result = SQLITE_OK;
  if (!dsn_.foreign_keys().empty()) {
    result = run(db_, "PRAGMA foreign_keys = " + dsn_.foreign_keys());
  }
  if (result == SQLITE_OK && !dsn_.synchronous().empty()) {
    result = run(db_, "PRAGMA synchronous = " + dsn_.synchronous());
  }
  return result;
}

bool Session::has_moved() const {
  int moved = 0;
  const int result = sqlite3_file_control(db_, "main", SQLITE_FCNTL_HAS_MOVED, &moved);
  return result == SQLITE_OK && moved != 0;
}

Progress Session::ping(Failure* failure) {
  if (has_moved()) return lost("ping", failure);
  const OwnWork own(*this);
  const int result = run(db_, "PRAGMA schema_version");
  // Somebody else's lock is an answer: the database is there, and at work.
  return outcome(is_locked(result) ? SQLITE_OK : result, "ping", failure);
}

bool Session::is_unclean() const {
  if (reset_mode_ == WEIR_RESET_TRANSACTION) return false;
  return traces_.any() || (!keeps_statements_ && sqlite3_next_stmt(db_, nullptr) != nullptr);
}

Progress Session::reset(Failure* failure) {
  constexpr const char* kDoing = "reset";
  const bool everything = reset_mode_ == WEIR_RESET_ALWAYS;
  const bool is_more_than_rollback = everything || is_unclean();
  const bool is_idle = sqlite3_get_autocommit(db_) != 0 && !has_busy_statement(db_);
  if (is_idle && !is_more_than_rollback) return Progress::kDone;
  if (traces_.lasting()[0] != '\0') {
    state_ = State::kBroken;
    *failure = failed(WEIR_CONNECTION_BROKEN, kDoing,
                      dsn_.path() +
                          ": expected a session that can be made clean, found that the "
                          "lease used " +
                          traces_.lasting());
    return Progress::kFailed;
  }
  if (everything && has_moved()) return lost(kDoing, failure);
  const OwnWork own(*this);
  int result = roll_back(db_);
  if (result == SQLITE_OK && is_more_than_rollback) {
    if (everything) {
      settings_.put_back(db_);
      watch();
    }
    result = put_back(db_, dsn_, traces_, everything);
    if (result == SQLITE_OK) result = free_statements(db_, &keeps_statements_);
  }
  const Progress progress = outcome(result, kDoing, failure);
  if (progress == Progress::kDone) traces_.clear();
  return progress;
}

Progress Session::execute(Failure* failure) {
  constexpr const char* kDoing = "execute";
  if (has_moved()) return lost(kDoing, failure);
  const OwnWork own(*this);
  while (rest_ != nullptr && *rest_ != '\0') {
    sqlite3_stmt* raw = nullptr;
    const char* next = nullptr;
    int result = sqlite3_prepare_v2(db_, rest_, -1, &raw, &next);
    const std::unique_ptr<sqlite3_stmt, decltype(&sqlite3_finalize)> statement(raw,
                                                                               &sqlite3_finalize);
    if (result == SQLITE_OK && raw != nullptr) {
      while ((result = sqlite3_step(raw)) == SQLITE_ROW) {
      }
    }
    if (result != SQLITE_OK && result != SQLITE_DONE) {
      // Before `statement` goes: it takes the error's text along.
      locked_ = result;
      const std::uint64_t now_ns = host::now_ns();
      if (is_locked(result)) {
        const auto patience_ns = static_cast<std::uint64_t>(dsn_.busy_timeout_ms()) * kMillisecond;
        if (now_ns < began_ns_ + patience_ns) return Progress::kWantRead;
      } else if (now_ns >= deadline_ns_) {
        return outcome(result, kDoing, failure);
      }
      *failure = sqlite_failure(db_, result, kDoing, dsn_.path());
      if (failure->code == WEIR_CONNECTION_BROKEN) state_ = State::kBroken;
      return Progress::kFailed;
    }
    rest_ = next;
  }
  return Progress::kDone;
}

Progress Session::close(Failure* failure) {
  constexpr const char* kDoing = "close";
  state_ = State::kClosed;
  if (db_ == nullptr) return Progress::kDone;
  if (let_go()) return Progress::kDone;
  if (!keeps_statements_) return Progress::kWantRead;  // a backup: its owner ends it
  give_up();
  *failure = failed(WEIR_CONNECTION_BROKEN, kDoing,
                    dsn_.path() +
                        ": a lease left statements unfinalized; beside virtual tables, whose "
                        "own cannot be told from them, the file stays open until the "
                        "process ends");
  return Progress::kFailed;
}

/// Closes; false while something of a lease's holds the database: statements that had to be kept
/// (keeps_statements_), or else a backup.
bool Session::let_go() {
  sqlite3_progress_handler(db_, 0, nullptr, nullptr);
  sqlite3_busy_timeout(db_, 0);
  Traces::stop(db_);
  static_cast<void>(roll_back(db_));
  static_cast<void>(free_statements(db_, &keeps_statements_));
  // Closing ends the virtual tables, and with them their own statements.
  if (sqlite3_close(db_) != SQLITE_OK) return false;
  db_ = nullptr;
  mark_ = OpenMark();
  return true;
}

/// What a lease left closes the file when it ends; until then this process has it open.
void Session::give_up() {
  sqlite3_close_v2(db_);
  db_ = nullptr;
  mark_.leave();
}

// ---- looks --------------------------------------------------------------------------------------

std::uint32_t Session::condition(std::int32_t look) {
  if (state_ == State::kOpen && look == WEIR_LOOK_AT_SOCKET && has_moved()) {
    state_ = State::kBroken;
  }
  if (state_ != State::kOpen) return WEIR_COND_BROKEN;
  std::uint32_t condition = 0;
  const bool in_transaction = sqlite3_get_autocommit(db_) == 0 || has_busy_statement(db_);
  if (in_transaction) condition |= WEIR_COND_IN_TRANSACTION;
  if (is_unclean()) condition |= WEIR_COND_DIRTY;
  return condition;
}

bool Session::cancel(Failure* failure) {
  if (!is_ours()) {
    *failure = failed(WEIR_FORKED, "cancel", "the connection was made before a fork");
    return false;
  }
  if (db_ == nullptr) {
    *failure = failed(WEIR_BAD_ARGUMENT, "cancel", "expected a connected connection");
    return false;
  }
  sqlite3_interrupt(db_);
  return true;
}

}  // namespace weir::sqlite
