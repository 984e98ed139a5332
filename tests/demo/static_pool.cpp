#include "demo/static_pool.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <thread>
#include <utility>

#include "base/clock.h"

namespace weir::demo {

std::uint32_t static_share(std::uint32_t quota, std::uint32_t workers, std::uint32_t worker) {
  const std::uint32_t share = quota / workers + (worker < quota % workers ? 1 : 0);
  return std::max(share, 1U);
}

StaticPool::StaticPool(const Client& client, std::uint32_t size, Board& board, Gauge& gauge,
                       std::chrono::milliseconds retry_after)
    : client_(client), size_(size), board_(board), gauge_(gauge), retry_after_(retry_after) {}

void StaticPool::open_all() {
  for (std::uint32_t i = 0; i < size_; ++i) {
    std::string ignored;
    Connection connection = client_.open(&ignored);
    if (connection == nullptr) return;
    board_.connects().fetch_add(1);
    const std::lock_guard lock(mutex_);
    idle_.push_back(std::move(connection));
  }
}

End StaticPool::serve(std::uint64_t deadline_ns, std::uint32_t hold_us) {
  Connection connection;
  {
    const Counted waiting(gauge_.waiting);
    if (!take(deadline_ns, connection)) return End::kTimedOut;
    if (connection == nullptr) connection = open(deadline_ns);
  }
  if (connection == nullptr) {
    give_back(nullptr);
    return retry_after_.count() > 0 ? End::kTimedOut : End::kFailed;
  }
  const Counted used(gauge_.used);
  const std::string error = client_.serve(connection.get(), hold_us);
  if (!error.empty()) {
    board_.note_error(error.c_str());
    connection.reset();
  }
  give_back(std::move(connection));
  return error.empty() ? End::kServed : End::kFailed;
}

bool StaticPool::take(std::uint64_t deadline_ns, Connection& connection) {
  // steady_clock is CLOCK_MONOTONIC here, the clock of the deadline.
  const std::chrono::steady_clock::time_point deadline{std::chrono::nanoseconds(deadline_ns)};
  std::unique_lock lock(mutex_);
  if (!free_.wait_until(lock, deadline, [this] { return taken_ < size_; })) return false;
  ++taken_;
  if (!idle_.empty()) {
    connection = std::move(idle_.back());
    idle_.pop_back();
    gauge_.idle.store(static_cast<std::uint32_t>(idle_.size()));
  }
  return true;
}

void StaticPool::give_back(Connection connection) {
  {
    const std::lock_guard lock(mutex_);
    --taken_;
    if (connection != nullptr) idle_.push_back(std::move(connection));
    gauge_.idle.store(static_cast<std::uint32_t>(idle_.size()));
  }
  free_.notify_one();
}

Connection StaticPool::open(std::uint64_t deadline_ns) {
  while (true) {
    std::string error;
    Connection connection = client_.open(&error);
    if (connection != nullptr) {
      board_.connects().fetch_add(1);
      return connection;
    }
    if (retry_after_.count() == 0) {
      board_.note_error(error.c_str());
      return nullptr;
    }
    const Deadline next = Deadline::after(retry_after_);
    if (next.ns() >= deadline_ns) return nullptr;
    std::this_thread::sleep_for(retry_after_);
  }
}

}  // namespace weir::demo
