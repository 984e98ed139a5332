#include "shm/reserve.h"

#include <gtest/gtest.h>

#include <atomic>
#include <optional>
#include <thread>
#include <vector>

#include "shm/rooms.h"
#include "support/room_user.h"
#include "support/shm_world.h"

namespace weir::shm {
namespace {

using test::place_word;
using test::ShmWorld;

constexpr std::uint32_t kAnHourMs = 3'600'000;

// A pool of three, one of them in reserve.
class Reserve : public ::testing::Test {
 protected:
  PoolRef with(std::uint32_t reserve, std::uint32_t after_ms) {
    PoolDeclaration declaration;
    declaration.name = "main";
    declaration.driver = "fake";
    declaration.max = 3;
    declaration.reserve = reserve;
    declaration.reserve_after_ms = after_ms;
    declaration.connect_concurrency = kMaxHandshakes;
    return world_.pool(me_->id(), declaration);
  }
  Room take() {
    const auto room = take_room(pool_, me_->id());
    WEIR_CHECK(room.has_value());
    return *room;
  }
  Waiter enter() {
    auto waiter = Waiter::enter(pool_, me_->id(), Deadline::never(), "label", 0);
    WEIR_CHECK(waiter.has_value());
    return *waiter;
  }

  ShmWorld world_;
  std::unique_ptr<Membership> me_ = world_.join();
  PoolRef pool_ = with(1, kAnHourMs);
};

TEST_F(Reserve, IsNotForWhoIsNotInLine) {
  (void)take();
  (void)take();
  EXPECT_FALSE(take_room(pool_, me_->id()));
  EXPECT_EQ(places_for(pool_, kNotInLine), 0u);
}

TEST_F(Reserve, IsNotForWhoHasNotWaitedForLongEnough) {
  (void)take();
  (void)take();
  EXPECT_FALSE(take_room(pool_, me_->id(), monotonic_ns()));
  const Waiter waiter = enter();
  match(pool_, me_->id());
  EXPECT_EQ(waiter.word().state(), WaiterState::kWaiting);
}

TEST_F(Reserve, IsForWhoHasWaitedForLongEnough) {
  (void)take();
  (void)take();
  const Waiter waiter = enter();
  pool_.row().reserve_after_ms.store(0);
  match(pool_, me_->id());
  EXPECT_EQ(waiter.word().state(), WaiterState::kClaimed);
  EXPECT_EQ(places_for(pool_, waiter.since_ns()), 0u) << "it was the last one";
}

TEST_F(Reserve, IsNotHandedOnToWhoHasNotWaitedForLongEnough) {
  (void)take();
  (void)take();
  pool_.row().reserve_after_ms.store(0);
  const auto of_the_reserve = take_room(pool_, me_->id(), monotonic_ns());
  ASSERT_TRUE(of_the_reserve);
  pool_.row().reserve_after_ms.store(kAnHourMs);
  const Waiter waiter = enter();
  leave_room(pool_, me_->id(), of_the_reserve->place, of_the_reserve->word);
  EXPECT_EQ(waiter.word().state(), WaiterState::kWaiting);
  EXPECT_EQ(place_word(pool_, of_the_reserve->place).state(), PlaceState::kFree);
}

TEST_F(Reserve, LeavesTheOtherPlacesAsTheyAre) {
  const Room first = take(), second = take();
  const Waiter waiter = enter();
  leave_room(pool_, me_->id(), second.place, second.word);
  EXPECT_EQ(waiter.word().state(), WaiterState::kClaimed);
  (void)first;
}

TEST_F(Reserve, OfAllThatAnOperatorLeftStillLetsOneIn) {
  pool_.row().reserve.store(3);
  EXPECT_EQ(beside_reserve(pool_.row()), 1u);
  EXPECT_TRUE(take_room(pool_, me_->id()));
  EXPECT_FALSE(take_room(pool_, me_->id()));
}

TEST_F(Reserve, OfAPolicyIsForNobody) {
  put_policy_max(pool_.row(), 1);
  (void)take();
  pool_.row().reserve_after_ms.store(0);
  const Waiter waiter = enter();
  match(pool_, me_->id());
  EXPECT_EQ(waiter.word().state(), WaiterState::kWaiting);
  put_policy_max(pool_.row(), 2);
  match(pool_, me_->id());
  EXPECT_EQ(waiter.word().state(), WaiterState::kClaimed);
}

TEST_F(Reserve, OfAPolicyThatWantsMoreThanMaxIsNone) {
  put_policy_max(pool_.row(), 7);
  EXPECT_EQ(pool_.row().policy_max.load(), 0u);
  put_policy_max(pool_.row(), 0);
  EXPECT_EQ(pool_.row().policy_max.load(), 1u) << "one is always let in";
}

TEST_F(Reserve, StaysFreeHoweverManyComeAtOnce) {
  constexpr int kTurns = 20'000;
  std::atomic<int> inside{0}, most{0}, got{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < kTurns; ++i) {
        const std::optional<Room> room = take_room(pool_, me_->id());
        if (!room) continue;
        const int now = inside.fetch_add(1) + 1;
        for (int seen = most.load(); seen < now && !most.compare_exchange_weak(seen, now);) {
        }
        got.fetch_add(1);
        inside.fetch_sub(1);
        leave_room(pool_, me_->id(), room->place, room->word);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE(most.load(), 2);
  EXPECT_GT(got.load(), kTurns);
}

}  // namespace
}  // namespace weir::shm
