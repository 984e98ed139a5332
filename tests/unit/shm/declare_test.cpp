#include "shm/declare.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "shm/file_locks.h"
#include "shm/segment_file.h"
#include "support/shm_world.h"

namespace weir::shm {
namespace {

using test::count_places;
using test::place_word;
using test::ShmWorld;
using ::testing::HasSubstr;

class Declaring : public ::testing::Test {
 protected:
  Declared declare(const PoolDeclaration& declaration) {
    const auto declared = declare_pool(world_.segment(), me_->id(), declaration);
    EXPECT_TRUE(declared.ok()) << declared.status().to_string();
    return declared.ok() ? declared.value() : Declared{};
  }
  Status refusal(const PoolDeclaration& declaration) {
    return declare_pool(world_.segment(), me_->id(), declaration).status();
  }
  static PoolDeclaration main_pool(std::uint32_t max = 4) {
    PoolDeclaration declaration;
    declaration.name = "main";
    declaration.driver = "fake";
    declaration.fingerprint = 7;
    declaration.max = max;
    return declaration;
  }
  PoolRef ref(const Declared& declared) { return *PoolRef::find(world_.segment(), declared.row); }
  std::uint32_t in_service(const PoolRef& pool) {
    return pool.capacity() - count_places(pool, PlaceState::kRetired);
  }

