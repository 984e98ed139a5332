#include "errand.h"

#include <poll.h>

#include <utility>

#include "host.h"
#include "wait.h"

namespace weir::redis {
namespace {

const char* name_of(Errand::What what) {
  switch (what) {
    case Errand::What::kUnblock:
      return "cancel";
    case Errand::What::kKill:
      return "cancel_token";
    case Errand::What::kFind:
      break;
  }
  return "confirm_gone";
}

std::string question_for(Errand::What what, std::int64_t client_id) {
  const std::string id = std::to_string(client_id);
  switch (what) {
    case Errand::What::kUnblock:
      return command({"CLIENT", "UNBLOCK", id, "ERROR"});
    case Errand::What::kKill:
      return command({"CLIENT", "KILL", "ID", id});
    case Errand::What::kFind:
      break;
  }
  return command({"CLIENT", "LIST", "ID", id});
}

}  // namespace

Errand::Errand(What what, const Dsn& dsn, SessionOptions options, SessionToken token)
    : what_(what), dsn_(dsn), options_(std::move(options)), token_(std::move(token)) {}

Progress Errand::step(Failure* failure) {
  for (;;) {
    const std::size_t stage = work_.index();
    const Progress progress = step_work(failure);
    // A stage that ended has begun the next one, which may have something to do already.
    if (progress != Progress::kWantWrite || work_.index() == stage) return progress;
  }
}

Progress Errand::step_work(Failure* failure) {
  if (auto* greeting = std::get_if<std::unique_ptr<Greeting>>(&work_)) {
    Greeting& talk = **greeting;
    const Progress progress = talk.exchange.step(context_->fd, talk.handshake, failure);
    return progress == Progress::kDone ? end_greeting(failure) : progress;
  }
  if (auto* asking = std::get_if<std::unique_ptr<Asking>>(&work_)) {
    Asking& talk = **asking;
    const Progress progress = talk.exchange.step(context_->fd, talk.questions, failure);
    return progress == Progress::kDone ? end_asking(failure) : progress;
  }
  if (auto* closing = std::get_if<std::unique_ptr<Closing>>(&work_)) {
    return (*closing)->step(failure);
  }
  if (context_ == nullptr) context_ = dial(dsn_, failure);
  if (context_ == nullptr) return Progress::kFailed;
  const Progress progress = finish_dialling(*context_, dsn_, failure);
  if (progress != Progress::kDone) return progress;
  work_ = std::unique_ptr<Greeting>(
      new Greeting{{WEIR_CONNECT_FAILED, name_of(what_)}, {dsn_, options_}});
  return Progress::kWantWrite;
}

Progress Errand::end_greeting(Failure* failure) {
  const ServerRun& run = std::get<std::unique_ptr<Greeting>>(work_)->handshake.run();
  switch (kinship(run, token_, host::now_ns())) {
    case Kinship::kSameRun:
      work_ =
          std::unique_ptr<Asking>(new Asking{{WEIR_CONNECT_FAILED, name_of(what_)},
                                             Questions({question_for(what_, token_.client_id)})});
      return Progress::kWantWrite;
    case Kinship::kRestarted:
      is_gone_ = true;
      return hang_up();
    case Kinship::kElsewhere:
      break;
  }
  fail_as(failure, WEIR_NOT_SUPPORTED,
          "the server that answers is another one than the session's, or does not say which it is");
  return Progress::kFailed;
}

Progress Errand::end_asking(Failure* failure) {
  const redisReply& answer = *std::get<std::unique_ptr<Asking>>(work_)->questions.answers().front();
  if (is_error(answer)) {
    // CLIENT KILL: "ERR No such client" is what was wanted.
    const bool is_there_none = text_of(answer).find("No such client") != std::string_view::npos;
    if (what_ != What::kKill || !is_there_none) {
      fail_as(failure, WEIR_NOT_SUPPORTED, shown(text_of(answer)));
      failure->native = first_word(text_of(answer));
      return Progress::kFailed;
    }
  }
  if (what_ == What::kFind) {
    bool is_understood = false;
    is_gone_ = !has_client(answer, token_.client_id, &is_understood);
    if (!is_understood) {
      fail_as(failure, WEIR_NOT_SUPPORTED, "the answer to CLIENT LIST is no list");
      return Progress::kFailed;
    }
  }
  return hang_up();
}

Progress Errand::hang_up() {
  work_ = std::make_unique<Closing>(std::move(context_));
  return Progress::kWantWrite;
}

bool Errand::fail_as(Failure* failure, std::int32_t code, const std::string& why) const {
  return fail(failure, code, std::string(name_of(what_)) + ": " + why);
}

int Errand::fd() const {
  if (const auto* closing = std::get_if<std::unique_ptr<Closing>>(&work_)) return (*closing)->fd();
  return context_ != nullptr ? context_->fd : -1;
}

void Errand::abandon() {
  if (auto* closing = std::get_if<std::unique_ptr<Closing>>(&work_)) (*closing)->abandon();
  if (context_ != nullptr) redisFree(context_.release());  // it never speaks
}

Failure Errand::run(Errand& errand, std::uint64_t deadline_ns) {
  for (;;) {
    Failure failure;
    const Progress progress = errand.step(&failure);
    if (progress == Progress::kDone || progress == Progress::kFailed) return failure;
    const short events = progress == Progress::kWantWrite ? POLLOUT : POLLIN;
    if (!wait_until(errand.fd(), events, deadline_ns)) return timed_out(name_of(errand.what_));
  }
}

}  // namespace weir::redis
