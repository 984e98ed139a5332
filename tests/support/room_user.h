// RoomUser: the smallest honest client of the line and the rooms: gets a room or waits for one,
// gives it back, and does on every tick what a waiter owes the others. It opens no connections; one
// that is sent to it, if it has an inbox, it closes, and goes on with the room.
//
// Threads: one per RoomUser; many RoomUsers may share one Membership.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "shm/handover.h"
#include "shm/line.h"
#include "shm/rooms.h"
#include "shm/worker_table.h"

namespace weir::test {

class RoomUser {
 public:
  /// Asked about a place that lingers: whether the server has let go of that occupation.
  using Confirm = std::function<bool(const shm::PoolRef&, shm::PlaceIndex, shm::PlaceWord)>;

  /// All must outlive it. Without `confirm`, what lingers counts as gone.
  RoomUser(const shm::PoolRef& pool, const shm::Membership& self, Confirm confirm = {},
           shm::Inbox* inbox = nullptr);

  /// A room at once, or in its turn; nullopt when the deadline passed, the line is full, or this
  /// worker was taken for dead.
  [[nodiscard]] std::optional<shm::Room> acquire(Deadline deadline);
  void release(const shm::Room& room) { shm::leave_room(pool_, self_.id(), room.place, room.word); }

  /// The two halves of waiting: in line; then until a room came. After wait() it is out of line.
  [[nodiscard]] std::optional<shm::Waiter> enter(Deadline deadline);
  [[nodiscard]] std::optional<shm::Room> wait(shm::Waiter& waiter, Deadline deadline);
  /// Out of the line, whatever its row reads; a room if one was offered on the way out.
  [[nodiscard]] std::optional<shm::Room> leave_line(shm::Waiter& waiter);

  /// What a waiter does every few milliseconds, and a keeper every now and then.
  void tick();

 private:
  // In all pools: a worker with keepers for all of them stands behind it.
  void settle_what_lingers();
  void settle_what_lingers_in(const shm::PoolRef& pool);
  void close_what_came();

  const shm::PoolRef& pool_;
  const shm::Membership& self_;
  Confirm confirm_;
  shm::Inbox* inbox_;
};

}  // namespace weir::test
