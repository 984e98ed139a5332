#include "session.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <utility>

#include "cleaning.h"
#include "host.h"
#include "lease_watch.h"
#include "server_answers.h"

namespace weir::redis {
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

}  // namespace

Session::Session(const Dsn& dsn, SessionOptions options, weir_reset_mode reset_mode)
    : dsn_(dsn), options_(std::move(options)), reset_mode_(reset_mode) {}

// ---- starting -----------------------------------------------------------------------------------

bool Session::start(std::int32_t op, void* argument, std::uint64_t deadline_ns, Failure* failure) {
  if (op_ != 0 && op != WEIR_OP_CLOSE) {
    return fail(failure, WEIR_BAD_ARGUMENT,
                std::string(name_of(op)) + ": " + name_of(op_) + " has not ended yet");
  }
  op_ = op;
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
    case WEIR_OP_PING:
      return begin_talk(std::make_unique<PingTalk>(), failure);
    case WEIR_OP_RESET:
      return begin_reset(failure);
    case WEIR_OP_CLOSE:
      work_ = std::make_unique<Closing>(std::move(context_));
      state_ = State::kClosed;
      return true;
    case WEIR_OP_EXECUTE:
      return begin_execute(argument_as<weir_execute_t>(argument), failure);
    case WEIR_OP_CONFIRM_GONE:
      return begin_confirm_gone(argument_as<weir_confirm_gone_t>(argument), failure);
    case WEIR_OP_CANCEL_TOKEN:
      return begin_cancel_token(argument_as<weir_cancel_token_t>(argument), failure);
    case WEIR_OP_LIMITS:
      if (!is_limits(argument)) return refuse_argument(failure, "weir_server_limits_t");
      return begin_questions(
          {command({"CONFIG", "GET", "maxclients"}), command({"INFO", "clients"})}, failure);
    case WEIR_OP_ACTIVITY:
      if (argument_as<weir_server_activity_t>(argument) == nullptr) {
        return refuse_argument(failure, "weir_server_activity_t");
      }
      return begin_questions({command({"CLIENT", "LIST"})}, failure);
    case WEIR_OP_SESSIONS: {
      const auto* const sessions = argument_as<weir_sessions_t>(argument);
      if (sessions == nullptr || sessions->each == nullptr) {
        return refuse_argument(failure, "weir_sessions_t");
      }
      return begin_questions({command({"CLIENT", "LIST"})}, failure);
    }
    default:
      return fail(failure, WEIR_NOT_SUPPORTED, "operation " + std::to_string(op) + " is unknown");
  }
}

bool Session::begin_connect(Failure* failure) {
  if (state_ != State::kNew || context_ != nullptr) {
    return fail(failure, WEIR_BAD_ARGUMENT, "connect: this object was connected before");
  }
  context_ = dial(dsn_, failure);
  if (context_ == nullptr) {
    state_ = State::kFailed;
    return false;
  }
  work_ = Dialling{};
  return true;
}

bool Session::begin_reset(Failure* failure) {
  if (!is_ready_to_talk(failure)) return false;
  if (reset_mode_ != WEIR_RESET_ALWAYS && local_condition() == 0) {
    work_ = std::monostate{};  // nothing was said, so there is nothing to do
    return true;
  }
  const CleaningKind kind = reset_mode_ == WEIR_RESET_TRANSACTION ? CleaningKind::kTransactionOnly
                            : has_reset_                          ? CleaningKind::kReset
                                                                  : CleaningKind::kOneByOne;
  return begin_talk(std::make_unique<Cleaning>(kind, dsn_, options_, client_id_), failure);
}

bool Session::begin_execute(const weir_execute_t* argument, Failure* failure) {
  if (argument == nullptr || argument->statement == nullptr) {
    return refuse_argument(failure, "weir_execute_t");
  }
  std::vector<std::string> words;
  if (!split_words(argument->statement, &words)) {
    return fail(failure, WEIR_BAD_ARGUMENT, "statement: a quote is not closed");
  }
  if (words.empty()) return fail(failure, WEIR_BAD_ARGUMENT, "statement: expected a command");
  return begin_talk(std::make_unique<CommandTalk>(words), failure);
}

/// A token that this driver may ask about: of the server that the DSN names.
std::optional<SessionToken> Session::own_token(const weir_token_t& bytes, Failure* failure) const {
  auto token = SessionToken::from_bytes(bytes);
  const std::string op = name_of(op_);
  if (!token) {
    fail(failure, WEIR_BAD_ARGUMENT, op + ": not a token of this driver");
  } else if (token->server_identity != dsn_.server_identity()) {
    fail(failure, WEIR_NOT_SUPPORTED,
         op + ": that session is on " + token->server_identity + ", the DSN names " +
             dsn_.server_identity());
    token.reset();
  }
  return token;
}

