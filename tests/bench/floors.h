// The simplest pools there are: what a take and a give cost at least. Nothing of them survives a
// killed process, and none can be shared by processes.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

namespace weir::bench {

/// A mutex and a vector. REQUIRES: no more threads than connections.
class MutexAndVector {
 public:
  explicit MutexAndVector(std::size_t connections) : idle_(connections, this) {}
  void* take() {
    const std::lock_guard lock(mutex_);
    void* const connection = idle_.back();
    idle_.pop_back();
    return connection;
  }
  void give(void* connection) {
    const std::lock_guard lock(mutex_);
    idle_.push_back(connection);
  }

 private:
  std::mutex mutex_;
  std::vector<void*> idle_;
};

/// The same for more threads than connections: who finds none sleeps.
class MutexAndCondition {
 public:
  explicit MutexAndCondition(std::size_t connections) : idle_(connections, this) {}
  void* take() {
    std::unique_lock lock(mutex_);
    ++waiting_;
    given_.wait(lock, [this] { return !idle_.empty(); });
    --waiting_;
    void* const connection = idle_.back();
    idle_.pop_back();
    return connection;
  }
  void give(void* connection) {
    std::unique_lock lock(mutex_);
    idle_.push_back(connection);
    const bool is_awaited = waiting_ > 0;
    lock.unlock();
    if (is_awaited) given_.notify_one();
  }

 private:
  std::mutex mutex_;
  std::condition_variable given_;
  std::size_t waiting_ = 0;
  std::vector<void*> idle_;
};

/// A word for each connection, taken by a compare-and-swap and given back by a store or, as weir
/// has to, by another compare-and-swap. Begins with the word this thread used last. REQUIRES: no
/// more threads than connections.
template <bool kGivesByStore>
class Words {
 public:
  explicit Words(std::size_t connections) : words_(connections) {}
  std::size_t take(std::size_t last) {
    for (std::size_t at = last;; at = at + 1 < words_.size() ? at + 1 : 0) {
      std::uint64_t idle = 0;
      if (words_[at].state.compare_exchange_strong(idle, 1)) return at;
    }
  }
  void give(std::size_t at) {
    std::uint64_t used = 1;
    if constexpr (kGivesByStore) {
      words_[at].state.store(0, std::memory_order_release);
    } else {
      words_[at].state.compare_exchange_strong(used, 0);
    }
  }

 private:
  struct alignas(64) Word {
    std::atomic<std::uint64_t> state{0};
  };
  std::vector<Word> words_;
};

}  // namespace weir::bench
