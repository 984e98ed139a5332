// Completions: acquires that nobody sleeps for, and that have ended; and the descriptor that says
// so to an event loop.
//
// Threads: any. Fork: a child's is made anew; its parent's acquires never end in it.
#pragma once

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <deque>

#include "base/file_descriptor.h"
#include "base/mutex.h"

namespace weir::pool {

class Completions {
 public:
  /// Readable while anything is in it; -1 if the system has no descriptor left. The same until the
  /// process forks. Does not block.
  [[nodiscard]] int fd() {
    const MutexLock lock(mutex_);
    if (event_.get() < 0) {
      event_ = FileDescriptor(eventfd(done_.empty() ? 0 : 1, EFD_NONBLOCK | EFD_CLOEXEC));
    }
    return event_.get();
  }
  /// Its caller's handle, and what that wants to be told again with it.
  struct Done {
    void* handle = nullptr;
    void* user_data = nullptr;
  };
  void add(Done done) {
    const MutexLock lock(mutex_);
    done_.push_back(done);
    constexpr std::uint64_t kOne = 1;
    if (done_.size() == 1 && event_.get() >= 0) {
      static_cast<void>(!write(event_.get(), &kOne, sizeof kOne));
    }
  }
  /// The one that ended first; no handle: none is left.
  [[nodiscard]] Done take() {
    const MutexLock lock(mutex_);
    if (done_.empty()) return {};
    const Done first = done_.front();
    done_.pop_front();
    quiet_if_empty();
    return first;
  }
  /// It is not wanted here any more.
  void forget(const void* handle) {
    const MutexLock lock(mutex_);
    std::erase_if(done_, [handle](const Done& done) { return done.handle == handle; });
    quiet_if_empty();
  }
  /// Around a fork, so that a child does not inherit the mutex of a thread that it has not; in the
  /// child its parent's acquires and descriptor are forgotten.
  void before_fork() WEIR_ACQUIRE(mutex_) { mutex_.lock(); }
  void after_fork_in_parent() WEIR_RELEASE(mutex_) { mutex_.unlock(); }
  void after_fork_in_child() WEIR_RELEASE(mutex_) {
    done_.clear();
    event_ = FileDescriptor();
    mutex_.unlock();
  }

 private:
  void quiet_if_empty() WEIR_REQUIRES(mutex_) {
    std::uint64_t count;
    if (done_.empty() && event_.get() >= 0) {
      static_cast<void>(!read(event_.get(), &count, sizeof count));
    }
  }

  Mutex mutex_;
  std::deque<Done> done_ WEIR_GUARDED_BY(mutex_);
  FileDescriptor event_ WEIR_GUARDED_BY(mutex_);
};

}  // namespace weir::pool
