#include "server_answers.h"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <limits>

namespace weir::redis {
namespace {

constexpr std::uint64_t kNanosPerSecond = 1'000'000'000;
constexpr std::int64_t kMillisPerSecond = 1000;

std::int64_t number_or(std::string_view text, std::int64_t otherwise) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() ? number : otherwise;
}

/// The first line of `*text` without its end, which goes from *text.
std::string_view take_line(std::string_view* text) {
  const std::size_t end = text->find('\n');
  std::string_view line = text->substr(0, end);
  text->remove_prefix(end == std::string_view::npos ? text->size() : end + 1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

/// The value of "key:value" in INFO's text; empty if there is none.
std::string_view info_field(std::string_view info, std::string_view key) {
  while (!info.empty()) {
    const std::string_view line = take_line(&info);
    if (line.size() > key.size() && line.starts_with(key) && line[key.size()] == ':') {
      return line.substr(key.size() + 1);
    }
  }
  return {};
}

/// The value of "key=value" in a line of CLIENT LIST, where no value has a space.
std::string_view field(std::string_view line, std::string_view key) {
  while (!line.empty()) {
    const std::string_view pair = line.substr(0, line.find(' '));
    if (pair.size() > key.size() && pair.starts_with(key) && pair[key.size()] == '=') {
      return pair.substr(key.size() + 1);
    }
    line.remove_prefix(std::min(pair.size() + 1, line.size()));
  }
  return {};
}

/// A client as one line of CLIENT LIST tells of it (redis.io, "CLIENT LIST").
class Client {
 public:
  explicit Client(std::string_view line) : line_(line) {}

  [[nodiscard]] std::int64_t id() const { return number_or(field(line_, "id"), -1); }
  [[nodiscard]] std::string_view name() const { return field(line_, "name"); }
  [[nodiscard]] std::string_view last_command() const { return field(line_, "cmd"); }
  [[nodiscard]] std::int64_t idle_s() const { return number_or(field(line_, "idle"), -1); }

  [[nodiscard]] bool is_blocked() const { return has_flag('b'); }
  [[nodiscard]] bool is_replica() const { return has_flag('S') && !has_flag('O'); }
  [[nodiscard]] bool is_in_transaction() const { return has_flag('x'); }
  /// The one that asks: everybody else stands still meanwhile.
  [[nodiscard]] bool asks() const { return last_command().starts_with("client"); }

  [[nodiscard]] const char* state() const {
    if (has_flag('O')) return "monitor";
    if (has_flag('S')) return "replica";
    if (is_blocked()) return "blocked";
    if (is_in_transaction()) return "idle in transaction";
    if (has_flag('P')) return "subscribed";
    return idle_s() == 0 && asks() ? "active" : "idle";
  }

 private:
  [[nodiscard]] bool has_flag(char flag) const {
    return field(line_, "flags").find(flag) != std::string_view::npos;
  }
  std::string_view line_;
};

template <typename Each>
void for_each_client(const redisReply& list, Each each) {
  std::string_view text = text_of(list);
  while (!text.empty()) {
    const std::string_view line = take_line(&text);
    if (line.starts_with("id=")) each(Client(line));
  }
}

std::int32_t narrowed(std::int64_t number) {
  return static_cast<std::int32_t>(
      std::clamp<std::int64_t>(number, -1, std::numeric_limits<std::int32_t>::max()));
}

template <std::size_t kSize>
void copy_cut(char (&target)[kSize], std::string_view text) {
  const std::size_t length = std::min(text.size(), kSize - 1);
  std::memcpy(target, text.data(), length);
  target[length] = '\0';
}

}  // namespace

ServerRun read_run(const redisReply& info) {
  ServerRun run;
  if (info.type != REDIS_REPLY_STRING) return run;
  const std::string_view id = info_field(text_of(info), "run_id");
  if (id.size() == kRunIdBytes) run.id = id;
  run.uptime_s = number_or(info_field(text_of(info), "uptime_in_seconds"), -1);
  return run;
}

Kinship kinship(const ServerRun& run, const SessionToken& token, std::uint64_t now_ns) {
  if (run.id.empty() || run.uptime_s < 0) return Kinship::kElsewhere;
  if (run.id == token.run_id) return Kinship::kSameRun;
  // The server counts whole seconds of a clock that it looks at now and then.
  constexpr std::uint64_t kRoundedBy = 2;
  const std::uint64_t age_ns = now_ns > token.connected_ns ? now_ns - token.connected_ns : 0;
  const std::uint64_t most_s = static_cast<std::uint64_t>(run.uptime_s) + kRoundedBy;
  return most_s * kNanosPerSecond <= age_ns ? Kinship::kRestarted : Kinship::kElsewhere;
}

bool has_client(const redisReply& list, std::int64_t id, bool* is_understood) {
  *is_understood = list.type == REDIS_REPLY_STRING;
  bool has = false;
  for_each_client(list, [&](const Client& client) { has = has || client.id() == id; });
  return has;
}

void read_limits(const redisReply& config, const redisReply& info, weir_server_limits_t* limits) {
  std::int64_t most = -1;
  if (config.type == REDIS_REPLY_ARRAY && config.elements == 2) {
    most = number_or(text_of(*config.element[1]), -1);
  }
  if (most < 0) most = number_or(info_field(text_of(info), "maxclients"), -1);
  limits->max_connections = narrowed(most);
  limits->reserved = most < 0 ? -1 : 0;
  limits->role_limit = -1;
  limits->database_limit = -1;
  // A waiting client's hang-up is seen at once, a running script's never: no figure says that.
  if (limits->struct_size >= sizeof *limits) limits->client_check_ms = -1;
}

void read_activity(const redisReply& list, weir_server_activity_t* activity) {
  activity->total = activity->active = activity->idle = activity->idle_in_transaction = -1;
  activity->longest_query_ms = -1;
  if (list.type != REDIS_REPLY_STRING) return;
  std::int64_t total = 0, blocked = 0, in_transaction = 0, longest_s = 0;
  for_each_client(list, [&](const Client& client) {
    if (client.is_replica()) return;
    ++total;
    if (client.is_blocked()) {
      ++blocked;
      longest_s = std::max(longest_s, client.idle_s());
    } else if (client.is_in_transaction()) {
      ++in_transaction;
    }
  });
  const std::int64_t active = std::min(total, blocked + 1);  // who asked runs, too
  activity->total = narrowed(total);
  activity->active = narrowed(active);
  activity->idle_in_transaction = narrowed(in_transaction);
  activity->idle = narrowed(std::max<std::int64_t>(0, total - active - in_transaction));
  activity->longest_query_ms = longest_s * kMillisPerSecond;
}

void read_sessions(const redisReply& list, const weir_sessions_t& sessions) {
  for_each_client(list, [&](const Client& client) {
    weir_session_t session{};
    session.struct_size = sizeof session;
    session.server_pid = client.id();
    copy_cut(session.client_name, client.name());
    copy_cut(session.state, client.state());
    session.state_ms = client.idle_s() < 0 ? -1 : client.idle_s() * kMillisPerSecond;
    if (client.is_blocked()) copy_cut(session.wait, client.last_command());
    sessions.each(sessions.context, &session);
  });
}

}  // namespace weir::redis
