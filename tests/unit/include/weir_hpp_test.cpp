// weir.hpp against a C face of the test's own: what the header asks of weir.h, and what it makes of
// the answers. That the true C face behaves is tested where it is built.
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "weir/weir.hpp"

namespace {

/// What the fake C face was asked, and what it is to answer.
struct FakeWeir {
  std::int32_t answer = WEIR_OK;       // of the calls that can fail
  std::vector<std::string> calls;      // in order
  weir_open_options_t open_options{};  // of the last weir_open; its texts are gone with the call
  std::string config_path;             // likewise, a copy
  weir_acquire_options_t options{};    // of the last acquire
  std::int32_t native = 42;            // what native handles point at
};

FakeWeir fake;

std::int32_t answer(const char* call, weir_error_t* error) {
  fake.calls.emplace_back(call);
  if (fake.answer != WEIR_OK && error != nullptr) {
    error->code = fake.answer;
    error->native_code = 7;
    error->retry_after_ms = 312;
    std::strncpy(error->native_text, "53300", sizeof(error->native_text) - 1);
    std::strncpy(error->message, "pool main: 20 of 20 in use", sizeof(error->message) - 1);
  }
  return fake.answer;
}

std::int32_t lend(const char* call, const weir_acquire_options_t* options, weir_lease_t* lease,
                  weir_error_t* error) {
  fake.options = *options;
  const std::int32_t code = answer(call, error);
  *lease = weir_lease_t{};
  if (code == WEIR_OK) {
    lease->owner = &fake;
    lease->native = &fake.native;
  }
  return code;
}

std::int32_t give(const char* call, weir_lease_t* lease, weir_error_t* error) {
  const std::int32_t code = answer(call, error);
  if (code == WEIR_OK) *lease = weir_lease_t{};
  return code;
}

}  // namespace

extern "C" {

int32_t weir_open(const weir_open_options_t* options, weir_runtime_t** runtime,
                  weir_error_t* error) {
  fake.open_options = *options;
  fake.config_path = options->config_path != nullptr ? options->config_path : "";
  *runtime = reinterpret_cast<weir_runtime_t*>(&fake);
  return answer("open", error);
}
int32_t weir_close(weir_runtime_t*, weir_error_t* error) { return answer("close", error); }
int32_t weir_pool(weir_runtime_t*, const char* name, weir_pool_t** pool, weir_error_t* error) {
  *pool = reinterpret_cast<weir_pool_t*>(&fake);
  return answer((std::string("pool ") + name).c_str(), error);
}
int32_t weir_keep(weir_runtime_t*, int64_t* next_in_ns, weir_error_t* error) {
  *next_in_ns = 5'000'000;
  return answer("keep", error);
}
int32_t weir_acquire(weir_pool_t*, const weir_acquire_options_t* options, weir_lease_t* lease,
                     weir_error_t* error) {
  return lend("acquire", options, lease, error);
}
int32_t weir_try_acquire(weir_pool_t*, const weir_acquire_options_t* options, weir_lease_t* lease,
                         weir_error_t* error) {
  return lend("try_acquire", options, lease, error);
}
int32_t weir_release(weir_lease_t* lease, weir_error_t* error) {
  return give("release", lease, error);
}
int32_t weir_discard(weir_lease_t* lease, weir_error_t* error) {
  return give("discard", lease, error);
}
void* weir_lease_native(const weir_lease_t* lease) { return lease->native; }
int32_t weir_pool_stats(weir_pool_t*, weir_pool_stats_t* stats, weir_error_t* error) {
  stats->max = stats->struct_size == sizeof(weir_pool_stats_t) ? 20 : 0;
  return answer("stats", error);
}
const char* weir_code_name(int32_t code) { return code == WEIR_TIMEOUT ? "timeout" : "other"; }
int32_t weir_code_is_retryable(int32_t code) { return code == WEIR_TIMEOUT; }
int32_t weir_code_is_timeout(int32_t code) { return code == WEIR_TIMEOUT; }

}  // extern "C"

namespace weir {
namespace {

using ::testing::Test;
using namespace std::chrono_literals;
using Calls = std::vector<std::string>;

class CppFace : public Test {
 protected:
  void SetUp() override {
    fake = FakeWeir{};
    runtime_.emplace(Runtime::from_text("[pool.main]"));
    pool_.emplace(runtime_->pool("main"));
    fake.calls.clear();
  }

