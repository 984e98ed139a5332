#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/dsn_command.h"
#include "cli/pool_command.h"

namespace weir::cli {
namespace {

using shm::Decision;
using shm::PlaceState;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using Json = nlohmann::ordered_json;

// A pool of generation 3 with one connection in each state, all from before but the last.
shm::Snapshot mixed_snapshot() {
  shm::PoolSnapshot pool;
  pool.name = "main";
  pool.generation = 3;
  for (const PlaceState state :
       {PlaceState::kUsed, PlaceState::kUsed, PlaceState::kIdle, PlaceState::kOpening,
        PlaceState::kClosing, PlaceState::kLingering, PlaceState::kFree, PlaceState::kUsed}) {
    shm::PlaceSnapshot place;
    place.state = state;
    place.generation = 2;
    place.connection = pool.places.size() + 1;
    place.state_ns = 1'000'000'000 * (pool.places.size() + 1);
    place.holder_pid = 4123;
    place.holder_thread = 4130;
    place.label = "GET /cart";
    pool.places.push_back(place);
    ++pool.count[static_cast<std::size_t>(state)];
  }
  pool.places.back().generation = 3;
  pool.waiting = 4;
  shm::Snapshot snapshot;
  snapshot.pools.push_back(pool);
  return snapshot;
}

PoolReport report(Decision decision, bool changed, bool is_paused) {
  return report_of(decision, {"main", changed, is_paused, 3}, mixed_snapshot());
}

TEST(ADecision, IsToldWithWhatItMeansForCallers) {
  EXPECT_EQ(decided_text(report(Decision::kPause, true, true)),
            "pool main: paused in all workers\n"
            "Callers, and who is in line, get paused at once: they may try again.\n"
            "3 connections in use stay usable until they come back.\n"
            "It stands until weir resume main.\n");
  EXPECT_EQ(decided_text(report(Decision::kResume, true, false)),
            "pool main: lends again in all workers\n");
  EXPECT_EQ(decided_text(report(Decision::kDrain, true, false)),
            "pool main: drained in all workers, generation 3\n"
            "From before: 6 connections (2 in use, 1 idle, 1 connecting, 1 closing, 1 lingering). "
            "Idle ones close at once, those in use when they come back.\n"
            "Callers get new connections meanwhile.\n");
  EXPECT_THAT(decided_text(report(Decision::kDrain, true, true)),
              HasSubstr("It is paused, and stays so until weir resume main.\n"));
  EXPECT_THAT(decided_text(report(Decision::kClear, true, true)),
              AllOf(HasSubstr("cleared and paused in all workers, generation 3\n"),
                    HasSubstr("weir resume main"), Not(HasSubstr("broken off"))));
  EXPECT_THAT(decided_text(report(Decision::kClearAndInterrupt, true, true)),
              HasSubstr("are broken off: their callers get an error.\n"));
}

TEST(ADecision, IsToldToHaveBeenSoAlready) {
  EXPECT_THAT(decided_text(report(Decision::kPause, false, true)),
              HasSubstr("was paused already\n"));
  EXPECT_THAT(decided_text(report(Decision::kResume, false, false)), HasSubstr("was not paused\n"));
  EXPECT_THAT(decided_text(report(Decision::kClearAndInterrupt, false, true)),
              AllOf(HasSubstr("so nothing was cleared"), HasSubstr("weir drain main"),
                    Not(HasSubstr("broken off"))));
}

TEST(ADecision, HasTheSameKeysForPrograms) {
  EXPECT_EQ(decided_json(report(Decision::kDrain, true, false)), Json::parse(R"({
      "format":1,"pool":"main","decision":"drain","changed":true,"paused":false,"generation":3,
      "used":3,"waiting":4,"older":{"connections":6,"used":2,"idle":1,"connecting":1,"closing":1,
      "lingering":1}})"));
  EXPECT_EQ(decided_json(report(Decision::kClear, true, true))["interrupt"], false);
  EXPECT_EQ(decided_json(report(Decision::kClearAndInterrupt, true, true))["interrupt"], true);
}

TEST(AWaitForADrain, SaysWhoIsStillOut) {
  PoolReport waited = report(Decision::kDrain, true, false);
  waited.waited_ns = 30'000'000'000;
  EXPECT_THAT(waited_text(waited),
              AllOf(HasSubstr("6 connections from before were still there after 30.0 s: 2 in use"),
                    HasSubstr("longest in use: connection 2 for 2.0 s, pid 4123, thread 4130, "
                              "\"GET /cart\""),
                    HasSubstr("weir holders --pool main")));
  EXPECT_EQ(decided_json(waited)["waited_ms"], 30'000.0);
  waited.older = {};
  EXPECT_EQ(waited_text(waited), "No connection from before is left, after 30.0 s.");
}

TEST(ACheckedDsn, IsToldByItsParts) {
  const DsnParts parts{"postgres", "1.0", "host=db user=app", "postgres:db:5432", 0xff};
  EXPECT_EQ(dsn_text(parts),
            "dsn          host=db user=app\nserver       postgres:db:5432\n"
            "fingerprint  00000000000000ff\ndriver       postgres 1.0\n");
  EXPECT_EQ(dsn_json(parts), Json::parse(R"({"format":1,"outcome":"good","driver":"postgres",
      "driver_version":"1.0","dsn":"host=db user=app","server_identity":"postgres:db:5432",
      "fingerprint":"00000000000000ff"})"));
  EXPECT_EQ(dsn_error_json(Status(Code::kBadConfig, "dsn: no")), Json::parse(R"({"format":1,
      "outcome":"error","kind":"bad_config","message":"dsn: no"})"));
}

}  // namespace
}  // namespace weir::cli
