// The usual way: every worker has a pool of its own, so many connections and no more, and its
// threads wait for one another. What a mutex, a condition variable and a vector give.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <vector>

#include "demo/client.h"
#include "demo/source.h"

namespace weir::demo {

/// This worker's part when `quota` connections are divided among `workers`: the remainder goes to
/// the first ones, and everybody gets at least one.
[[nodiscard]] std::uint32_t static_share(std::uint32_t quota, std::uint32_t workers,
                                         std::uint32_t worker);

class StaticPool final : public Source {
 public:
  /// Connections are opened when first needed, as weir does it too. When the server refuses one,
  /// the request has failed; or, with `retry_after`, it is tried again after so long, until the
  /// request's deadline.
  /// `client` must outlive it.
  StaticPool(const Client& client, std::uint32_t size, Board& board, Gauge& gauge,
             std::chrono::milliseconds retry_after = std::chrono::milliseconds(0));
  End serve(std::uint64_t deadline_ns, std::uint32_t hold_us) override;

  /// Opens all connections now. For what is compared once it is warm; refusals do not matter.
  void open_all();

 private:
  /// An idle connection, or null when the caller is to open one; false after the deadline.
  bool take(std::uint64_t deadline_ns, Connection& connection);
  void give_back(Connection connection);
  [[nodiscard]] Connection open(std::uint64_t deadline_ns);

  const Client& client_;
  const std::uint32_t size_;
  Board& board_;
  Gauge& gauge_;
  const std::chrono::milliseconds retry_after_;  // 0: never

  std::mutex mutex_;
  std::condition_variable free_;  // with mutex_
  std::vector<Connection> idle_;  // guarded by mutex_
  std::uint32_t taken_ = 0;       // guarded by mutex_: lent or being opened
};

}  // namespace weir::demo
