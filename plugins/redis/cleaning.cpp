#include "cleaning.h"

#include <utility>

#include "marker.h"

namespace weir::redis {
namespace {

bool is_ok(const redisReply& reply) { return is_status(reply, "OK"); }
bool is_ok_or_unavailable(const redisReply& reply) { return is_ok(reply) || is_unavailable(reply); }

/// PING's answer in a session that is still subscribed to something.
bool is_pong_with(const redisReply& reply, const std::string& marker) {
  return reply.type == REDIS_REPLY_ARRAY && reply.elements == 2 &&
         text_of(*reply.element[1]) == marker;
}

}  // namespace

Cleaning::Cleaning(CleaningKind kind, const Dsn& dsn, const SessionOptions& options,
                   std::int64_t client_id)
    : kind_(kind),
      dsn_(dsn),
      options_(options),
      client_id_(client_id),
      first_marker_(make_marker()),
      second_marker_(make_marker()) {}

std::string Cleaning::opening() {
  return end_state() + command({"PING", first_marker_}) + make_ours() +
         command({"PING", second_marker_});
}

std::string Cleaning::end_state() {
  if (kind_ == CleaningKind::kTransactionOnly) {
    return command({"DISCARD"}) + command({"UNWATCH"}) + command({"CLIENT", "REPLY", "ON"});
  }
  std::string words;
  if (kind_ == CleaningKind::kReset) {
    words = command({"RESET"}) + command({"RESET"});
    last_of_first_.push_back({"RESET", [](const redisReply& r) { return is_status(r, "RESET"); }});
  } else {
    // UNSUBSCRIBE first: a subscribed session takes nothing else. REPLY ON after DISCARD: inside a
    // transaction it would be queued, and dropped.
    words = command({"UNSUBSCRIBE"}) + command({"PUNSUBSCRIBE"}) + command({"DISCARD"}) +
            command({"UNWATCH"}) + command({"CLIENT", "REPLY", "ON"}) + command({"READWRITE"}) +
            command({"CLIENT", "TRACKING", "OFF"});
  }
  if (const auto auth = auth_command(dsn_, options_)) {
    words += *auth;
    last_of_first_.push_back({"AUTH", is_ok});
  } else if (kind_ == CleaningKind::kOneByOne) {
    // Nobody can log in as the default user again; before Redis 6 there is no other.
    words += command({"ACL", "WHOAMI"});
    last_of_first_.push_back({"ACL WHOAMI", [](const redisReply& r) {
                                return text_of(r) == "default" || is_unavailable(r);
                              }});
  }
  return words;
}

std::string Cleaning::make_ours() {
  std::string words;
  const auto ask = [&](std::initializer_list<std::string_view> how, const char* doing,
                       Judge is_right) {
    words += command(how);
    expected_.push_back({doing, std::move(is_right)});
  };
  if (kind_ != CleaningKind::kTransactionOnly) {
    const std::string db = std::to_string(dsn_.db());
    if (dsn_.db() != 0 || kind_ == CleaningKind::kOneByOne) ask({"SELECT", db}, "SELECT", is_ok);
    if (!options_.client_name.empty() || kind_ == CleaningKind::kOneByOne) {
      ask({"CLIENT", "SETNAME", options_.client_name}, "CLIENT SETNAME", is_ok_or_unavailable);
    }
    // Redis 7.0's RESET leaves it on. An error of any kind: this server or user has none.
    ask({"CLIENT", "NO-EVICT", "OFF"}, "CLIENT NO-EVICT",
        [](const redisReply& r) { return is_ok(r) || is_error(r); });
  }
  ask({"CLIENT", "ID"}, "CLIENT ID", [this](const redisReply& r) {
    return client_id_ > 0 ? r.type == REDIS_REPLY_INTEGER && r.integer == client_id_
                          : is_unavailable(r);
  });
  expected_.push_back(
      {"PING", [this](const redisReply& r) { return text_of(r) == second_marker_; }});
  return words;
}

Verdict Cleaning::hear(ReplyPtr reply, std::string* /*more*/, Failure* failure) {
  if (found_first_) return hear_expected(*reply, failure);
  const Verdict verdict = hear_any(*reply, failure);
  before_last_ = std::exchange(last_, std::move(reply));
  return verdict;
}

Verdict Cleaning::hear_any(const redisReply& reply, Failure* failure) {
  if (is_pong_with(reply, first_marker_)) {
    return give_up(failure, "the session is still subscribed", nullptr);
  }
  // Then PING would never be answered. A lease may have left such an answer itself: as well.
  const std::string word = is_error(reply) ? first_word(text_of(reply)) : "";
  if (word == "NOAUTH" || word == "WRONGPASS") {
    return give_up(failure, "the server does not take the user or the password any more", &reply);
  }
  if (text_of(reply) != first_marker_) return Verdict::kMore;
  found_first_ = true;
  return has_ended_state(failure) ? Verdict::kMore : Verdict::kFailed;
}

/// Whether the last answers before the first marker are those that they have to be.
bool Cleaning::has_ended_state(Failure* failure) const {
  const redisReply* const found[] = {before_last_.get(), last_.get()};
  const std::size_t skipped = std::size(found) - last_of_first_.size();
  for (std::size_t i = 0; i < last_of_first_.size(); ++i) {
    const redisReply* const reply = found[skipped + i];
    if (reply != nullptr && last_of_first_[i].is_right(*reply)) continue;
    give_up(failure, last_of_first_[i].doing + " did not work",
            reply != nullptr && is_error(*reply) ? reply : nullptr);
    return false;
  }
  return true;
}

Verdict Cleaning::hear_expected(const redisReply& reply, Failure* failure) {
  const Expected& expected = expected_[answered_];
  if (!expected.is_right(reply)) {
    return give_up(failure, "unexpected answer to " + expected.doing,
                   is_error(reply) ? &reply : nullptr);
  }
  return ++answered_ == expected_.size() ? Verdict::kDone : Verdict::kMore;
}

/// Of an error only the first word is told: it may be an answer to AUTH, which quotes.
Verdict Cleaning::give_up(Failure* failure, const std::string& why, const redisReply* error) const {
  const std::string word = error != nullptr ? first_word(text_of(*error)) : "";
  fail(failure, WEIR_CONNECTION_BROKEN, "reset: " + why + (word.empty() ? "" : " (" + word + ")"));
  failure->native = word;
  return Verdict::kFailed;
}

}  // namespace weir::redis
