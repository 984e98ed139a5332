#include "support/mover.h"

#include <time.h>
#include <unistd.h>

#include <utility>

#include "shm/reaper.h"
#include "shm/turns.h"
#include "support/room_user.h"
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
constexpr std::uint64_t kClaimPatienceNs = 1'000'000;

std::unique_ptr<shm::Inbox> open_inbox(const shm::PoolRef& pool, shm::WorkerId self) {
  Result<std::unique_ptr<shm::Inbox>> inbox = shm::Inbox::open(pool.segment(), self);
  WEIR_CHECK(inbox.ok());
  return std::move(inbox).value();
}

}  // namespace

Mover::Mover(const shm::PoolRef& pool, const shm::Membership& self, const CountingServer& server)
    : pool_(pool), self_(self), server_(server), inbox_(open_inbox(pool, self.id())) {}

Mover::~Mover() {
  receive();
  std::vector<Lease> left;
  {
    const MutexLock lock(mutex_);
    left.swap(idle_);
  }
  for (const Lease& lease : left) close(lease);
  inbox_->close();
}

std::optional<Mover::Lease> Mover::acquire(Deadline deadline) {
  receive();
  {
    const MutexLock lock(mutex_);
    if (!idle_.empty()) {
      const Lease lease = idle_.back();
      idle_.pop_back();
      return lease;
    }
  }
  if (const auto room = take_room(pool_, self_.id())) return connect(*room);
  std::optional<Waiter> waiter = Waiter::enter(pool_, self_.id(), deadline, "mover", 0);
  if (!waiter) return std::nullopt;
  return wait(*waiter, deadline);
}

