// SocketPair: a connection as the tests see it: our end, which moves about, and the server's.
// Threads: one. Fork: a child has copies of both.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

#include "base/status.h"

namespace weir::test {

class SocketPair {
 public:
  SocketPair() {
    WEIR_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends_.data()) == 0);
  }
  SocketPair(const SocketPair&) = delete;
  SocketPair& operator=(const SocketPair&) = delete;
  ~SocketPair() {
    close_ours();
    close_servers();
  }

  [[nodiscard]] int ours() const { return ends_[0]; }
  [[nodiscard]] int servers() const { return ends_[1]; }
  /// Our end is somebody else's now.
  int release_ours() { return std::exchange(ends_[0], -1); }
  void close_ours() {
    if (ends_[0] >= 0) close(std::exchange(ends_[0], -1));
  }
  void close_servers() {
    if (ends_[1] >= 0) close(std::exchange(ends_[1], -1));
  }

  /// Whether what is written into `fd` comes out at the server.
  [[nodiscard]] bool answers_to(int fd) const {
    char byte = 'x';
    return write(fd, &byte, 1) == 1 && recv(ends_[1], &byte, 1, MSG_DONTWAIT) == 1;
  }
  /// Whether the server sees that no copy of our end is left anywhere.
  [[nodiscard]] bool is_hung_up() const {
    char byte = 0;
    return recv(ends_[1], &byte, 1, MSG_DONTWAIT | MSG_PEEK) == 0;
  }

 private:
  std::array<int, 2> ends_{-1, -1};
};

}  // namespace weir::test
