// `weir status` against segments as workers leave them: the real command, real processes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "cli_command.h"
#include "shm/line.h"
#include "shm/reaper.h"
#include "support/shm_world.h"
#include "support/worker_process.h"

namespace weir::test {
namespace {

using nlohmann::json;
using shm::PlaceState;
using shm::PoolRef;
using shm::Room;
using shm::WorkerId;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;

std::string content_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::vector<json> documents_in(const std::string& lines) {
  std::vector<json> documents;
  std::istringstream in(lines);
  for (std::string line; std::getline(in, line);) documents.push_back(json::parse(line));
  return documents;
}

class CliStatus : public testing::Test {
 protected:
  std::vector<std::string> arguments(std::initializer_list<std::string> more = {}) const {
    std::vector<std::string> all = {"status", "--folder", world_.folder()};
    all.insert(all.end(), more);
    return all;
  }
  CommandOutcome status(std::initializer_list<std::string> more = {}) const {
    return run_weir(arguments(more));
  }
  json status_json() const { return json::parse(status({"--json"}).out); }

  PoolRef pool(WorkerId self, const std::string& name, std::uint32_t max, std::uint32_t quota) {
    shm::PoolDeclaration declaration;
    declaration.name = name;
    declaration.driver = "fake";
    declaration.max = max;
    declaration.keep = 1;
    declaration.quota = quota;
    return world_.pool(self, declaration);
  }

  // A place of `pool` that worker `self` occupies and that reads `state`.
  static Room occupy(const PoolRef& pool, WorkerId self, PlaceState state) {
    std::optional<Room> room = shm::take_room(pool, self);
    WEIR_CHECK(room.has_value());
    WEIR_CHECK(move_place(pool, self, *room, state));
    return *room;
  }

  ShmWorld world_;
};

TEST_F(CliStatus, ShowsWhatTheSegmentHolds) {
  const auto worker = world_.join("auth");
  const std::uint32_t quota = world_.quota(worker->id(), 4);
  const PoolRef main = pool(worker->id(), "main", 4, quota);
  const PoolRef jobs = pool(worker->id(), "jobs", 3, quota);
  occupy(main, worker->id(), PlaceState::kIdle);
  occupy(main, worker->id(), PlaceState::kUsed);
  occupy(jobs, worker->id(), PlaceState::kClosing);
  const auto first = shm::Waiter::enter(jobs, worker->id(), Deadline::never(), "GET /cart", 0);
  const auto second = shm::Waiter::enter(main, worker->id(), Deadline::never(), "GET /user", 0);
  ASSERT_TRUE(first && second);

  const json shown = status_json();
  EXPECT_EQ(shown["segment"]["path"], world_.folder() + "/default.weir");
  EXPECT_EQ(shown["quotas"], json::parse(R"([{"name": "shared", "limit": 4, "held": 3, "free": 1,
                                         "configured": 4, "room": 16}])"));
  ASSERT_EQ(shown["pools"].size(), 2u);
  const json& first_pool = shown["pools"][0];
  EXPECT_EQ(first_pool["name"], "main");
  EXPECT_EQ(first_pool["quota"], "shared");
  EXPECT_EQ(first_pool["idle"], 1);
  EXPECT_EQ(first_pool["used"], 1);
  EXPECT_EQ(first_pool["waiting"], 1);
  EXPECT_EQ(first_pool["total_connections"], 2);
  EXPECT_EQ(first_pool["overflow"], 1);
  EXPECT_EQ(first_pool["available"], 2) << "the idle one, and two free places but one permit";
  EXPECT_EQ(first_pool["utilization_pct"], 25.0);
  EXPECT_EQ(shown["pools"][1]["closing"], 1);
  ASSERT_EQ(shown["workers"].size(), 1u);
  EXPECT_EQ(shown["workers"][0]["service"], "auth");
  EXPECT_EQ(shown["workers"][0]["pid"], getpid());
  EXPECT_EQ(shown["workers"][0]["waiting"], 2);
  ASSERT_EQ(shown["line"].size(), 2u);
  EXPECT_EQ(shown["line"][0]["label"], "GET /cart") << "oldest first";
  EXPECT_EQ(shown["line"][1]["pool"], "main");

