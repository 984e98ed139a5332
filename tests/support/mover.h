// Mover: the smallest honest worker whose connections move: it lends what it has, connects where
// there is room, waits in line otherwise, and gives what it gets back live to the oldest waiter
// elsewhere; where that cannot be, it closes and offers the room. What a pool and its keeper do,
// without a driver: a session is a socket of a CountingServer.
//
// Threads: any; each has its own lease. Fork: not to be used in a child.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "base/mutex.h"
#include "shm/handover.h"
#include "shm/line.h"
#include "shm/rooms.h"
#include "shm/worker_table.h"
#include "support/counting_server.h"

namespace weir::test {

class Mover {
 public:
  /// A connection that is ours: USED by us.
  struct Lease {
    shm::Room room;
    int session = -1;
  };

  /// All must outlive it.
  Mover(const shm::PoolRef& pool, const shm::Membership& self, const CountingServer& server);
  Mover(const Mover&) = delete;
  Mover& operator=(const Mover&) = delete;
  /// Closes what nobody had.
  ~Mover();

  /// nullopt when the deadline passed, the line is full, the server refused, or this worker was
  /// taken for dead.
  [[nodiscard]] std::optional<Lease> acquire(Deadline deadline);
  /// To the oldest waiter, live if that one is elsewhere; else closed or kept, as `keep` says.
  void release(const Lease& lease, bool keep);
  /// Says goodbye, waits for the server, and gives the room on.
  void close(const Lease& lease);

  /// What a keeper does every now and then.
  void tick();
  [[nodiscard]] const shm::Mailbox& mailbox() const { return inbox_->mailbox(); }
  /// Words that were not ours although they had to be.
  [[nodiscard]] unsigned robbed() const { return robbed_.load(); }

 private:
  [[nodiscard]] std::optional<Lease> wait(shm::Waiter& waiter, Deadline deadline);
  [[nodiscard]] std::optional<Lease> leave_line(shm::Waiter& waiter);
  [[nodiscard]] std::optional<Lease> connect(const shm::Room& room);
  [[nodiscard]] std::optional<Lease> take_granted(std::uint32_t global);
  void receive();
  void serve(const Lease& lease);
  bool grant_to(const std::optional<shm::Candidate>& who, const Lease& lease);
  bool give(const Lease& lease, const shm::LineView& view);

  const shm::PoolRef& pool_;
  const shm::Membership& self_;
  const CountingServer& server_;
  std::unique_ptr<shm::Inbox> inbox_;
  Mutex mutex_;
  std::vector<Lease> idle_ WEIR_GUARDED_BY(mutex_);
  std::map<std::uint32_t, Lease> granted_ WEIR_GUARDED_BY(mutex_);  // by place
  std::atomic<unsigned> robbed_{0};
};

}  // namespace weir::test
