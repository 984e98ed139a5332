#include "shm/stats.h"

#include <gtest/gtest.h>

#include "support/shm_world.h"

namespace weir::shm {
namespace {

using test::ShmWorld;

class Stats : public ::testing::Test {
 protected:
  PoolRef named(const char* name) {
    PoolDeclaration declaration;
    declaration.name = name;
    declaration.driver = "fake";
    return world_.pool(me_->id(), declaration);
  }
  ShmWorld world_;
  std::unique_ptr<Membership> me_ = world_.join();
  PoolRef pool_ = named("a");
};

TEST_F(Stats, OfAllWorkersAddUp) {
  const auto other = world_.join();
  StatsBook mine(pool_, me_->id()), others(pool_, other->id());
  mine.add(Counter::kConnects);
  mine.add(Counter::kConnects, 4);
  others.add(Counter::kConnects, 10);
  count(pool_, Counter::kConnects, 100);
  EXPECT_EQ(sum_counter(pool_, Counter::kConnects), 115u);
  EXPECT_EQ(sum_counter(pool_, Counter::kPings), 0u);
  EXPECT_EQ(pool_.totals().counters[static_cast<std::size_t>(Counter::kConnects)].load(), 100u);
}

TEST_F(Stats, OfOneWorkerInOnePoolAreOneRow) {
  StatsBook first(pool_, me_->id()), again(pool_, me_->id());
  first.add(Counter::kPings);
  again.add(Counter::kPings);
  EXPECT_EQ(sum_counter(pool_, Counter::kPings), 2u);
  EXPECT_EQ(world_.segment().stats()[0].counters[static_cast<std::size_t>(Counter::kPings)].load(),
            2u);
}

TEST_F(Stats, OfThoseWhoLeftAreFoldedIntoTheTotalByTheNextInTheirRow) {
  auto leaver = world_.join();
  StatsBook(pool_, leaver->id()).add(Counter::kConnects, 7);
  StatsBook(pool_, leaver->id()).record(Histogram::kWait, 12'000);
  const std::uint32_t row = leaver->id().row;
  leaver.reset();
  EXPECT_EQ(sum_counter(pool_, Counter::kConnects), 7u);  // still there
  const auto next = world_.join();
  ASSERT_EQ(next->id().row, row);
  StatsBook book(pool_, next->id());
  EXPECT_EQ(sum_counter(pool_, Counter::kConnects), 7u);
  EXPECT_EQ(pool_.totals().counters[static_cast<std::size_t>(Counter::kConnects)].load(), 7u);
  EXPECT_EQ(pool_.totals().histograms[static_cast<std::size_t>(Histogram::kWait)][1].load(), 1u);
  book.add(Counter::kConnects, 1);
  EXPECT_EQ(sum_counter(pool_, Counter::kConnects), 8u);
}

TEST_F(Stats, OfAnotherPoolAreFoldedIntoThatPool) {
  const PoolRef second = named("b");
  auto leaver = world_.join();
  StatsBook(pool_, leaver->id()).add(Counter::kConnects, 7);
  leaver.reset();
  const auto next = world_.join();
  StatsBook(second, next->id()).add(Counter::kConnects, 1);
  EXPECT_EQ(sum_counter(pool_, Counter::kConnects), 7u);
  EXPECT_EQ(sum_counter(second, Counter::kConnects), 1u);
}

TEST_F(Stats, InOnePassAreWhatEachCounterAddsUpTo) {
  const auto other = world_.join();
  StatsBook mine(pool_, me_->id()), others(pool_, other->id());
  mine.add(Counter::kConnects, 3);
  others.add(Counter::kConnects, 10);
  count(pool_, Counter::kPings, 7);
  mine.record(Histogram::kUse, 12'000, 64);
  others.record(Histogram::kUse, 12'000);
  const PoolFigures figures = look_at_figures(world_.segment(), pool_.id());
  EXPECT_EQ(figures.counter(Counter::kConnects), 13u);
  EXPECT_EQ(figures.counter(Counter::kPings), 7u);
  EXPECT_EQ(figures.histogram(Histogram::kUse)[1], 65u);
  EXPECT_EQ(look_at_figures(world_.segment(), named("b").id()).counter(Counter::kPings), 0u);
}

TEST_F(Stats, ShowWhatDecidesForAPoolInEachWorker) {
  auto other = world_.join();
  StatsBook mine(pool_, me_->id()), others(pool_, other->id());
  EXPECT_FALSE(policy_of(world_.segment(), me_->id().row, pool_.id()));
  const PolicyNote note{.name = "fair_share",
                        .hash = "ab12",
                        .error = "line 3: a number expected",
                        .bad_ticks = 4,
                        .fallen_back = true,
                        .reloaded = 2,
                        .target = 5,
                        .warm = 1,
                        .max = 8,
                        .max_per_worker = 3,
                        .handover_after_ms = 10};
  mine.note_policy(note);
  others.note_policy({.name = "fixed"});
  EXPECT_EQ(policy_of(world_.segment(), me_->id().row, pool_.id()), note);
  EXPECT_EQ(policy_of(world_.segment(), other->id().row, pool_.id())->name, "fixed");
  EXPECT_FALSE(policy_of(world_.segment(), me_->id().row, named("b").id()));

  const std::uint32_t row = other->id().row;
  other.reset();
  EXPECT_FALSE(policy_of(world_.segment(), row, pool_.id())) << "it left";
  const auto next = world_.join();
  ASSERT_EQ(next->id().row, row);
  StatsBook book(pool_, next->id());
  EXPECT_FALSE(policy_of(world_.segment(), row, pool_.id())) << "that was another's";
}

TEST_F(Stats, ShowNoPolicyWhereAWorkerHasMorePoolsThanRows) {
  const PoolRef b = named("b"), c = named("c");
  StatsBook first(pool_, me_->id()), second(b, me_->id()), third(c, me_->id());
  third.note_policy({.name = "fixed"});
  EXPECT_FALSE(policy_of(world_.segment(), me_->id().row, c.id()));
  EXPECT_EQ(c.totals().policy_name.load(), "");
}

TEST_F(Stats, OfMorePoolsThanAWorkerHasRowsForGoStraightToTheTotals) {
  const PoolRef b = named("b"), c = named("c");
  static_assert(test::kSmallGeometry.stats_per_worker == 2);
  StatsBook(pool_, me_->id()).add(Counter::kLeaks, 1);
  StatsBook(b, me_->id()).add(Counter::kLeaks, 2);
  StatsBook(c, me_->id()).add(Counter::kLeaks, 4);
  EXPECT_EQ(sum_counter(pool_, Counter::kLeaks), 1u);
  EXPECT_EQ(sum_counter(b, Counter::kLeaks), 2u);
  EXPECT_EQ(sum_counter(c, Counter::kLeaks), 4u);
  EXPECT_EQ(c.totals().counters[static_cast<std::size_t>(Counter::kLeaks)].load(), 4u);
}

TEST(Histograms, HaveBucketsThatDoubleInTwoSteps) {
  EXPECT_EQ(histogram_bucket(0), 0u);
  EXPECT_EQ(histogram_bucket(9'999), 0u);
  EXPECT_EQ(histogram_bucket(10'000), 1u);
  EXPECT_EQ(histogram_bucket(14'999), 1u);
  EXPECT_EQ(histogram_bucket(15'000), 2u);
  EXPECT_EQ(histogram_bucket(20'000), 3u);
  EXPECT_EQ(histogram_bucket(30'000), 4u);
  EXPECT_EQ(histogram_bucket(1'000'000'000'000), kHistogramBuckets - 1);
}

TEST(Histograms, TakeEveryDurationInOrder) {
  std::size_t last = 0;
  for (std::uint64_t ns = 1; ns < std::uint64_t{1} << 50; ns += ns / 3 + 1) {
    const std::size_t bucket = histogram_bucket(ns);
    EXPECT_GE(bucket, last);
    EXPECT_LT(bucket, kHistogramBuckets);
    last = bucket;
  }
  EXPECT_EQ(last, kHistogramBuckets - 1);
}

}  // namespace
}  // namespace weir::shm
