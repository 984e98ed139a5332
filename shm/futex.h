// The futex calls we use, on words in the segment (futex(2); shared between processes, so without
// FUTEX_PRIVATE_FLAG). Threads, forks: plain system calls.
#pragma once

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <climits>

#include "base/clock.h"
#include "shm/layout.h"

namespace weir::shm {

/// Sleeps while `word` reads `expected`, at most until `deadline`. May wake for no reason: look
/// again.
inline void futex_wait(Word32& word, std::uint32_t expected, Deadline deadline) {
  timespec at{};
  at.tv_sec = static_cast<time_t>(deadline.ns() / 1'000'000'000u);
  at.tv_nsec = static_cast<long>(deadline.ns() % 1'000'000'000u);
  // FUTEX_WAIT_BITSET takes an absolute CLOCK_MONOTONIC time.
  syscall(SYS_futex, &word, FUTEX_WAIT_BITSET, expected, deadline.is_never() ? nullptr : &at,
          nullptr, FUTEX_BITSET_MATCH_ANY);
}

inline void futex_wake(Word32& word) {
  syscall(SYS_futex, &word, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

}  // namespace weir::shm
