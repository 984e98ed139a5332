// What `weir status` shows, and what the server sees, while the query of a killed worker still runs
// on a real PostgreSQL: a place that lingers and counts, until the server has let go.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli_command.h"
#include "pool_world.h"
#include "shm/segment.h"
#include "tight_quota.h"

namespace weir::test {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using shm::PlaceState;
using shm::PlaceWord;
using testing::AllOf;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kLongQuery = "SELECT pg_sleep(30)";

class CliLingering : public TightQuota {
 protected:
  [[nodiscard]] CommandOutcome status(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> arguments = {"status", "--folder", world_->folder()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_weir(arguments);
  }
  [[nodiscard]] json status_json() const { return json::parse(status({"--json"}).out); }

  /// One that runs the long query, and only lives.
  void start_victim(const std::string& config) {
    victim_ = std::make_unique<WorkerProcess>([config]() -> int {
      Weir own(config);
      Got busy = acquire(own.pool(), kPatience, "GET /report");
      require(busy, "acquire");
      require(PQsendQuery(busy.conn(), kLongQuery) == 1, "send");
      while (true) pause();
    });
    ASSERT_TRUE(poll_until([&] { return running(kLongQuery) == 1; }));
  }

  /// Kills it; how long after the server took the request to end its query the place was back, or
  /// after the kill if it was back before that.
  [[nodiscard]] Nanos back_after_kill() {
    shm::SegmentOptions where;
    where.folder = world_->folder();
    const auto segment = shm::Segment::open_read_only(where);
    WEIR_CHECK(segment.ok());
    const shm::Segment& seen = *segment.value();
    std::size_t place = 0;
    while (seen.place_info()[place].holder_pid.load() !=
               static_cast<std::uint32_t>(victim_->pid()) ||
           PlaceWord(seen.places()[place].load()).state() != PlaceState::kUsed) {
      WEIR_CHECK(++place < seen.places().size());
    }
    const std::uint32_t occ = PlaceWord(seen.places()[place].load()).occ();
    victim_->kill();
    const std::uint64_t gone_ns = monotonic_ns();
    std::uint64_t told_ns = 0, back_ns = 0;
    EXPECT_TRUE(poll_until([&] {
      const PlaceWord now(seen.places()[place].load());
      told_ns = std::max(told_ns, seen.place_info()[place].told_to_end_ns.load());
      back_ns = monotonic_ns();
      return !now.occupied() || now.occ() != occ;
    }));
    std::printf("back %.1f ms after the worker was gone",
                static_cast<double>(back_ns - gone_ns) / 1e6);
    if (told_ns > gone_ns) {
      std::printf(", %.1f ms after the server was told to end its query",
                  static_cast<double>(back_ns - told_ns) / 1e6);
    }
    std::printf("\n");
    return Nanos(back_ns - std::max(gone_ns, told_ns));
  }

  std::unique_ptr<WorkerProcess> victim_;
};

TEST_F(CliLingering, APlaceWhoseQueryIsLeftToEndIsShownAndCountsUntilThen) {
  begin(3);
  const std::string config = world_->config("max = 3\norphans = \"wait\"");
  Weir weir(config);
  Got first = acquire(weir.pool());
  ASSERT_TRUE(first.ok()) << first.message;
  EXPECT_TRUE(release(first.lease).ok());  // a spare to ask with
  start_victim(config);
  const pid_t victim = victim_->pid();
  victim_->kill();
  ASSERT_TRUE(poll_until([&] { return world_->pool().in(PlaceState::kLingering) == 1; }));

  // It is asked about again and again, by a keeper and by those who would like to have it.
  Got one = acquire(weir.pool());
  Got two = acquire(weir.pool());
  EXPECT_TRUE(one.ok() && two.ok());
  EXPECT_EQ(acquire(weir.pool(), 300ms).code, "timeout") << "the quota is used up";
  EXPECT_TRUE(release(one.lease).ok());  // a spare again
  for (int look = 0; look < 5; ++look) {
    const json shown = status_json();
    EXPECT_EQ(shown["pools"][0]["lingering"], 1);
    ASSERT_EQ(shown["lingering"].size(), 1u);
    EXPECT_EQ(shown["lingering"][0]["pool"], "main");
    EXPECT_EQ(shown["lingering"][0]["was"], "used");
    EXPECT_EQ(shown["lingering"][0]["pid"], victim);
    EXPECT_EQ(shown["lingering"][0]["label"], "GET /report");
    EXPECT_EQ(shown["workers"].size(), 1u) << "the dead one's row is settled";
    EXPECT_EQ(running(kLongQuery), 1) << "nobody ends it";
  }
  const CommandOutcome text = status();
  EXPECT_EQ(text.exit_status, 0) << text.err;
  EXPECT_THAT(text.out, AllOf(HasSubstr("Lingering: the worker died"),
                              ContainsRegex("main#[0-9]+ +used .*GET /report")));
  EXPECT_LE(sampler_->most(), 3u);

  server_->ask("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query = '" +
               std::string(kLongQuery) + "'");
  EXPECT_TRUE(poll_until([&] { return status_json()["lingering"].empty(); }));
  EXPECT_THAT(status().out, Not(HasSubstr("Lingering")));
  EXPECT_TRUE(release(two.lease).ok());
}

TEST_F(CliLingering, APlaceWhoseQueryIsEndedIsBackSoonAfterTheRequest) {
  begin(2);
  const std::string config = world_->config("max = 2\norphans = \"terminate\"");
  Weir weir(config);
  Got ours = acquire(weir.pool());
  ASSERT_TRUE(ours.ok()) << ours.message;
  EXPECT_TRUE(release(ours.lease).ok());  // a spare to ask with
  start_victim(config);
  EXPECT_LT(back_after_kill(), 2s);
  EXPECT_EQ(running(kLongQuery), 0);
  EXPECT_TRUE(status_json()["lingering"].empty());
  EXPECT_EQ(world_->await_rest(), "");
}

TEST_F(CliLingering, SoItIsWithoutASpareConnectionToAskOver) {
  begin(1);
  const std::string config = world_->config("max = 1\norphans = \"terminate\"");
  Weir weir(config);
  weir.attach();
  start_victim(config);
  EXPECT_LT(back_after_kill(), 2s);
  EXPECT_TRUE(status_json()["lingering"].empty());
  Got next = acquire(weir.pool());
  EXPECT_TRUE(next.ok()) << next.message;
  EXPECT_EQ(running(kLongQuery), 0);
  EXPECT_TRUE(release(next.lease).ok());
}

}  // namespace
}  // namespace weir::test
