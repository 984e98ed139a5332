#include "shm/handover.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <filesystem>

#include "shm/reaper.h"
#include "shm/stats.h"
#include "shm/turns.h"
#include "support/shm_world.h"
#include "support/socket_pair.h"

namespace weir::shm {
namespace {

using test::count_places;
using test::place_word;
using test::ShmWorld;
using test::SocketPair;

const SessionText kSession{"fake", "the session"};

// A worker with its mailbox.
struct Party {
  explicit Party(const ShmWorld& world) : membership(world.join()), inbox(open(world)) {}
  [[nodiscard]] std::unique_ptr<Inbox> open(const ShmWorld& world) const {
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
  // All of the giving side.
  void give(PlaceIndex place, SocketPair& connection) {
    std::optional<Giving> giving = claim(place);
    ASSERT_TRUE(giving);
    ASSERT_TRUE(giving->begin());
    ASSERT_EQ(giving->send(s_.inbox->mailbox(), kSession, connection.ours()), Sent::kSent);
    giving->park(connection.ours());
    connection.close_ours();  // the driver's object is abandoned
  }
  [[nodiscard]] PlaceWord word(PlaceIndex place) const { return place_word(pool_, place); }
  [[nodiscard]] std::uint64_t counted(Counter counter) const { return sum_counter(pool_, counter); }
  Reaped reap_now() { return reap(world_.segment(), x_->id()); }

  ShmWorld world_;
  std::unique_ptr<Membership> x_ = world_.join();  // who reaps
  Party s_{world_}, r_{world_};
  PoolRef pool_ = world_.pool(x_->id(), 4);
};

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
  std::optional<Giving> giving = claim(place);
  ASSERT_TRUE(giving && giving->begin());
  EXPECT_TRUE(word(place).is_given_by(s_.id()));
  ASSERT_EQ(giving->send(s_.inbox->mailbox(), kSession, connection.ours()), Sent::kSent);
  const int number = connection.ours();
  giving->park(number);
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
  SocketPair connection_;
};

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
  Word& row = world_.segment().workers()[WorkerId(used_.idx(), used_.gen()).row].word;
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
  std::optional<Giving> giving = claim(place);
  ASSERT_TRUE(giving && giving->begin());
  ASSERT_EQ(giving->send(s_.inbox->mailbox(), kSession, connection.ours()), Sent::kSent);
  r_.die();
  (void)reap_now();
  EXPECT_EQ(word(place).state(), PlaceState::kGiving);
  giving->park(connection.ours());
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
