#include "shm/admin.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "shm/control.h"
#include "shm/excess.h"
#include "shm/file_locks.h"
#include "shm/in_force.h"
#include "shm/reaper.h"
#include "support/room_user.h"
#include "support/shm_world.h"
#include "support/worker_process.h"

namespace weir::shm {
namespace {

using test::count_held_permits;
using test::count_places;
using test::place_word;
using test::ShmWorld;
using ::testing::AllOf;
using ::testing::HasSubstr;

/// A quota "pg" of 8, with pools "a" and "b" of at most 8 each on it, and a pool "alone" of 4.
class Resizing : public ::testing::Test {
 protected:
  PoolDeclaration declaration(const char* name, std::uint32_t max, std::uint32_t quota) const {
    PoolDeclaration declaration;
    declaration.name = name;
    declaration.driver = "fake";
    declaration.max = max;
    declaration.quota = quota;
    declaration.connect_concurrency = kMaxHandshakes;
    return declaration;
  }
  Resized resize(const std::string& name, std::uint32_t limit) {
    const Result<Resized> resized = set_limit(world_.segment(), name, limit);
    EXPECT_TRUE(resized.ok()) << resized.status().to_string();
    return resized.ok() ? resized.value() : Resized{};
  }
  Status refusal(const std::string& name, std::uint32_t limit) {
    return set_limit(world_.segment(), name, limit).status();
  }
  std::vector<Room> take(const PoolRef& pool, int count) {
    std::vector<Room> rooms;
    for (int i = 0; i < count; ++i) {
      if (auto room = take_room(pool, me_->id())) rooms.push_back(*room);
    }
    return rooms;
  }
  void leave(const PoolRef& pool, const Room& room) {
    leave_room(pool, me_->id(), room.place, room.word);
  }
  /// How many rooms can be had at once, from now on.
  std::size_t to_be_had(const PoolRef& pool) {
    const std::vector<Room> rooms = take(pool, 64);
    for (const Room& room : rooms) leave(pool, room);
    return rooms.size();
  }
  QuotaRow& row() { return world_.segment().quotas()[quota_]; }
  Declared declare(std::uint32_t limit, OnConflict how = OnConflict::kKeep) {
    const auto declared = declare_quota(world_.segment(), me_->id(), {"pg", limit, how});
    EXPECT_TRUE(declared.ok()) << declared.status().to_string();
    return declared.ok() ? declared.value() : Declared{};
  }

