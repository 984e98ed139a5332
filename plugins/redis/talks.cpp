#include "talks.h"

#include <utility>

#include "marker.h"

namespace weir::redis {
namespace {

constexpr const char* kStateChanged =
    "the session is left in a transaction, subscribed, or with answers that nobody has read";

}  // namespace

PingTalk::PingTalk() : marker_(make_marker()) {}

std::string PingTalk::opening() { return command({"PING", marker_}); }

Verdict PingTalk::hear(ReplyPtr reply, std::string* /*more*/, Failure* failure) {
  if (text_of(*reply) == marker_) return Verdict::kDone;
  fail(failure, WEIR_CONNECTION_BROKEN, std::string("ping: ") + kStateChanged);
  if (is_error(*reply)) {
    fail(failure, WEIR_CONNECTION_BROKEN, "ping: " + shown(text_of(*reply)));
    failure->native = first_word(text_of(*reply));
  }
  return Verdict::kFailed;
}

CommandTalk::CommandTalk(const std::vector<std::string>& words)
    : command_(command(words)), marker_(make_marker()) {}

std::string CommandTalk::opening() { return command_ + command({"PING", marker_}); }

Verdict CommandTalk::hear(ReplyPtr reply, std::string* /*more*/, Failure* failure) {
  const bool is_subscribed = reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
                             text_of(*reply->element[1]) == marker_;
  if (is_subscribed || is_status(*reply, "QUEUED")) {
    fail(failure, WEIR_CONNECTION_BROKEN, std::string("statement: ") + kStateChanged);
    return Verdict::kFailed;
  }
  if (reply->type == REDIS_REPLY_STRING && text_of(*reply) == marker_) {
    if (error_ == nullptr) return Verdict::kDone;
    fail(failure, WEIR_DATABASE_ERROR, shown(text_of(*error_)));
    failure->native = first_word(text_of(*error_));
    return Verdict::kFailed;
  }
  if (is_error(*reply) && error_ == nullptr) error_ = std::move(reply);
  return Verdict::kMore;
}

Questions::Questions(std::vector<std::string> commands) : commands_(std::move(commands)) {}

std::string Questions::opening() {
  std::string words;
  for (const std::string& one : commands_) words += one;
  return words;
}

Verdict Questions::hear(ReplyPtr reply, std::string* /*more*/, Failure* /*failure*/) {
  answers_.push_back(std::move(reply));
  return answers_.size() == commands_.size() ? Verdict::kDone : Verdict::kMore;
}

bool split_words(const char* line, std::vector<std::string>* words) {
  int count = 0;
  sds* const split = sdssplitargs(line, &count);
  if (split == nullptr) return false;
  for (int i = 0; i < count; ++i) words->emplace_back(split[i], sdslen(split[i]));
  sdsfreesplitres(split, count);
  return true;
}

}  // namespace weir::redis
