#include "closing.h"

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

namespace weir::redis {

Closing::Closing(ContextPtr context) {
  if (context == nullptr) return;
  fd_ = redisFreeKeepFd(context.release());
  if (fd_ >= 0) shutdown(fd_, SHUT_WR);  // whatever copies of the socket a forked child still has
}

Closing::~Closing() {
  if (fd_ < 0) return;
  shutdown(fd_, SHUT_RDWR);
  ::close(fd_);
}

Progress Closing::step(Failure* failure) {
  if (fd_ < 0) return Progress::kDone;
  // A session with much to say yet is read in pieces, so that one step stays short.
  constexpr int kPieces = 16;
  std::array<char, 16384> dropped;
  for (int i = 0; i < kPieces; ++i) {
    const ssize_t n = recv(fd_, dropped.data(), dropped.size(), MSG_DONTWAIT);
    if (n > 0) continue;
    // A reset comes from a server that has closed already; not connected is who was refused.
    if (n == 0 || errno == ECONNRESET || errno == ENOTCONN || errno == ECONNREFUSED) {
      return Progress::kDone;
    }
    if (errno == EAGAIN || errno == EINTR) break;
    *failure = system_failure(WEIR_CONNECTION_BROKEN, "close", errno);
    return Progress::kFailed;
  }
  return Progress::kWantRead;
}

void Closing::abandon() {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

}  // namespace weir::redis
