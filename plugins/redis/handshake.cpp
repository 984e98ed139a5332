#include "handshake.h"

#include <algorithm>
#include <array>
#include <utility>

#include "marker.h"

namespace weir::redis {
namespace {

std::int32_t code_for(std::string_view error) {
  constexpr auto kNotUs =
      std::to_array<std::string_view>({"WRONGPASS", "NOAUTH", "NOPERM", "DENIED"});
  constexpr auto kNotReady = std::to_array<std::string_view>(
      {"LOADING", "BUSY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "OOM", "MISCONF"});
  const std::string word = first_word(error);
  const auto is_in = [&](const auto& words) {
    return std::find(words.begin(), words.end(), word) != words.end();
  };
  if (is_in(kNotUs)) return WEIR_AUTH_FAILED;
  if (error.find("max number of clients") != std::string_view::npos) return WEIR_SERVER_FULL;
  if (error.empty() || is_in(kNotReady)) return WEIR_CONNECT_FAILED;
  return WEIR_DATABASE_ERROR;  // it is there, and said no
}

}  // namespace

std::string fit_for_redis(std::string client_name) {
  std::replace_if(
      client_name.begin(), client_name.end(), [](char c) { return c <= ' ' || c > '~'; }, '_');
  return client_name;
}

std::optional<std::string> auth_command(const Dsn& dsn, const SessionOptions& options) {
  if (!options.password && dsn.user().empty()) return std::nullopt;
  const std::string password = options.password.value_or("");
  if (dsn.user().empty()) return command({"AUTH", password});  // also before Redis 6
  return command({"AUTH", dsn.user(), password});
}

Failure refused_session(const redisReply& error, const std::string& doing, const Dsn& dsn) {
  const std::string_view text = text_of(error);
  Failure failure;
  fail(&failure, code_for(text), "connect to " + dsn.where() + ": " + doing + ": " + shown(text));
  failure.native = first_word(text);
  return failure;
}

Handshake::Handshake(const Dsn& dsn, const SessionOptions& options)
    : dsn_(dsn), options_(options), marker_(make_marker()) {}

std::string Handshake::opening() {
  std::string words;
  const auto ask = [&](Ask what, const std::string& how) {
    asked_.push_back(what);
    words += how;
  };
  ask(Ask::kReset, command({"RESET"}));
  if (const auto auth = auth_command(dsn_, options_)) ask(Ask::kAuth, *auth);
  if (dsn_.db() != 0) ask(Ask::kSelect, command({"SELECT", std::to_string(dsn_.db())}));
  if (!options_.client_name.empty()) {
    ask(Ask::kName, command({"CLIENT", "SETNAME", options_.client_name}));
  }
  ask(Ask::kId, command({"CLIENT", "ID"}));
  ask(Ask::kInfo, command({"INFO", "server"}));
  ask(Ask::kPing, command({"PING", marker_}));
  return words;
}

Verdict Handshake::hear(ReplyPtr reply, std::string* /*more*/, Failure* failure) {
  if (!judge(asked_[answered_], *reply, failure)) return Verdict::kFailed;
  return ++answered_ == asked_.size() ? Verdict::kDone : Verdict::kMore;
}

bool Handshake::judge(Ask ask, const redisReply& reply, Failure* failure) {
  const auto refuse = [&](const std::string& doing) {
    *failure = refused_session(reply, doing, dsn_);
    return false;
  };
  switch (ask) {
    case Ask::kReset:
      has_reset_ = is_status(reply, "RESET");
      // A server that wants nobody says so here, before it was asked anything.
      return has_reset_ || is_unavailable(reply) || refuse("RESET");
    case Ask::kAuth:
      if (is_status(reply, "OK")) return true;
      if (const std::int32_t code = code_for(text_of(reply));
          code == WEIR_SERVER_FULL || code == WEIR_CONNECT_FAILED) {
        return refuse("AUTH");
      }
      // Whatever else it says may quote what it was given.
      fail(failure, WEIR_AUTH_FAILED,
           "connect to " + dsn_.where() + ": the server refused user \"" +
               (dsn_.user().empty() ? "default" : dsn_.user()) + "\" or the password (" +
               first_word(text_of(reply)) + ")");
      failure->native = first_word(text_of(reply));
      return false;
    case Ask::kSelect:
      return is_status(reply, "OK") || refuse("SELECT " + std::to_string(dsn_.db()));
    case Ask::kName:
      return is_status(reply, "OK") || is_unavailable(reply) || refuse("CLIENT SETNAME");
    case Ask::kId:
      if (reply.type == REDIS_REPLY_INTEGER) client_id_ = reply.integer;
      return client_id_ > 0 || is_unavailable(reply) || refuse("CLIENT ID");
    case Ask::kInfo:
      run_ = read_run(reply);
      return reply.type == REDIS_REPLY_STRING || is_unavailable(reply) || refuse("INFO");
    case Ask::kPing:
      break;
  }
  return text_of(reply) == marker_ || refuse("PING");
}

}  // namespace weir::redis
