// One script for many workers, edited while they run: all of them follow, and no lease notices.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "pool_world.h"
#include "shm/admin.h"
#include "tight_quota.h"

namespace weir::test {
namespace {

constexpr int kQuota = 4;
constexpr std::size_t kWorkers = 8;

struct Tally {
  std::atomic<std::uint64_t> served{0}, failed{0};
  std::atomic<bool> stop{false};
};

class PoolPolicyOfManyWorkers : public TightQuota {
 protected:
  void SetUp() override {
    TightQuota::SetUp();
    if (IsSkipped()) return;
    begin(kQuota);
    write(0);
    const std::string config =
        world_->config("max = 4\npolicy = \"" + path() + "\"\nacquire_timeout = \"20s\"");
    for (std::size_t i = 0; i < kWorkers; ++i) {
      workers_.emplace_back([this, config]() -> int { return live(config); });
    }
    ASSERT_TRUE(poll_until([&] { return tally_->served.load() > 100 && all_have(0); }));
  }
  void TearDown() override {
    tally_->stop = true;
    for (WorkerProcess& worker : workers_) EXPECT_EQ(worker.wait_at_most(), 0);
    EXPECT_EQ(tally_->failed.load(), 0u);
    TightQuota::TearDown();
  }

  // Each has another name, and wants another number of open ones.
  void write(int edition) {
    const std::string next = path() + ".next";
    std::ofstream(next) << "return { name = 'edition_" << edition
                        << "', api = 1, size = function() return { max = " << edition % 3 + 2
                        << " } end }";
    std::filesystem::rename(next, path());
  }
  [[nodiscard]] bool all_have(int edition) const {
    const auto& policies = world_->pool().policies;
    const std::string name = "edition_" + std::to_string(edition);
    return static_cast<std::size_t>(
               std::count_if(policies.begin(), policies.end(),
                             [&](const auto& one) { return one.note.name == name; })) == kWorkers;
  }
  [[nodiscard]] std::string path() const { return (scripts_.path() / "policy.lua").string(); }

  int live(const std::string& config) {
    Weir weir(config);
    while (!tally_->stop.load()) {
      Got got = acquire(weir.pool(), kPatience);
      const bool good =
          got.ok() && !ask(got, "SELECT 1").starts_with("error") && release(got.lease).ok();
      ++(good ? tally_->served : tally_->failed);
    }
    return 0;
  }

  TempFolder scripts_;
  Shared<Tally> tally_;
  std::vector<WorkerProcess> workers_;
};

TEST_F(PoolPolicyOfManyWorkers, FollowsAnEditWithoutBeingAsked) {
  using std::chrono::steady_clock;
  const auto began = steady_clock::now();
  write(1);
  EXPECT_TRUE(poll_until([&] { return all_have(1); }));
  const auto ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(steady_clock::now() - began).count();
  RecordProperty("followed_within_ms", static_cast<int>(ms));
  std::printf("all followed within %d ms\n", static_cast<int>(ms));
}

TEST_F(PoolPolicyOfManyWorkers, FollowsAHundredEditsUnderLoad) {
  shm::SegmentOptions options;
  options.folder = world_->folder();
  const auto segment = shm::Segment::open(options);
  ASSERT_TRUE(segment.ok());
  for (int edition = 1; edition <= 100; ++edition) {
    write(edition);
    shm::ask_policy_reload(*segment.value());
    ASSERT_TRUE(poll_until([&] { return all_have(edition); })) << edition;
  }
  const std::uint64_t before = tally_->served.load();
  EXPECT_TRUE(poll_until([&] { return tally_->served.load() > before + 100; }));
}

}  // namespace
}  // namespace weir::test
