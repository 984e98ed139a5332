#include "shm/words.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace weir::shm {
namespace {

rc::Gen<std::uint64_t> of_width(unsigned width) {
  // inRange's upper end is exclusive and must fit.
  return rc::gen::map(rc::gen::arbitrary<std::uint64_t>(),
                      [width](std::uint64_t any) { return any & bits::mask(width); });
}

RC_GTEST_PROP(PlaceWords, GiveBackWhatWasPackedIntoThem, ()) {
  const auto state = static_cast<PlaceState>(*rc::gen::inRange(0u, kPlaceStates));
  const std::uint64_t idx = *of_width(PlaceWord::kIdxBits), gen = *of_width(PlaceWord::kGenBits),
                      occ = *of_width(PlaceWord::kOccBits);
  const bool retire = *rc::gen::arbitrary<bool>();
  const PlaceWord word(state, idx, gen, occ, retire);
  RC_ASSERT(word.state() == state);
  RC_ASSERT(word.idx() == idx);
  RC_ASSERT(word.gen() == gen);
  RC_ASSERT(word.occ() == occ);
  RC_ASSERT(word.retire() == retire);
  RC_ASSERT(word.possible());
  RC_ASSERT(PlaceWord(word.raw()) == word);
}

RC_GTEST_PROP(PlaceWords, AreMadeOfAllTheirBits, (std::uint64_t raw)) {
  const PlaceWord word(raw);
  RC_PRE(word.possible());
  RC_ASSERT(PlaceWord(word.state(), word.idx(), word.gen(), word.occ(), word.retire()) == word);
}

RC_GTEST_PROP(PlaceWords, KeepOccupationAndRetirementThroughEveryChangeButOccupying,
              (std::uint64_t raw, std::uint32_t row, std::uint32_t gen)) {
  const PlaceWord word(raw);
  const WorkerId worker{row & 2047, gen};
  for (const PlaceWord changed : {word.to(PlaceState::kUsed, worker), word.to_offered(7, 12345),
                                  word.to_lingering(LingerCause::kUsed, worker.row)}) {
    RC_ASSERT(changed.occ() == word.occ());
    RC_ASSERT(changed.retire() == word.retire());
  }
  RC_ASSERT(word.to_free().occ() == word.occ());
  const PlaceWord occupied = word.to_occupied(worker);
  RC_ASSERT(occupied.occ() == ((word.occ() + 1) & bits::mask(PlaceWord::kOccBits)));
  RC_ASSERT(occupied.state() == PlaceState::kOpening);
  RC_ASSERT(occupied.belongs_to(worker));
}

rc::Gen<WorkerId> any_worker() {
  return rc::gen::map(rc::gen::pair(of_width(PlaceWord::kIdxBits), of_width(32)),
                      [](const std::pair<std::uint64_t, std::uint64_t>& any) {
                        return WorkerId{static_cast<std::uint32_t>(any.first),
                                        static_cast<std::uint32_t>(any.second)};
                      });
}

RC_GTEST_PROP(PlaceWords, OnTheirWayNameGiverAndReceiverWithTheLowBitsOfTheirGenerations,
              (std::uint64_t raw)) {
  const WorkerId from = *any_worker(), to = *any_worker();
  const PlaceWord before(raw);
  const PlaceWord word = before.to_giving(from, to);
  RC_ASSERT(word.state() == PlaceState::kGiving);
  RC_ASSERT(word.occ() == before.occ());
  RC_ASSERT(word.retire() == before.retire());
  RC_ASSERT(word.giver().row == from.row);
  RC_ASSERT(word.giver().gen == (from.gen & 0x1ff));
  RC_ASSERT(word.receiver().row == to.row);
  RC_ASSERT(word.receiver().gen == (to.gen & 0xff));
  RC_ASSERT(word.is_given_by(from));
  RC_ASSERT(word.is_on_its_way_to(to));
  // It is nobody's in particular, so that no rule for words of one worker applies to it.
  RC_ASSERT(!word.names_worker());
  RC_ASSERT(!word.belongs_to(from) && !word.belongs_to(to));
}

RC_GTEST_PROP(PlaceWords, OnTheirWayMeanNoOtherRowAndNoNextGeneration, ()) {
  const WorkerId from = *any_worker(), to = *any_worker();
  const PlaceWord word = PlaceWord().to_giving(from, to);
  const auto next = *rc::gen::inRange<std::uint32_t>(1, 256);
  RC_ASSERT(!word.is_given_by({from.row, from.gen + next}));
  RC_ASSERT(!word.is_given_by({from.row ^ 1, from.gen}));
  RC_ASSERT(!word.is_on_its_way_to({to.row, to.gen + next}));
  RC_ASSERT(!word.is_on_its_way_to({to.row ^ 1, to.gen}));
}

TEST(PlaceWords, ParkedAreOnTheirWayToWhomTheyNameAndToNobodyElse) {
  const PlaceWord parked(PlaceState::kParked, 5, 7, 3);
  EXPECT_TRUE(parked.is_on_its_way_to({5, 7}));
  EXPECT_FALSE(parked.is_on_its_way_to({5, 8}));
  EXPECT_FALSE(parked.is_on_its_way_to({5, 7 + 256})) << "all bits of the generation count";
  EXPECT_FALSE(parked.is_given_by({5, 7}));
  EXPECT_FALSE(PlaceWord(PlaceState::kUsed, 5, 7, 3).is_on_its_way_to({5, 7}));
}

RC_GTEST_PROP(PlaceWords, BelongToOneGenerationOfOneRow,
              (std::uint32_t row, std::uint32_t gen, std::uint32_t other)) {
  const WorkerId owner{row & 2047, gen};
  const PlaceWord word(PlaceState::kIdle, owner.row, owner.gen, 3);
  RC_ASSERT(word.belongs_to(owner));
  RC_ASSERT(!word.belongs_to({owner.row ^ 1, owner.gen}));
  if (((gen ^ other) & bits::mask(PlaceWord::kGenBits)) != 0) {
    RC_ASSERT(!word.belongs_to({owner.row, other}));
  }
}

TEST(PlaceWords, BelongToNobodyWhereNoWorkerKeepsThem) {
  const WorkerId worker{3, 9};
  for (const PlaceState state : {PlaceState::kFree, PlaceState::kOffered, PlaceState::kGiving,
                                 PlaceState::kLingering, PlaceState::kRetired}) {
    EXPECT_FALSE(PlaceWord(state, worker.row, worker.gen, 1).belongs_to(worker))
        << place_state_name(state);
  }
}

TEST(PlaceWords, OfferToOneIncarnationOfOneWaiter) {
  const PlaceWord offer = PlaceWord(PlaceState::kOpening, 1, 1, 5).to_offered(9, 0x1234567890);
  EXPECT_TRUE(offer.offers_to(9, 0x1234567890));
  EXPECT_FALSE(offer.offers_to(9, 0x1234567891));
  EXPECT_FALSE(offer.offers_to(8, 0x1234567890));
  EXPECT_FALSE(PlaceWord(PlaceState::kOpening, 9, 0x4567890, 5).offers_to(9, 0x4567890));
}

TEST(PlaceWords, AreOccupiedUnlessFreeOrRetired) {
  for (unsigned i = 0; i < kPlaceStates; ++i) {
    const auto state = static_cast<PlaceState>(i);
    EXPECT_EQ(PlaceWord(state, 0, 0, 0).occupied(),
              state != PlaceState::kFree && state != PlaceState::kRetired)
        << place_state_name(state);
  }
}

TEST(PlaceWords, FlaggedToRetireDoSoWhenTheyAreFreed) {
  const PlaceWord used(PlaceState::kUsed, 1, 1, 5, true);
  EXPECT_EQ(used.to_free(), PlaceWord(PlaceState::kRetired, 0, 0, 5));
  EXPECT_EQ(PlaceWord(PlaceState::kUsed, 1, 1, 5).to_free(), PlaceWord(PlaceState::kFree, 0, 0, 5));
}

TEST(PlaceWords, RememberWhatTheDeadDid) {
  for (const LingerCause cause :
       {LingerCause::kIdle, LingerCause::kUsed, LingerCause::kOpening, LingerCause::kClosing}) {
    const PlaceWord word = PlaceWord(PlaceState::kUsed, 2000, 77, 5).to_lingering(cause, 2000);
    EXPECT_EQ(word.state(), PlaceState::kLingering);
    EXPECT_EQ(word.linger_cause(), cause);
    EXPECT_EQ(word.gen(), 2000u);
    EXPECT_EQ(word.occ(), 5u);
  }
}

TEST(PlaceWords, HaveANameForEveryState) {
  EXPECT_EQ(place_state_name(PlaceState::kFree), "free");
  EXPECT_EQ(place_state_name(PlaceState::kLingering), "lingering");
  EXPECT_EQ(place_state_name(PlaceState::kRetired), "retired");
  EXPECT_EQ(place_state_name(static_cast<PlaceState>(10)), "impossible");
  EXPECT_FALSE(PlaceWord(10).possible());
}

RC_GTEST_PROP(PermitWords, GiveBackWhatWasPackedIntoThem, ()) {
  const auto state =
      *rc::gen::element(PermitState::kFree, PermitState::kHeld, PermitState::kRetired);
  const std::uint64_t place = *of_width(16), occ = *of_width(PlaceWord::kOccBits);
  const bool retire = *rc::gen::arbitrary<bool>();
  const PermitWord word(state, place, occ, retire);
  RC_ASSERT(word.state() == state);
  RC_ASSERT(word.place() == place);
  RC_ASSERT(word.occ() == occ);
  RC_ASSERT(word.retire() == retire);
  RC_ASSERT(PermitWord(word.raw()) == word);
}

RC_GTEST_PROP(PermitWords, AreVoidExactlyWhenTheirOccupationIsOver,
              (std::uint64_t raw_place, bool same_occ)) {
  const PlaceWord place(raw_place);
  RC_PRE(place.possible());
  const PermitWord permit =
      PermitWord().to_held(3, same_occ ? place.occ() : (place.occ() + 1) & 0xfffffu);
  RC_ASSERT(permit.is_void(place) == !(same_occ && place.occupied()));
}

TEST(PermitWords, FlaggedToRetireDoSoWhenTheyAreFreed) {
  EXPECT_EQ(PermitWord(PermitState::kHeld, 3, 4, true).to_free().state(), PermitState::kRetired);
  EXPECT_EQ(PermitWord(PermitState::kHeld, 3, 4).to_free(), PermitWord());
}

RC_GTEST_PROP(WaiterWords, GiveBackWhatWasPackedIntoThem, ()) {
  const auto state = static_cast<WaiterState>(*rc::gen::inRange(0u, 5u));
  const std::uint64_t owner = *of_width(11), what = *of_width(WaiterWord::kWhatBits),
                      inc = *of_width(35);
  const WaiterWord word(state, owner, what, inc);
  RC_ASSERT(word.state() == state);
  RC_ASSERT(word.owner_row() == owner);
  RC_ASSERT(word.what() == what);
  RC_ASSERT(word.inc() == inc);
  RC_ASSERT(word.possible());
}

RC_GTEST_PROP(WaiterWords, ChangeIncarnationWhenTheyLeaveOrTakeBackAndOnlyThen, ()) {
  const WaiterWord word(WaiterState::kClaimed, *of_width(11), *of_width(15), *of_width(34));
  RC_ASSERT(word.to_waiting_again().inc() == word.inc() + 1);
  RC_ASSERT(word.to_waiting_again().owner_row() == word.owner_row());
  RC_ASSERT(word.to_free().inc() == word.inc() + 1);
  RC_ASSERT(word.to(WaiterState::kGranted, 5).inc() == word.inc());
  RC_ASSERT(word.to(WaiterState::kGranted, 5).owner_row() == word.owner_row());
}

TEST(WaiterWords, KnowTheNumbersNoStateHas) {
  EXPECT_TRUE(WaiterWord(4).possible());
  EXPECT_FALSE(WaiterWord(5).possible());
}

RC_GTEST_PROP(WorkerWords, MeanOneGeneration, (std::uint32_t gen, std::uint32_t other)) {
  const WorkerWord live(WorkerState::kLive, gen);
  RC_ASSERT(live.gen() == gen);
  RC_ASSERT(live.state() == WorkerState::kLive);
  RC_ASSERT(live.is_live(gen));
  RC_ASSERT(live.is_live(gen & static_cast<std::uint32_t>(bits::mask(PlaceWord::kGenBits))));
  RC_ASSERT(!WorkerWord(WorkerState::kFree, gen).is_live(gen));
  if (((gen ^ other) & bits::mask(PlaceWord::kGenBits)) != 0) RC_ASSERT(!live.is_live(other));
}

RC_GTEST_PROP(TurnWords, GiveBackWhatWasPackedIntoThem, (std::uint64_t now_ns)) {
  const WorkerId worker{static_cast<std::uint32_t>(*of_width(11)),
                        static_cast<std::uint32_t>(*of_width(28))};
  const TurnWord word(worker, now_ns);
  RC_ASSERT(word.taken());
  RC_ASSERT(word.row() == worker.row);
  RC_ASSERT(word.gen() == worker.gen);
  RC_ASSERT(word.age_ns(now_ns) == 0u);
}

RC_GTEST_PROP(TurnWords, KnowTheirAgeToASixtiethOfASecond, (std::uint64_t taken_ns)) {
  constexpr std::uint64_t kUnit = std::uint64_t{1} << 24;
  const std::uint64_t hours = *rc::gen::inRange<std::uint64_t>(0, 70ull * 3600 * 1'000'000'000);
  const std::uint64_t start = taken_ns >> 1;  // room to add
  const std::uint64_t age = TurnWord({1, 1}, start).age_ns(start + hours);
  RC_ASSERT(age < hours + kUnit);
  RC_ASSERT(age + kUnit > hours);
}

TEST(TurnWords, TakenByAClockThatWasReadLaterAreNew) {
  // One thread reads the clock, another one takes the turn, then the first one looks at its age.
  constexpr std::uint64_t kBoundary = std::uint64_t{100} << 24;
  EXPECT_EQ(TurnWord({1, 1}, kBoundary).age_ns(kBoundary - 1), 0u);
  EXPECT_EQ(TurnWord({1, 1}, kBoundary).age_ns(kBoundary - 1'000'000'000), 0u);
}

TEST(TurnWords, AreFreeWhenZero) { EXPECT_FALSE(TurnWord().taken()); }

}  // namespace
}  // namespace weir::shm
