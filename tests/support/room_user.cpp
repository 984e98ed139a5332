#include "support/room_user.h"

#include <utility>

#include "shm/permits.h"
#include "shm/reaper.h"
#include "support/counting_server.h"
#include "support/shm_world.h"

namespace weir::test {
namespace {

using namespace std::chrono_literals;
using shm::PlaceState;
using shm::PlaceWord;
using shm::Room;
using shm::Waiter;
using shm::WaiterState;
using shm::WaiterWord;

constexpr Nanos kTick = 2ms;
// How long a claim may stay without an offer before its owner takes it back.
constexpr Nanos kClaimPatience = 1ms;

}  // namespace

RoomUser::RoomUser(const shm::PoolRef& pool, const shm::Membership& self, Confirm confirm,
                   shm::Inbox* inbox)
    : pool_(pool), self_(self), confirm_(std::move(confirm)), inbox_(inbox) {}

std::optional<Room> RoomUser::acquire(Deadline deadline) {
  if (std::optional<Room> room = take_room(pool_, self_.id())) return room;
  std::optional<Waiter> waiter = enter(deadline);
  if (!waiter) return std::nullopt;
  return wait(*waiter, deadline);
}

std::optional<Waiter> RoomUser::enter(Deadline deadline) {
  return Waiter::enter(pool_, self_.id(), deadline, "room user", 0);
}

std::optional<Room> RoomUser::wait(Waiter& waiter, Deadline deadline) {
  shm::reap_if_due(pool_.segment(), self_.id(), monotonic_ns());
  match(pool_, self_.id());
  while (true) {
    waiter.clear_wake();
    const WaiterWord seen = waiter.word();
    if (waiter.is_lost(seen)) return std::nullopt;  // somebody takes this worker for dead
    if (seen.state() == WaiterState::kClaimed) {
      close_what_came();
      std::optional<Room> room = accept_offer(pool_, self_.id(), waiter, seen);
      if (!room && waiter.word() == seen) {
        const bool comes = inbox_ != nullptr && is_on_its_way(pool_, self_.id(), seen);
        waiter.wait(Deadline::after(comes ? Nanos(shm::kHandoverPatienceNs) : kClaimPatience));
        close_what_came();
        room = accept_offer(pool_, self_.id(), waiter, seen);
      }
      if (!room && waiter.word() == seen && waiter.take_back(seen)) {
        // Whoever offered in between may not have seen it: look once more, then match again.
        room = accept_offer(pool_, self_.id(), waiter, seen);
        if (!room) {
          raise_demand(pool_);
          match(pool_, self_.id());
        }
      }
      if (!room) continue;
      // Two rooms, if the next giver was quick after a take-back: one goes on.
      if (const std::optional<Room> other = leave_line(waiter)) release(*other);
      return room;
    }
    const std::uint64_t now = monotonic_ns();
    if (deadline.passed(now)) return leave_line(waiter);
    const Deadline tick_at = Deadline::after(kTick);
    waiter.wait(tick_at.earlier_of(deadline));
    if (tick_at.passed(monotonic_ns())) tick();
  }
}

std::optional<Room> RoomUser::leave_line(Waiter& waiter) {
  while (true) {
    const WaiterWord seen = waiter.word();
    if (waiter.is_lost(seen)) return std::nullopt;
    if (!waiter.leave(seen)) continue;
    if (seen.state() != WaiterState::kClaimed) return std::nullopt;
    // The giver re-reads the waiter after offering, we the place after leaving: one of us sees it.
    return accept_offer(pool_, self_.id(), waiter, seen);
  }
}

void RoomUser::tick() {
  const std::uint64_t now = monotonic_ns();
  raise_demand(pool_);
  shm::reap_if_due(pool_.segment(), self_.id(), now);
  close_what_came();
  settle_what_lingers();
  revoke_offers(pool_, self_.id(), now);
  free_void_permits(pool_);
  match(pool_, self_.id());
}

void RoomUser::close_what_came() {
  if (inbox_ == nullptr) return;
  (void)inbox_->receive(pool_);
  while (std::optional<shm::Arrival> came = inbox_->take(pool_)) {
    Room room{came->place, PlaceWord(pool_.places()[came->place].load())};
    if (!move_place(pool_, self_.id(), room, PlaceState::kClosing)) continue;
    CountingServer::close(came->fd.release());
    leave_room(pool_, self_.id(), room.place, room.word);
  }
}

void RoomUser::settle_what_lingers() {
  const shm::Segment& segment = pool_.segment();
  for (std::uint32_t id = 0; id < segment.geometry().pools; ++id) {
    if (segment.pools()[id].declared.load() == 0) continue;
    const std::optional<shm::PoolRef> pool = shm::PoolRef::find(segment, id);
    if (pool) settle_what_lingers_in(*pool);
  }
}

void RoomUser::settle_what_lingers_in(const shm::PoolRef& pool) {
  for (shm::PlaceIndex i = 0; i < pool.capacity(); ++i) {
    const PlaceWord seen(pool.places()[i].load());
    if (seen.state() != PlaceState::kLingering) continue;
    if (!confirm_ || confirm_(pool, i, seen)) settle_lingering(pool, self_.id(), i, seen);
  }
}

}  // namespace weir::test