std::optional<Mover::Lease> Mover::connect(const Room& room) {
  std::optional<shm::Turn> turn;
  while (!(turn = take_turn(pool_, self_.id(), monotonic_ns()))) {
    const timespec moment{0, 100'000};
    nanosleep(&moment, nullptr);
    tick();
  }
  Lease lease{room, server_.connect(pool_.global(room.place), room.word.occ())};
  return_turn(pool_, *turn);
  match(pool_, self_.id());
  if (lease.session < 0) {
    leave_room(pool_, self_.id(), room.place, room.word);
    return std::nullopt;
  }
  if (!move_place(pool_, self_.id(), lease.room, PlaceState::kUsed)) ++robbed_;
  return lease;
}

std::optional<Mover::Lease> Mover::take_granted(std::uint32_t global) {
  const auto place = pool_.local(global);
  const MutexLock lock(mutex_);
  const auto found = place ? granted_.find(*place) : granted_.end();
  if (found == granted_.end()) {
    ++robbed_;
    return std::nullopt;
  }
  const Lease lease = found->second;
  granted_.erase(found);
  if (place_word(pool_, *place) != lease.room.word) ++robbed_;
  return lease;
}

std::optional<Mover::Lease> Mover::wait(Waiter& waiter, Deadline deadline) {
  match(pool_, self_.id());
  std::uint64_t claimed_inc = UINT64_MAX, claimed_since_ns = 0;
  Deadline tick_at = Deadline::after(kTick);
  while (true) {
    waiter.clear_wake();
    const WaiterWord seen = waiter.word();
    if (waiter.is_lost(seen)) return std::nullopt;
    if (seen.state() == WaiterState::kGranted) {
      if (!waiter.leave(seen)) continue;
      return take_granted(seen.what());
    }
    if (seen.state() == WaiterState::kClaimed) {
      receive();
      if (waiter.word() != seen) continue;
      std::optional<Room> room = accept_offer(pool_, self_.id(), waiter, seen);
      const std::uint64_t now = monotonic_ns();
      if (!room && seen.inc() != claimed_inc) {
        claimed_inc = seen.inc();
        claimed_since_ns = now;
      }
      const std::uint64_t patience =
          is_on_its_way(pool_, self_.id(), seen) ? shm::kHandoverPatienceNs : kClaimPatienceNs;
      if (!room && now < claimed_since_ns + patience && !deadline.passed(now)) {
        waiter.wait(tick_at.earlier_of(Deadline::at_ns(claimed_since_ns + patience)));
        if (tick_at.passed(monotonic_ns())) {
          tick();
          tick_at = Deadline::after(kTick);
        }
        continue;
      }
      if (room) {
        waiter.leave(seen);  // only we leave it: what is offered is not on its way
        return connect(*room);
      }
      if (deadline.passed(now)) return leave_line(waiter);
      if (!waiter.take_back(seen)) continue;
      room = accept_offer(pool_, self_.id(), waiter, seen);
      if (room) leave_room(pool_, self_.id(), room->place, room->word);
      shm::raise_demand(pool_);
      match(pool_, self_.id());
      continue;
    }
    if (deadline.passed(monotonic_ns())) return leave_line(waiter);
    waiter.wait(tick_at.earlier_of(deadline));
    if (tick_at.passed(monotonic_ns())) {
      tick();
      tick_at = Deadline::after(kTick);
    }
  }
}

std::optional<Mover::Lease> Mover::leave_line(Waiter& waiter) {
  while (true) {
    const WaiterWord seen = waiter.word();
    if (waiter.is_lost(seen)) return std::nullopt;
    if (!waiter.leave(seen)) continue;
    if (seen.state() == WaiterState::kGranted) return take_granted(seen.what());
    if (seen.state() == WaiterState::kClaimed) {
      if (const auto room = accept_offer(pool_, self_.id(), waiter, seen)) {
        leave_room(pool_, self_.id(), room->place, room->word);
      }
      match(pool_, self_.id());
    }
    return std::nullopt;
  }
}

void Mover::close(const Lease& lease) {
  Lease closing = lease;
  if (!move_place(pool_, self_.id(), closing.room, PlaceState::kClosing)) ++robbed_;
  CountingServer::close(closing.session);
  leave_room(pool_, self_.id(), closing.room.place, closing.room.word);
}

void Mover::release(const Lease& lease, bool keep) {
  if (place_word(pool_, lease.room.place) != lease.room.word) ++robbed_;
  const shm::LineView view = look_at_line(pool_, self_.id());
  const bool elsewhere = view.oldest && view.oldest->word.owner_row() != self_.id().row;
  if (elsewhere && give(lease, view)) return;
  if (!elsewhere && grant_to(view.oldest_own, lease)) return;
  if (view.anybody() || !keep) return close(lease);
  const MutexLock lock(mutex_);
  idle_.push_back(lease);
}

bool Mover::grant_to(const std::optional<shm::Candidate>& who, const Lease& lease) {
  const shm::PlaceIndex place = lease.room.place;
  {
    const MutexLock lock(mutex_);
    granted_[place] = lease;  // before the word says so
  }
  if (who ? grant(pool_, *who, place) : grant_claimed(pool_, self_.id(), place)) return true;
  const MutexLock lock(mutex_);
  granted_.erase(place);
  return false;
}

bool Mover::give(const Lease& lease, const shm::LineView& view) {
  std::optional<shm::Giving> giving =
      shm::Giving::claim(pool_, self_.id(), lease.room.place, *view.oldest);
  if (!giving) return false;
  if (!giving->begin()) {
    ++robbed_;
    return false;
  }
  if (giving->send(mailbox(), {"fake", "session"}, lease.session) != shm::Sent::kSent) {
    if (!giving->withdraw()) ++robbed_;
    return false;
  }
  giving->park(lease.session);
  ::close(lease.session);
  return true;
}

// What came, to who was claimed for it, else to the oldest of ours, else idle.
void Mover::receive() {
  (void)inbox_->receive(pool_);
  while (std::optional<shm::Arrival> came = inbox_->take(pool_)) {
    serve({{came->place, place_word(pool_, came->place)}, came->fd.release()});
  }
}

void Mover::serve(const Lease& lease) {
  if (grant_to(std::nullopt, lease)) return;
  while (true) {
    const shm::LineView view = look_at_line(pool_, self_.id());
    if (!view.oldest_own) break;
    if (grant_to(view.oldest_own, lease)) return;
  }
  const MutexLock lock(mutex_);
  idle_.push_back(lease);
}

void Mover::tick() {
  receive();
  std::vector<Lease> kept;
  {
    const MutexLock lock(mutex_);
    kept.swap(idle_);
  }
  for (const Lease& lease : kept) release(lease, true);
  const auto confirm = [this](const shm::PoolRef& of, shm::PlaceIndex place, PlaceWord word) {
    return server_.is_gone(of.global(place), word.occ());
  };
  RoomUser(pool_, self_, confirm).tick();
}

}  // namespace weir::test
