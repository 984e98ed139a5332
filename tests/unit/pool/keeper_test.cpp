#include "pool/keeper.h"

#include <gtest/gtest.h>

#include <functional>
#include <new>

#include "support/shm_world.h"
#include "support/worker_process.h"

namespace weir::pool {
namespace {

using namespace std::chrono_literals;
using test::ShmWorld;

/// A keeper without pools, and another worker whose death it will notice and log.
class AKeeper : public testing::Test {
 protected:
  void let_somebody_die() {
    auto other = world_.join("other");
    test::die(other);
  }
  /// What happens within the pass that reaps.
  std::function<void()> on_reaped_ = [] {};

  ShmWorld world_;
  std::unique_ptr<shm::Membership> me_ = world_.join("me");
  Log log_{[](void* test, std::int32_t, const char* line) {
             if (std::string_view(line).find("worker_reaped") != std::string_view::npos) {
               static_cast<AKeeper*>(test)->on_reaped_();
             }
           },
           this};
  Keeper keeper_{world_.segment(), *me_, nullptr, log_, {}};
};

TEST_F(AKeeper, WhosePassThrowsKeepsAgainAfterwards) {
  let_somebody_die();
  on_reaped_ = [] { throw std::bad_alloc(); };
  EXPECT_THROW(keeper_.keep_once(), std::bad_alloc);
  EXPECT_GT(keeper_.keep_once(), monotonic_ns() + 100'000'000) << "nobody else is keeping";
}

TEST_F(AKeeper, ThreadGoesOnAfterAPassThatThrew) {
  let_somebody_die();
  std::atomic<int> thrown{0};
  on_reaped_ = [&] {
    ++thrown;
    throw std::bad_alloc();
  };
  ASSERT_TRUE(keeper_.start().ok());
  EXPECT_TRUE(test::poll_until([&] { return thrown == 1; }));
  let_somebody_die();
  EXPECT_TRUE(test::poll_until([&] { return thrown == 2; })) << "a second later it reaps again";
  keeper_.stop();
}

TEST_F(AKeeper, BesideOneWhoIsKeepingAsksAgainInAMillisecond) {
  let_somebody_die();
  std::uint64_t asked_ns = 0, next_ns = 0;
  on_reaped_ = [&] {
    asked_ns = monotonic_ns();
    next_ns = keeper_.keep_once();
  };
  keeper_.keep_once();
  EXPECT_GE(next_ns, asked_ns + 1'000'000);
  EXPECT_LE(next_ns, monotonic_ns() + 1'000'000);
}

}  // namespace
}  // namespace weir::pool
