#include "shm_step_stage.h"

#include <signal.h>
#include <unistd.h>

#include "shm/permits.h"
#include "shm/snapshot.h"

namespace weir::test {
namespace {

using namespace std::chrono_literals;
using shm::PermitState;
using shm::PermitWord;
using shm::PlaceState;
using shm::PlaceWord;
using shm::PoolRef;
using shm::Room;

constexpr shm::Geometry kRoom{.workers = 4,
                              .waiters = 4,
                              .quotas = 2,
                              .pools = 3,
                              .places = 8,
                              .permits = 8,
                              .stats_per_worker = 4,
                              .events_per_worker = 1};

// How long the server keeps a session whose client is gone, at the most.
constexpr Nanos kLag = 200us;

}  // namespace

ShmStage::ShmStage(const Options& options)
    : world(kRoom),
      me(world.join("me")),
      server(world.folder(), options.limit, kLag),
      quota(options.shared ? world.quota(me->id(), options.max) : shm::kNone),
      a(declare("a", options.max)),
      b(declare("b", options.max)) {}

shm::PoolDeclaration ShmStage::declaration(const char* name, std::uint32_t max) const {
  shm::PoolDeclaration declaration;
  declaration.name = name;
  declaration.driver = "fake";
  declaration.max = max;
  declaration.quota = quota;
  declaration.connect_concurrency = 1;
  declaration.permit_quantum_ms = 0;
  declaration.on_conflict = shm::OnConflict::kReplace;
  return declaration;
}

PoolRef ShmStage::declare(const char* name, std::uint32_t max) {
  return world.pool(me->id(), declaration(name, max));
}

void ShmStage::declare_shared_quota(std::uint32_t limit) {
  WEIR_CHECK(shm::declare_quota(
                 world.segment(), me->id(),
                 {.name = "shared", .limit = limit, .on_conflict = shm::OnConflict::kReplace})
                 .ok());
}

Held ShmStage::open(const PoolRef& pool, const shm::Membership& self, const Room& in) const {
  Held opened{in, server.connect(pool.global(in.place), in.word.occ())};
  move_place(pool, self.id(), opened.room, PlaceState::kUsed);
  return opened;
}

void ShmStage::close(const PoolRef& pool, const shm::Membership& self, Held& used) const {
  move_place(pool, self.id(), used.room, PlaceState::kClosing);
  if (used.session >= 0) CountingServer::close(used.session);
  leave_room(pool, self.id(), used.room.place, used.room.word);
}

bool ShmStage::give(const PoolRef& pool, const shm::Membership& self, const shm::Mailbox& from,
                    Held& used) const {
  const auto view = look_at_line(pool, self.id());
  std::optional<shm::Giving> giving =
      view.oldest ? shm::Giving::claim(pool, self.id(), used.room.place, *view.oldest)
                  : std::nullopt;
  bool ours = true;
  if (giving && giving->begin()) {
    if (giving->send(from, {"fake", "session"}, used.session) == shm::Sent::kSent) {
      giving->park(used.session);
      ::close(used.session);
      return true;
    }
    ours = giving->withdraw();
  }
  if (ours) close(pool, self, used);
  return false;
}

void ShmStage::let_a_giver_die() const {
  WorkerProcess victim([&] {
    const auto worker = world.join("giver");
    const auto box = shm::Inbox::open(world.segment(), worker->id());
    const auto taken = take_room(a, worker->id());
    if (!box.ok() || !taken) return 1;
    const Held lent = open(a, *worker, *taken);
    const auto view = look_at_line(a, worker->id());
    if (!view.oldest) return 2;
    auto giving = shm::Giving::claim(a, worker->id(), taken->place, *view.oldest);
    if (!giving || !giving->begin()) return 3;
    if (giving->send(box.value()->mailbox(), {"fake", "session"}, lent.session) !=
        shm::Sent::kSent) {
      return 4;
    }
    raise(SIGKILL);
    return 5;
  });
  WEIR_CHECK(victim.wait() == -SIGKILL);
}

void ShmStage::let_a_receiver_die() {
  SharedCounter waits, sent;
  WorkerProcess victim([&] {
    const auto worker = world.join("receiver");
    const auto box = shm::Inbox::open(world.segment(), worker->id());
    if (!box.ok() || !enter(a, *worker)) return 1;
    waits.add();
    while (sent.value() == 0) usleep(100);
    raise(SIGKILL);
    return 2;
  });
  WEIR_CHECK(poll_until([&] { return waits.value() > 0; }));
  WEIR_CHECK(give(a, *me, my_inbox->mailbox(), *my_held));
  my_held.reset();
  sent.add();
  WEIR_CHECK(victim.wait() == -SIGKILL);
}

void ShmStage::let_somebody_die() const {
  WorkerProcess victim([&] {
    const auto worker = world.join("victim");
    const auto taken = take_room(a, worker->id());
    const auto turn = take_turn(a, worker->id(), monotonic_ns());
    if (!taken || !turn || !enter(a, *worker)) return 1;
    if (open(a, *worker, *taken).session < 0) return 2;
    raise(SIGKILL);
    return 3;
  });
  WEIR_CHECK(victim.wait() == -SIGKILL);
}

std::string ShmStage::unrest() const {
  const shm::Snapshot seen = take_snapshot(world.segment());
  if (!seen.poison_reason.empty()) return "poisoned: " + seen.poison_reason;
  if (!seen.waiters.empty()) return std::to_string(seen.waiters.size()) + " in line";
  if (seen.workers.size() != 1) return std::to_string(seen.workers.size()) + " workers";
  for (const PoolRef* pool : {&a, &b}) {
    const std::string name = pool->row().name.load();
    if (!is_in_force<PlaceWord>(pool->places(), pool->row().max.load(), PlaceState::kFree,
                                PlaceState::kRetired)) {
      return "a place of pool " + name + " is not as it was";
    }
    if (count_turns(*pool) != 0) return "a turn of pool " + name + " is taken";
    if (pool->has_quota() &&
        !is_in_force<PermitWord>(pool->permits(),
                                 world.segment().quotas()[pool->quota()].limit.load(),
                                 PermitState::kFree, PermitState::kRetired)) {
      return "a permit is not as it was";
    }
  }
  return "";
}

RoomUser::Confirm ShmStage::confirm() const {
  return [this](const PoolRef& of, shm::PlaceIndex place, PlaceWord word) {
    return server.is_gone(of.global(place), word.occ());
  };
}

std::optional<shm::Waiter> enter(const PoolRef& pool, const shm::Membership& worker) {
  return shm::Waiter::enter(pool, worker.id(), Deadline::never(), "step", 0);
}

}  // namespace weir::test
