#include "shm/liveness.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

#include "shm/file_locks.h"
#include "shm/segment_file.h"

namespace weir::shm {
namespace {
constexpr std::size_t kPage = 4096;
}

Result<std::optional<LifeLock>> LifeLock::take(const Segment& segment, std::uint32_t row) {
  const FileDescriptor fd(segment.reopen());
  if (fd.get() < 0) return Status::system_error("segment " + segment.path() + ": reopen", errno);
  if (!try_lock_byte(fd.get(), kWorkerBytes + row, LockKind::kExclusive)) {
    if (errno == EAGAIN || errno == EACCES) return std::optional<LifeLock>();
    return Status::system_error("segment " + segment.path() + ": lock", errno);
  }
  if (!try_lock_byte(fd.get(), kGateByte, LockKind::kShared)) {
    return Status::system_error("segment " + segment.path() + ": gate", errno);
  }
  void* page = mmap(nullptr, kPage, PROT_READ, MAP_SHARED, fd.get(), 0);
  if (page == MAP_FAILED)
    return Status::system_error("segment " + segment.path() + ": mmap", errno);
  if (madvise(page, kPage, MADV_DONTFORK) != 0) {
    const int error = errno;
    munmap(page, kPage);
    return Status::system_error("segment " + segment.path() + ": madvise", error);
  }
  return std::optional<LifeLock>(LifeLock(page));
}

void LifeLock::drop() {
  if (page_ != nullptr) munmap(page_, kPage);
  page_ = nullptr;
}

ForkMark::ForkMark() {
  void* page = mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  WEIR_CHECK(page != MAP_FAILED && madvise(page, kPage, MADV_WIPEONFORK) == 0);
  page_ = new (page) Page();
}

ForkMark::~ForkMark() { munmap(page_, kPage); }

bool is_certainly_dead(const Segment& segment, std::uint32_t row, WorkerWord word) {
  if (word.state() != WorkerState::kLive) return false;
  if (is_byte_locked_elsewhere(segment.fd(), kWorkerBytes + row)) return false;
  // Every byte of a file that is not the segment reads free (closefrom, then another open).
  if (!segment.is_intact()) return false;
  // Free, but of which generation? Only if the row has not changed hands was it this one's lock.
  return segment.workers()[row].word.load() == word.raw();
}

bool is_sound_observer(Segment& segment, std::uint32_t own_row) {
  return segment.make_intact() && is_byte_locked_elsewhere(segment.fd(), kWorkerBytes + own_row);
}

}  // namespace weir::shm
