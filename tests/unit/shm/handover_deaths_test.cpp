#include <sys/wait.h>
#include <unistd.h>

#include <array>

#include "handover_world.h"

namespace weir::shm {
namespace {

using test::SocketPair;

TEST_F(DeadSender, BeforeItSentLeavesThePlaceLingeringOnceTheReceiverHasLooked) {
  connection_.close_ours();
  s_.die();
  (void)reap_now();
  EXPECT_EQ(word(place_).state(), PlaceState::kParked);
  EXPECT_EQ(r_.inbox->receive(pool_).lost, 1u);
  EXPECT_EQ(word(place_).state(), PlaceState::kLingering);
  EXPECT_EQ(word(place_).occ(), used_.occ());
  EXPECT_EQ(counted(Counter::kHandoverFailures), 1u);
  EXPECT_TRUE(waiter_->take_back(waiter_->word()));
}

TEST_F(DeadSender, AfterItSentLeavesTheConnectionToTheReceiver) {
  send();
  connection_.close_ours();
  const std::uint32_t rung = r_.membership->row().doorbell.load();
  s_.die();
  (void)reap_now();
  EXPECT_EQ(word(place_).state(), PlaceState::kParked);
  EXPECT_GT(r_.membership->row().doorbell.load(), rung);
  EXPECT_EQ(r_.inbox->receive(pool_).arrived, 1u);
  EXPECT_TRUE(connection_.answers_to(r_.inbox->take(pool_)->fd.get()));
  EXPECT_TRUE(grant_claimed(pool_, r_.id(), place_));
}

TEST_F(DeadSender, WithAReceiverThatIsDeadTooLeavesThePlaceLingering) {
  send();
  r_.die();
  s_.die();
  (void)reap_now();
  (void)reap_now();
  EXPECT_EQ(word(place_).state(), PlaceState::kLingering);
}

TEST_F(DeadSender, IsSettledAsAnOrphanOnceItsRowIsAnothers) {
  send();
  connection_.close_ours();
  s_.die();
  Word& row = world_.segment().workers()[used_.idx()].word;
  row.store(WorkerWord(WorkerState::kFree, used_.gen()).raw());  // a reaper that missed the word
  (void)reap_now();
  EXPECT_EQ(word(place_).state(), PlaceState::kParked);
  EXPECT_EQ(r_.inbox->receive(pool_).arrived, 1u);
}

TEST_F(Handover, ToAReceiverThatDiedAfterwardsLingers) {
  const PlaceIndex place = used_by(s_);
  (void)enter(r_);
  SocketPair connection;
  give(place, connection);
  r_.die();
  EXPECT_TRUE(connection.is_hung_up());
  EXPECT_EQ(reap_now().places, 1u);
  EXPECT_EQ(word(place).state(), PlaceState::kLingering);
  EXPECT_EQ(word(place).linger_cause(), LingerCause::kIdle);
}

TEST_F(Handover, ToAReceiverThatDiesBetweenSendingAndParkingIsSettledByTheSender) {
  const PlaceIndex place = used_by(s_);
  (void)enter(r_);
  SocketPair connection;
  Giving giving = send_on(place, connection);
  r_.die();
  (void)reap_now();
  EXPECT_EQ(word(place).state(), PlaceState::kGiving);
  giving.park(connection.ours());
  EXPECT_EQ(word(place).state(), PlaceState::kLingering);
}

TEST_F(Handover, ParkedWithSomebodyGoneIsAnOrphan) {
  const PlaceIndex place = used_by(s_);
  pool_.places()[place].store(word(place).to(PlaceState::kParked, {r_.id().row, 99}).raw());
  EXPECT_EQ(reap_now().places, 1u);
  EXPECT_EQ(word(place).state(), PlaceState::kLingering);
}

TEST_F(Handover, KeepsItsRowsFromBeingJoined) {
  const PlaceIndex place = used_by(s_);
  (void)enter(r_);
  std::optional<Giving> giving = claim(place);
  ASSERT_TRUE(giving && giving->begin());
  const WorkerId was = r_.id();
  r_.die();
  (void)reap_now();
  const Party next(world_);
  EXPECT_NE(next.id().row, was.row) << "GIVING names it";
  EXPECT_TRUE(giving->withdraw());
  const Party after(world_);
  EXPECT_EQ(after.id(), (WorkerId{was.row, was.gen + 1}));
}

TEST_F(Handover, ToALeaverIsRefusedOrLingers) {
  const PlaceIndex place = used_by(s_), second = used_by(s_);
  (void)enter(r_);
  SocketPair connection, other;
  give(place, connection);
  r_.inbox->close();
  EXPECT_TRUE(connection.is_hung_up()) << "what was in the mailbox is closed";
  EXPECT_FALSE(can_receive(world_.segment(), r_.id().row));
  r_.membership->leave();
  EXPECT_EQ(word(place).state(), PlaceState::kLingering);
  EXPECT_FALSE(claim(second));
  EXPECT_EQ(word(second).state(), PlaceState::kUsed);
}

TEST_F(Handover, ThatArrivedAndWasNotTakenLingersWhenTheReceiverLeaves) {
  const PlaceIndex place = used_by(s_);
  (void)enter(r_);
  SocketPair connection;
  give(place, connection);
  (void)r_.inbox->receive(pool_);
  r_.inbox->close();
  EXPECT_TRUE(connection.is_hung_up());
  EXPECT_EQ(word(place).state(), PlaceState::kLingering);
}

TEST_F(DeadSender, ThatOnlyStandsStillHasItsLetterKeptUntilItHasParked) {
  send();
  // Another place is parked, with its letter, so that R drains.
  Letter other;
  other.place = pool_.global(used_by(s_));
  other.occ = word(*pool_.local(other.place)).occ();
  other.fingerprint = pool_.row().fingerprint.load();
  other.session = kSession;
  SocketPair second;
  ASSERT_EQ(s_.inbox->mailbox().send(r_.id(), other, second.ours()), Sent::kSent);
  Word& cell = pool_.places()[*pool_.local(other.place)];
  cell.store(PlaceWord(cell.load()).to(PlaceState::kParked, r_.id()).raw());
  EXPECT_EQ(r_.inbox->receive(pool_).arrived, 1u);
  EXPECT_EQ(word(place_).state(), PlaceState::kGiving);
  connection_.close_ours();
  EXPECT_FALSE(connection_.is_hung_up()) << "kept";
  pool_.places()[place_].store(used_.to(PlaceState::kParked, r_.id()).raw());
  EXPECT_EQ(r_.inbox->receive(pool_).arrived, 1u);
  EXPECT_TRUE(r_.inbox->take(pool_));
  EXPECT_TRUE(r_.inbox->take(pool_));
}

TEST_F(Handover, ToTheNextWorkerOfARowIsNotStoppedByALateLeaver) {
  // R is believed dead; its row is settled and joined while it still lives.
  Word& row = world_.segment().workers()[r_.id().row].word;
  row.store(WorkerWord(WorkerState::kLive, r_.id().gen + 1).raw());
  world_.segment().workers()[r_.id().row].receives.store(r_.id().gen + 1);
  r_.inbox->close();
  EXPECT_TRUE(can_receive(world_.segment(), r_.id().row));
}

TEST_F(Handover, LeavesNoDescriptorInAForkedChildOfTheReceiver) {
  const PlaceIndex place = used_by(s_), second = used_by(s_);
  (void)enter(r_);
  SocketPair in_mailbox, arrived;
  give(second, arrived);
  ASSERT_EQ(r_.inbox->receive(pool_).arrived, 1u);
  (void)enter(r_);
  give(place, in_mailbox);
  std::array<int, 2> done{};
  ASSERT_EQ(pipe(done.data()), 0);
  const pid_t child = fork();
  if (child == 0) {
    r_.inbox->close_in_child();
    s_.inbox->close_in_child();
    arrived.close_servers();
    in_mailbox.close_servers();
    char byte = 0;
    close(done[1]);
    (void)!read(done[0], &byte, 1);
    _exit(0);
  }
  close(done[0]);
  r_.inbox.reset();
  // Only R's copies are left now; with the child's they would be open still.
  for (int i = 0; i < 2000 && !(arrived.is_hung_up() && in_mailbox.is_hung_up()); ++i) usleep(1000);
  EXPECT_TRUE(arrived.is_hung_up());
  EXPECT_TRUE(in_mailbox.is_hung_up());
  close(done[1]);
  int status = -1;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace weir::shm
