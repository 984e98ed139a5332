// A configuration that is read again while leases are out: what takes effect, and what is refused.
#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "pool_on_files.h"
#include "shm/admin.h"
#include "shm/segment.h"

namespace weir::test {
namespace {

using namespace std::chrono_literals;

constexpr auto kLong = 20s;

class PoolReload : public PoolOnFiles {
 protected:
  static std::string refusal(Runtime& runtime, std::int32_t code) {
    try {
      runtime.reload();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << error.what();
      return error.what();
    }
    return "it was taken";
  }
};

TEST_F(PoolReload, ChangesSizesAndTimeoutsWithoutARestart) {
  write("one", 1, "acquire_timeout = \"50ms\"\n");
  Runtime runtime = open_file("one");
  Pool pool = runtime.pool("main");
  const Lease first = pool.acquire({kLong});
  EXPECT_EQ(code_of([&] { const Lease lease = pool.acquire(); }), WEIR_TIMEOUT);
  write("one", 2, "min = 2\nacquire_timeout = \"20s\"\n");
  runtime.reload();
  EXPECT_EQ(pool.stats().max, 2u);
  EXPECT_EQ(pool.stats().min, 2u);
  const Lease second = pool.acquire();
  EXPECT_TRUE(server_.query(first.native())) << "what is lent is not disturbed";
  write("one", 3, "acquire_timeout = \"50ms\"\n");
  runtime.reload();
  const Lease third = pool.acquire({kLong});
  EXPECT_EQ(code_of([&] { const Lease lease = pool.acquire(); }), WEIR_TIMEOUT);
}

TEST_F(PoolReload, OfOneBadValueIsRefusedWhole) {
  write("one", 2, "acquire_timeout = \"20s\"\n");
  Runtime runtime = open_file("one");
  Pool pool = runtime.pool("main");
  { const Lease lease = pool.acquire(); }
  write("one", 4, "acquire_timeout = \"20s\"\nidle_timeout = \"soon\"\n");
  EXPECT_NE(refusal(runtime, WEIR_BAD_CONFIG).find("idle_timeout"), std::string::npos);
  EXPECT_EQ(pool.stats().max, 2u);
  write("one", 4, "min = 5\n");
  EXPECT_NE(refusal(runtime, WEIR_BAD_CONFIG).find("min"), std::string::npos);
  EXPECT_EQ(pool.stats().max, 2u);
}

TEST_F(PoolReload, OfWhatCannotChangeWhileWorkersRunIsRefusedWithTheKeysName) {
  write("one", 2, "");
  Runtime runtime = open_file("one");
  Pool pool = runtime.pool("main");
  { const Lease lease = pool.acquire(); }
  write("one", 3, "reset = \"always\"\n");
  const std::string text = refusal(runtime, WEIR_BAD_CONFIG);
  EXPECT_NE(text.find("pool.main.reset"), std::string::npos) << text;
  EXPECT_NE(text.find("estart"), std::string::npos) << text;
  EXPECT_EQ(pool.stats().max, 2u) << "nothing was changed";
}

TEST_F(PoolReload, OfALimitThatThereIsNoRoomForIsRefusedWhole) {
  write("one", 2, "");
  Runtime runtime = open_file("one");
  Pool pool = runtime.pool("main");
  { const Lease lease = pool.acquire(); }
  write("one", 9'000, "idle_timeout = \"1s\"\n", 9'000);
  EXPECT_NE(refusal(runtime, WEIR_SHM_FULL).find("room for"), std::string::npos);
  EXPECT_EQ(pool.stats().max, 2u);
}

TEST_F(PoolReload, OfATextSaysThatThereIsNothingToReadAgain) {
  Runtime runtime = open(server_.dsn(), 1);
  refusal(runtime, WEIR_NOT_SUPPORTED);
}

TEST_F(PoolReload, OfAnUnchangedFileChangesNothing) {
  write("one", 2, "");
  Runtime runtime = open_file("one");
  Pool pool = runtime.pool("main");
  const Lease lease = pool.acquire();
  runtime.reload();
  EXPECT_EQ(pool.stats().max, 2u);
}

TEST_F(PoolReload, AskedForThroughTheSegmentReachesEveryWorkerAndSaysWhatCameOfIt) {
  write("one", 2, "");
  write("two", 2, "");
  Runtime here = open_file("one"), there = open_file("two");
  Pool mine = here.pool("main"), theirs = there.pool("main");
  { const Lease a = mine.acquire(), b = theirs.acquire(); }
  write("one", 3, "acquire_timeout = \"40ms\"\n", 7);
  write("two", 3, "reset = \"always\"\n", 7);

  shm::SegmentOptions options;
  options.folder = segments_folder();
  const auto segment = shm::Segment::open(options);
  ASSERT_TRUE(segment.ok()) << segment.status().to_string();
  const std::uint32_t number = shm::ask_to_reload(*segment.value());
  const auto row_is = [&](std::size_t row, std::int32_t code) {
    const shm::WorkerRow& worker = segment.value()->workers()[row];
    return worker.reloaded.load() == number &&
           worker.reload_code.load() == static_cast<std::uint32_t>(code);
  };
  EXPECT_TRUE(soon([&] { return row_is(0, WEIR_OK) && row_is(1, WEIR_BAD_CONFIG); }));
  EXPECT_EQ(theirs.stats().max, 3u) << "a max holds for the machine";
  EXPECT_EQ(segment.value()->quotas()[0].limit.load(), 7u);
  const Lease a = mine.acquire(), b = mine.acquire(), c = mine.acquire();
  EXPECT_EQ(code_of([&] { const Lease lease = mine.acquire(); }), WEIR_TIMEOUT);
}

TEST_F(PoolReload, UnderLoadLosesNoLease) {
  write("one", 4, "");
  Runtime runtime = open_file("one");
  Pool pool = runtime.pool("main");
  std::atomic<bool> over = false;
  std::atomic<int> failed = 0, served = 0;
  std::vector<std::thread> callers;
  for (int i = 0; i < 6; ++i) {
    callers.emplace_back([&] {
      while (!over) {
        const std::int32_t code = code_of([&] { const Lease lease = pool.acquire({kLong}); });
        ++(code == WEIR_OK ? served : failed);
      }
    });
  }
  for (int i = 0; i < 60; ++i) {
    write("one", 1 + i % 8, "handover_after = \"" + std::to_string(i % 3) + "ms\"\n");
    runtime.reload();
  }
  over = true;
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(failed, 0);
  EXPECT_GT(served, 0);
  EXPECT_LE(server_.counts().most_sessions, 8);
}

}  // namespace
}  // namespace weir::test
