// ForkGate: no fork while a driver has made a socket that nobody has noted yet.
//
// Steps of a connect hold the gate shared; the fork handlers hold it exclusively around the fork.
// It is the one lock that is held across a driver call, and only across steps, which do not block.
// Threads: any. Fork: that is what it is for; see Runtime for the handlers.
#pragma once

#include <pthread.h>

namespace weir::pool {

class ForkGate {
 public:
  static ForkGate& instance();

  class Step {
   public:
    Step() { pthread_rwlock_rdlock(&instance().lock_); }
    ~Step() { pthread_rwlock_unlock(&instance().lock_); }
    Step(const Step&) = delete;
    Step& operator=(const Step&) = delete;
  };

  /// These three are for the fork handlers only.
  void before_fork() { pthread_rwlock_wrlock(&lock_); }
  void after_fork_in_parent() { pthread_rwlock_unlock(&lock_); }
  void after_fork_in_child() {
    pthread_rwlock_unlock(
        &lock_);  // for tools that watch locks; it may count readers of the parent
    lock_ = PTHREAD_RWLOCK_INITIALIZER;
  }

 private:
  pthread_rwlock_t lock_ = PTHREAD_RWLOCK_INITIALIZER;
};

}  // namespace weir::pool