  const CommandOutcome text = status();
  EXPECT_EQ(text.exit_status, 0) << text.err;
  EXPECT_THAT(text.out, AllOf(HasSubstr("shared"), HasSubstr("GET /cart"), HasSubstr("auth")));
}

TEST_F(CliStatus, NeedsNoWorkerToAnswer) {
  SharedCounter joined;
  WorkerProcess worker([&] {
    const auto me = world_.join("sleeper");
    const PoolRef main = world_.pool(me->id(), 3);
    occupy(main, me->id(), PlaceState::kUsed);
    joined.add();
    stop_here();
    return 0;
  });
  ASSERT_TRUE(worker.await_stop());

  const json shown = status_json();
  ASSERT_EQ(shown["workers"].size(), 1u);
  EXPECT_EQ(shown["workers"][0]["pid"], worker.pid());
  EXPECT_EQ(shown["workers"][0]["dead"], false);
  EXPECT_EQ(shown["pools"][0]["used"], 1);
}

TEST_F(CliStatus, SaysThatAWorkersKeeperHasGoneQuiet) {
  const auto worker = world_.join();
  EXPECT_EQ(status_json()["workers"][0]["quiet"], false);
  worker->row().beat_ns.store(monotonic_ns() - 10'000'000'000);
  EXPECT_EQ(status_json()["workers"][0]["quiet"], true);
  EXPECT_THAT(status().out, HasSubstr("stopped?"));
}

TEST_F(CliStatus, ShowsAKilledWorkerAsDeadAndThenWhatLingersOfIt) {
  const auto survivor = world_.join();
  const PoolRef main = world_.pool(survivor->id(), 3);
  WorkerProcess worker([&] {
    const auto me = world_.join("victim");
    occupy(main, me->id(), PlaceState::kIdle);
    const Room used = occupy(main, me->id(), PlaceState::kUsed);
    main.info(used.place).since_ns.store(1);  // lent when the machine was started
    stop_here();
    return 0;
  });
  ASSERT_TRUE(worker.await_stop());
  worker.kill();

  json shown = status_json();
  ASSERT_EQ(shown["workers"].size(), 2u);
  EXPECT_EQ(shown["workers"][0]["dead"], false);
  EXPECT_EQ(shown["workers"][1]["dead"], true);
  EXPECT_THAT(status().out, HasSubstr("DEAD"));

  shm::reap(world_.segment(), survivor->id());
  shown = status_json();
  EXPECT_EQ(shown["workers"].size(), 1u);
  EXPECT_EQ(shown["pools"][0]["lingering"], 2);
  ASSERT_EQ(shown["lingering"].size(), 2u);
  EXPECT_EQ(shown["lingering"][0]["was"], "idle");
  EXPECT_EQ(shown["lingering"][1]["was"], "used");
  EXPECT_EQ(shown["lingering"][1]["place"], 1);
  EXPECT_LT(shown["lingering"][1]["since_ms"], 20'000) << "since it lingers, not since it was lent";
}

TEST_F(CliStatus, ShowsASegmentThatWasTakenOutOfService) {
  const auto worker = world_.join();
  const PoolRef main = world_.pool(worker->id(), 3);
  occupy(main, worker->id(), PlaceState::kUsed);
  world_.segment().poison("a place reads state 14");

  const CommandOutcome text = status();
  EXPECT_EQ(text.exit_status, 0) << text.err;
  EXPECT_THAT(text.out, HasSubstr("OUT OF SERVICE: a place reads state 14"));
  const json shown = status_json();
  EXPECT_EQ(shown["segment"]["in_service"], false);
  EXPECT_EQ(shown["segment"]["out_of_service_reason"], "a place reads state 14");
  EXPECT_EQ(shown["pools"][0]["used"], 1);
}

TEST_F(CliStatus, ChangesNotOneByteOfTheSegment) {
  const auto worker = world_.join();
  const PoolRef main = world_.pool(worker->id(), 3);
  occupy(main, worker->id(), PlaceState::kIdle);
  const std::string before = content_of(world_.segment().path());
  EXPECT_EQ(status().exit_status, 0);
  EXPECT_EQ(status({"--json"}).exit_status, 0);
  EXPECT_TRUE(content_of(world_.segment().path()) == before);
}

TEST_F(CliStatus, DoesNotCountAWaiterThatIsNotYetInLine) {
  const auto worker = world_.join();
  const PoolRef main = world_.pool(worker->id(), 3);
  auto waiter = shm::Waiter::enter(main, worker->id(), Deadline::never(), "left", 0);
  ASSERT_TRUE(waiter && waiter->leave(waiter->word()));
  // As far as enter() gets before it writes since when, for which pool and what for.
  shm::WaiterRow& row = world_.segment().waiters()[waiter->row()];
  const shm::WaiterWord seen(row.word.load());
  row.word.store(
      shm::WaiterWord(shm::WaiterState::kSetup, worker->id().row, 0, seen.inc() + 1).raw());
  const json shown = status_json();
  EXPECT_EQ(shown["pools"][0]["waiting"], 0);
  EXPECT_THAT(shown["line"], IsEmpty());
}

TEST_F(CliStatus, MakesLabelsHarmless) {
  const auto worker = world_.join();
  const PoolRef main = world_.pool(worker->id(), 1);
  const auto waiter = shm::Waiter::enter(main, worker->id(), Deadline::never(), "\x1b]0;x\xff", 0);
  ASSERT_TRUE(waiter);
  EXPECT_THAT(status().out, AllOf(HasSubstr("?]0;x?"), testing::Not(HasSubstr("\x1b"))));
  EXPECT_EQ(status_json()["line"][0]["label"], "\x1b]0;x\xef\xbf\xbd");
}

TEST_F(CliStatus, SaysThatNoPoolWasDeclaredYet) {
  const CommandOutcome outcome = status();
  EXPECT_EQ(outcome.exit_status, 0);
  EXPECT_THAT(outcome.out, HasSubstr("No pool has been declared yet"));
}

TEST_F(CliStatus, FindsTheSegmentThatAConfigurationNames) {
  const std::string path = world_.folder() + "/weir.toml";
  std::ofstream(path) << "[runtime]\nfolder = \"" << world_.folder()
                      << "\"\n[pool.main]\ndriver = \"fake\"\ndsn = \"x\"\n";
  const CommandOutcome outcome = run_weir({"status", "--config", path});
  EXPECT_EQ(outcome.exit_status, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr(world_.folder() + "/default.weir"));

  const CommandOutcome other = run_weir({"status", "--config", path, "--segment", "none"});
  EXPECT_EQ(other.exit_status, 1);
  EXPECT_THAT(other.err, HasSubstr(world_.folder() + "/none.weir"));
}

TEST_F(CliStatus, SaysWhatToDoWhenThereIsNoSegment) {
  const CommandOutcome outcome = status({"--segment", "none", "--json"});
  EXPECT_EQ(outcome.exit_status, 1);
  EXPECT_THAT(outcome.out, IsEmpty());
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("/none.weir: there is none"), HasSubstr("--config")));
}

TEST_F(CliStatus, RefusesWhatIsNoSegmentOrNotWholeAndLeavesItAlone) {
  const std::string foreign(5000, 'x');
  std::ofstream(world_.folder() + "/foreign.weir") << foreign;
  const CommandOutcome refused = status({"--segment", "foreign"});
  EXPECT_EQ(refused.exit_status, 1);
  EXPECT_THAT(refused.err, HasSubstr("not a weir segment"));
  EXPECT_EQ(content_of(world_.folder() + "/foreign.weir"), foreign);

  const std::string whole = content_of(world_.segment().path());
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{7}, std::size_t{100}, std::size_t{4096}, whole.size() - 1}) {
    std::ofstream(world_.folder() + "/part.weir", std::ios::binary | std::ios::trunc)
        << whole.substr(0, size);
    const CommandOutcome cut = status({"--segment", "part"});
    EXPECT_EQ(cut.exit_status, 1) << size << " bytes";
    EXPECT_THAT(cut.err, HasSubstr("part.weir")) << size << " bytes";
  }
}

