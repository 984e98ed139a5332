#include "handover_world.h"

namespace weir::shm {
namespace {

using test::SocketPair;

// ---- letters that nobody should believe -----------------------------------------------------

class Forged : public DeadSender {
 protected:
  void SetUp() override {
    DeadSender::SetUp();
    letter_.place = pool_.global(place_);
    letter_.occ = used_.occ();
    letter_.fingerprint = pool_.row().fingerprint.load();
    letter_.session = kSession;
  }
  // S has parked without sending; a letter of somebody else's is there instead.
  Inbox::Pass receive_instead() {
    WEIR_CHECK(s_.inbox->mailbox().send(r_.id(), letter_, connection_.ours()) == Sent::kSent);
    connection_.close_ours();
    pool_.places()[place_].store(used_.to(PlaceState::kParked, r_.id()).raw());
    return r_.inbox->receive(pool_);
  }
  void expect_refused() {
    const Inbox::Pass pass = receive_instead();
    EXPECT_EQ(pass.arrived, 0u);
    EXPECT_EQ(pass.lost, 1u);
    EXPECT_TRUE(connection_.is_hung_up());
    EXPECT_EQ(word(place_).state(), PlaceState::kLingering);
    EXPECT_FALSE(r_.inbox->take(pool_));
    EXPECT_FALSE(world_.segment().is_poisoned());
  }
  Letter letter_;
};

TEST_F(Forged, LettersOfAnotherOccupationAreClosed) {
  ++letter_.occ;
  expect_refused();
}
TEST_F(Forged, LettersOfAPlaceOutsideTheSegmentAreClosed) {
  letter_.place = 0xffffffff;
  expect_refused();
}
TEST_F(Forged, LettersOfAPlaceThatIsNotOnItsWayAreClosed) {
  letter_.place = pool_.global(used_by(r_));
  expect_refused();
}
TEST_F(Forged, LettersOfAnotherDatabaseAreClosed) {
  ++letter_.fingerprint;
  expect_refused();
}
TEST_F(Forged, LettersOfAnotherDriverAreClosed) {
  letter_.session.driver = "real";
  expect_refused();
}
TEST_F(Forged, TimesInALetterSpoilNoFigures) {
  letter_.began_ns = UINT64_MAX;
  EXPECT_EQ(receive_instead().arrived, 1u);
  EXPECT_LE(r_.inbox->take(pool_)->began_ns, monotonic_ns());
  EXPECT_EQ(pool_.totals().handovers[0].load(), 1u);
}

TEST_F(Forged, SecondLettersOfOneOccupationAreClosed) {
  SocketPair first;
  ASSERT_EQ(s_.inbox->mailbox().send(r_.id(), letter_, first.ours()), Sent::kSent);
  EXPECT_EQ(receive_instead().arrived, 1u);
  EXPECT_TRUE(connection_.is_hung_up());
  EXPECT_TRUE(first.answers_to(r_.inbox->take(pool_)->fd.get()));
}

TEST_F(Handover, WordsThatNameARowOutsideTheSegmentPoisonIt) {
  const PlaceIndex place = used_by(s_);
  pool_.places()[place].store(PlaceWord(word(place)).to_giving({2000, 1}, r_.id()).raw());
  (void)reap_now();
  EXPECT_TRUE(world_.segment().is_poisoned());
  EXPECT_EQ(word(place).state(), PlaceState::kGiving) << "nothing is settled on its strength";
}

TEST_F(Handover, GivenToARowOutsideTheSegmentPoisonsIt) {
  const PlaceIndex place = used_by(s_);
  pool_.places()[place].store(word(place).to_giving(s_.id(), {2000, 1}).raw());
  (void)reap_now();
  EXPECT_TRUE(world_.segment().is_poisoned());
  s_.die();
  (void)reap_now();
  EXPECT_EQ(word(place).state(), PlaceState::kGiving) << "nothing is settled on its strength";
}

}  // namespace
}  // namespace weir::shm
