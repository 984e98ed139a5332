#include "closing.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

namespace weir::postgres {

Closing::Closing(PGconn* conn) {
  if (conn == nullptr) return;
  // libpq gives up the socket by itself when it finds the server's end closed. A socket it still
  // has is awaited also after a failed attempt to connect: there may be a backend behind it.
  const int socket = PQsocket(conn);
  if (socket < 0) {
    PQfinish(conn);
    return;
  }
  fd_ = fcntl(socket, F_DUPFD_CLOEXEC, 0);
  if (fd_ >= 0) {
    PQsetnonblocking(conn, 1);  // else PQfinish could wait for room to write its Terminate
    PQfinish(conn);
  } else {
    // No descriptor left to outlive PQfinish: end-of-file alone has to be the goodbye.
    fd_ = socket;
    conn_ = conn;
  }
  shutdown(fd_, SHUT_WR);  // whatever copies of the socket a forked child still has
}

Closing::~Closing() {
  if (fd_ < 0) return;
  shutdown(fd_, SHUT_RDWR);
  if (conn_ != nullptr) {
    PQfinish(conn_);
  } else {
    ::close(fd_);
  }
}

Progress Closing::step(Failure* failure) {
  if (fd_ < 0) return Progress::kDone;
  // A session with much to say yet is read in pieces, so that one step stays short.
  constexpr int kPieces = 16;
  std::array<char, 16384> dropped;
  for (int i = 0; i < kPieces; ++i) {
    const ssize_t n = recv(fd_, dropped.data(), dropped.size(), MSG_DONTWAIT);
    if (n > 0) continue;
    // A reset comes from a server that has closed already, before it read our goodbye.
    if (n == 0 || errno == ECONNRESET) return Progress::kDone;
    if (errno == EAGAIN || errno == EINTR) break;
    *failure = system_failure(WEIR_CONNECTION_BROKEN, "close", errno);
    return Progress::kFailed;
  }
  return Progress::kWantRead;
}

void Closing::abandon() {
  if (conn_ != nullptr) {
    abandon_connection(std::exchange(conn_, nullptr));
  } else if (fd_ >= 0) {
    ::close(fd_);
  }
  fd_ = -1;
}

bool unplug(PGconn* conn) {
  const int socket = PQsocket(conn);
  if (socket < 0) return true;
  // Something that takes no bytes in the socket's stead; unlike /dev/null it needs no file system.
  const int deaf = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const bool is_out = deaf >= 0 && dup3(deaf, socket, O_CLOEXEC) >= 0;
  if (deaf >= 0) ::close(deaf);
  if (is_out) return true;
  ::close(socket);
  return false;  // without a stand-in PQfinish would speak: leaking the PGconn is the lesser evil
}

void abandon_connection(PGconn* conn) {
  if (unplug(conn)) PQfinish(conn);
}

}  // namespace weir::postgres
