#include "shm/recorder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <thread>
#include <vector>

#include "support/shm_world.h"

namespace weir::shm {
namespace {

using test::ShmWorld;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr Geometry kRoomy = [] {
  Geometry geometry = test::kSmallGeometry;
  geometry.events_per_worker = 16;  // 12 for requests
  return geometry;
}();

// Every field follows from `number`, so that one of another event shows.
RecordedEvent lease(std::uint32_t number) {
  return {.kind = Happening::kLease,
          .pool = number % 256,
          .klass = number % 9,
          .when_ns = number + std::uint64_t{5'000'000'000},
          .connection = number * 3,
          .number = number,
          .wait_us = ~number,
          .took_us = number + 7};
}

class TheRecorder : public ::testing::Test {
 protected:
  [[nodiscard]] EventTail tail(EventTail::From from = EventTail::From::kNow,
                               Ring ring = Ring::kRequests) const {
    return {world_.segment(), me_->id().row, ring, from};
  }
  static std::vector<std::uint32_t> numbers(EventTail& tail, bool is_last_look = false) {
    std::vector<RecordedEvent> events;
    tail.read(events, is_last_look);
    std::vector<std::uint32_t> all;
    for (const RecordedEvent& event : events) {
      EXPECT_EQ(event, lease(event.number));
      all.push_back(event.number);
    }
    return all;
  }
  [[nodiscard]] EventRow& row(std::size_t index) const {
    return world_.segment().events()[me_->id().row * std::size_t{16} + index];
  }
  // What a writer leaves behind that is killed after its first step, and after its second.
  void begin_one() { ++me_->row().recorded[0]; }
  void begin_one_and_mark_it() {
    const std::uint64_t before = me_->row().recorded[0].fetch_add(1);
    EventRow& mine = row(before % 12);
    mine.what.store(EventWord(0, 0, 0, before + 1).raw());
    mine.when_ns.store(1);
  }

  ShmWorld world_{kRoomy};
  std::unique_ptr<Membership> me_ = world_.join();
  Recorder recorder_{world_.segment(), me_->id().row};
};

TEST_F(TheRecorder, GivesEachEventOnceAndInOrder) {
  EventTail reader = tail();
  EXPECT_THAT(numbers(reader), IsEmpty());
  for (const std::uint32_t number : {1u, 2u, 3u}) recorder_.record(lease(number));
  EXPECT_THAT(numbers(reader), ElementsAre(1, 2, 3));
  recorder_.record(lease(4));
  EXPECT_THAT(numbers(reader), ElementsAre(4));
  EXPECT_THAT(numbers(reader), IsEmpty());
  EXPECT_EQ(reader.lost(), 0u);
}

TEST_F(TheRecorder, TellsWhoFallsBehindHowManyItMissed) {
  EventTail reader = tail();
  for (std::uint32_t number = 1; number <= 30; ++number) recorder_.record(lease(number));
  EXPECT_THAT(numbers(reader), ElementsAre(19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30));
  EXPECT_EQ(reader.lost(), 18u);
}

TEST_F(TheRecorder, ShowsWhoComesLateTheLastOnes) {
  for (std::uint32_t number = 1; number <= 14; ++number) recorder_.record(lease(number));
  EventTail reader = tail(EventTail::From::kOldest);
  EXPECT_THAT(numbers(reader), ElementsAre(3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14));
  EXPECT_EQ(reader.lost(), 0u);
}

TEST_F(TheRecorder, WaitsForAnEventThatIsBeingWrittenUntilHalfOfTheRingCameAfterIt) {
  for (const bool is_marked : {false, true}) {
    EventTail reader = tail();
    is_marked ? begin_one_and_mark_it() : begin_one();
    for (const std::uint32_t number : {1u, 2u, 3u, 4u, 5u}) recorder_.record(lease(number));
    EXPECT_THAT(numbers(reader), IsEmpty());
    recorder_.record(lease(6));
    EXPECT_THAT(numbers(reader), ElementsAre(1, 2, 3, 4, 5, 6));
    EXPECT_EQ(reader.lost(), 1u);
  }
}

TEST_F(TheRecorder, DoesNotWaitAtTheLastLook) {
  EventTail reader = tail();
  begin_one_and_mark_it();
  recorder_.record(lease(1));
  EXPECT_THAT(numbers(reader), IsEmpty());
  EXPECT_THAT(numbers(reader, true), ElementsAre(1));
  EXPECT_EQ(reader.lost(), 1u);
}

TEST_F(TheRecorder, LeavesOutAnEventWhoseRowSomebodyHasNotFinished) {
  EventTail reader = tail();
  begin_one_and_mark_it();
  for (std::uint32_t number = 2; number <= 16; ++number) recorder_.record(lease(number));
  // 13 would have had the row of 1.
  EXPECT_THAT(numbers(reader, true), ElementsAre(5, 6, 7, 8, 9, 10, 11, 12, 14, 15, 16));
  EXPECT_EQ(reader.lost(), 5u);
  EXPECT_TRUE(EventWord(row(0).what.load()).is_being_written());
}

TEST_F(TheRecorder, TellsAnEventThatWasOverwrittenWhileItWasRead) {
  recorder_.record(lease(1));
  EventTail reader = tail(EventTail::From::kOldest);
  // A writer a round later has marked the row, and no more.
  row(0).what.store(EventWord(0, 0, 0, 13).raw());
  EXPECT_THAT(numbers(reader), IsEmpty());
  EXPECT_EQ(reader.lost(), 1u);
}

TEST_F(TheRecorder, HasTheRowsOfTheKilledAgainOnceTheNextWorkerJoins) {
  const std::uint32_t mine = me_->id().row;
  begin_one_and_mark_it();
  test::die(me_);
  me_ = world_.join();
  ASSERT_EQ(me_->id().row, mine);
  EXPECT_EQ(row(0).what.load(), 0u);
  for (std::uint32_t number = 2; number <= 13; ++number) recorder_.record(lease(number));
  EventTail reader = tail(EventTail::From::kOldest);
  EXPECT_THAT(numbers(reader), ElementsAre(2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13));
}

TEST_F(TheRecorder, KeepsWhatIsRareApartFromRequests) {
  recorder_.record({.kind = Happening::kConnected, .when_ns = 1, .connection = 7});
  for (std::uint32_t number = 1; number <= 100; ++number) recorder_.record(lease(number));
  EventTail reader = tail(EventTail::From::kOldest, Ring::kAllElse);
  std::vector<RecordedEvent> events;
  reader.read(events, false);
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[0].kind, Happening::kJoined);
  EXPECT_EQ(events[1].kind, Happening::kConnected);
  EXPECT_EQ(events[1].connection, 7u);
}

TEST_F(TheRecorder, OfOneRowOnlyHasRoomForRequestsOnly) {
  Geometry geometry = test::kSmallGeometry;
  geometry.events_per_worker = 1;
  const ShmWorld world(geometry);
  const auto me = world.join();
  const Recorder recorder(world.segment(), me->id().row);
  recorder.record({.kind = Happening::kConnected});
  recorder.record(lease(1));
  EventTail reader(world.segment(), me->id().row, Ring::kRequests, EventTail::From::kOldest);
  EXPECT_THAT(numbers(reader), ElementsAre(1));
  EventTail none(world.segment(), me->id().row, Ring::kAllElse, EventTail::From::kOldest);
  EXPECT_THAT(numbers(none), IsEmpty());
}

// Many rounds of a ring that is much too small: most are lost, and none is half another.
TEST_F(TheRecorder, GivesWholeEventsOnlyWhileSeveralThreadsWrite) {
  constexpr std::uint32_t kThreads = 4, kEach = 50'000;
  EventTail reader = tail();
  std::atomic<std::uint32_t> running{kThreads};
  std::vector<std::thread> threads;
  for (std::uint32_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (std::uint32_t i = 0; i < kEach; ++i) recorder_.record(lease(t * kEach + i));
      --running;
    });
  }
  std::array<std::uint32_t, kThreads> next{};
  std::uint64_t seen = 0;
  const auto look = [&](bool is_last_look) {
    for (const std::uint32_t number : numbers(reader, is_last_look)) {
      std::uint32_t& from = next.at(number / kEach);
      EXPECT_GE(number % kEach + 1, from + 1) << "each thread's in its order";
      from = number % kEach + 1;
      ++seen;
    }
  };
  while (running.load() > 0) look(false);
  for (std::thread& thread : threads) thread.join();
  look(true);
  EXPECT_GT(seen, 0u);
  EXPECT_EQ(seen + reader.lost(), std::uint64_t{kThreads} * kEach);
}

}  // namespace
}  // namespace weir::shm
