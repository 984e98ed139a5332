#include "demo/redis.h"

#include <hiredis/hiredis.h>
#include <signal.h>  // NOLINT(modernize-deprecated-headers): SIGPIPE is POSIX's

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <utility>

namespace weir::demo {
namespace {

using namespace std::chrono_literals;

// The demo's own connections: the sampler's, and the one that the tally is asked for by.
constexpr std::uint32_t kOwn = 2;

test::RedisSettings settings(std::uint32_t quota) {
  test::RedisSettings settings;
  settings.max_clients = static_cast<int>(quota + kOwn);
  // How often it looks whose time is up, while nobody says anything. The most it can do.
  settings.extra = {"hz 500"};
  return settings;
}

struct FreeReply {
  void operator()(redisReply* reply) const { freeReplyObject(reply); }
};
using Reply = std::unique_ptr<redisReply, FreeReply>;

Reply say(redisContext& context, const char* command) {
  return Reply(static_cast<redisReply*>(redisCommand(&context, command)));
}

/// Empty if there was an answer that is no error.
std::string error_of(const Reply& reply, const redisContext& context) {
  if (reply == nullptr) return context.errstr;
  return reply->type == REDIS_REPLY_ERROR ? std::string(reply->str, reply->len) : std::string();
}

/// A line of INFO. Throws if it is not there.
std::uint64_t info_number(const std::string& info, const std::string& name) {
  const std::size_t at = info.find("\n" + name + ":");
  if (at == std::string::npos) throw std::runtime_error("no " + name + " in INFO");
  return std::strtoull(info.c_str() + at + name.size() + 2, nullptr, 10);
}

class RedisCounter final : public SessionCounter {
 public:
  explicit RedisCounter(const RedisClient& client) : connection_(client.open(&error_)) {
    if (connection_ == nullptr) throw std::runtime_error(error_);
  }
  std::uint32_t count() override {
    auto& context = *static_cast<redisContext*>(connection_.get());
    const Reply info = say(context, "INFO clients");
    const std::string error = error_of(info, context);
    if (!error.empty()) throw std::runtime_error("INFO: " + error);
    const auto all = info_number({info->str, info->len}, "connected_clients");
    return static_cast<std::uint32_t>(std::max<std::uint64_t>(all, kOwn) - kOwn);
  }

 private:
  std::string error_;
  const Connection connection_;
};

}  // namespace

// ---- RedisClient --------------------------------------------------------------------------------

RedisClient::RedisClient(std::string socket_path) : socket_path_(std::move(socket_path)) {}

Connection RedisClient::open(std::string* error) const {
  Connection connection(redisConnectUnix(socket_path_.c_str()), {this});
  auto* const context = static_cast<redisContext*>(connection.get());
  if (context == nullptr) {
    *error = "out of memory";
  } else if (context->err != 0) {
    *error = context->errstr;
  } else {
    *error = error_of(say(*context, "PING"), *context);  // one too many is told now
  }
  if (!error->empty()) connection.reset();
  return connection;
}

void RedisClient::close(void* native) const { redisFree(static_cast<redisContext*>(native)); }

std::string RedisClient::serve(void* native, std::uint32_t hold_us) const {
  auto& context = *static_cast<redisContext*>(native);
  char command[64];
  // Zero would be for ever, and it counts in milliseconds.
  std::snprintf(command, sizeof(command), "BLPOP demo:nothing %.6f",
                std::max(hold_us, 1000U) / 1e6);
  return error_of(say(context, command), context);
}

// ---- RedisDatabase ------------------------------------------------------------------------------

RedisDatabase::RedisDatabase(std::uint32_t quota)
    : server_(settings(quota)), client_(server_.socket_path()) {
  signal(SIGPIPE, SIG_IGN);
}

const DatabaseFacts& RedisDatabase::facts() const {
  static const DatabaseFacts facts{
      .driver = "redis",
      // Redis sees by itself, and at once, that a killed worker's clients are gone. To end them it
      // would be told over short connections beside the quota, for which there is no room here.
      .keys = "orphans = \"wait\"\n",
      .sample_pause = 1ms,
      .wording = {
          .sessions = "clients",
          .counter = "the server",
          .refusals = "\"max number of clients\"",
          .note =
              "  A request is a BLPOP on an empty list, for which the server blocks its client. "
              "Clients are\n"
              "  counted by INFO, without the demo's own two.\n"}};
  return facts;
}

std::unique_ptr<SessionCounter> RedisDatabase::make_counter(const Board& /*board*/) const {
  return std::make_unique<RedisCounter>(client_);
}

std::optional<Tally> RedisDatabase::tally() {
  const std::string info = server_.ask({"INFO", "stats"});
  return Tally{.connects = info_number(info, "total_connections_received"),
               .refused = info_number(info, "rejected_connections")};
}

}  // namespace weir::demo
