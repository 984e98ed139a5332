// Mutex and MutexLock: std::timed_mutex with clang's thread-safety annotations, so that
// -Wthread-safety proves which member is touched under which lock. For one process only: nothing in
// the segment is ever locked. Never hold one across a driver call, a log sink or a policy.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <thread>

#include "base/clock.h"

#if defined(__clang__)
#define WEIR_THREAD_ANNOTATION(x) __attribute__((x))
#else
#define WEIR_THREAD_ANNOTATION(x)
#endif

#define WEIR_CAPABILITY(x) WEIR_THREAD_ANNOTATION(capability(x))
#define WEIR_SCOPED_CAPABILITY WEIR_THREAD_ANNOTATION(scoped_lockable)
#define WEIR_GUARDED_BY(x) WEIR_THREAD_ANNOTATION(guarded_by(x))
#define WEIR_REQUIRES(...) WEIR_THREAD_ANNOTATION(requires_capability(__VA_ARGS__))
#define WEIR_EXCLUDES(...) WEIR_THREAD_ANNOTATION(locks_excluded(__VA_ARGS__))
#define WEIR_ACQUIRE(...) WEIR_THREAD_ANNOTATION(acquire_capability(__VA_ARGS__))
#define WEIR_TRY_ACQUIRE(...) WEIR_THREAD_ANNOTATION(try_acquire_capability(__VA_ARGS__))
#define WEIR_RELEASE(...) WEIR_THREAD_ANNOTATION(release_capability(__VA_ARGS__))
#define WEIR_NO_THREAD_SAFETY_ANALYSIS WEIR_THREAD_ANNOTATION(no_thread_safety_analysis)

namespace weir {

class WEIR_CAPABILITY("mutex") Mutex {
 public:
  void lock() WEIR_ACQUIRE() { mutex_.lock(); }
  /// False if it could not be had by the deadline. One that has passed: tries once.
  [[nodiscard]] bool lock_until(Deadline deadline) WEIR_TRY_ACQUIRE(true) {
    if (deadline.ns() > static_cast<std::uint64_t>(INT64_MAX)) return mutex_.lock(), true;
#if defined(__SANITIZE_THREAD__)
    // g++ 12's thread sanitizer does not see pthread_mutex_clocklock, which try_lock_until calls.
    while (!mutex_.try_lock()) {
      if (deadline.passed(monotonic_ns())) return false;
      std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
    return true;
#else
    // steady_clock is CLOCK_MONOTONIC.
    return mutex_.try_lock_until(std::chrono::time_point<std::chrono::steady_clock>(
        Nanos(static_cast<std::int64_t>(deadline.ns()))));
#endif
  }
  void unlock() WEIR_RELEASE() { mutex_.unlock(); }

 private:
  std::timed_mutex mutex_;
};

struct AdoptLock {};

class WEIR_SCOPED_CAPABILITY MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) WEIR_ACQUIRE(mutex) : mutex_(mutex) { mutex_.lock(); }
  /// For a mutex that is locked already: unlocks it.
  MutexLock(Mutex& mutex, AdoptLock) WEIR_REQUIRES(mutex) : mutex_(mutex) {}
  ~MutexLock() WEIR_RELEASE() { mutex_.unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

}  // namespace weir