  ShmWorld world_;
  std::unique_ptr<Membership> me_ = world_.join();
};

TEST_F(Declaring, GivesAPoolItsPlacesAndSettings) {
  PoolDeclaration declaration = main_pool(4);
  declaration.min = 1;
  declaration.keep = 2;
  declaration.max_per_worker = 3;
  declaration.connect_concurrency = 5;
  declaration.connect_timeout_ms = 6;
  declaration.permit_quantum_ms = 8;
  const PoolRef pool = ref(declare(declaration));
  EXPECT_EQ(pool.row().name.load(), "main");
  EXPECT_EQ(pool.row().driver.load(), "fake");
  EXPECT_EQ(pool.row().fingerprint.load(), 7u);
  EXPECT_EQ(pool.row().max.load(), 4u);
  EXPECT_EQ(pool.row().min.load(), 1u);
  EXPECT_EQ(pool.row().keep.load(), 2u);
  EXPECT_EQ(pool.row().max_per_worker.load(), 3u);
  EXPECT_EQ(pool.row().connect_concurrency.load(), 5u);
  EXPECT_EQ(pool.row().connect_timeout_ms.load(), 6u);
  EXPECT_EQ(pool.row().permit_quantum_ms.load(), 8u);
  EXPECT_EQ(count_places(pool, PlaceState::kFree), 4u);
  EXPECT_EQ(in_service(pool), 4u);
  EXPECT_FALSE(pool.has_quota());
  EXPECT_TRUE(pool.permits().empty());
}

TEST_F(Declaring, TwiceTheSameChangesNothing) {
  const Declared first = declare(main_pool());
  const Declared second = declare(main_pool());
  EXPECT_EQ(second.row, first.row);
  EXPECT_EQ(second.differences, "");
  EXPECT_EQ(count_places(ref(second), PlaceState::kFree), 4u);
}

TEST_F(Declaring, GivesEachNameARowAndPlacesOfItsOwn) {
  PoolDeclaration other = main_pool();
  other.name = "other";
  const PoolRef a = ref(declare(main_pool()));
  const PoolRef b = ref(declare(other));
  EXPECT_NE(a.id(), b.id());
  EXPECT_GE(b.global(0), a.global(0) + a.capacity());
  EXPECT_EQ(b.local(b.global(2)), PlaceIndex{2});
  EXPECT_EQ(a.local(b.global(2)), std::nullopt);
}

TEST_F(Declaring, TellsTheLaterOneWhatDiffersAndLeavesItStanding) {
  declare(main_pool(4));
  const auto other = world_.join();
  PoolDeclaration asked = main_pool(3);
  asked.keep = 0;
  asked.connect_timeout_ms = 77;
  const auto declared = declare_pool(world_.segment(), other->id(), asked);
  ASSERT_TRUE(declared.ok());
  EXPECT_THAT(declared.value().differences, HasSubstr("max 4 stands, 3 asked"));
  EXPECT_THAT(declared.value().differences, HasSubstr("keep 1 stands, 0 asked"));
  EXPECT_THAT(declared.value().differences, HasSubstr("connect_timeout 10000 stands, 77 asked"));
  EXPECT_THAT(declared.value().differences, ::testing::Not(HasSubstr("min")));
  EXPECT_EQ(in_service(ref(declared.value())), 4u);
}

TEST_F(Declaring, ReplacesWhatOthersUseWhereItIsAskedToAndTellsBoth) {
  const PoolRef pool = ref(declare(main_pool(4)));
  const std::unique_ptr<Membership> other = world_.join();
  PoolDeclaration asked = main_pool(3);
  asked.keep = 0;
  asked.on_conflict = OnConflict::kReplace;
  const auto declared = declare_pool(world_.segment(), other->id(), asked);
  ASSERT_TRUE(declared.ok()) << declared.status().to_string();
  EXPECT_EQ(declared.value().differences, "max 4 replaced by 3, keep 1 replaced by 0");
  EXPECT_EQ(pool.row().max.load(), 3u);
  EXPECT_EQ(pool.row().keep.load(), 0u);
  EXPECT_EQ(in_service(pool), 3u);
}

TEST_F(Declaring, ReplacesNothingWhereThereIsNoRoomForIt) {
  const PoolRef pool = ref(declare(main_pool(4)));
  const std::unique_ptr<Membership> other = world_.join();
  PoolDeclaration asked = main_pool(pool.capacity() + 1);
  asked.keep = 0;
  asked.on_conflict = OnConflict::kReplace;
  const Status status = declare_pool(world_.segment(), other->id(), asked).status();
  EXPECT_EQ(status.code(), Code::kShmFull);
  EXPECT_THAT(status.message(),
              HasSubstr("pool main: max " + std::to_string(asked.max) + " asked"));
  EXPECT_EQ(pool.row().max.load(), 4u);
  EXPECT_EQ(pool.row().keep.load(), 1u) << "all or nothing";
}

TEST_F(Declaring, RefusesWhatDiffersWhereItIsAskedToAndChangesNothing) {
  const PoolRef pool = ref(declare(main_pool(4)));
  const std::unique_ptr<Membership> other = world_.join();
  PoolDeclaration asked = main_pool(3);
  asked.on_conflict = OnConflict::kRefuse;
  const Status status = declare_pool(world_.segment(), other->id(), asked).status();
  EXPECT_EQ(status.code(), Code::kBadConfig);
  EXPECT_THAT(status.message(),
              HasSubstr("pool main: other workers use other settings (max 4 stands, 3 asked)"));
  EXPECT_EQ(pool.row().max.load(), 4u);
  EXPECT_EQ(in_service(pool), 4u);
  asked.max = 4;
  EXPECT_TRUE(declare_pool(world_.segment(), other->id(), asked).ok()) << "the same is welcome";
}

TEST_F(Declaring, OfAQuotaReplacesOrRefusesLikewise) {
  const auto declare_limit = [&](const Membership& who, std::uint32_t limit, OnConflict how) {
    return declare_quota(world_.segment(), who.id(), {"pg", limit, how});
  };
  const auto first = declare_limit(*me_, 5, OnConflict::kKeep);
  ASSERT_TRUE(first.ok());
  const std::unique_ptr<Membership> other = world_.join();
  const auto refused = declare_limit(*other, 4, OnConflict::kRefuse);
  EXPECT_EQ(refused.status().code(), Code::kBadConfig);
  EXPECT_THAT(refused.status().message(), HasSubstr("quota pg: other workers use other settings "
                                                    "(limit 5 stands, 4 asked)"));
  const auto replaced = declare_limit(*other, 4, OnConflict::kReplace);
  ASSERT_TRUE(replaced.ok());
  EXPECT_EQ(replaced.value().differences, "limit 5 replaced by 4");
  EXPECT_EQ(world_.segment().quotas()[replaced.value().row].limit.load(), 4u);
}

TEST_F(Declaring, AloneTakesTheNewSettings) {
  declare(main_pool(4));
  PoolDeclaration asked = main_pool(4);
  asked.keep = 3;
  const Declared declared = declare(asked);
  EXPECT_EQ(declared.differences, "");
  EXPECT_EQ(ref(declared).row().keep.load(), 3u);
}

TEST_F(Declaring, CountsTheDeadForNothingEvenBeforeTheyAreReaped) {
  declare(main_pool(4));
  auto other = world_.join();
  test::die(other);
  PoolDeclaration asked = main_pool(4);
  asked.keep = 3;
  EXPECT_EQ(declare(asked).differences, "");
}

TEST_F(Declaring, AloneGrowsAndShrinks) {
  const PoolRef pool = ref(declare(main_pool(4)));
  EXPECT_EQ(declare(main_pool(10)).differences, "");
  EXPECT_EQ(in_service(pool), 10u);
  EXPECT_EQ(declare(main_pool(2)).differences, "");
  EXPECT_EQ(in_service(pool), 2u);
  EXPECT_EQ(declare(main_pool(3)).differences, "");
  EXPECT_EQ(in_service(pool), 3u);
}

TEST_F(Declaring, GrowsNoFurtherThanTheRoomItWasGivenAndSaysSo) {
  const PoolRef pool = ref(declare(main_pool(4)));
  PoolDeclaration asked = main_pool(pool.capacity() + 1);
  asked.keep = 2;
  EXPECT_THAT(declare(asked).differences, HasSubstr("max 4 stands"));
  EXPECT_EQ(in_service(pool), 4u);
  // That one setting does not fit is no reason to ignore the others.
  EXPECT_EQ(pool.row().keep.load(), 2u);
}

TEST_F(Declaring, ShrinkingLeavesOccupiedPlacesUntilTheyAreFreed) {
  const PoolRef pool = ref(declare(main_pool(4)));
  std::vector<Room> rooms;
  for (int i = 0; i < 4; ++i) rooms.push_back(*take_room(pool, me_->id()));
  EXPECT_EQ(declare(main_pool(1)).differences, "");
  EXPECT_EQ(in_service(pool), 4u);
  EXPECT_TRUE(place_word(pool, 3).retire());
  EXPECT_FALSE(place_word(pool, 0).retire());
  // Whoever has them still has the words from before the shrink.
  for (const Room& room : rooms) leave_room(pool, me_->id(), room.place, room.word);
  EXPECT_EQ(in_service(pool), 1u);
  EXPECT_EQ(count_places(pool, PlaceState::kFree), 1u);
  EXPECT_FALSE(take_room(pool, me_->id()) && take_room(pool, me_->id()));
}

TEST_F(Declaring, ShrinkingAndGrowingAgainKeepsOccupiedPlacesInService) {
  const PoolRef pool = ref(declare(main_pool(4)));
  std::vector<Room> rooms;
  for (int i = 0; i < 4; ++i) rooms.push_back(*take_room(pool, me_->id()));
  declare(main_pool(1));
  declare(main_pool(4));
  for (const Room& room : rooms) leave_room(pool, me_->id(), room.place, room.word);
  EXPECT_EQ(count_places(pool, PlaceState::kFree), 4u);
}

TEST_F(Declaring, RefusesTheSameNameForAnotherServerDriverOrQuota) {
  const auto other = world_.join();
  static_cast<void>(world_.pool(other->id(), main_pool()));
  PoolDeclaration server = main_pool(), driver = main_pool(), quota = main_pool();
  server.fingerprint = 8;
  driver.driver = "another";
  quota.quota = world_.quota(me_->id(), 2);
  for (const PoolDeclaration& asked : {server, driver, quota}) {
    EXPECT_EQ(refusal(asked).code(), Code::kBadConfig);
    EXPECT_THAT(refusal(asked).message(), HasSubstr("pool main"));
  }
}

TEST_F(Declaring, AloneLetsAnEmptyPoolBecomeAnother) {
  const PoolRef pool = ref(declare(main_pool()));
  PoolDeclaration asked = main_pool();
  asked.fingerprint = 8;
  const Room room = *take_room(pool, me_->id());
  EXPECT_EQ(refusal(asked).code(), Code::kBadConfig);  // something may be open to the old server
  leave_room(pool, me_->id(), room.place, room.word);
  EXPECT_EQ(declare(asked).row, pool.id());
  EXPECT_EQ(pool.row().fingerprint.load(), 8u);
}

TEST_F(Declaring, GivesPoolsOfOneQuotaTheSamePermits) {
  PoolDeclaration a = main_pool(), b = main_pool();
  b.name = "other";
  a.quota = b.quota = world_.quota(me_->id(), 5);
  const PoolRef first = ref(declare(a)), second = ref(declare(b));
  ASSERT_TRUE(first.has_quota());
  EXPECT_EQ(first.permits().data(), second.permits().data());
  EXPECT_EQ(std::count_if(first.permits().begin(), first.permits().end(),
                          [](const Word& cell) {
                            return PermitWord(cell.load()).state() == PermitState::kFree;
                          }),
            5);
}

TEST_F(Declaring, OfAQuotaIsIdempotentAndTellsDifferences) {
  const std::uint32_t row = world_.quota(me_->id(), 5);
  EXPECT_EQ(world_.quota(me_->id(), 5), row);
  const auto other = world_.join();
  const auto declared =
      declare_quota(world_.segment(), other->id(), {.name = "shared", .limit = 9});
  ASSERT_TRUE(declared.ok());
  EXPECT_EQ(declared.value().row, row);
  EXPECT_EQ(declared.value().differences, "limit 5 stands, 9 asked");
}

TEST_F(Declaring, AloneResizesAQuotaAndHeldPermitsRetireWhenTheyComeBack) {
  PoolDeclaration declaration = main_pool(4);
  declaration.quota = world_.quota(me_->id(), 4);
  const PoolRef pool = ref(declare(declaration));
  std::vector<Room> rooms;
  for (int i = 0; i < 4; ++i) rooms.push_back(*take_room(pool, me_->id()));
  EXPECT_EQ(world_.quota(me_->id(), 2), declaration.quota);
  for (const Room& room : rooms) leave_room(pool, me_->id(), room.place, room.word);
  EXPECT_TRUE(take_room(pool, me_->id()).has_value());
  EXPECT_TRUE(take_room(pool, me_->id()).has_value());
  EXPECT_FALSE(take_room(pool, me_->id()).has_value());
}

TEST_F(Declaring, RefusesWhatDoesNotFitAndSaysHowMuchThereIs) {
  const Status places = refusal(main_pool(test::kSmallGeometry.places + 1));
  EXPECT_EQ(places.code(), Code::kShmFull);
  EXPECT_THAT(places.message(), HasSubstr("65 places needed, 64 in all"));
  const auto permits = declare_quota(world_.segment(), me_->id(), {.name = "q", .limit = 65});
  EXPECT_EQ(permits.status().code(), Code::kShmFull);
  for (std::uint32_t i = 0; i < test::kSmallGeometry.pools; ++i) {
    PoolDeclaration one = main_pool(1);
    one.name = "pool" + std::to_string(i);
    declare(one);
  }
  EXPECT_EQ(refusal(main_pool(1)).code(), Code::kShmFull);
}

TEST_F(Declaring, RefusesNamesThatWouldBeCut) {
  PoolDeclaration declaration = main_pool();
  declaration.name = std::string(31, 'x');
  const std::uint32_t row = declare(declaration).row;
  EXPECT_EQ(declare(declaration).row, row);
  declaration.name = std::string(32, 'x');
  EXPECT_EQ(refusal(declaration).code(), Code::kBadConfig);
  declaration.name = "";
  EXPECT_EQ(refusal(declaration).code(), Code::kBadConfig);
  declaration = main_pool();
  declaration.driver = std::string(16, 'x');
  EXPECT_EQ(refusal(declaration).code(), Code::kBadConfig);
  EXPECT_EQ(declare_quota(world_.segment(), me_->id(), {.name = std::string(32, 'x'), .limit = 1})
                .status()
                .code(),
            Code::kBadConfig);
}

TEST_F(Declaring, TakesNoRangeTwiceAfterADeclarerDiedHalfway) {
  const PoolRef first = ref(declare(main_pool(4)));
  // A killed declarer's row is filled in but not declared; its places are used by the next.
  PoolRow& half = world_.segment().pools()[first.id() + 1];
  half.name.store("half");
  half.first_place.store(first.global(0) + first.capacity());
  half.capacity.store(4);
  PoolDeclaration other = main_pool(2);
  other.name = "other";
  const PoolRef second = ref(declare(other));
  EXPECT_EQ(second.row().name.load(), "other");
  EXPECT_EQ(in_service(second), 2u);
}

TEST_F(Declaring, GivesUpAfterASecondWhenSomebodyHoldsTheLock) {
  const FileDescriptor other(world_.segment().reopen());
  ASSERT_TRUE(try_lock_byte(other.get(), kDeclareByte, LockKind::kExclusive));
  EXPECT_EQ(refusal(main_pool()).code(), Code::kTimeout);
  unlock_byte(other.get(), kDeclareByte);
  declare(main_pool());
}

TEST_F(Declaring, RangesThatLieOutsidePoisonTheSegment) {
  const Declared declared = declare(main_pool());
  world_.segment().pools()[declared.row].first_place.store(60);
  EXPECT_FALSE(PoolRef::find(world_.segment(), declared.row).has_value());
  EXPECT_THAT(world_.segment().usable().message(), HasSubstr("places lie outside"));
}

TEST_F(Declaring, RefusesAPoolRowWhoseRangeLiesOutside) {
  PoolRow& row = world_.segment().pools()[declare(main_pool()).row];
  row.first_place.store(0x0fffffff);
  EXPECT_EQ(refusal(main_pool()).code(), Code::kShmCorrupt);
  EXPECT_THAT(world_.segment().usable().message(), HasSubstr("pool row 0: its places lie outside"));
}

TEST_F(Declaring, RefusesToPutAPoolBehindARangeThatLiesOutside) {
  PoolRow& row = world_.segment().pools()[declare(main_pool()).row];
  row.capacity.store(UINT32_MAX);
  PoolDeclaration other = main_pool();
  other.name = "other";
  EXPECT_EQ(refusal(other).code(), Code::kShmCorrupt);
}

TEST_F(Declaring, RefusesAQuotaRowWhoseRangeLiesOutside) {
  const QuotaDeclaration quota = {.name = "pg", .limit = 2};
  const auto declared = declare_quota(world_.segment(), me_->id(), quota);
  ASSERT_TRUE(declared.ok());
  world_.segment().quotas()[declared.value().row].first_permit.store(0x0fffffff);
  EXPECT_EQ(declare_quota(world_.segment(), me_->id(), quota).status().code(), Code::kShmCorrupt);
  EXPECT_THAT(world_.segment().usable().message(),
              HasSubstr("quota row 0: its permits lie outside"));
}

}  // namespace
}  // namespace weir::shm
