// What the flight recorder has of a worker, beside what its callers know.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <thread>
#include <vector>

#include "shm/recorder.h"
#include "support/pool_on_null.h"

namespace weir::test {
namespace {

using shm::Happening;
using shm::RecordedEvent;
using std::chrono::milliseconds;
using testing::ElementsAre;

class NullRecording : public PoolOnNull {
 protected:
  /// What the worker in row 0 recorded last.
  [[nodiscard]] std::vector<RecordedEvent> recorded(shm::Ring ring) const {
    shm::SegmentOptions options;
    options.folder = segments_folder();
    const auto segment = shm::Segment::open_read_only(options);
    if (!segment.ok()) throw std::runtime_error(segment.status().to_string());
    std::vector<RecordedEvent> events;
    shm::EventTail(*segment.value(), 0, ring, shm::EventTail::From::kOldest).read(events, true);
    return events;
  }
  [[nodiscard]] std::vector<RecordedEvent> requests() const {
    return recorded(shm::Ring::kRequests);
  }
  [[nodiscard]] std::vector<Happening> all_else() const {
    std::vector<Happening> kinds;
    for (const RecordedEvent& event : recorded(shm::Ring::kAllElse)) kinds.push_back(event.kind);
    return kinds;
  }
  static void hold(milliseconds time) {
    const Deadline until = Deadline::after(time);
    while (!until.passed(monotonic_ns())) continue;
  }
  static AcquireOptions of_class(const char* name) {
    AcquireOptions options;
    options.class_name = name;
    return options;
  }
};

TEST_F(NullRecording, HasALeaseWithItsWaitItsHoldAndItsClass) {
  Runtime runtime = open(server_.dsn(), 1, "class = [\"jobs: 0\", \"auth: 1\"]\n");
  weir::Pool pool = runtime.pool("main");
  Lease first = pool.acquire();
  const std::uint64_t asked_ns = monotonic_ns();
  std::thread other([&] {
    Lease second = pool.acquire(of_class("auth"));
    hold(milliseconds(20));
    second.release();
  });
  ASSERT_TRUE(soon([&] { return pool.stats().waiting == 1; }));
  hold(milliseconds(30));
  first.release();
  other.join();
  const std::uint64_t most_us = (monotonic_ns() - asked_ns) / 1000;
  const std::vector<RecordedEvent> events = requests();
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[0].klass, 0u);
  EXPECT_GE(events[0].took_us, 30'000u);
  const RecordedEvent& second = events[1];
  EXPECT_EQ(second.kind, Happening::kLease);
  EXPECT_EQ(second.klass, 2u);
  EXPECT_EQ(second.number, 1u);
  EXPECT_EQ(second.connection, 1u);
  EXPECT_GE(second.wait_us, 30'000u);
  EXPECT_GE(second.took_us, 20'000u);
  EXPECT_LE(second.wait_us + second.took_us, most_us);
  runtime.close();
}

TEST_F(NullRecording, HasNoWaitWhereNobodyWaited) {
  Runtime runtime = open(server_.dsn(), 1);
  weir::Pool pool = runtime.pool("main");
  for (int i = 0; i < 3; ++i) pool.acquire().release();
  const std::vector<RecordedEvent> events = requests();
  ASSERT_EQ(events.size(), 3u);
  EXPECT_GT(events[0].wait_us, 0u) << "it connected";
  EXPECT_EQ(events[1].wait_us, 0u);
  EXPECT_EQ(events[2].wait_us, 0u);
  runtime.close();
}

TEST_F(NullRecording, HasAnAcquireThatGotNothingAndWhy) {
  Runtime runtime = open(server_.dsn(), 1);
  weir::Pool pool = runtime.pool("main");
  const Lease lease = pool.acquire();
  AcquireOptions options;
  options.timeout = milliseconds(25);
  EXPECT_EQ(code_of([&] { const Lease none = pool.acquire(options); }), WEIR_TIMEOUT);
  const std::vector<RecordedEvent> events = requests();
  ASSERT_EQ(events.size(), 1u) << "the other lease is still out";
  EXPECT_EQ(events[0].kind, Happening::kNoLease);
  EXPECT_EQ(events[0].number, static_cast<std::uint32_t>(WEIR_TIMEOUT));
  EXPECT_GE(events[0].wait_us, 25'000u);
}

TEST_F(NullRecording, HasWhatHappenedToThePoolInOrder) {
  Runtime runtime = open(server_.dsn(), 1);
  weir::Pool pool = runtime.pool("main");
  pool.acquire().release();
  pool.pause();
  pool.resume();
  Lease lease = pool.acquire();
  lease.discard();
  runtime.close();
  EXPECT_THAT(all_else(), ElementsAre(Happening::kJoined, Happening::kConnected, Happening::kPaused,
                                      Happening::kResumed, Happening::kClosed,
                                      Happening::kPoolClosed, Happening::kLeft));
  const auto closed = recorded(shm::Ring::kAllElse).at(4);
  EXPECT_EQ(closed.number, static_cast<std::uint32_t>(WEIR_CLOSE_INVALIDATED));
  EXPECT_EQ(closed.connection, 1u);
}

TEST_F(NullRecording, HasTheBreakerAndWhatOpenedIt) {
  Runtime runtime = open(server_.dsn_with("connect=fail&seed=1"), 1);
  weir::Pool pool = runtime.pool("main");
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(code_of([&] { const Lease none = pool.acquire(); }), WEIR_CONNECT_FAILED);
  }
  std::vector<Happening> kinds = all_else();
  std::erase(kinds, Happening::kClosed);
  EXPECT_THAT(kinds,
              ElementsAre(Happening::kJoined, Happening::kConnectFailed, Happening::kConnectFailed,
                          Happening::kConnectFailed, Happening::kBreakerOpened));
  for (const RecordedEvent& event : requests()) {
    EXPECT_EQ(event.kind, Happening::kNoLease);
    EXPECT_EQ(event.number, static_cast<std::uint32_t>(WEIR_CONNECT_FAILED));
  }
  EXPECT_EQ(requests().size(), 3u);
  runtime.close();
}

}  // namespace
}  // namespace weir::test
