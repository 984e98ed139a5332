#include "demo/databases.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "demo/static_pool.h"

namespace weir::demo {
namespace {

constexpr std::uint32_t kQuota = 3;

class DemoDatabase : public testing::TestWithParam<std::string> {
 protected:
  DemoDatabase() : database_(make_database(GetParam(), kQuota)) {
    board_.gauge(0).pid.store(getpid());
  }

  /// A connection that was used once.
  Connection open() {
    std::string error;
    Connection connection = database_->client().open(&error);
    EXPECT_NE(connection, nullptr) << error;
    EXPECT_EQ(database_->client().serve(connection.get(), 0), "");
    return connection;
  }

  std::unique_ptr<Database> database_;
  Board board_{1, 0};
};

TEST_P(DemoDatabase, CountsTheSessionsThatThereAre) {
  const std::unique_ptr<SessionCounter> counter = database_->make_counter(board_);
  EXPECT_EQ(counter->count(), 0U);
  std::vector<Connection> connections;
  for (std::uint32_t i = 1; i <= kQuota; ++i) {
    connections.push_back(open());
    EXPECT_EQ(counter->count(), i);
  }
  // The others stay open: SQLite keeps a descriptor of the database file then.
  connections.pop_back();
  const Deadline deadline = Deadline::after(std::chrono::seconds(20));  // servers take a moment
  while (counter->count() == kQuota && !deadline.passed(monotonic_ns())) {
  }
  EXPECT_EQ(counter->count(), kQuota - 1);
}

TEST_P(DemoDatabase, WhereThereIsAServerItRefusesOneMoreThanTheQuotaAndCountsThat) {
  const std::unique_ptr<SessionCounter> counter = database_->make_counter(board_);
  const std::optional<Tally> before = database_->tally();
  if (!before) GTEST_SKIP() << "there is no server";
  std::vector<Connection> connections;
  for (std::uint32_t i = 0; i < kQuota; ++i) connections.push_back(open());
  EXPECT_EQ(database_->tally()->connects - before->connects, kQuota);
  std::string error;
  EXPECT_EQ(database_->client().open(&error), nullptr);
  EXPECT_NE(error, "");
  EXPECT_EQ(database_->tally()->refused - before->refused, 1U);
}

TEST_P(DemoDatabase, ARequestTakesItsTime) {
  const Connection connection = open();
  constexpr std::uint32_t kHoldUs = 20'000;
  const std::uint64_t begin_ns = monotonic_ns();
  EXPECT_EQ(database_->client().serve(connection.get(), kHoldUs), "");
  EXPECT_GE(monotonic_ns() - begin_ns, (kHoldUs - 1000) * std::uint64_t{1000});
}

TEST_P(DemoDatabase, AStaticPoolConnectsOnceForRequestsInTurn) {
  StaticPool pool(database_->client(), 2, board_, board_.gauge(0));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(pool.serve(UINT64_MAX / 2, 0), End::kServed);
  EXPECT_EQ(board_.connects().load(), 1U);
}

INSTANTIATE_TEST_SUITE_P(Of, DemoDatabase, testing::ValuesIn(database_drivers()),
                         [](const auto& one) { return one.param; });

}  // namespace
}  // namespace weir::demo