TEST_F(CliStatus, TellsAWrongCommandLineFromAFailure) {
  EXPECT_EQ(run_weir({}).exit_status, 2);
  EXPECT_EQ(run_weir({"stauts"}).exit_status, 2);
  EXPECT_EQ(status({"--frequently"}).exit_status, 2);
  EXPECT_EQ(status({"--count", "1"}).exit_status, 2) << "without --watch";
  EXPECT_EQ(status({"--watch", "--interval", "0"}).exit_status, 2);
  EXPECT_EQ(run_weir({"--help"}).exit_status, 0);
  EXPECT_EQ(run_weir({"--version"}).exit_status, 0);
}

TEST_F(CliStatus, FailsWhenNobodyCanReadWhatItWrites) {
  const CommandOutcome outcome = Command(arguments(), "/dev/full").finish();
  EXPECT_EQ(outcome.exit_status, 1);
  EXPECT_THAT(outcome.err, HasSubstr("stdout"));
}

TEST_F(CliStatus, WatchedWithoutATerminalPrintsOneLookAfterTheOther) {
  const CommandOutcome outcome =
      status({"--watch", "--json", "--interval", "0.05", "--count", "3"});
  EXPECT_EQ(outcome.exit_status, 0) << outcome.err;
  EXPECT_EQ(documents_in(outcome.out).size(), 3u);
  EXPECT_THAT(status({"--watch", "--count", "1"}).out, testing::Not(HasSubstr("\x1b")));
}