  ShmWorld world_{{.workers = 8,
                   .waiters = 12,
                   .quotas = 4,
                   .pools = 4,
                   .places = 256,
                   .permits = 256,
                   .stats_per_worker = 2,
                   .events_per_worker = 4}};
  std::unique_ptr<Membership> me_ = world_.join();
  std::uint32_t quota_ = world_.quota(me_->id(), 8, "pg");
  PoolRef a_ = world_.pool(me_->id(), declaration("a", 8, quota_));
  PoolRef b_ = world_.pool(me_->id(), declaration("b", 8, quota_));
  PoolRef alone_ = world_.pool(me_->id(), declaration("alone", 4, kNone));
};

TEST_F(Resizing, AQuotaGrowsAndTellsWhatItWas) {
  const std::vector<Room> rooms = take(a_, 3);
  const Resized resized = resize("pg", 12);
  EXPECT_EQ(resized.of, LimitOf::kQuota);
  EXPECT_EQ(resized.was, 8u);
  EXPECT_EQ(resized.now, 12u);
  EXPECT_EQ(resized.in_use, 3u);
  EXPECT_EQ(resized.configured, 8u);
  EXPECT_EQ(resized.revision, 1u);
  EXPECT_EQ(take(a_, 64).size() + take(b_, 64).size(), 9u);
}

TEST_F(Resizing, AQuotaShrinksWhatIsFreeAtOnce) {
  resize("pg", 3);
  EXPECT_EQ(to_be_had(a_), 3u);
  EXPECT_EQ(excess_permits(a_), 0u);
}

TEST_F(Resizing, BelowUseTakesNothingAndLetsNobodyInUntilItFits) {
  const std::vector<Room> rooms = take(a_, 8);
  EXPECT_EQ(resize("pg", 3).in_use, 8u);
  EXPECT_EQ(count_held_permits(a_), 8u);
  EXPECT_EQ(excess_permits(b_), 5u);
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(to_be_had(b_), 0u) << i << " given back";
    leave(a_, rooms[i]);  // whichever come back first: those are the ones that go
  }
  EXPECT_EQ(excess_permits(a_), 0u);
  EXPECT_EQ(to_be_had(b_), 0u);
  leave(a_, rooms[5]);
  EXPECT_EQ(to_be_had(b_), 1u);
  leave(a_, rooms[6]);
  leave(a_, rooms[7]);
  EXPECT_EQ(to_be_had(a_), 3u);
}

TEST_F(Resizing, WhatIsHeldHighMovesDownWhereThereIsRoom) {
  std::vector<Room> rooms = take(a_, 8);
  for (int i = 0; i < 6; ++i) leave(a_, rooms[static_cast<std::size_t>(i)]);
  ASSERT_EQ(PermitWord(a_.permits()[7].load()).state(), PermitState::kHeld);
  resize("pg", 3);
  EXPECT_EQ(excess_permits(a_), 0u) << "two are held of three";
  EXPECT_EQ(count_held_permits(a_), 2u);
  EXPECT_EQ(to_be_had(b_), 1u);
}

TEST_F(Resizing, GrowingFirstCoversWhatAShrinkHasLeft) {
  const std::vector<Room> rooms = take(a_, 8);
  resize("pg", 2);
  leave(a_, rooms[0]);
  resize("pg", 5);  // seven are open
  EXPECT_EQ(excess_permits(a_), 2u);
  EXPECT_EQ(to_be_had(b_), 0u);
  resize("pg", 9);
  EXPECT_EQ(excess_permits(a_), 0u);
  EXPECT_EQ(to_be_had(b_), 2u);
}

TEST_F(Resizing, AnOccupationWithTwoPermitsGivesBothBack) {
  std::vector<Room> rooms = take(a_, 8);
  resize("pg", 7);
  ASSERT_EQ(excess_permits(a_), 1u);
  // As a death in hand_down leaves it: the lower one is given over, the higher one not yet gone.
  const PermitWord high(a_.permits()[7].load());
  const std::uint32_t lower_place = PermitWord(a_.permits()[0].load()).place();
  a_.permits()[0].store(PermitWord(PermitState::kHeld, high.place(), high.occ()).raw());
  leave(a_, rooms[*a_.local(high.place())]);
  EXPECT_EQ(PermitWord(a_.permits()[7].load()).state(), PermitState::kRetired);
  EXPECT_EQ(PermitWord(a_.permits()[0].load()).state(), PermitState::kFree);
  EXPECT_EQ(excess_permits(a_), 0u);
  EXPECT_NE(lower_place, high.place());
}

TEST_F(Resizing, APermitGivenBackByOneWhoDidNotKnowOfTheShrinkIsNobodysButTheExcess) {
  std::vector<Room> rooms = take(a_, 8);
  resize("pg", 7);
  ASSERT_EQ(excess_permits(a_), 1u);
  // It had looked for what is held above the limit before the limit was lowered, stood still, and
  // then freed its permit and its place.
  const PermitWord low(a_.permits()[0].load());
  a_.permits()[0].store(low.to_free().raw());
  const Room& gone = rooms[*a_.local(low.place())];
  a_.places()[gone.place].store(gone.word.to_free().raw());
  EXPECT_FALSE(take_room(b_, me_->id())) << "seven are in use";
  EXPECT_EQ(excess_permits(a_), 0u);
  EXPECT_EQ(count_held_permits(a_), 7u);
  EXPECT_EQ(PermitWord(a_.permits()[7].load()).state(), PermitState::kRetired);
}

TEST_F(Resizing, EachPermitIsToBeHadAndFoundAgainWhateverTheLimitWasMeanwhile) {
  std::vector<std::pair<const PoolRef*, Room>> rooms;
  for (const std::uint32_t limit : {8u, 13u, 3u, 16u, 9u, 15u, 1u, 16u}) {
    resize("pg", limit);
    const std::size_t kept = rooms.size() / 2;
    for (; rooms.size() > kept; rooms.erase(rooms.begin())) {  // the oldest
      leave(*rooms.front().first, rooms.front().second);
    }
    for (const PoolRef* pool : {&a_, &b_}) {
      for (const Room& room : take(*pool, 8)) rooms.emplace_back(pool, room);
    }
    EXPECT_EQ(rooms.size(), std::max<std::size_t>(limit, kept));
    EXPECT_EQ(count_held_permits(a_), rooms.size());
  }
  for (const auto& [pool, room] : rooms) leave(*pool, room);
  EXPECT_EQ(count_held_permits(a_), 0u);
}

TEST_F(Resizing, APoolAloneIsItsOwnQuota) {
  const Resized resized = resize("alone", 6);
  EXPECT_EQ(resized.of, LimitOf::kPool);
  EXPECT_EQ(resized.was, 4u);
  EXPECT_EQ(alone_.row().max.load(), 6u);
  EXPECT_EQ(to_be_had(alone_), 6u);
}

TEST_F(Resizing, APoolBelowUseLetsNobodyInUntilItFits) {
  const std::vector<Room> rooms = take(alone_, 4);
  EXPECT_EQ(resize("alone", 2).in_use, 4u);
  EXPECT_EQ(excess_places(alone_), 2u);
  leave(alone_, rooms[0]);
  leave(alone_, rooms[1]);  // those below max: as many places below stay empty instead
  EXPECT_EQ(excess_places(alone_), 0u);
  EXPECT_EQ(free_places(alone_), 0u);
  EXPECT_FALSE(take_room(alone_, me_->id()));
  leave(alone_, rooms[2]);
  EXPECT_EQ(free_places(alone_), 1u);
  EXPECT_TRUE(take_room(alone_, me_->id()));
}

TEST_F(Resizing, OfAPoolOnAQuotaIsAskedForByThePoolsName) {
  const Resized resized = resize("a", 2);
  EXPECT_EQ(resized.of, LimitOf::kPool);
  EXPECT_EQ(resized.was, 8u);
  EXPECT_EQ(to_be_had(a_), 2u);
  EXPECT_EQ(to_be_had(b_), 8u);
  EXPECT_EQ(resize("pg", 12).usable, 10u) << "its pools together";
}

TEST_F(Resizing, SaysWhatFitsAndChangesNothingWhereItDoesNot) {
  const std::uint32_t room = resize("pg", 8).room;
  EXPECT_GE(room, 32u) << "four times what was declared";
  const Status status = refusal("pg", room + 1);
  EXPECT_EQ(status.code(), Code::kShmFull);
  EXPECT_THAT(status.message(),
              AllOf(HasSubstr("quota pg: limit " + std::to_string(room + 1) + " asked"),
                    HasSubstr("there is room for " + std::to_string(room))));
  EXPECT_EQ(refusal("pg", 0).code(), Code::kBadArgument);
  EXPECT_EQ(row().limit.load(), 8u);
  EXPECT_EQ(row().revision.load(), 0u);
  resize("pg", room);
}

TEST_F(Resizing, NamesWhatThereIs) {
  const Status status = refusal("nope", 3);
  EXPECT_EQ(status.code(), Code::kNotFound);
  EXPECT_THAT(status.message(), AllOf(HasSubstr("\"nope\""), HasSubstr("quotas: pg"),
                                      HasSubstr("pools: a, b, alone")));
}

TEST_F(Resizing, WaitsForTheDeclaringLockOnlySoLong) {
  const FileDescriptor other(world_.segment().reopen());
  ASSERT_TRUE(try_lock_byte(other.get(), kDeclareByte, LockKind::kExclusive));
  const auto resized =
      set_limit(world_.segment(), "pg", 3, Deadline::after(std::chrono::milliseconds(20)));
  EXPECT_EQ(resized.status().code(), Code::kTimeout);
  EXPECT_EQ(row().limit.load(), 8u);
}

TEST_F(Resizing, OfASegmentOutOfServiceIsRefused) {
  world_.segment().poison("a test");
  EXPECT_EQ(refusal("pg", 3).code(), Code::kShmCorrupt);
}

TEST_F(Resizing, ServesThoseWhoWaitWhenItGrows) {
  const std::vector<Room> rooms = take(a_, 8);
  test::RoomUser user(a_, *me_);
  auto waiter = user.enter(Deadline::never());
  ASSERT_TRUE(waiter);
  resize("pg", 9);
  EXPECT_EQ(resize("pg", 9).was, 9u);
  resize("a", 9);
  EXPECT_TRUE(user.wait(*waiter, Deadline::after(test::kPatience)));
}

TEST_F(Resizing, OffersNobodyWhatIsOneTooMany) {
  const std::vector<Room> rooms = take(a_, 8);
  const auto waiter = Waiter::enter(b_, me_->id(), Deadline::never(), "w", 0);
  ASSERT_TRUE(waiter);
  resize("pg", 7);
  leave(a_, rooms[0]);
  EXPECT_EQ(waiter->word().state(), WaiterState::kWaiting);
  EXPECT_EQ(count_held_permits(a_), 7u);
  leave(a_, rooms[1]);
  EXPECT_EQ(waiter->word().state(), WaiterState::kClaimed);
}

// ---- who says what ------------------------------------------------------------------------------

TEST_F(Resizing, AnOperatorsLimitStandsAgainstAFileThatHasNotChanged) {
  resize("pg", 5);
  for (const OnConflict how : {OnConflict::kKeep, OnConflict::kReplace, OnConflict::kRefuse}) {
    const Declared declared = declare(8, how);
    EXPECT_EQ(declared.differences, "");
    EXPECT_EQ(declared.operators, "limit 5 set by an operator stands, 8 configured");
    EXPECT_EQ(row().limit.load(), 5u);
  }
  resize("pg", 6);
  EXPECT_EQ(declare(8).operators, "limit 6 set by an operator stands, 8 configured");
}

TEST_F(Resizing, AFileThatHasChangedIsNewerThanTheOperator) {
  resize("pg", 5);
  EXPECT_EQ(declare(10).operators, "");
  EXPECT_EQ(row().limit.load(), 10u);
  EXPECT_EQ(declare(8).operators, "") << "nothing is left of what the operator said";
  EXPECT_EQ(row().limit.load(), 8u);
}

TEST_F(Resizing, AFileThatHasChangedIsAnyOthersWhileOthersLive) {
  const auto other = world_.join();
  resize("pg", 5);
  EXPECT_EQ(declare(10).differences, "limit 5 stands, 10 asked");
  EXPECT_EQ(declare(8).operators, "limit 5 set by an operator stands, 8 configured");
  EXPECT_EQ(declare(10, OnConflict::kReplace).differences, "limit 5 replaced by 10");
}

TEST_F(Resizing, SettingWhatIsConfiguredEndsAnOperatorsSay) {
  resize("pg", 5);
  EXPECT_EQ(resize("pg", 8).configured, 8u);
  EXPECT_EQ(row().overruled_limit.load(), 0u);
  EXPECT_EQ(declare(10).differences, "");
  EXPECT_EQ(row().limit.load(), 10u);
}

TEST_F(Resizing, OfAPoolAnOperatorsMaxStandsLikewise) {
  resize("alone", 2);
  const auto declared = declare_pool(world_.segment(), me_->id(), declaration("alone", 4, kNone));
  ASSERT_TRUE(declared.ok());
  EXPECT_EQ(declared.value().operators, "max 2 set by an operator stands, 4 configured");
  EXPECT_EQ(to_be_had(alone_), 2u);
}

// ---- left half done -----------------------------------------------------------------------------

TEST_F(Resizing, LeftHalfDoneIsFinishedByWhoeverComesNext) {
  const auto leave_half_done = [&](std::uint32_t limit) {
    row().limit.store(limit);
    a_.row().max.store(limit);
    EXPECT_FALSE(are_permits_in_force(world_.segment(), row()));
    EXPECT_FALSE(are_places_in_force(world_.segment(), a_.row()));
  };
  const auto is_done = [&](std::uint32_t limit) {
    return are_permits_in_force(world_.segment(), row()) &&
           are_places_in_force(world_.segment(), a_.row()) && to_be_had(a_) == limit;
  };
  leave_half_done(3);
  EXPECT_EQ(finish_resizes(world_.segment()), 2u);  // a keeper
  EXPECT_TRUE(is_done(3));
  EXPECT_EQ(finish_resizes(world_.segment()), 0u);
  leave_half_done(6);
  static_cast<void>(world_.pool(me_->id(), declaration("alone", 4, kNone)));  // a declaration
  EXPECT_TRUE(is_done(6));
  leave_half_done(4);
  resize("alone", 3);  // another resize
  EXPECT_TRUE(is_done(4));
  leave_half_done(7);
  EXPECT_EQ(settle_now(world_.segment()).value().resizes, 2u);  // `weir reap`
  EXPECT_TRUE(is_done(7));
}

TEST_F(Resizing, IsLeftToWhoeverIsAtIt) {
  row().limit.store(3);
  const FileDescriptor other(world_.segment().reopen());
  ASSERT_TRUE(try_lock_byte(other.get(), kDeclareByte, LockKind::kExclusive));
  EXPECT_EQ(finish_resizes(world_.segment()), 0u);
  unlock_byte(other.get(), kDeclareByte);
  EXPECT_EQ(finish_resizes(world_.segment()), 1u);
}

// ---- settling now -------------------------------------------------------------------------------

TEST_F(Resizing, SettlesTheDeadAndSaysWhat) {
  auto other = world_.join("victim");
  auto third = world_.join("victim");
  ASSERT_TRUE(take_room(a_, other->id()) && take_room(a_, third->id()));
  test::die(other);
  test::die(third);
  const Result<SettledNow> settled = settle_now(world_.segment());
  ASSERT_TRUE(settled.ok()) << settled.status().to_string();
  EXPECT_EQ(settled.value().workers, 2u);
  EXPECT_EQ(settled.value().places, 2u);
  EXPECT_EQ(count_places(a_, PlaceState::kLingering), 2u);
  const Result<SettledNow> again = settle_now(world_.segment());
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again.value().workers, 0u);
  EXPECT_EQ(again.value().places, 0u);
}

