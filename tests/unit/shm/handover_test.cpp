#include <fcntl.h>
#include <sys/stat.h>

#include <filesystem>

#include "handover_world.h"

namespace weir::shm {
namespace {

using test::SocketPair;

TEST_F(Handover, TakesAConnectionToTheWaiterOfAnotherWorkerWithoutReconnecting) {
  const PlaceIndex place = used_by(s_);
  const std::uint32_t occ = word(place).occ();
  Waiter waiter = enter(r_);
  SocketPair connection;
  give(place, connection);
  EXPECT_TRUE(word(place).is_on_its_way_to(r_.id()));
  EXPECT_EQ(word(place).state(), PlaceState::kParked);
  EXPECT_TRUE(is_expecting(world_.segment(), r_.id()));

  EXPECT_EQ(r_.inbox->receive(pool_).arrived, 1u);
  EXPECT_EQ(word(place), PlaceWord(PlaceState::kUsed, r_.id().row, r_.id().gen, occ));
  const std::optional<Arrival> arrival = r_.inbox->take(pool_);
  ASSERT_TRUE(arrival);
  EXPECT_EQ(arrival->place, place);
  EXPECT_EQ(arrival->session.driver, kSession.driver);
  EXPECT_EQ(arrival->session.blob, kSession.blob);
  EXPECT_TRUE(connection.answers_to(arrival->fd.get()));
  ASSERT_TRUE(grant_claimed(pool_, r_.id(), place));
  EXPECT_EQ(waiter.word().state(), WaiterState::kGranted);
  EXPECT_EQ(waiter.word().what(), pool_.global(place));
  EXPECT_EQ(counted(Counter::kHandedLive), 1u);
  EXPECT_EQ(counted(Counter::kHandoverFailures), 0u);
  EXPECT_FALSE(r_.inbox->take(pool_));
}

TEST_F(Handover, LeavesTheSenderNoCopyBeforeThePlaceIsParked) {
  const PlaceIndex place = used_by(s_);
  (void)enter(r_);
  SocketPair connection;
  Giving giving = send_on(place, connection);
  EXPECT_TRUE(word(place).is_given_by(s_.id()));
  const int number = connection.ours();
  giving.park(number);
  struct stat st {
  }, null{};
  ASSERT_EQ(fstat(number, &st), 0) << "the number stays the client library's";
  ASSERT_EQ(stat("/dev/null", &null), 0);
  EXPECT_EQ(st.st_rdev, null.st_rdev);
  EXPECT_NE(fcntl(number, F_GETFD) & FD_CLOEXEC, 0);
  // The only copy is the one in R's mailbox.
  EXPECT_FALSE(connection.is_hung_up());
  r_.inbox.reset();
  EXPECT_TRUE(connection.is_hung_up());
}

TEST_F(Handover, IsNotBegunTowardsOneThatHasNoMailboxOrIsExpectingOne) {
  const PlaceIndex place = used_by(s_);
  Waiter waiter = enter(r_);
  const WaiterWord before = waiter.word();
  r_.inbox.reset();
  EXPECT_FALSE(can_receive(world_.segment(), r_.id().row));
  EXPECT_FALSE(claim(place));
  EXPECT_EQ(waiter.word(), before);

  r_.inbox = r_.open(world_);
  EXPECT_TRUE(can_receive(world_.segment(), r_.id().row));
  const PlaceIndex second = used_by(s_);
  std::optional<Giving> giving = claim(place);
  ASSERT_TRUE(giving && giving->begin());
  (void)enter(r_);
  EXPECT_FALSE(can_receive(world_.segment(), r_.id().row)) << "GIVING names it";
  EXPECT_FALSE(claim(second));
  EXPECT_TRUE(giving->withdraw());
  EXPECT_TRUE(can_receive(world_.segment(), r_.id().row));
}

TEST_F(Handover, IsNotForAWaiterOfOnesOwnWorker) {
  const PlaceIndex place = used_by(s_);
  Waiter waiter = enter(s_);
  EXPECT_FALSE(claim(place));
  EXPECT_EQ(waiter.word().state(), WaiterState::kWaiting);
}

TEST_F(Handover, ThatCannotBeSentLeavesPlaceAndWaiterAsTheyWere) {
  const PlaceIndex place = used_by(s_);
  for (int i = 0; i < 3; ++i) (void)used_by(s_);
  const PlaceWord used = word(place);
  Waiter waiter = enter(r_);
  const WaiterWord waiting = waiter.word();
  waiter.clear_wake();
  // Its name is gone, and nobody has noticed.
  std::filesystem::remove_all(mailbox_folder(world_.segment()));
  SocketPair connection;
  std::optional<Giving> giving = claim(place);
  ASSERT_TRUE(giving && giving->begin());
  EXPECT_EQ(giving->send(s_.inbox->mailbox(), kSession, connection.ours()), Sent::kGone);
  EXPECT_TRUE(giving->withdraw());
  EXPECT_EQ(word(place), used);
  EXPECT_TRUE(connection.answers_to(connection.ours()));
  // It is in line as before, woken, and somebody waits.
  EXPECT_FALSE(waiter.is_lost(waiter.word()));
  EXPECT_EQ(waiter.word().inc(), waiting.inc());
  EXPECT_EQ(world_.segment().waiters()[waiter.row()].futex.load(), 1u);
  EXPECT_EQ(pool_.row().demand.load(), 1u);
  EXPECT_EQ(counted(Counter::kHandoverFailures), 1u);
}

TEST_F(Handover, ThatIsWithdrawnMakesUpForWhatCameFreeMeanwhile) {
  const PlaceIndex place = used_by(s_);
  std::vector<PlaceIndex> rest;
  for (int i = 0; i < 3; ++i) rest.push_back(used_by(s_));
  Waiter waiter = enter(r_);
  std::optional<Giving> giving = claim(place);
  ASSERT_TRUE(giving);
  // A place came free while the waiter was in nobody's sight.
  pool_.places()[rest[0]].store(word(rest[0]).to_free().raw());
  match(pool_, s_.id());
  EXPECT_EQ(word(rest[0]).state(), PlaceState::kFree);
  EXPECT_TRUE(giving->withdraw());
  EXPECT_EQ(word(rest[0]).state(), PlaceState::kOffered);
  EXPECT_TRUE(accept_offer(pool_, r_.id(), waiter, waiter.word()));
}

TEST_F(Handover, IntoAFullMailboxIsWithdrawn) {
  SocketPair stray;
  const PlaceIndex place = used_by(s_);
  for (int i = 0; i < 3; ++i) (void)used_by(s_);
  (void)enter(r_);
  Letter letter;
  letter.session = kSession;
  while (s_.inbox->mailbox().send(r_.id(), letter, stray.ours()) == Sent::kSent) continue;
  SocketPair connection;
  std::optional<Giving> giving = claim(place);
  ASSERT_TRUE(giving && giving->begin());
  EXPECT_EQ(giving->send(s_.inbox->mailbox(), kSession, connection.ours()), Sent::kFull);
  giving.reset();  // withdraws
  EXPECT_EQ(word(place).state(), PlaceState::kUsed);
  EXPECT_TRUE(word(place).belongs_to(s_.id()));
  // Once a second it is emptied of what no word speaks of.
  (void)r_.inbox->sweep();
  stray.close_ours();
  EXPECT_TRUE(stray.is_hung_up());
  give(place, connection);
  EXPECT_EQ(r_.inbox->receive(pool_).arrived, 1u);
}

TEST_F(Handover, ToAWaiterThatLeftIsTheReceiversToLendToWhoeverIsNext) {
  const PlaceIndex place = used_by(s_);
  Waiter waiter = enter(r_);
  SocketPair connection;
  give(place, connection);
  ASSERT_TRUE(waiter.leave(waiter.word()));
  EXPECT_EQ(r_.inbox->receive(pool_).arrived, 1u);
  EXPECT_FALSE(grant_claimed(pool_, r_.id(), place));
  EXPECT_TRUE(word(place).belongs_to(r_.id()));
  const Waiter next = enter(r_);
  EXPECT_TRUE(grant(pool_, *look_at_line(pool_, r_.id()).oldest_own, place));
  EXPECT_EQ(next.word().state(), WaiterState::kGranted);
}

TEST_F(Handover, IsWaitedForLongerThanAnOffer) {
  const PlaceIndex place = used_by(s_);
  Waiter waiter = enter(r_);
  SocketPair connection;
  std::optional<Giving> giving = claim(place);
  ASSERT_TRUE(giving);
  EXPECT_FALSE(is_on_its_way(pool_, r_.id(), waiter.word())) << "S may have died here";
  ASSERT_TRUE(giving->begin());
  EXPECT_TRUE(is_on_its_way(pool_, r_.id(), waiter.word()));
  ASSERT_EQ(giving->send(s_.inbox->mailbox(), kSession, connection.ours()), Sent::kSent);
  giving->park(connection.ours());
  EXPECT_TRUE(is_on_its_way(pool_, r_.id(), waiter.word()));
  EXPECT_FALSE(is_on_its_way(pool_, s_.id(), waiter.word()));
  (void)r_.inbox->receive(pool_);
  EXPECT_TRUE(is_on_its_way(pool_, r_.id(), waiter.word()));
}

TEST_F(Handover, IsAnnouncedToTheKeeperIfItIsAnotherPools) {
  PoolDeclaration declaration;
  declaration.name = "other";
  declaration.driver = "fake";
  declaration.max = 2;
  const PoolRef other = world_.pool(x_->id(), declaration);
  const PlaceIndex place = used_by(s_);
  (void)enter(r_);
  SocketPair connection;
  give(place, connection);
  const std::uint32_t rung = r_.membership->row().doorbell.load();
  EXPECT_EQ(r_.inbox->receive(other).arrived, 1u);
  EXPECT_EQ(r_.membership->row().doorbell.load(), rung + 1);
  EXPECT_FALSE(r_.inbox->take(other));
  EXPECT_TRUE(r_.inbox->take(pool_));
}

TEST_F(Handover, FollowsAResizeThatFlagsThePlaceOnItsWay) {
  const auto flag = [this](PlaceIndex place, bool retire) {
    const PlaceWord now = word(place);
    pool_.places()[place].store(
        PlaceWord(now.state(), now.idx(), now.gen(), now.occ(), retire).raw());
  };
  const PlaceIndex place = used_by(s_);
  (void)enter(r_);
  SocketPair connection;
  std::optional<Giving> giving = claim(place);
  flag(place, true);
  ASSERT_TRUE(giving && giving->begin());
  flag(place, false);
  ASSERT_EQ(giving->send(s_.inbox->mailbox(), kSession, connection.ours()), Sent::kSent);
  flag(place, true);
  giving->park(connection.ours());
  EXPECT_EQ(word(place).state(), PlaceState::kParked);
  EXPECT_EQ(r_.inbox->receive(pool_).arrived, 1u);
  EXPECT_TRUE(word(place).retire());
  EXPECT_TRUE(word(place).belongs_to(r_.id()));
}

TEST_F(Handover, WhoseSessionCannotBeAttachedEndsAtTheServer) {
  const PlaceIndex place = used_by(s_);
  (void)enter(r_);
  SocketPair connection;
  give(place, connection);
  (void)r_.inbox->receive(pool_);
  std::optional<Arrival> arrival = r_.inbox->take(pool_);
  ASSERT_TRUE(arrival);
  r_.inbox->give_up(pool_, *std::move(arrival));
  EXPECT_TRUE(connection.is_hung_up());
  EXPECT_EQ(word(place).state(), PlaceState::kLingering);
  EXPECT_EQ(word(place).linger_cause(), LingerCause::kIdle);
  EXPECT_EQ(counted(Counter::kHandoverFailures), 1u);
}

// ---- deaths ---------------------------------------------------------------------------------

TEST_F(Handover, OfASenderThatDiedAfterClaimingLeavesAClaimToBeTakenBack) {
  const PlaceIndex place = used_by(s_);
  Waiter waiter = enter(r_);
  const Candidate who = *look_at_line(pool_, s_.id()).oldest;
  ASSERT_TRUE(shm::claim(pool_, who, place));
  s_.die();
  (void)reap_now();
  EXPECT_EQ(word(place).state(), PlaceState::kLingering);
  EXPECT_TRUE(waiter.take_back(waiter.word()));
}

}  // namespace
}  // namespace weir::shm
