// Inside: a thread that works in a pool beyond the fast path; the pool stays while it does.
// Threads: each its own. Fork: a child's pool is never emptied, so its count does not matter.
#pragma once

#include <atomic>
#include <cstdint>

namespace weir::pool {

class Inside {
 public:
  explicit Inside(std::atomic<std::uint32_t>& count) : count_(count) { count_.fetch_add(1); }
  ~Inside() { count_.fetch_sub(1); }
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;

 private:
  std::atomic<std::uint32_t>& count_;
};

}  // namespace weir::pool
