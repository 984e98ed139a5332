#include "reply.h"

#include <strings.h>

namespace weir::redis {
namespace {

template <typename Words>
std::string encode(const Words& words) {
  std::string bytes = "*" + std::to_string(words.size()) + "\r\n";
  for (const auto& word : words) {
    bytes += "$" + std::to_string(word.size()) + "\r\n";
    bytes += word;
    bytes += "\r\n";
  }
  return bytes;
}

}  // namespace

std::string command(std::initializer_list<std::string_view> words) { return encode(words); }
std::string command(const std::vector<std::string>& words) { return encode(words); }

std::string_view text_of(const redisReply& reply) {
  const bool has_text = reply.type == REDIS_REPLY_STRING || reply.type == REDIS_REPLY_STATUS ||
                        reply.type == REDIS_REPLY_ERROR;
  return has_text ? std::string_view(reply.str, reply.len) : std::string_view();
}

bool is_error(const redisReply& reply) { return reply.type == REDIS_REPLY_ERROR; }

bool is_status(const redisReply& reply, std::string_view text) {
  return reply.type == REDIS_REPLY_STATUS && text_of(reply) == text;
}

bool is_unavailable(const redisReply& reply) {
  constexpr std::string_view kUnknown = "ERR unknown";  // command, or subcommand
  const std::string text(text_of(reply));
  return is_error(reply) && (text.starts_with("NOPERM") ||
                             strncasecmp(text.c_str(), kUnknown.data(), kUnknown.size()) == 0);
}

}  // namespace weir::redis
