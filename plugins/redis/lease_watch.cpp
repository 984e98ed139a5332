#include "lease_watch.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cstddef>

#include "weir/driver.h"

namespace weir::redis {
namespace {

constexpr std::size_t kRoom = 128;

}  // namespace

bool watch(redisContext& context) {
  if (context.obuf == nullptr) return false;
  if (sdsalloc(context.obuf) >= kRoom) return true;
  char* const roomy = sdsMakeRoomFor(context.obuf, kRoom);
  if (roomy == nullptr) return false;
  context.obuf = roomy;
  return true;
}

std::uint32_t traces_in(const redisContext& context) {
  // An error is for ever in hiredis, a timeout as well: where the stream of answers stands is not
  // known then.
  if (context.err != 0 || context.obuf == nullptr || context.reader == nullptr) {
    return WEIR_COND_BROKEN;
  }
  const redisReader& reader = *context.reader;
  if (reader.err != 0) return WEIR_COND_BROKEN;
  if (sdslen(context.obuf) > 0 || reader.pos != reader.len || reader.ridx >= 0) {
    return WEIR_COND_UNREAD | WEIR_COND_DIRTY;
  }
  if (sdsalloc(context.obuf) >= kRoom) return 0;
  return WEIR_COND_IN_TRANSACTION | WEIR_COND_DIRTY;
}

bool can_watch() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return false;
  redisContext* const context = redisConnectFd(ends[0]);
  bool can = false;
  if (context != nullptr && watch(*context) && traces_in(*context) == 0 &&
      redisAppendCommand(context, "PING") == REDIS_OK) {
    const bool sees_unsent = (traces_in(*context) & WEIR_COND_UNREAD) != 0;
    int is_sent = 0;
    const bool is_written = redisBufferWrite(context, &is_sent) == REDIS_OK && is_sent == 1;
    can = sees_unsent && is_written && (traces_in(*context) & WEIR_COND_DIRTY) != 0;
  }
  if (context != nullptr) {
    redisFree(context);
  } else {
    close(ends[0]);
  }
  close(ends[1]);
  return can;
}

}  // namespace weir::redis