TEST_F(CliStatus, WatchedGoesOnUntilThereIsASegmentAndEndsInGoodOrder) {
  Command watch(arguments({"--segment", "later", "--watch", "--json", "--interval", "0.05"}));
  ASSERT_TRUE(poll_until([&] { return watch.err().find("there is none") != std::string::npos; }));
  shm::SegmentOptions options = world_.options();
  options.name = "later";
  options.geometry = kSmallGeometry;
  const auto later = shm::Segment::open(options);
  ASSERT_TRUE(later.ok()) << later.status().message();
  ASSERT_TRUE(poll_until([&] { return watch.out().find('\n') != std::string::npos; }));
  watch.signal(SIGTERM);
  EXPECT_EQ(watch.finish().exit_status, 0);
}

TEST_F(CliStatus, WatchedShowsTheSegmentThatReplacedAnother) {
  Command watch(arguments({"--watch", "--json", "--interval", "0.05"}));
  ASSERT_TRUE(poll_until([&] { return watch.out().find('\n') != std::string::npos; }));
  std::filesystem::remove(world_.segment().path());
  shm::SegmentOptions options = world_.options();
  options.geometry = kSmallGeometry;
  const auto next = shm::Segment::open(options);
  ASSERT_TRUE(next.ok()) << next.status().message();
  ASSERT_TRUE(shm::Membership::join(*next.value(), "successor").ok());
  const auto stays = shm::Membership::join(*next.value(), "successor");
  ASSERT_TRUE(poll_until([&] { return watch.out().find("successor") != std::string::npos; }));
  watch.signal(SIGINT);
  EXPECT_EQ(watch.finish().exit_status, 0);
}

TEST_F(CliStatus, WatchedOnATerminalRedrawsInPlaceAndEndsWithControlC) {
  constexpr std::string_view kHome = "\x1b[H";
  TerminalCommand watch(arguments({"--watch", "--interval", "0.05"}), 40);
  const auto redrawn = [&](const std::string& shown) {
    const std::size_t first = shown.find(kHome);
    return first != std::string::npos && shown.find(kHome, first + 1) != std::string::npos;
  };
  ASSERT_TRUE(watch.read_until(redrawn)) << watch.shown();
  EXPECT_THAT(watch.shown(), HasSubstr("default.weir"));
  watch.type("\x03");
  EXPECT_EQ(watch.wait(), 0);
}

TEST_F(CliStatus, WatchedOnASmallTerminalStaysWithinIt) {
  const auto worker = world_.join();
  const PoolRef main = world_.pool(worker->id(), 1);
  std::vector<shm::Waiter> line;
  for (int i = 0; i < 10; ++i) {
    line.push_back(*shm::Waiter::enter(main, worker->id(), Deadline::never(), "w", 0));
  }
  constexpr unsigned short kRows = 12;
  TerminalCommand watch(arguments({"--watch", "--count", "1"}), kRows);
  ASSERT_TRUE(watch.read_until([](const std::string& shown) { return shown.ends_with("\x1b[J"); }))
      << watch.shown();
  EXPECT_THAT(watch.shown(), HasSubstr("more than fits"));
  EXPECT_LT(std::count(watch.shown().begin(), watch.shown().end(), '\n'), kRows);
  EXPECT_EQ(watch.wait(), 0);
}

}  // namespace
}  // namespace weir::test
