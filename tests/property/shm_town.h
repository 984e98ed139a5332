// Town: a few workers on one segment, acting one after the other, and a book of what each of them
// must have. Several Memberships in this process stand for the workers; a death drops the lock and
// the mailbox, and settles nothing.
//
// The book is the model: who holds which room in which state, who is sending one, who is in line,
// who has a turn. What nobody holds is the segment's to account for: free, offered, parked or
// lingering. Throws std::logic_error, with what is wrong, when the segment says something else.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "shm/handover.h"
#include "shm/line.h"
#include "shm/rooms.h"
#include "shm/turns.h"
#include "support/shm_world.h"

namespace weir::shm {

inline constexpr std::uint32_t kWorkers = 3;

struct TownPlan {
  std::vector<std::uint32_t> max;  // of each pool
  std::uint32_t quota = 0;         // permits that all pools share; 0: none
  std::uint32_t turns = kMaxHandshakes;
  std::uint32_t quantum_ms = 0;
};
std::ostream& operator<<(std::ostream& out, const TownPlan& plan);

enum class Deed : std::uint8_t {
  kTake,    // a room, if there is one
  kLeave,   // gives back a room behind which nothing is open
  kOpened,  // OPENING -> IDLE
  kLend,    // IDLE -> USED
  kReturn,  // USED -> IDLE, or straight to a waiter of one's own
  kClose,   // IDLE or USED -> CLOSING
  kEnter,   // gets in line, and matches
  kLook,    // a waiter takes what it was offered, or takes a claim back
  kGiveUp,  // a waiter leaves the line
  kDie,
  kJoin,
  kReap,
  kSettle,     // what lingers is gone
  kRevoke,     // void offers
  kRevokeOld,  // and those not taken up
  kMatch,
  kTakeTurn,
  kReturnTurn,
  kFreeVoid,
  kGive,      // USED -> GIVING, to the oldest waiter, if that one is elsewhere
  kSend,      // or back, if it cannot be sent
  kWithdraw,  // before it was sent
  kPark,
  kReceive,  // to who was claimed for it, else to a waiter of one's own, else idle
  kSweep,
};
inline constexpr unsigned kDeeds = 25;

/// One deed of one worker. What does not apply (a dead worker's, no such room) is not done.
struct Act {
  Deed deed = Deed::kTake;
  std::uint32_t worker = 0, pool = 0, which = 0;
};
std::ostream& operator<<(std::ostream& out, const Act& act);

class Town {
 public:
  explicit Town(const TownPlan& plan);

  void act(const Act& act);
  /// Everybody alive ticks a few times; then nothing may be free while somebody waits for it.
  void come_to_rest();
  /// Everybody gives back everything; then everything must be free.
  void go_home();

 private:
  struct Holding {
    std::uint32_t worker, pool;
    Room room;
  };
  struct Queued {
    std::uint32_t worker, pool;
    std::uint64_t order;  // of arrival
    WorkerId owner;
    Waiter waiter;
  };
  struct TurnTaken {
    std::uint32_t worker, pool;
    Turn turn;
  };
  // A connection that its worker is sending: GIVING, in nobody else's hands.
  struct Sending {
    std::uint32_t worker, pool;
    Room room;                       // as it was: USED
    std::unique_ptr<Giving> giving;  // of a dead worker: never destroyed, since that would undo it
    bool sent = false;
  };
  struct Resident {
    std::unique_ptr<Membership> membership;  // null: dead or not yet there
    std::unique_ptr<Inbox> inbox;
    std::optional<WorkerId> unsettled;  // died under this name
  };
  /// What a waiter's row reads, to be compared with what it reads after a deed.
  struct InLine {
    std::uint64_t order;
    std::uint32_t pool;
    WorkerId owner;
    WaiterWord word;
  };

  [[nodiscard]] WorkerId id(std::uint32_t worker) const {
    return residents_[worker].membership->id();
  }
  [[nodiscard]] const PoolRef& pool(std::uint32_t index) const { return *pools_[index]; }
  [[nodiscard]] Holding* find_holding(const Act& act, std::initializer_list<PlaceState> states);
  static WorkerId owner_of(const Queued& queued) { return queued.owner; }
  static WorkerId owner_of(const TurnTaken& taken) {
    return {taken.turn.word.row(), taken.turn.word.gen()};
  }
  template <typename Entry>
  [[nodiscard]] Entry* find_entry(std::vector<Entry>& entries, const Act& act);

  void do_it(const Act& act);
  void take(const Act& act);
  void enter(const Act& act);
  void look(Queued& queued);
  void give_up(Queued& queued);
  void take_turn_now(const Act& act);
  [[nodiscard]] Sending* find_sending(const Act& act, bool sent);
  void give(Holding& held);
  void send(Sending& sending);
  void withdraw(Sending& sending);
  void park(Sending& sending);
  void receive(std::uint32_t worker, bool sweep);
  void arrive(std::uint32_t worker, std::uint32_t index, PlaceIndex place);
  void revoke(const Act& act, std::uint64_t now_ns);
  void join(std::uint32_t worker);
  void die(std::uint32_t worker);
  void tick(std::uint32_t worker);
  void move(Holding& holding, PlaceState state);
  void put_back(Holding& holding);
  void leave_room_of(const Holding& holding);
  void forget(const Holding& holding);
  void forget(const Queued& queued);
  void settle_lingering_in(std::uint32_t worker, std::uint32_t index);
  void strike_off_the_settled();

  [[nodiscard]] bool could_take(std::uint32_t index) const;
  [[nodiscard]] std::uint32_t occupied(std::uint32_t index) const;
  [[nodiscard]] std::vector<InLine> line_now() const;
  void check() const;
  void check_places(std::uint32_t index) const;
  void check_permits() const;
  void check_line() const;
  void check_oldest_first(const std::vector<InLine>& before) const;
  void check_nothing_is_kept_back() const;

  TownPlan plan_;
  test::ShmWorld world_;
  std::array<Resident, kWorkers> residents_;
  std::vector<std::unique_ptr<PoolRef>> pools_;  // by pointer: a Waiter points to its PoolRef
  std::vector<Holding> holdings_;
  std::vector<Sending> sending_;
  std::vector<Queued> line_;
  std::vector<TurnTaken> turns_;
  std::uint64_t arrivals_ = 0;
  bool somebody_died_ = false;
};

}  // namespace weir::shm
