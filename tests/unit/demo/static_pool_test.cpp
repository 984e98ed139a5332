#include "demo/static_pool.h"

#include <gtest/gtest.h>

namespace weir::demo {
namespace {

TEST(DemoStaticShare, DividesTheQuotaAndGivesTheRemainderToTheFirst) {
  EXPECT_EQ(static_share(20, 8, 0), 3U);
  EXPECT_EQ(static_share(20, 8, 3), 3U);
  EXPECT_EQ(static_share(20, 8, 4), 2U);
  EXPECT_EQ(static_share(20, 8, 7), 2U);
}

TEST(DemoStaticShare, AddsUpToTheQuotaWhereverThereIsOneForEverybody) {
  for (std::uint32_t workers = 1; workers <= 20; ++workers) {
    std::uint32_t sum = 0;
    for (std::uint32_t worker = 0; worker < workers; ++worker) {
      sum += static_share(20, workers, worker);
    }
    EXPECT_EQ(sum, 20U) << workers << " workers";
  }
}

TEST(DemoStaticShare, NobodyIsLeftWithoutAConnection) { EXPECT_EQ(static_share(3, 8, 7), 1U); }

}  // namespace
}  // namespace weir::demo