TEST_F(Resizing, OpensOnlyWhatIsThere) {
  SegmentOptions options = world_.options();
  EXPECT_TRUE(Segment::open_existing(options).ok());
  options.name = "none";
  EXPECT_EQ(Segment::open_existing(options).status().code(), Code::kNotFound);
  world_.segment().poison("a test");
  options.name = "default";
  EXPECT_EQ(Segment::open_existing(options).status().code(), Code::kShmCorrupt);
}

/// Pools "main" and "jobs", and somebody who decides.
class Deciding : public ::testing::Test {
 protected:
  PoolRef pool(const char* name) const {
    PoolDeclaration declaration;
    declaration.name = name;
    declaration.driver = "fake";
    declaration.max = 4;
    return world_.pool(me_->id(), declaration);
  }
  Decided decided(Decision decision) {
    const Result<Decided> outcome = decide(world_.segment(), "main", decision);
    EXPECT_TRUE(outcome.ok()) << outcome.status().to_string();
    return outcome.ok() ? outcome.value() : Decided{};
  }

  ShmWorld world_;
  std::unique_ptr<Membership> me_ = world_.join();
  PoolRef main_ = pool("main"), jobs_ = pool("jobs");
};

TEST_F(Deciding, SaysWhatChangedAndWhatWasSoAlready) {
  EXPECT_TRUE(decided(Decision::kPause).changed);
  EXPECT_FALSE(decided(Decision::kPause).changed);
  EXPECT_TRUE(decided(Decision::kPause).is_paused);
  EXPECT_TRUE(decided(Decision::kResume).changed);
  const Decided again = decided(Decision::kResume);
  EXPECT_FALSE(again.changed);
  EXPECT_FALSE(again.is_paused);
  EXPECT_EQ(again.pool, "main");
  EXPECT_EQ(again.generation, 0u);
}

