#include "context.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "wait.h"

namespace weir::redis {
namespace {

/// hiredis' own way to make replies, which it does not export.
redisReplyObjectFunctions* default_functions() {
  static redisReplyObjectFunctions* const functions = [] {
    redisReader* const reader = redisReaderCreate();
    redisReplyObjectFunctions* const found = reader != nullptr ? reader->fn : nullptr;
    if (reader != nullptr) redisReaderFree(reader);
    return found;
  }();
  return functions;
}

std::string connect_to(const Dsn& dsn) { return "connect to " + dsn.where(); }

void make_blocking(redisContext& context) {
  const int flags = fcntl(context.fd, F_GETFL);
  if (flags >= 0 && (flags & O_NONBLOCK) != 0) fcntl(context.fd, F_SETFL, flags & ~O_NONBLOCK);
  context.flags |= REDIS_BLOCK;
}

}  // namespace

void CutContext::operator()(redisContext* context) const {
  if (context->fd >= 0) shutdown(context->fd, SHUT_RDWR);
  redisFree(context);
}

ContextPtr dial(const Dsn& dsn, Failure* failure) {
  ContextPtr context(dsn.is_unix() ? redisConnectUnixNonBlock(dsn.path().c_str())
                                   : redisConnectNonBlock(dsn.host().c_str(), dsn.port()));
  if (context == nullptr) {
    fail(failure, WEIR_OUT_OF_MEMORY, connect_to(dsn) + ": out of memory");
    return nullptr;
  }
  if (context->err != 0) {
    fail(failure, WEIR_CONNECT_FAILED, connect_to(dsn) + ": " + shown(context->errstr));
    return nullptr;
  }
  fcntl(context->fd, F_SETFD, FD_CLOEXEC);  // hiredis leaves it to programs that a lease starts
  return context;
}

Progress finish_dialling(redisContext& context, const Dsn& dsn, Failure* failure) {
  if (!is_ready(context.fd, POLLOUT)) return Progress::kWantWrite;
  int error = 0;
  socklen_t size = sizeof error;
  if (getsockopt(context.fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
  if (error != 0) {
    *failure = system_failure(WEIR_CONNECT_FAILED, connect_to(dsn), error);
    return Progress::kFailed;
  }
  make_blocking(context);
  return Progress::kDone;
}

ContextPtr wrap(int descriptor, const Dsn& dsn) {
  ContextPtr context(redisConnectFd(descriptor));
  if (context == nullptr) return nullptr;
  // As if it had connected itself; redisFree() frees them.
  if (dsn.is_unix()) {
    context->connection_type = REDIS_CONN_UNIX;
    context->unix_sock.path = strdup(dsn.path().c_str());
  } else {
    context->connection_type = REDIS_CONN_TCP;
    context->tcp.host = strdup(dsn.host().c_str());
    context->tcp.port = dsn.port();
  }
  make_blocking(*context);
  return context;
}

void restore(redisContext& context) {
  const timeval none{};
  setsockopt(context.fd, SOL_SOCKET, SO_RCVTIMEO, &none, sizeof none);
  setsockopt(context.fd, SOL_SOCKET, SO_SNDTIMEO, &none, sizeof none);
  make_blocking(context);
  context.reader->fn = default_functions();
  context.reader->privdata = nullptr;
  context.reader->maxbuf = REDIS_READER_MAX_BUF;
}

}  // namespace weir::redis
