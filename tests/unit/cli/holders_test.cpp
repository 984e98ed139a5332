#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "cli/holders_command.h"
#include "cli/json_text.h"
#include "cli/render.h"

namespace weir::cli {
namespace {

using namespace std::chrono_literals;
using shm::PlaceState;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr std::uint64_t kNow = 1'767'225'600'000'000'000;
constexpr std::uint64_t kMs = 1'000'000;
constexpr std::uint64_t kTick = 4 * kMs;

shm::PlaceSnapshot lease(std::uint64_t connection, std::uint64_t held_ms, const char* label) {
  shm::PlaceSnapshot place;
  place.state = PlaceState::kUsed;
  place.connection = connection;
  place.state_ns = held_ms * kMs;
  place.age_ns = 720'000 * kMs;
  place.session_leases = 212;
  place.worker = 0;
  place.holder_pid = 4123;
  place.holder_thread = 4130;
  place.label = label;
  return place;
}

shm::PoolSnapshot pool(std::uint32_t row, const char* name) {
  shm::PoolSnapshot pool;
  pool.row = row;
  pool.name = name;
  return pool;
}

// Three leases in two pools, an idle connection, and one who waits.
shm::Snapshot busy_snapshot() {
  shm::Snapshot snapshot;
  snapshot.path = "/run/weir/default.weir";
  snapshot.workers.push_back({.row = 0, .pid = 4123, .service = "auth"});
  snapshot.pools = {pool(3, "main"), pool(4, "jobs")};
  shm::PlaceSnapshot idle = lease(9, 99'000, "long idle");
  idle.state = PlaceState::kIdle;
  snapshot.pools[0].places = {lease(1, 20, "GET /cart"), idle, lease(2, 252'000, "report")};
  snapshot.pools[1].places = {lease(1, 5'000, "nightly")};
  snapshot.waiters.push_back({.state = shm::WaiterState::kWaiting,
                              .worker = 0,
                              .pool = 4,
                              .waited_ns = 120 * kMs,
                              .label = "job 7"});
  return snapshot;
}

Holders all_of(const shm::Snapshot& snapshot, const std::string& pool = "",
               std::chrono::milliseconds older_than = 0ms) {
  Result<Holders> holders = find_holders(snapshot, pool, older_than, kTick);
  EXPECT_TRUE(holders.ok()) << holders.status().to_string();
  return holders.ok() ? holders.value() : Holders{};
}

TEST(TheHolders, AreAllLeasesOldestFirst) {
  const shm::Snapshot snapshot = busy_snapshot();
  const auto shown = holders_json(all_of(snapshot), kNow);
  ASSERT_EQ(shown["leases"].size(), 3u) << "idle connections are nobody's";
  EXPECT_EQ(shown["leases"][0]["label"], "report");
  EXPECT_EQ(shown["leases"][1]["label"], "nightly");
  EXPECT_EQ(shown["leases"][2]["label"], "GET /cart");
  const std::string text = holders_text(all_of(snapshot), kNow);
  EXPECT_LT(text.find("report"), text.find("nightly"));
  EXPECT_LT(text.find("nightly"), text.find("GET /cart"));
  EXPECT_THAT(text, HasSubstr("3 leases; oldest first; times to 4.0 ms\n"));
}

TEST(TheHolders, AreToldWithAllThatOneAsksFor) {
  const shm::Snapshot snapshot = busy_snapshot();
  EXPECT_EQ(holders_json(all_of(snapshot), kNow)["leases"][0],
            nlohmann::ordered_json::parse(
                R"({"held_ms":252000.0,"pool":"main","place":0,"connection":2,"label":"report",
                    "worker":0,"pid":4123,"thread":4130,"service":"auth","dead":false,
                    "quiet":false,"session_ms":720000.0,"session_leases":212,"generation":0,
                    "older_generation":false})"));
  EXPECT_THAT(holders_text(all_of(snapshot), kNow),
              HasSubstr("4m 12s  main     2  report     4123    4130  auth         12m     212\n"));
}

TEST(TheHolders, StandApartFromWhoWaits) {
  const shm::Snapshot snapshot = busy_snapshot();
  EXPECT_EQ(holders_json(all_of(snapshot), kNow)["waiting"][0],
            nlohmann::ordered_json::parse(
                R"({"waited_ms":120.0,"pool":"jobs","label":"job 7","worker":0,"pid":4123,
                    "service":"auth","state":"waiting"})"));
  EXPECT_THAT(holders_text(all_of(snapshot), kNow),
              HasSubstr("In line, oldest first: 1\nWAITED  POOL"));
  EXPECT_THAT(holders_text(all_of(snapshot, "main"), kNow), HasSubstr("Nobody is in line.\n"));
}

TEST(TheHolders, CanBeThoseOfOnePoolAndThoseForLong) {
  const shm::Snapshot snapshot = busy_snapshot();
  const Holders main = all_of(snapshot, "main");
  EXPECT_EQ(main.leases.size(), 2u);
  EXPECT_TRUE(main.waiters.empty());
  const auto old = holders_json(all_of(snapshot, "", 5s), kNow);
  EXPECT_EQ(old["leases"].size(), 2u) << "5 s are 5 s";
  EXPECT_EQ(old["younger"], 1);
  EXPECT_EQ(old["waiting"].size(), 1u) << "who waits is told all the same";
  EXPECT_THAT(holders_text(all_of(snapshot, "", 30s), kNow),
              HasSubstr("1 lease out for longer than 30s, of 3; oldest first; times to 4.0 ms\n"));
  // No number of hours is too large.
  EXPECT_EQ(all_of(snapshot, "", std::chrono::milliseconds::max()).leases.size(), 0u);
}

TEST(TheHolders, OfAPoolThatIsNotAreRefusedByName) {
  const shm::Snapshot snapshot = busy_snapshot();
  const Status status = find_holders(snapshot, "mian", 0ms, kTick).status();
  EXPECT_EQ(status.code(), Code::kNotFound);
  EXPECT_THAT(status.message(), AllOf(HasSubstr("\"mian\""), HasSubstr("pools: main, jobs")));
  EXPECT_THAT(find_holders({}, "main", 0ms, kTick).status().message(), HasSubstr("pools: none"));
}

TEST(TheHolders, AreToldToBeOldOrWithAWorkerThatIsDeadOrStopped) {
  shm::Snapshot snapshot = busy_snapshot();
  EXPECT_THAT(holders_text(all_of(snapshot), kNow), Not(HasSubstr("!")));
  snapshot.pools[0].generation = 1;
  snapshot.workers[0].dead = true;
  const std::string text = holders_text(all_of(snapshot), kNow);
  EXPECT_THAT(text, HasSubstr("! 2 of them from before a drain or clear: closed when they come"));
  EXPECT_THAT(text, HasSubstr("! worker 4123: DEAD, not settled yet\n"));
  EXPECT_EQ(text.find("! worker"), text.rfind("! worker")) << "once, however many it holds";
  EXPECT_EQ(holders_json(all_of(snapshot), kNow)["leases"][0]["older_generation"], true);
  snapshot.workers[0].dead = false;
  snapshot.workers[0].beat_ago_ns = 42'000 * kMs;
  EXPECT_THAT(holders_text(all_of(snapshot), kNow), HasSubstr("! worker 4123: quiet for 42.0 s"));
}

TEST(TheHolders, FitAHundredColumnsAndNoLabelSteersATerminal) {
  shm::Snapshot snapshot = busy_snapshot();
  const std::string longest(31, 'x');
  snapshot.pools[0].name = snapshot.workers[0].service = longest;
  snapshot.pools[0].places[0].label = "\x1b[2J" + longest;
  snapshot.pools[0].places[0].connection = 1'000'000'000;
  snapshot.waiters[0].label = "\xff";
  const std::string text = holders_text(all_of(snapshot), kNow);
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), kLineWidth) << line;
  EXPECT_NO_THROW(json_text(holders_json(all_of(snapshot), kNow), false));
}

TEST(TheHolders, OfAnIdleMachineAreNone) {
  shm::Snapshot snapshot;
  EXPECT_THAT(holders_text(all_of(snapshot), kNow),
              AllOf(HasSubstr("0 leases; times to"), HasSubstr("Nobody is in line.\n")));
}

}  // namespace
}  // namespace weir::cli