  std::optional<Runtime> runtime_;
  std::optional<Pool> pool_;
};

static_assert(!std::is_copy_constructible_v<Lease> && !std::is_copy_assignable_v<Lease>);
static_assert(!std::is_copy_constructible_v<Runtime> && !std::is_copy_assignable_v<Runtime>);
static_assert(std::is_nothrow_move_constructible_v<Lease> && std::is_copy_constructible_v<Pool>);

TEST_F(CppFace, ALeaseIsGivenBackAtTheEndOfItsScope) {
  {
    const Lease lease = pool_->acquire();
    EXPECT_TRUE(lease);
    EXPECT_EQ(lease.native<std::int32_t>(), &fake.native);
  }
  EXPECT_EQ(fake.calls, (Calls{"acquire", "release"}));
}

TEST_F(CppFace, AMovedLeaseIsGivenBackOnce) {
  {
    Lease first = pool_->acquire();
    Lease second = std::move(first);
    EXPECT_FALSE(first);  // NOLINT(bugprone-use-after-move): empty is what the header promises
    EXPECT_TRUE(second);
  }
  EXPECT_EQ(fake.calls, (Calls{"acquire", "release"}));
}

TEST_F(CppFace, AssigningToALeaseGivesBackWhatItHeld) {
  Lease lease = pool_->acquire();
  lease = Lease();
  EXPECT_EQ(fake.calls, (Calls{"acquire", "release"}));
}

TEST_F(CppFace, AReleasedOrDiscardedLeaseIsNotGivenBackAgain) {
  pool_->acquire().release();
  pool_->acquire().discard();
  EXPECT_EQ(fake.calls, (Calls{"acquire", "release", "acquire", "discard"}));
}

TEST_F(CppFace, AFailedReleaseThrowsAndLeavesTheLeaseAsItWas) {
  Lease lease = pool_->acquire();
  fake.answer = WEIR_FORKED;
  EXPECT_THROW(lease.release(), Error);
  EXPECT_TRUE(lease);
}

TEST_F(CppFace, ADestructorDoesNotThrowWhenGivingBackFails) {
  {
    const Lease lease = pool_->acquire();
    fake.answer = WEIR_FORKED;
  }
  EXPECT_EQ(fake.calls.back(), "release");
}

TEST_F(CppFace, AnErrorCarriesCodeMessageAndTheServersWord) {
  fake.answer = WEIR_TIMEOUT;
  try {
    static_cast<void>(pool_->acquire());
    FAIL() << "acquire did not throw";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), WEIR_TIMEOUT);
    EXPECT_STREQ(error.name(), "timeout");
    EXPECT_STREQ(error.what(), "pool main: 20 of 20 in use");
    EXPECT_EQ(error.native_code(), 7);
    EXPECT_EQ(error.retry_after(), std::chrono::milliseconds(312));
    EXPECT_EQ(error.native_text(), "53300");
    EXPECT_TRUE(error.is_timeout());
    EXPECT_TRUE(error.is_retryable());
  }
}

TEST_F(CppFace, WithoutATimeoutThePoolsOwnHolds) {
  const Lease lease = pool_->acquire();
  EXPECT_EQ(fake.options.struct_size, sizeof(weir_acquire_options_t));
  EXPECT_EQ(fake.options.timeout_ns, WEIR_TIMEOUT_DEFAULT);
  EXPECT_EQ(fake.options.label, nullptr);
}

TEST_F(CppFace, TimeoutAndLabelArePassedOn) {
  const Lease lease = pool_->acquire({250ms, "GET /users"});
  EXPECT_EQ(fake.options.timeout_ns, 250'000'000);
  EXPECT_STREQ(fake.options.label, "GET /users");
  const Lease patient = pool_->acquire({kForever});
  EXPECT_EQ(fake.options.timeout_ns, WEIR_TIMEOUT_NEVER);
}

TEST_F(CppFace, TryAcquireSaysNoneIsIdleWithoutThrowing) {
  fake.answer = WEIR_WOULD_BLOCK;
  EXPECT_FALSE(pool_->try_acquire().has_value());
  fake.answer = WEIR_CLOSED;
  EXPECT_THROW(static_cast<void>(pool_->try_acquire()), Error);
  fake.answer = WEIR_OK;
  EXPECT_TRUE(pool_->try_acquire().has_value());
}

TEST_F(CppFace, StatsSaysHowBigItsStructIs) { EXPECT_EQ(pool_->stats().max, 20U); }

TEST_F(CppFace, KeepTellsWhenItWantsToBeCalledAgain) { EXPECT_EQ(runtime_->keep(), 5ms); }

TEST_F(CppFace, OptionsReachOpen) {
  const Runtime runtime = Runtime::from_file("weir.toml", {.log_level = 2, .no_threads = true});
  EXPECT_EQ(fake.open_options.struct_size, sizeof(weir_open_options_t));
  EXPECT_EQ(fake.config_path, "weir.toml");
  EXPECT_EQ(fake.open_options.config_text, nullptr);
  EXPECT_EQ(fake.open_options.log_level, 2);
  EXPECT_EQ(fake.open_options.no_threads, 1);
}

TEST_F(CppFace, ARuntimeFromTheEnvironmentNamesNoFile) {
  const Runtime runtime = Runtime::from_environment({.log_level = 2});
  EXPECT_EQ(fake.open_options.config_path, nullptr);
  EXPECT_EQ(fake.open_options.config_text, nullptr);
  EXPECT_EQ(fake.open_options.log_level, 2);
}

TEST_F(CppFace, ARuntimeIsClosedOnceHoweverItIsMoved) {
  {
    Runtime first = Runtime::from_text("[pool.main]");
    Runtime second = std::move(first);
  }
  EXPECT_EQ(fake.calls, (Calls{"open", "close"}));
}

TEST_F(CppFace, AnExplicitCloseIsTheOnlyOne) {
  {
    Runtime runtime = Runtime::from_text("[pool.main]");
    runtime.close();
  }
  EXPECT_EQ(fake.calls, (Calls{"open", "close"}));
}

TEST_F(CppFace, AFailedOpenOrPoolThrows) {
  fake.answer = WEIR_BAD_CONFIG;
  EXPECT_THROW(static_cast<void>(Runtime::from_text("")), Error);
  EXPECT_THROW(static_cast<void>(runtime_->pool("other")), Error);
}

}  // namespace
}  // namespace weir
