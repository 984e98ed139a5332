#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/doctor_command.h"
#include "cli/doctor_findings.h"

namespace weir::cli {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;

auto finding(Severity severity, const std::string& what) {
  return AllOf(Field(&Finding::severity, severity), Field(&Finding::what, HasSubstr(what)));
}

FileFacts private_file() { return {"/dev/shm/weir-7/default.weir", 7, 7, 0660, 0700, 7}; }

config::RuntimeConfig two_pools_on_a_quota() {
  config::RuntimeConfig config;
  config.quotas.push_back({.name = "pg", .limit = 20});
  for (const char* name : {"main", "jobs"}) {
    config::PoolConfig pool;
    pool.name = name;
    pool.quota = "pg";
    pool.max = 20;
    config.pools.push_back(pool);
  }
  config::PoolConfig alone;
  alone.name = "alone";
  alone.max = 5;
  config.pools.push_back(alone);
  return config;
}

ServerFacts server(std::int32_t max_connections) {
  ServerFacts facts;
  facts.display = "host=db";
  facts.pools = {"main", "jobs", "alone"};
  facts.max_connections = max_connections;
  facts.reserved = 3;
  facts.client_check_ms = 1000;
  return facts;
}

shm::Snapshot snapshot_with_limit(std::uint32_t limit, std::uint32_t configured) {
  shm::Snapshot snapshot;
  snapshot.path = "/run/weir/default.weir";
  snapshot.quotas.push_back({.row = 0, .name = "pg", .limit = limit, .configured = configured});
  return snapshot;
}

TEST(TheDoctor, FindsNothingWrongWithAPrivateFile) {
  EXPECT_THAT(check_file(private_file()), IsEmpty());
  FileFacts shared = private_file();
  shared.folder_owner = 0;
  shared.folder_mode = 02770;
  EXPECT_THAT(check_file(shared), IsEmpty());
}

TEST(TheDoctor, FindsWhoElseMayReadOrWriteTheFile) {
  FileFacts facts = private_file();
  facts.mode = 0664;
  EXPECT_THAT(check_file(facts), ElementsAre(finding(Severity::kWarning, "mode 664")));
  facts.mode = 0666;
  EXPECT_THAT(check_file(facts), ElementsAre(finding(Severity::kCritical, "anybody may write")));
  facts = private_file();
  facts.folder_mode = 01777;
  EXPECT_THAT(check_file(facts), ElementsAre(finding(Severity::kCritical, "mode 1777")));
  facts = private_file();
  facts.folder_owner = 8;
  facts.looker = 9;
  EXPECT_THAT(check_file(facts), ElementsAre(finding(Severity::kWarning, "folder by user 8"),
                                             finding(Severity::kNote, "looked at by user 9")));
}

TEST(TheDoctor, NamesOtherSegments) {
  EXPECT_THAT(check_others("/a.weir", {"/a.weir", "/b.weir"}),
              ElementsAre(AllOf(Field(&Finding::severity, Severity::kWarning),
                                Field(&Finding::about, "segment /b.weir"))));
}

TEST(TheDoctor, FindsWorkersThatAreDeadOrQuiet) {
  shm::Snapshot snapshot;
  shm::WorkerSnapshot worker;
  snapshot.workers = {worker, worker, worker};
  snapshot.workers[1].dead = true;
  snapshot.workers[2].beat_ago_ns = 60'000'000'000;
  EXPECT_THAT(check_segment(snapshot, {}), ElementsAre(finding(Severity::kWarning, "dead"),
                                                       finding(Severity::kWarning, "quiet")));
  EXPECT_THAT(check_segment(snapshot, {.workers = 3}),
              Contains(finding(Severity::kWarning, "3 of 3 worker rows")));
}

TEST(TheDoctor, FindsASegmentThatIsOutOfService) {
  shm::Snapshot snapshot;
  snapshot.poison_reason = "a place reads state 14";
  EXPECT_THAT(check_segment(snapshot, {}),
              ElementsAre(finding(Severity::kCritical, "a place reads state 14")));
}

TEST(TheDoctor, FindsPoolsThatAreLeftPaused) {
  shm::Snapshot snapshot;
  snapshot.pools.emplace_back();
  snapshot.pools[0].paused = true;
  EXPECT_THAT(check_segment(snapshot, {}), ElementsAre(finding(Severity::kWarning, "paused")));
}

TEST(TheDoctor, FindsPoolsThatCannotConnectAndWhatLingersLong) {
  shm::Snapshot snapshot;
  shm::PoolSnapshot pool;
  pool.name = "main";
  pool.connect_failures = 4;
  shm::PlaceSnapshot place;
  place.state = shm::PlaceState::kLingering;
  place.state_ns = 60'000'000'000;
  pool.places = {place, place};
  snapshot.pools.push_back(pool);
  EXPECT_THAT(check_segment(snapshot, {}),
              ElementsAre(finding(Severity::kCritical, "the last 4 attempts"),
                          finding(Severity::kWarning, "2 of dead workers' connections")));
}

TEST(TheDoctor, FindsABreakerThatIsOpenAndAServerThatOthersFill) {
  shm::Snapshot snapshot;
  shm::PoolSnapshot open, full;
  open.breaker = shm::BreakerState::kOpen;
  open.breaker_failures = open.connect_failures = 6;
  full.connect_failures = 1;
  full.connect_code = WEIR_SERVER_FULL;
  snapshot.pools = {open, full};
  EXPECT_THAT(
      check_segment(snapshot, {}),
      ElementsAre(finding(Severity::kCritical, "breaker open: 6 attempts in a row had no answer"),
                  AllOf(finding(Severity::kCritical, "only 0 of its sessions are ours"),
                        Field(&Finding::to_do, HasSubstr("weir activity")))));
}

TEST(TheDoctor, NotesWhatAnOperatorSet) {
  EXPECT_THAT(check_segment(snapshot_with_limit(30, 20), {}),
              ElementsAre(finding(Severity::kNote, "limit 30 set by an operator, 20 configured")));
}

TEST(TheDoctor, TellsAFileThatIsNotInForceFromAnOperator) {
  const config::RuntimeConfig config = two_pools_on_a_quota();
  EXPECT_THAT(check_in_force(config, snapshot_with_limit(30, 20)), IsEmpty());
  EXPECT_THAT(check_in_force(config, snapshot_with_limit(30, 30)),
              ElementsAre(finding(Severity::kWarning, "limit 20 in this file, 30 in force")));
}

TEST(TheDoctor, ComparesLimitsWithWhatTheServerAllows) {
  const config::RuntimeConfig config = two_pools_on_a_quota();
  EXPECT_THAT(check_server(server(100), config, nullptr),
              ElementsAre(finding(Severity::kNote,
                                  "quota pg (20), pool alone (5) together 25; the "
                                  "server allows 97")));
  EXPECT_THAT(check_server(server(28), config, nullptr),
              ElementsAre(finding(Severity::kWarning, "nothing is left")));
  EXPECT_THAT(check_server(server(27), config, nullptr),
              ElementsAre(AllOf(finding(Severity::kCritical, "the server allows 24"),
                                Field(&Finding::to_do, HasSubstr("needs a restart")))));
  const shm::Snapshot lowered = snapshot_with_limit(10, 20);
  EXPECT_THAT(check_server(server(27), config, &lowered),
              ElementsAre(finding(Severity::kNote, "quota pg (10)")));
}

TEST(TheDoctor, TakesTheRolesLimitWhereThatIsSmaller) {
  ServerFacts facts = server(100);
  facts.role_limit = 24;
  facts.database_limit = 80;
  EXPECT_THAT(check_server(facts, two_pools_on_a_quota(), nullptr),
              ElementsAre(finding(Severity::kCritical, "allows 24 (the role's limit 24)")));
}

TEST(TheDoctor, AsksForAServerThatLooksAfterItsClients) {
  ServerFacts facts = server(-1);
  EXPECT_THAT(check_server(facts, two_pools_on_a_quota(), nullptr), IsEmpty());
  facts.client_check_ms = 0;
  EXPECT_THAT(check_server(facts, two_pools_on_a_quota(), nullptr),
              ElementsAre(finding(Severity::kWarning, "client_connection_check_interval is 0")));
}

TEST(TheDoctor, ShowsSizesThatWereSaidPerWorker) {
  config::Loaded loaded;
  const auto setting = [](const char* value, const char* source) {
    return config::Setting{
        "pool.main", "max", value, false, {config::Source::Kind::kAlias, source, 0}};
  };
  loaded.settings = {setting("15", "DB_POOL_SIZE"),
                     setting("120", "DB_POOL_SIZE times WEB_CONCURRENCY"),
                     setting("80", "DB_POOL_SIZE times WEB_CONCURRENCY, cut to 80")};
  EXPECT_THAT(check_config(loaded),
              ElementsAre(finding(Severity::kWarning, "pool.main.max = 15 for the whole machine"),
                          finding(Severity::kNote, "pool.main.max = 120"),
                          finding(Severity::kNote, "cut to 80")));
}

TEST(TheDoctor, EndsWithTheWorstThatItFound) {
  EXPECT_EQ(exit_code_of({}), 0);
  EXPECT_EQ(exit_code_of({{Severity::kNote, "a", "b", ""}}), 0);
  EXPECT_EQ(exit_code_of({{Severity::kWarning, "a", "b", ""}, {Severity::kNote, "a", "b", ""}}), 1);
  EXPECT_EQ(exit_code_of({{Severity::kWarning, "a", "b", ""}, {Severity::kCritical, "a", "", ""}}),
            2);
}

TEST(TheDoctor, SaysWhatToDoBelowWhatItFound) {
  EXPECT_EQ(findings_text({{Severity::kWarning, "pool main", "is\x1b sick", "rest"}}),
            "warning  pool main: is? sick\n"
            "         -> rest\n"
            "0 critical, 1 warning\n");
}

}  // namespace
}  // namespace weir::cli
