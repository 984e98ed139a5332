#include "shm/file_locks.h"

#include <fcntl.h>
#include <time.h>

#include <cerrno>

namespace weir::shm {
namespace {

struct flock one_byte(std::int64_t byte, short type) {
  struct flock lock {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = byte;
  lock.l_len = 1;
  return lock;
}

}  // namespace

bool try_lock_byte(int fd, std::int64_t byte, LockKind kind) {
  struct flock lock = one_byte(byte, kind == LockKind::kShared ? F_RDLCK : F_WRLCK);
  return fcntl(fd, F_OFD_SETLK, &lock) == 0;
}

bool lock_byte_until(int fd, std::int64_t byte, LockKind kind, Deadline deadline) {
  while (!try_lock_byte(fd, byte, kind)) {
    if (errno != EAGAIN && errno != EACCES && errno != EINTR) return false;
    if (deadline.passed(monotonic_ns())) {
      errno = EAGAIN;
      return false;
    }
    const timespec millisecond{0, 1'000'000};
    nanosleep(&millisecond, nullptr);
  }
  return true;
}

void unlock_byte(int fd, std::int64_t byte) {
  struct flock lock = one_byte(byte, F_UNLCK);
  fcntl(fd, F_OFD_SETLK, &lock);
}

bool is_byte_locked_elsewhere(int fd, std::int64_t byte) {
  struct flock lock = one_byte(byte, F_WRLCK);
  if (fcntl(fd, F_OFD_GETLK, &lock) != 0) return true;
  return lock.l_type != F_UNLCK;
}

}  // namespace weir::shm
