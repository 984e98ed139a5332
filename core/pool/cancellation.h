// Cancellation: lets one thread end another's acquire, before, during or after it waits.
//
// Threads: any. Fork: a child's acquires are others; a cancellation that was made before the fork
// may be used in both.
#pragma once

#include <atomic>
#include <vector>

#include "base/mutex.h"
#include "shm/futex.h"
#include "shm/layout.h"

namespace weir::pool {

class Cancellation {
 public:
  /// For good: every acquire that has it ends, those that begin later at once. Does not block.
  void cancel() {
    cancelled_.store(true);
    const MutexLock lock(mutex_);
    for (shm::Word32* futex : waiting_) {
      futex->store(1);
      shm::futex_wake(*futex);
    }
  }
  [[nodiscard]] bool is_cancelled() const { return cancelled_.load(); }

  /// For as long as it exists, cancel() wakes who sleeps on `futex`. `cancellation` may be null.
  class Waking {
   public:
    Waking(Cancellation* cancellation, shm::Word32& futex)
        : cancellation_(cancellation), futex_(&futex) {
      if (cancellation_ == nullptr) return;
      const MutexLock lock(cancellation_->mutex_);
      cancellation_->waiting_.push_back(futex_);
    }
    ~Waking() {
      if (cancellation_ == nullptr) return;
      const MutexLock lock(cancellation_->mutex_);
      std::erase(cancellation_->waiting_, futex_);
    }
    Waking(const Waking&) = delete;
    Waking& operator=(const Waking&) = delete;

   private:
    Cancellation* const cancellation_;
    shm::Word32* const futex_;
  };

 private:
  std::atomic<bool> cancelled_{false};
  Mutex mutex_;
  std::vector<shm::Word32*> waiting_ WEIR_GUARDED_BY(mutex_);
};

}  // namespace weir::pool
