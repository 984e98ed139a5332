#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "cli/activity_join.h"
#include "cli/activity_report.h"
#include "cli/render.h"

namespace weir::cli {
namespace {

using shm::PlaceState;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const std::vector<std::string> kMain = {"main"};

shm::PlaceSnapshot place(std::uint32_t index, PlaceState state) {
  shm::PlaceSnapshot place;
  place.index = index;
  place.state = state;
  place.occ = 1;
  const bool is_empty = state == PlaceState::kFree;
  place.worker = is_empty || state == PlaceState::kLingering ? shm::kNone : 0;
  place.holder_pid = 4123;
  return place;
}

// One healthy worker, pid 4123, and pool "main" with these places; pool "other" has one idle place
// 0.
shm::Snapshot snapshot_of(std::vector<shm::PlaceSnapshot> places) {
  shm::Snapshot snapshot;
  snapshot.workers.push_back({.row = 0, .pid = 4123, .service = "auth"});
  shm::PoolSnapshot pool;
  pool.name = "main";
  pool.places = std::move(places);
  snapshot.pools.push_back(pool);
  pool.row = 1;
  pool.name = "other";
  pool.places = {place(0, PlaceState::kIdle)};
  snapshot.pools.push_back(pool);
  return snapshot;
}

ServerSession session(const std::string& client_name, const std::string& state) {
  return {.server_pid = 900, .client_name = client_name, .state = state, .state_ms = 10};
}

Activity steady_join(const shm::PlaceSnapshot& place, const ServerAnswer& answer) {
  const shm::Snapshot snapshot = snapshot_of({place});
  return join(snapshot, snapshot, kMain, answer);
}

TEST(ClientName, NamesPoolAndPlaceWhateverTheServiceIsCalled) {
  EXPECT_EQ(parse_client_name("weir:auth/main#7"), (PlaceName{"main", 7}));
  EXPECT_EQ(parse_client_name("weir:a/b#c/main#12"), (PlaceName{"main", 12}));
}

TEST(ClientName, OfAnybodyElseNamesNoPlace) {
  for (const char* name :
       {"", "psql", "weir:", "weir:auth", "weir:auth/main", "weir:auth/main#", "weir:auth/main#x",
        "weir:auth/main#7x", "weir:auth/#7", "weir:main#7", "weir:auth/main#99999999999"}) {
    EXPECT_EQ(parse_client_name(name), std::nullopt) << name;
  }
}

TEST(Activity, JoinsASessionWithThePlaceItIsNamedAfter) {
  shm::PlaceSnapshot used = place(3, PlaceState::kUsed);
  used.label = "GET /cart";
  const Activity activity =
      steady_join(used, {.sessions = {session("weir:auth/main#3", "active")}});
  ASSERT_EQ(activity.places.size(), 1u);
  EXPECT_EQ(activity.places[0].name, (PlaceName{"main", 3}));
  EXPECT_EQ(activity.places[0].pid, 4123u);
  EXPECT_EQ(activity.places[0].label, "GET /cart");
  EXPECT_EQ(activity.places[0].session->server_pid, 900);
  EXPECT_THAT(activity.places[0].hints, IsEmpty());
  EXPECT_THAT(activity.others, IsEmpty());
}

TEST(Activity, ListsSessionsOfNoPlaceAsOthersAndSaysWhatIsKnown) {
  const Activity activity = steady_join(
      place(3, PlaceState::kIdle),
      {.sessions = {session("weir:auth/main#3", "idle"), session("psql", "idle"),
                    session("weir activity 7", "active"), session("weir:auth/other#0", "idle"),
                    session("weir:auth/main#63", "idle"), session("weir:longservice/mai", "idle")},
       .own_client_name = "weir activity 7"});
  EXPECT_EQ(activity.places.size(), 1u);
  std::vector<std::string> notes;
  for (const OtherSession& other : activity.others) notes.push_back(other.note);
  EXPECT_THAT(notes, ElementsAre("", "this command", "place other#0",
                                 "names a place that this segment does not have",
                                 "weir's, but its name is cut off"));
}

TEST(Activity, FlagsAnIdlePlaceWhoseSessionIsBusy) {
  const PlaceState idle = PlaceState::kIdle;
  EXPECT_THAT(steady_join(place(3, idle), {.sessions = {session("weir:a/main#3", "active")}})
                  .places[0]
                  .hints,
              ElementsAre("idle here, but active on the server"));
  EXPECT_THAT(
      steady_join(place(3, idle), {.sessions = {session("weir:a/main#3", "idle in transaction")}})
          .places[0]
          .hints,
      ElementsAre("idle here, but a transaction is open on the server"));
  EXPECT_THAT(
      steady_join(place(3, idle), {.sessions = {session("weir:a/main#3", "")}}).places[0].hints,
      IsEmpty())
      << "a state that may not be seen proves nothing";
}

TEST(Activity, FlagsASessionBehindAnEmptyPlace) {
  const Activity activity =
      steady_join(place(3, PlaceState::kFree), {.sessions = {session("weir:a/main#3", "idle")}});
  EXPECT_THAT(activity.places[0].hints, ElementsAre("empty here, but the server has this session"));
}

TEST(Activity, SaysOfAPlaceWithoutASessionWhatTheServerSaysOfItsToken) {
  const PlaceName name{"main", 3};
  const auto hints = [&](PlaceState state, std::map<PlaceName, bool> gone) {
    return steady_join(place(3, state), {.gone = std::move(gone)}).places[0].hints;
  };
  EXPECT_THAT(hints(PlaceState::kUsed, {{name, true}}),
              ElementsAre("the server does not have this session any more"));
  EXPECT_THAT(hints(PlaceState::kUsed, {{name, false}}),
              ElementsAre("the server has this session under another name"));
  EXPECT_THAT(hints(PlaceState::kUsed, {}),
              ElementsAre("no session on the server carries this place's name"));
  EXPECT_THAT(hints(PlaceState::kLingering, {{name, true}}),
              ElementsAre("the server has let go of it: about to be freed"));
  EXPECT_THAT(hints(PlaceState::kOpening, {}), IsEmpty()) << "not connected yet";
}

TEST(Activity, FlagsNothingThatChangedWhileTheServerWasAsked) {
  const shm::Snapshot before = snapshot_of({place(3, PlaceState::kIdle)});
  shm::Snapshot lent_meanwhile = before;
  lent_meanwhile.pools[0].places[0].leases += 1;
  const ServerAnswer busy = {.sessions = {session("weir:a/main#3", "active")}};
  EXPECT_THAT(join(before, lent_meanwhile, kMain, busy).places[0].hints, IsEmpty());

  const shm::Snapshot freed = snapshot_of({place(3, PlaceState::kFree)});
  EXPECT_THAT(join(before, freed, kMain, busy).places[0].hints, IsEmpty());
  EXPECT_THAT(join(freed, freed, kMain, busy).places[0].hints, testing::SizeIs(1));
}

TEST(Activity, FlagsTwoSessionsOfOneName) {
  const ServerSession one = session("weir:a/main#3", "idle");
  const Activity activity = steady_join(place(3, PlaceState::kIdle), {.sessions = {one, one}});
  ASSERT_EQ(activity.places.size(), 2u);
  EXPECT_THAT(activity.places[0].hints[0], HasSubstr("2 sessions carry this name"));
}

TEST(Activity, FlagsPlacesOfDeadAndQuietWorkers) {
  const ServerAnswer answer = {.sessions = {session("weir:a/main#3", "active")}};
  shm::Snapshot snapshot = snapshot_of({place(3, PlaceState::kUsed)});
  snapshot.workers[0].dead = true;
  EXPECT_THAT(join(snapshot, snapshot, kMain, answer).places[0].hints,
              ElementsAre("its worker is dead and not settled yet"));
  snapshot.workers[0].dead = false;
  snapshot.workers[0].beat_ago_ns = 60'000'000'000;
  EXPECT_THAT(join(snapshot, snapshot, kMain, answer).places[0].hints,
              ElementsAre("its worker's keeper is quiet: stopped?"));
}

ServerActivity reported() {
  shm::PlaceSnapshot idle = place(3, PlaceState::kIdle);
  idle.label = std::string(31, 'l');
  ServerSession busy = session("weir:auth/main#3", "active");
  busy.wait = std::string(63, 'w');
  return {"postgres://app@db/app", kMain,
          steady_join(idle, {.sessions = {busy, session(std::string(63, 'n'), "idle")}})};
}

TEST(ActivityText, FitsAHundredColumns) {
  std::istringstream lines(activity_text(reported()));
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), kLineWidth) << line;
}

