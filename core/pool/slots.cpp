#include "pool/slots.h"

#include <sys/stat.h>
#include <unistd.h>

namespace weir::pool {

void Slot::note_socket() {
  const int fd = connection.is_open() ? connection.fd() : -1;
  const int now = fd >= 0 ? fd : connection.is_open() ? kNoSocket : kNoConnection;
  if (now == socket.load(std::memory_order_relaxed)) return;
  struct stat st {};
  const bool known = now >= 0 && fstat(now, &st) == 0;
  socket_inode.store(known ? st.st_ino : 0, std::memory_order_relaxed);
  socket.store(known || now < 0 ? now : kNoSocket, std::memory_order_release);
}

void Slot::close_inherited_socket() {
  const int inherited = socket.exchange(kNoConnection, std::memory_order_acquire);
  struct stat st {};
  if (inherited >= 0 && fstat(inherited, &st) == 0 && S_ISSOCK(st.st_mode) &&
      st.st_ino == socket_inode.load(std::memory_order_relaxed)) {
    close(inherited);
  }
}

}  // namespace weir::pool
