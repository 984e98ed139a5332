// ShmStage: where the step scenarios of room shm play: one small segment with two pools, and a
// server that counts sessions.
//
// Two casts act on it: the *actor*, in a child that is interrupted, and *me*, in the test, who
// never is. Both open a session for each place they use and say goodbye before they free it, as a
// pool does, so that the server is the judge of the quota. Threads: one. Fork: children act on
// copies of the members; the segment and the server are the same.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "shm/turns.h"
#include "stepped_worker.h"
#include "support/counting_server.h"
#include "support/room_user.h"
#include "support/shm_world.h"

namespace weir::test {

/// A place that somebody uses: an open session behind it.
struct Held {
  shm::Room room;
  int session = -1;
};

struct ShmStage {
  struct Options {
    bool shared = false;      // both pools draw on one quota of `max`
    std::uint32_t max = 1;    // of each pool
    std::uint32_t limit = 1;  // of the server
  };
  explicit ShmStage(const Options& options);

  /// Declares pool or quota with this max, replacing what stands.
  shm::PoolRef declare(const char* name, std::uint32_t max);
  void declare_shared_quota(std::uint32_t limit);
  /// What `name` was declared with, to be declared again.
  [[nodiscard]] shm::PoolDeclaration declaration(const char* name, std::uint32_t max) const;

  /// Opens a session for a room of `self`: OPENING -> USED. -1 as session: the server refused.
  Held open(const shm::PoolRef& pool, const shm::Membership& self, const shm::Room& in) const;
  /// Goodbye, until the server has let go, then the place is given on.
  void close(const shm::PoolRef& pool, const shm::Membership& self, Held& used) const;
  /// Gives what is lent and clean to the oldest waiter, who is elsewhere: live, or, where that
  /// cannot be, as close(). False: not live.
  bool give(const shm::PoolRef& pool, const shm::Membership& self, const shm::Mailbox& from,
            Held& used) const;
  /// Somebody does the same, and dies when it was sent and is not parked.
  void let_a_giver_die() const;
  /// Somebody is sent what I have, and dies before it looks.
  void let_a_receiver_die();
  /// Somebody takes what there is of it: the place of pool a with a session, a turn, a row in line.
  void let_somebody_die() const;

  /// Places, permits, line, turns and worker rows as they were in the beginning, and the segment in
  /// service. "" then; else what is not so.
  [[nodiscard]] std::string unrest() const;
  /// Whether the server has let go of that occupation.
  [[nodiscard]] RoomUser::Confirm confirm() const;

  ShmWorld world;
  std::unique_ptr<shm::Membership> me;
  CountingServer server;
  std::uint32_t quota = shm::kNone;
  shm::PoolRef a, b;

  // The actor's part; meaningless in the test.
  std::unique_ptr<shm::Membership> actor;
  std::optional<shm::Room> room;
  std::optional<Held> held;
  std::optional<shm::Waiter> waiter;
  std::unique_ptr<shm::Inbox> inbox;

  // My part; meaningless in the child, except for what it held when the child was forked.
  std::optional<Held> my_held;
  std::optional<shm::Waiter> my_waiter, my_other_waiter;
  std::unique_ptr<shm::Inbox> my_inbox;
};

/// In line of `pool`, with a row of its own.
std::optional<shm::Waiter> enter(const shm::PoolRef& pool, const shm::Membership& worker);

/// Whether all words of `words` below `limit` are in `free` state, and all others out of service.
template <typename AnyWord, typename AnyState>
bool is_in_force(std::span<shm::Word> words, std::uint32_t limit, AnyState free, AnyState retired) {
  for (std::uint32_t i = 0; i < words.size(); ++i) {
    const AnyWord word(words[i].load());
    if (word.state() != (i < limit ? free : retired)) return false;
  }
  return true;
}

}  // namespace weir::test