TEST(ActivityText, MarksAndExplainsWhatToLookAt) {
  const std::string text = activity_text(reported());
  EXPECT_THAT(text, HasSubstr("\n!  main#3"));
  EXPECT_THAT(text, HasSubstr("main#3 (server pid 900): idle here, but active on the server"));
  EXPECT_THAT(text, HasSubstr("2 sessions: 1 of these places, 1 other;"));
}

TEST(ActivityText, ExplainsAServerOnWhichNoSessionIsNamedAfterAPlace) {
  const ServerActivity server = {
      "s", kMain,
      steady_join(place(3, PlaceState::kIdle), {.sessions = {session("my app", "idle")}})};
  EXPECT_THAT(activity_text(server), HasSubstr("application_name"));
}

TEST(ActivityJson, HasPlacesWithTheirSessionsAndTheOthers) {
  const auto server = activity_json({reported()})["servers"][0];
  EXPECT_EQ(server["server"], "postgres://app@db/app");
  EXPECT_EQ(server["places"][0]["place"], 3);
  EXPECT_EQ(server["places"][0]["state"], "idle");
  EXPECT_EQ(server["places"][0]["pid"], 4123);
  EXPECT_EQ(server["places"][0]["session"]["state"], "active");
  EXPECT_EQ(server["places"][0]["hints"][0], "idle here, but active on the server");
  EXPECT_EQ(server["other"][0]["server_pid"], 900);
}

}  // namespace
}  // namespace weir::cli
