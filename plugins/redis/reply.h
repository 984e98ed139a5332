// What goes over the wire: commands as bytes, and answers as hiredis reads them.
// Threads: plain values.
#pragma once

#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "hiredis_c.h"

namespace weir::redis {

struct FreeReply {
  void operator()(redisReply* reply) const { freeReplyObject(reply); }
};
using ReplyPtr = std::unique_ptr<redisReply, FreeReply>;

struct FreeReader {
  void operator()(redisReader* reader) const { redisReaderFree(reader); }
};
using ReaderPtr = std::unique_ptr<redisReader, FreeReader>;

/// A command as the server reads it: an array of bulk strings (Redis protocol specification).
[[nodiscard]] std::string command(std::initializer_list<std::string_view> words);
[[nodiscard]] std::string command(const std::vector<std::string>& words);

/// Its text if it is a string, a status or an error; else empty.
[[nodiscard]] std::string_view text_of(const redisReply& reply);
[[nodiscard]] bool is_error(const redisReply& reply);
/// Whether it is the status `text`: "OK", "RESET", "QUEUED".
[[nodiscard]] bool is_status(const redisReply& reply, std::string_view text);
/// Whether an error only says that the server does not know the command, or that this user may not
/// use it.
[[nodiscard]] bool is_unavailable(const redisReply& reply);

}  // namespace weir::redis
