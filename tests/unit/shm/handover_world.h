// HandoverWorld: a giver and a receiver with their mailboxes over one pool, and what they do by
// hand. Threads: one.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>

#include "shm/handover.h"
#include "shm/reaper.h"
#include "shm/stats.h"
#include "support/shm_world.h"
#include "support/socket_pair.h"

namespace weir::shm {

inline const SessionText kSession{"fake", "the session"};

// A worker with its mailbox.
struct Party {
  explicit Party(const test::ShmWorld& world) : membership(world.join()), inbox(open(world)) {}
  [[nodiscard]] std::unique_ptr<Inbox> open(const test::ShmWorld& world) const {
    Result<std::unique_ptr<Inbox>> opened = Inbox::open(world.segment(), membership->id());
    WEIR_CHECK(opened.ok());
    return std::move(opened).value();
  }
  [[nodiscard]] WorkerId id() const { return membership->id(); }
  // What SIGKILL does: descriptors and lock are gone, words and names stay.
  void die() {
    inbox->close_in_child();
    inbox.reset();
    test::die(membership);
  }
  std::unique_ptr<Membership> membership;
  std::unique_ptr<Inbox> inbox;
};

class Handover : public ::testing::Test {
 protected:
  // A place that S has with a clean session, lent to nobody.
  PlaceIndex used_by(const Party& party) {
    Room room = *take_room(pool_, party.id());
    WEIR_CHECK(test::move_place(pool_, party.id(), room, PlaceState::kUsed));
    return room.place;
  }
  Waiter enter(const Party& party) {
    auto waiter = Waiter::enter(pool_, party.id(), Deadline::never(), "", 0);
    WEIR_CHECK(waiter.has_value());
    return *waiter;
  }
  std::optional<Giving> claim(PlaceIndex place) {
    const LineView view = look_at_line(pool_, s_.id());
    return view.oldest ? Giving::claim(pool_, s_.id(), place, *view.oldest) : std::nullopt;
  }
  // The giving side up to where R has it as well.
  Giving send_on(PlaceIndex place, const test::SocketPair& connection) {
    std::optional<Giving> giving = claim(place);
    WEIR_CHECK(giving && giving->begin());
    WEIR_CHECK(giving->send(s_.inbox->mailbox(), kSession, connection.ours()) == Sent::kSent);
    return std::move(*giving);
  }
  // All of the giving side.
  void give(PlaceIndex place, test::SocketPair& connection) {
    send_on(place, connection).park(connection.ours());
    connection.close_ours();  // the driver's object is abandoned
  }
  [[nodiscard]] PlaceWord word(PlaceIndex place) const { return test::place_word(pool_, place); }
  [[nodiscard]] std::uint64_t counted(Counter counter) const { return sum_counter(pool_, counter); }
  Reaped reap_now() { return reap(world_.segment(), x_->id()); }

  test::ShmWorld world_;
  std::unique_ptr<Membership> x_ = world_.join();  // who reaps
  Party s_{world_}, r_{world_};
  PoolRef pool_ = world_.pool(x_->id(), 4);
};

// The steps by hand up to where S died: what a Giving object would undo in its destructor.
class DeadSender : public Handover {
 protected:
  void SetUp() override {
    place_ = used_by(s_);
    waiter_.emplace(enter(r_));
    const Candidate who = *look_at_line(pool_, s_.id()).oldest;
    WEIR_CHECK(shm::claim(pool_, who, place_));
    used_ = word(place_);
    pool_.places()[place_].store(used_.to_giving(s_.id(), r_.id()).raw());
  }
  void send() {
    Letter letter;
    letter.place = pool_.global(place_);
    letter.occ = used_.occ();
    letter.session = kSession;
    letter.fingerprint = pool_.row().fingerprint.load();
    WEIR_CHECK(s_.inbox->mailbox().send(r_.id(), letter, connection_.ours()) == Sent::kSent);
  }
  PlaceIndex place_ = 0;
  std::optional<Waiter> waiter_;
  PlaceWord used_;
  test::SocketPair connection_;
};

}  // namespace weir::shm
