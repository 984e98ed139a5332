// Who is alive? A worker is as alive as a byte lock that only the kernel can drop.
//
// A worker locks its row's byte through an open file description that nothing refers to but one
// mapped page, left out of forks (MADV_DONTFORK): the lock lives exactly as long as the process's
// memory, whatever happens to its descriptors, threads or children (fcntl(2), madvise(2)). The
// kernel closes sockets before it drops the page's file, so "free" also means: its connections are
// closed. The answers are *certainly dead* and *perhaps alive*; pids are for display. Threads: any.
// Fork: a child holds neither lock nor identity; is_this_process() tells it so.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

#include "base/status.h"
#include "shm/segment.h"
#include "shm/words.h"

namespace weir::shm {

/// The byte lock of one worker row, and the shared gate lock, held through a mapping alone.
class LifeLock {
 public:
  /// Takes the lock of `row`; nullopt if somebody holds it. An error is the file system's.
  static Result<std::optional<LifeLock>> take(const Segment& segment, std::uint32_t row);
  LifeLock(LifeLock&& other) noexcept : page_(other.page_) { other.page_ = nullptr; }
  LifeLock& operator=(LifeLock&&) = delete;
  /// Drops the lock. A child of a fork must call forget() before: there the page was never mapped.
  ~LifeLock() { drop(); }
  void drop();
  void forget() { page_ = nullptr; }

 private:
  explicit LifeLock(void* page) : page_(page) {}
  void* page_;
};

/// Tells the process that made it from every child it forks (libc fork and raw clone alike): the
/// page is wiped in a child (MADV_WIPEONFORK). Each question is one relaxed load.
class ForkMark {
 public:
  ForkMark();
  ~ForkMark();
  ForkMark(const ForkMark&) = delete;
  ForkMark& operator=(const ForkMark&) = delete;
  /// False in every child.
  [[nodiscard]] bool is_this_process() const {
    return page_->process.load(std::memory_order_relaxed) != 0;
  }
  /// False in every child, and here after revoke().
  [[nodiscard]] bool is_valid() const { return page_->valid.load(std::memory_order_relaxed) != 0; }
  void revoke() { page_->valid.store(0, std::memory_order_relaxed); }
  /// Not 0 while is_valid(): for who asks often. Lives as long as this.
  [[nodiscard]] const std::atomic<std::uint64_t>& validity() const { return page_->valid; }

 private:
  struct Page {
    std::atomic<std::uint64_t> process{1};
    std::atomic<std::uint64_t> valid{1};
  };
  Page* page_;
};

/// Whether the worker that `word` (read from its row) names is certainly dead. REQUIRES: the
/// observer is sound (see is_sound_observer) and this is not the observer's own row. One fcntl.
[[nodiscard]] bool is_certainly_dead(const Segment& segment, std::uint32_t row, WorkerWord word);

/// Whether what this process sees of locks can be believed: its descriptor still is the segment,
/// and its own lock reads held. False: fence yourself. Two system calls.
[[nodiscard]] bool is_sound_observer(Segment& segment, std::uint32_t own_row);

}  // namespace weir::shm