TEST_F(Deciding, DrainsAgainAndAgainAndClearsWhatIsNotPaused) {
  EXPECT_EQ(decided(Decision::kDrain).generation, 1u);
  EXPECT_TRUE(decided(Decision::kDrain).changed);
  const Decided cleared = decided(Decision::kClear);
  EXPECT_EQ(cleared.generation, 3u);
  EXPECT_TRUE(cleared.is_paused);
  EXPECT_EQ(main_.row().cut_below.load(), 0u);
  EXPECT_FALSE(decided(Decision::kClearAndInterrupt).changed);
  EXPECT_EQ(main_.row().cut_below.load(), 0u);
  decided(Decision::kResume);
  EXPECT_EQ(decided(Decision::kClearAndInterrupt).generation, 4u);
  EXPECT_EQ(main_.row().cut_below.load(), 4u);
}

TEST_F(Deciding, IsForOnePoolAlone) {
  decided(Decision::kClear);
  EXPECT_EQ(demand_of(jobs_.row()).raw(), DemandWord::quiet(0));
}

TEST_F(Deciding, NamesThePoolsThereAreWhereOneIsNot) {
  const Status status = decide(world_.segment(), "mian", Decision::kPause).status();
  EXPECT_EQ(status.code(), Code::kNotFound);
  EXPECT_THAT(status.message(), AllOf(HasSubstr("\"mian\""), HasSubstr("pools: main, jobs")));
}

TEST_F(Deciding, ChangesNothingInASegmentOutOfService) {
  world_.segment().poison("a test");
  const Status status = decide(world_.segment(), "main", Decision::kPause).status();
  EXPECT_EQ(status.code(), Code::kShmCorrupt);
  EXPECT_FALSE(demand_of(main_.row()).is_paused());
}

TEST_F(Deciding, NeedsNoWorker) {
  me_.reset();
  EXPECT_TRUE(decided(Decision::kPause).changed);
}

TEST_F(Deciding, AsksForPoliciesToBeReadAgainByANumberAndByRingingWhoLives) {
  const Word32& bell = world_.segment().workers()[me_->id().row].doorbell;
  const std::uint32_t before = bell.load(), asked = world_.segment().header().policy_reloads.load();
  EXPECT_EQ(ask_policy_reload(world_.segment()), asked + 1);
  EXPECT_EQ(world_.segment().header().policy_reloads.load(), asked + 1);
  EXPECT_EQ(world_.segment().header().reloads.load(), 0u) << "that is another request";
  EXPECT_NE(bell.load(), before);
}

}  // namespace
}  // namespace weir::shm