bool Session::begin_confirm_gone(const weir_confirm_gone_t* argument, Failure* failure) {
  if (argument == nullptr || argument->token == nullptr) {
    return refuse_argument(failure, "weir_confirm_gone_t");
  }
  asked_about_ = own_token(*argument->token, failure);
  if (!asked_about_) return false;
  if (state_ == State::kNew) {
    work_ = std::make_unique<Errand>(Errand::What::kFind, dsn_, options_, *asked_about_);
    return true;
  }
  return begin_questions(
      {command({"INFO", "server"}),
       command({"CLIENT", "LIST", "ID", std::to_string(asked_about_->client_id)})},
      failure);
}

bool Session::begin_cancel_token(const weir_cancel_token_t* argument, Failure* failure) {
  if (argument == nullptr || argument->token == nullptr) {
    return refuse_argument(failure, "weir_cancel_token_t");
  }
  if (state_ != State::kNew) {
    return fail(failure, WEIR_BAD_ARGUMENT, "cancel_token: needs an unconnected object");
  }
  const auto token = own_token(*argument->token, failure);
  if (!token) return false;
  work_ = std::make_unique<Errand>(Errand::What::kKill, dsn_, options_, *token);
  return true;
}

bool Session::begin_questions(std::vector<std::string> commands, Failure* failure) {
  return begin_talk(std::make_unique<Questions>(std::move(commands)), failure);
}

bool Session::begin_talk(std::unique_ptr<Talk> talk, Failure* failure) {
  if (!is_ready_to_talk(failure)) return false;
  work_ = std::unique_ptr<Talking>(
      new Talking{{WEIR_CONNECTION_BROKEN, name_of(op_)}, std::move(talk)});
  return true;
}

bool Session::is_ready_to_talk(Failure* failure) const {
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
                op + ": a command was left unsent, or an answer unread");
  }
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
  if (std::holds_alternative<Dialling>(work_)) {
    const Progress progress = step_dialling(failure);
    if (progress != Progress::kDone) return progress;
  }
  if (auto* talking = std::get_if<std::unique_ptr<Talking>>(&work_)) {
    Talking& work = **talking;
    const Progress progress = work.exchange.step(context_->fd, *work.talk, failure);
    return progress == Progress::kDone ? end_talk(failure) : progress;
  }
  if (auto* closing = std::get_if<std::unique_ptr<Closing>>(&work_)) {
    return (*closing)->step(failure);
  }
  if (auto* errand = std::get_if<std::unique_ptr<Errand>>(&work_)) {
    const Progress progress = (*errand)->step(failure);
    if (progress == Progress::kDone && op_ == WEIR_OP_CONFIRM_GONE) {
      static_cast<weir_confirm_gone_t*>(argument_)->gone = (*errand)->is_gone() ? 1 : 0;
    }
    return progress;
  }
  return Progress::kDone;  // a reset that found nothing to do
}

/// kDone: the handshake has begun.
Progress Session::step_dialling(Failure* failure) {
  const Progress progress = finish_dialling(*context_, dsn_, failure);
  if (progress != Progress::kDone) return progress;
  work_ = std::unique_ptr<Talking>(new Talking{{WEIR_CONNECT_FAILED, "connect to " + dsn_.where()},
                                               std::make_unique<Handshake>(dsn_, options_)});
  return Progress::kDone;
}

Progress Session::end_talk(Failure* failure) {
  const Talk& talk = *std::get<std::unique_ptr<Talking>>(work_)->talk;
  switch (op_) {
    case WEIR_OP_CONNECT:
      return end_connect(failure);
    case WEIR_OP_RESET:
      restore(*context_);
      return hand_out(failure) ? Progress::kDone : Progress::kFailed;
    case WEIR_OP_PING:
    case WEIR_OP_EXECUTE:
      return Progress::kDone;
    default:
      return read_answers(static_cast<const Questions&>(talk), failure);
  }
}

Progress Session::end_connect(Failure* failure) {
  const auto& handshake =
      static_cast<const Handshake&>(*std::get<std::unique_ptr<Talking>>(work_)->talk);
  has_reset_ = handshake.has_reset();
  client_id_ = handshake.client_id();
  if (client_id_ > 0 && !handshake.run().id.empty()) {
    token_ = SessionToken{dsn_.server_identity(), handshake.run().id, client_id_, host::now_ns()};
  }
  if (!hand_out(failure)) return Progress::kFailed;
  state_ = State::kOpen;
  return Progress::kDone;
}

bool Session::hand_out(Failure* failure) {
  return watch(*context_) ||
         fail(failure, WEIR_OUT_OF_MEMORY, std::string(name_of(op_)) + ": out of memory");
}

