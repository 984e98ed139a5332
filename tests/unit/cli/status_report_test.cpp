#include "cli/status_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "cli/json_text.h"
#include "cli/pool_figures.h"
#include "cli/render.h"

namespace weir::cli {
namespace {

using shm::Counter;
using shm::PlaceState;
using testing::HasSubstr;
using testing::Not;

constexpr std::uint64_t kNow = 1'767'225'600'000'000'000;
constexpr std::uint64_t kMs = 1'000'000;

void put(shm::PoolSnapshot& pool, PlaceState state, std::uint32_t count) {
  pool.count[static_cast<std::size_t>(state)] = count;
}

void set(shm::PoolSnapshot& pool, Counter counter, std::uint64_t value) {
  pool.counters[static_cast<std::size_t>(counter)] = value;
}

// 20 places of which some are in each state, three permits left, one worker each of: well, dead,
// quiet.
shm::Snapshot busy_snapshot() {
  shm::Snapshot snapshot;
  snapshot.path = "/run/weir/default.weir";
  snapshot.bytes = 2'000'000;
  snapshot.created_unix_ns = kNow;
  snapshot.quotas.push_back(
      {.row = 0, .name = "pg", .limit = 20, .configured = 20, .room = 40, .held = 17, .free = 3});
  shm::PoolSnapshot pool;
  pool.row = 4;
  pool.name = "main";
  pool.driver = "postgres";
  pool.quota = 0;
  pool.max = pool.configured_max = 20;
  pool.min = 2;
  pool.keep = 10;
  put(pool, PlaceState::kFree, 5);
  put(pool, PlaceState::kOffered, 1);
  put(pool, PlaceState::kOpening, 1);
  put(pool, PlaceState::kIdle, 2);
  put(pool, PlaceState::kUsed, 7);
  put(pool, PlaceState::kGiving, 1);
  put(pool, PlaceState::kParked, 1);
  put(pool, PlaceState::kClosing, 1);
  put(pool, PlaceState::kLingering, 1);
  pool.waiting = 1;
  pool.oldest_wait_ns = 120 * kMs;
  pool.acquires = 120'034;
  set(pool, Counter::kAcquiresWaited, 10);
  set(pool, Counter::kWaitNs, 50 * kMs);
  shm::PlaceSnapshot lingering;
  lingering.index = 7;
  lingering.state = PlaceState::kLingering;
  lingering.cause = shm::LingerCause::kUsed;
  lingering.state_ns = 1'500 * kMs;
  lingering.holder_pid = 4126;
  lingering.label = "report";
  pool.places.push_back(lingering);
  snapshot.pools.push_back(pool);
  snapshot.workers.push_back({.row = 0, .pid = 4123, .service = "auth", .used = 7, .waiting = 1});
  snapshot.workers.push_back({.row = 1, .pid = 4124, .service = "auth", .dead = true});
  snapshot.workers.push_back(
      {.row = 2, .pid = 4125, .service = "auth", .beat_ago_ns = 42'000 * kMs});
  snapshot.waiters.push_back({.state = shm::WaiterState::kWaiting,
                              .worker = 0,
                              .pool = 4,
                              .ticket = 9,
                              .waited_ns = 120 * kMs,
                              .label = "GET /cart"});
  return snapshot;
}

TEST(PoolFigures, AddUpToAllPlacesInForce) {
  const shm::Snapshot snapshot = busy_snapshot();
  const PoolFigures figures = figures_of(snapshot, snapshot.pools[0]);
  EXPECT_EQ(figures.open,
            figures.idle + figures.used + figures.connecting + figures.closing + figures.lingering);
  EXPECT_EQ(figures.open + figures.offered + figures.free, 20u);
  EXPECT_EQ(figures.idle, 3u) << "parked ones included";
  EXPECT_EQ(figures.used, 8u) << "those being given included";
}

TEST(PoolFigures, CallAvailableWhatCanBeHadAtOnce) {
  shm::Snapshot snapshot = busy_snapshot();
  EXPECT_EQ(figures_of(snapshot, snapshot.pools[0]).available, 3u + 3u) << "permits are the limit";
  snapshot.quotas[0].free = 100;
  EXPECT_EQ(figures_of(snapshot, snapshot.pools[0]).available, 3u + 5u) << "places are the limit";
  snapshot.pools[0].quota = shm::kNone;
  EXPECT_EQ(figures_of(snapshot, snapshot.pools[0]).available, 3u + 5u) << "alone on its places";
}

TEST(PoolFigures, AreNeverNegative) {
  shm::Snapshot snapshot = busy_snapshot();
  snapshot.pools[0].keep = 1000;
  EXPECT_EQ(figures_of(snapshot, snapshot.pools[0]).overflow, 0u);
  snapshot.pools[0].keep = 10;
  EXPECT_EQ(figures_of(snapshot, snapshot.pools[0]).overflow, 4u);
  snapshot.pools[0].max = 0;
  EXPECT_EQ(figures_of(snapshot, snapshot.pools[0]).utilization_pct, 0.0);
}

TEST(StatusJson, HasTheKeysThatPeopleAlreadyParse) {
  const auto pool = status_json(busy_snapshot(), kNow)["pools"][0];
  EXPECT_EQ(pool["pool_size"], 10);
  EXPECT_EQ(pool["checked_out"], 8);
  EXPECT_EQ(pool["available"], 6);
  EXPECT_EQ(pool["overflow"], 4);
  EXPECT_EQ(pool["total_connections"], 14);
  EXPECT_EQ(pool["utilization_pct"], 40.0);
}

TEST(StatusJson, ShowsEveryPartOfTheSegment) {
  const auto status = status_json(busy_snapshot(), kNow);
  EXPECT_EQ(status["format"], 1);
  EXPECT_EQ(status["taken_unix_ms"], kNow / kMs);
  EXPECT_EQ(status["segment"]["in_service"], true);
  EXPECT_EQ(status["quotas"][0],
            nlohmann::ordered_json::parse(R"({"name":"pg","limit":20,"held":17,"free":3,
                                         "configured":20,"room":40})"));
  EXPECT_EQ(status["pools"][0]["quota"], "pg");
  EXPECT_EQ(status["pools"][0]["oldest_wait_ms"], 120.0);
  EXPECT_EQ(status["pools"][0]["counters"]["acquires"], 120'034);
  EXPECT_EQ(status["pools"][0]["counters"]["wait_ms"], 50.0);
  EXPECT_EQ(status["workers"][1]["dead"], true);
  EXPECT_EQ(status["workers"][1]["quiet"], false);
  EXPECT_EQ(status["workers"][2]["quiet"], true);
  EXPECT_EQ(status["line"][0]["pool"], "main");
  EXPECT_EQ(status["line"][0]["pid"], 4123);
  EXPECT_EQ(status["line"][0]["label"], "GET /cart");
  EXPECT_EQ(status["lingering"][0], nlohmann::ordered_json::parse(R"({"pool":"main","place":7,
      "was":"used","since_ms":1500.0,"pid":4126,"label":"report"})"));
}

TEST(StatusJson, IsValidWhateverBytesALabelHolds) {
  shm::Snapshot snapshot = busy_snapshot();
  snapshot.waiters[0].label = "\xff\xfe\x1b";
  const std::string text = json_text(status_json(snapshot, kNow), true);
  EXPECT_EQ(nlohmann::json::parse(text)["line"][0]["label"], "\xef\xbf\xbd\xef\xbf\xbd\x1b");
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
}

TEST(StatusText, FitsAHundredColumnsWithTheLongestNamesAndNumbers) {
  shm::Snapshot snapshot = busy_snapshot();
  const std::string longest(31, 'x');
  snapshot.quotas[0].name = snapshot.pools[0].name = longest;
  snapshot.pools[0].driver = snapshot.workers[0].service = std::string(15, 'd');
  snapshot.pools[0].places[0].label = longest;
  snapshot.pools[0].max = 10'000;
  put(snapshot.pools[0], PlaceState::kUsed, 10'000);
  snapshot.pools[0].acquires = UINT64_MAX;
  for (std::uint64_t& counter : snapshot.pools[0].counters) counter = 999'999;
  snapshot.workers[2].beat_ago_ns = 8'640'000'000'000'000;
  snapshot.workers[2].service = longest;
  std::istringstream lines(status_text(snapshot, kNow));
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), kLineWidth) << line;
}

TEST(StatusText, SaysOfAWorkerThatItIsDeadOrQuiet) {
  const std::string text = status_text(busy_snapshot(), kNow);
  EXPECT_THAT(text, HasSubstr("DEAD, not settled yet"));
  EXPECT_THAT(text, HasSubstr("quiet for 42.0 s: stopped?"));
}

TEST(StatusText, SaysThatAServerCannotBeReached) {
  shm::Snapshot snapshot = busy_snapshot();
  EXPECT_THAT(status_text(snapshot, kNow), Not(HasSubstr("failed\n")));
  snapshot.pools[0].connect_failures = 7;
  EXPECT_THAT(status_text(snapshot, kNow),
              HasSubstr("! pool main: the last 7 attempts to connect failed\n"));
}

TEST(StatusText, SaysThatTheBreakerIsOpenForHowLongAndWhy) {
  shm::Snapshot snapshot = busy_snapshot();
  shm::PoolSnapshot& pool = snapshot.pools[0];
  pool.connect_failures = 5;
  pool.breaker = shm::BreakerState::kOpen;
  pool.breaker_failures = 5;
  pool.breaker_retry_ms = 312;
  pool.connect_error = "refused\x1b" + std::string(120, 'x');
  EXPECT_THAT(status_text(snapshot, kNow),
              HasSubstr("! pool main: breaker open: 5 attempts in a row had no answer; next try in "
                        "312 ms\n  refused?xxx"));
  pool.breaker_retry_ms = 0;
  EXPECT_THAT(status_text(snapshot, kNow), HasSubstr("the next one who needs a connection tries"));
  pool.breaker = shm::BreakerState::kHalfOpen;
  EXPECT_THAT(status_text(snapshot, kNow),
              HasSubstr("breaker half open: 5 attempts in a row had no answer; one attempt"));
  std::istringstream lines(status_text(snapshot, kNow));
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), kLineWidth) << line;
}

TEST(StatusText, SaysHowManySessionsOfAFullServerAreOurs) {
  shm::Snapshot snapshot = busy_snapshot();
  snapshot.pools[0].connect_failures = 2;
  snapshot.pools[0].connect_code = WEIR_SERVER_FULL;
  shm::PoolSnapshot mate;
  mate.row = 5;
  mate.name = "jobs";
  mate.quota = 0;
  put(mate, PlaceState::kUsed, 2);
  shm::PoolSnapshot stranger = mate;
  stranger.row = 6;
  stranger.quota = shm::kNone;
  snapshot.pools.push_back(mate);
  snapshot.pools.push_back(stranger);
  EXPECT_THAT(status_text(snapshot, kNow),
              HasSubstr("! pool main: the last 2 attempts to connect failed: the server is full, "
                        "and only 15 of its sessions are ours\n"));
}

TEST(StatusJson, ShowsTheBreaker) {
  shm::Snapshot snapshot = busy_snapshot();
  EXPECT_EQ(status_json(snapshot, kNow)["pools"][0]["breaker"], "closed");
  EXPECT_EQ(status_json(snapshot, kNow)["pools"][0]["last_connect_error"], nullptr);
  snapshot.pools[0].breaker = shm::BreakerState::kHalfOpen;
  snapshot.pools[0].breaker_failures = 4;
  snapshot.pools[0].breaker_retry_ms = 7;
  snapshot.pools[0].connect_error = "refused";
  set(snapshot.pools[0], Counter::kBreakerOpenings, 3);
  const auto pool = status_json(snapshot, kNow)["pools"][0];
  EXPECT_EQ(pool["breaker"], "half_open");
  EXPECT_EQ(pool["breaker_failures"], 4);
  EXPECT_EQ(pool["breaker_retry_ms"], 7);
  EXPECT_EQ(pool["last_connect_error"], "refused");
  EXPECT_EQ(pool["counters"]["breaker_openings"], 3);
}

TEST(StatusText, SaysThatAPoolIsPausedAndWhatIsFromBefore) {
  shm::Snapshot snapshot = busy_snapshot();
  EXPECT_THAT(status_text(snapshot, kNow), Not(HasSubstr("! pool")));
  snapshot.pools[0].paused = true;
  snapshot.pools[0].generation = 1;
  const std::string text = status_text(snapshot, kNow);
  EXPECT_THAT(text, HasSubstr("! pool main: paused: nothing is lent until weir resume main\n"));
  EXPECT_THAT(text, HasSubstr("! pool main: 1 connection from before a drain or clear"));
  const auto pool = status_json(snapshot, kNow)["pools"][0];
  EXPECT_EQ(pool["paused"], true);
  EXPECT_EQ(pool["generation"], 1);
  EXPECT_EQ(pool["older_connections"], 1);
}

TEST(StatusJson, SaysWhyConnectionsWereClosed) {
  shm::Snapshot snapshot = busy_snapshot();
  set(snapshot.pools[0], Counter::kCloses, 3);
  set(snapshot.pools[0], Counter::kClosedIdle, 1);
  set(snapshot.pools[0], Counter::kClosedStale, 2);
  const auto counters = status_json(snapshot, kNow)["pools"][0]["counters"];
  EXPECT_EQ(counters["closed"]["idle"], 1);
  EXPECT_EQ(counters["closed"]["stale"], 2);
  EXPECT_EQ(counters["closed"].size(), 14u);
}

TEST(StatusText, PutsASegmentOutOfServiceAtTheTop) {
  shm::Snapshot snapshot = busy_snapshot();
  EXPECT_THAT(status_text(snapshot, kNow), Not(HasSubstr("OUT OF SERVICE")));
  snapshot.poison_reason = "a place reads state 14";
  const std::string text = status_text(snapshot, kNow);
  EXPECT_LT(text.find("OUT OF SERVICE: a place reads state 14"), text.find("QUOTA"));
}

TEST(StatusText, ShowsTheHeadOfALongLine) {
  shm::Snapshot snapshot = busy_snapshot();
  snapshot.waiters.resize(1000, snapshot.waiters[0]);
  EXPECT_THAT(status_text(snapshot, kNow), HasSubstr("... and 980 more\n"));
}

}  // namespace
}  // namespace weir::cli