Progress Session::read_answers(const Questions& questions, Failure* failure) {
  const redisReply& answer = *questions.answers().front();
  switch (op_) {
    case WEIR_OP_LIMITS:
      read_limits(answer, *questions.answers().back(),
                  static_cast<weir_server_limits_t*>(argument_));
      return Progress::kDone;
    case WEIR_OP_ACTIVITY:
      read_activity(answer, static_cast<weir_server_activity_t*>(argument_));
      return Progress::kDone;
    case WEIR_OP_SESSIONS:
      if (is_error(answer)) {
        fail(failure, WEIR_DATABASE_ERROR, "sessions: " + shown(text_of(answer)));
        failure->native = first_word(text_of(answer));
        return Progress::kFailed;
      }
      read_sessions(answer, *static_cast<weir_sessions_t*>(argument_));
      return Progress::kDone;
    default:
      return read_gone(questions, failure);
  }
}

Progress Session::read_gone(const Questions& questions, Failure* failure) {
  auto& argument = *static_cast<weir_confirm_gone_t*>(argument_);
  const redisReply& list = *questions.answers().back();
  const Kinship kin =
      kinship(read_run(*questions.answers().front()), *asked_about_, host::now_ns());
  bool is_understood = false;
  const bool has_it = has_client(list, asked_about_->client_id, &is_understood);
  if (kin == Kinship::kRestarted || (kin == Kinship::kSameRun && is_understood)) {
    argument.gone = kin == Kinship::kRestarted || !has_it ? 1 : 0;
    return Progress::kDone;
  }
  fail(failure, WEIR_NOT_SUPPORTED,
       kin == Kinship::kSameRun
           ? "confirm_gone: CLIENT LIST ID: " + shown(text_of(list))
           : "confirm_gone: the server that answers is another one than the session's, or does "
             "not say which it is");
  return Progress::kFailed;
}

void Session::end(Progress progress, std::int32_t code) {
  work_ = std::monostate{};
  if (progress == Progress::kFailed) {
    const bool was_connect = op_ == WEIR_OP_CONNECT && context_ != nullptr && state_ == State::kNew;
    const bool is_lost = code == WEIR_CONNECTION_BROKEN || code == WEIR_TIMEOUT;
    const bool must_work = op_ == WEIR_OP_RESET || op_ == WEIR_OP_PING;
    if (was_connect || (state_ == State::kOpen && (is_lost || must_work))) state_ = State::kFailed;
  }
  op_ = 0;
}

// ---- what leases do -----------------------------------------------------------------------------

std::uint32_t Session::local_condition() const {
  if (state_ != State::kOpen) return WEIR_COND_BROKEN;
  return traces_in(*context_);
}

std::uint32_t Session::condition(std::int32_t look) {
  if (op_ != 0) return WEIR_COND_BROKEN;  // an operation that was given up
  const std::uint32_t bits = local_condition();
  const bool can_look = (bits & (WEIR_COND_BROKEN | WEIR_COND_UNREAD)) == 0;
  return look == WEIR_LOOK_AT_SOCKET && can_look ? look_at_socket(bits) : bits;
}

std::uint32_t Session::look_at_socket(std::uint32_t traces) {
  char byte = 0;
  const ssize_t n = recv(context_->fd, &byte, sizeof byte, MSG_PEEK | MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return traces;
  if (n > 0) return traces | (traces != 0 ? WEIR_COND_UNREAD : WEIR_COND_UNEXPECTED);
  state_ = State::kFailed;
  return WEIR_COND_BROKEN;
}

// ---- from outside -------------------------------------------------------------------------------

int Session::fd() const {
  if (const auto* closing = std::get_if<std::unique_ptr<Closing>>(&work_)) return (*closing)->fd();
  if (const auto* errand = std::get_if<std::unique_ptr<Errand>>(&work_)) return (*errand)->fd();
  return context_ != nullptr ? context_->fd : -1;
}

void Session::abandon() {
  if (auto* closing = std::get_if<std::unique_ptr<Closing>>(&work_)) (*closing)->abandon();
  if (auto* errand = std::get_if<std::unique_ptr<Errand>>(&work_)) (*errand)->abandon();
  work_ = std::monostate{};
  if (context_ != nullptr) redisFree(context_.release());  // it closes, and never speaks
  state_ = State::kClosed;
}

weir_token_t Session::token() const { return token_ ? token_->to_bytes() : weir_token_t{}; }

bool Session::cancel(std::uint64_t deadline_ns, Failure* failure) const {
  if (!token_) {
    return fail(failure, WEIR_NOT_SUPPORTED,
                "cancel: the server did not tell which of its clients the session is");
  }
  Errand errand(Errand::What::kUnblock, dsn_, options_, *token_);
  *failure = Errand::run(errand, deadline_ns);
  return failure->code == WEIR_OK;
}

}  // namespace weir::redis
