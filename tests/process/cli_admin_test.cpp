// `weir quota set`, `weir workers` and `weir reap`: the real command on segments as workers leave
// them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "cli_command.h"
#include "shm/line.h"
#include "support/shm_world.h"
#include "support/worker_process.h"

namespace weir::test {
namespace {

using nlohmann::json;
using shm::PlaceState;
using shm::PoolRef;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class CliAdmin : public testing::Test {
 protected:
  CommandOutcome weir(std::vector<std::string> arguments) const {
    arguments.insert(arguments.end(), {"--folder", world_.folder()});
    return run_weir(arguments);
  }
  json weir_json(std::vector<std::string> arguments) const {
    arguments.emplace_back("--json");
    const CommandOutcome outcome = weir(arguments);
    EXPECT_EQ(outcome.exit_status, 0) << outcome.err;
    return json::parse(outcome.out);
  }
  PoolRef pool(shm::WorkerId self, std::uint32_t quota) const {
    shm::PoolDeclaration declaration;
    declaration.name = "main";
    declaration.driver = "fake";
    declaration.max = 4;
    declaration.quota = quota;
    return world_.pool(self, declaration);
  }

  ShmWorld world_;
};

TEST_F(CliAdmin, SetsALimitAndSaysWhatItWasAndWhatIsInUse) {
  const auto worker = world_.join("auth");
  const PoolRef main = pool(worker->id(), world_.quota(worker->id(), 4, "pg"));
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(shm::take_room(main, worker->id()));

  const CommandOutcome grown = weir({"quota", "set", "pg", "6"});
  EXPECT_EQ(grown.exit_status, 0) << grown.err;
  EXPECT_EQ(grown.out,
            "quota pg: 4 -> 6; in use now: 4\n"
            "The workers are configured to 4; this stands until they say something else, or the "
            "segment goes.\n"
            "Its pools may have 4 together: raise their max as well (weir quota set POOL MAX).\n");
  EXPECT_THAT(weir({"quota", "set", "pg", "1"}).out,
              HasSubstr("quota pg: 6 -> 1; in use now: 4, of which 3 go as leases come back\n"));
  EXPECT_THAT(weir({"quota", "set", "pg", "1"}).out, HasSubstr("quota pg: is 1 already"));
  EXPECT_EQ(weir_json({"quota", "set", "pg", "3"}),
            json::parse(R"({"format": 1, "kind": "quota", "name": "pg", "old": 1, "new": 3,
                            "in_use": 4, "excess": 1, "room": 16, "usable": 4, "configured": 4,
                            "revision": 3})"));
  EXPECT_EQ(weir({"quota", "set", "pg", "4"}).out, "quota pg: 3 -> 4; in use now: 4\n");
  EXPECT_EQ(weir_json({"quota", "set", "main", "5"})["kind"], "pool");
  EXPECT_THAT(weir({"status"}).out, HasSubstr("! pool main: 5 set by an operator, 4 configured"));
  EXPECT_EQ(weir_json({"status"})["pools"][0]["configured_max"], 4);
}

TEST_F(CliAdmin, SetsALimitWhileNobodyIsThere) {
  {
    const auto worker = world_.join();
    static_cast<void>(world_.quota(worker->id(), 4, "pg"));
  }
  EXPECT_EQ(weir_json({"quota", "set", "pg", "2"})["new"], 2);
  const auto worker = world_.join();
  static_cast<void>(world_.quota(worker->id(), 4, "pg"));
  EXPECT_EQ(weir_json({"status"})["quotas"][0]["limit"], 2) << "the file is as it was";
}

TEST_F(CliAdmin, SaysWhyALimitCannotBeSet) {
  const auto worker = world_.join();
  static_cast<void>(world_.quota(worker->id(), 4, "pg"));
  const CommandOutcome large = weir({"quota", "set", "pg", "900"});
  EXPECT_EQ(large.exit_status, 1);
  EXPECT_THAT(large.out, IsEmpty());
  EXPECT_THAT(large.err, HasSubstr("quota pg: limit 900 asked; there is room for 16"));
  const CommandOutcome unknown = weir({"quota", "set", "pgs", "3"});
  EXPECT_EQ(unknown.exit_status, 1);
  EXPECT_THAT(unknown.err, AllOf(HasSubstr("\"pgs\""), HasSubstr("quotas: pg")));
  const CommandOutcome nowhere = weir({"quota", "set", "pg", "3", "--segment", "none"});
  EXPECT_EQ(nowhere.exit_status, 1);
  EXPECT_THAT(nowhere.err, HasSubstr("none.weir: there is none"));
  EXPECT_FALSE(std::filesystem::exists(world_.folder() + "/none.weir")) << "it makes nothing";
  EXPECT_EQ(weir({"quota", "set", "pg", "0"}).exit_status, 2);
  EXPECT_EQ(weir({"quota", "set", "pg", "many"}).exit_status, 2);
  EXPECT_EQ(weir({"quota", "set", "pg"}).exit_status, 2);
  EXPECT_EQ(weir({"quota"}).exit_status, 2);
  world_.segment().poison("a test");
  EXPECT_THAT(weir({"quota", "set", "pg", "3"}).err, HasSubstr("a test"));
}

TEST_F(CliAdmin, ShowsEachWorkerWithWhatItHoldsInEachPool) {
  const auto first = world_.join("auth"), second = world_.join("shop");
  const PoolRef main = pool(first->id(), shm::kNone);
  auto room = shm::take_room(main, first->id());
  ASSERT_TRUE(room && move_place(main, first->id(), *room, PlaceState::kUsed));
  const json shown = weir_json({"workers"});
  ASSERT_EQ(shown["workers"].size(), 2u);
  const json& one = shown["workers"][0];
  EXPECT_EQ(one["row"], 0);
  EXPECT_EQ(one["pid"], getpid());
  EXPECT_EQ(one["service"], "auth");
  EXPECT_EQ(one["dead"], false);
  EXPECT_EQ(one["quiet"], false);
  EXPECT_GT(one["since_unix_ms"], 1'500'000'000'000);
  EXPECT_LT(one["keeper_looked_ms_ago"], 60'000);
  EXPECT_EQ(one["pools"], json::parse(R"([{"pool": "main", "idle": 0, "used": 1, "connecting": 0,
                                           "closing": 0}])"));
  EXPECT_THAT(shown["workers"][1]["pools"], IsEmpty());
  EXPECT_THAT(weir({"workers"}).out, AllOf(HasSubstr("auth"), HasSubstr("shop"), HasSubstr("ok")));
}

TEST_F(CliAdmin, ShowsThatNoWorkerIsThere) {
  EXPECT_EQ(weir({"workers"}).out, "No worker is attached.\n");
  EXPECT_THAT(weir_json({"workers"})["workers"], IsEmpty());
}

TEST_F(CliAdmin, SettlesTheDeadNowAndSaysWhat) {
  {
    const auto declarer = world_.join();
    static_cast<void>(pool(declarer->id(), shm::kNone));
  }
  const PoolRef main = *PoolRef::find(world_.segment(), 0);
  WorkerProcess victim([&] {
    const auto me = world_.join("victim");
    if (!shm::take_room(main, me->id()) || !shm::take_room(main, me->id())) return 1;
    stop_here();
    return 0;
  });
  ASSERT_TRUE(victim.await_stop());
  EXPECT_EQ(weir_json({"reap"})["workers"], 0) << "it is only stopped";
  victim.kill();
  const json settled = weir_json({"reap"});
  EXPECT_EQ(settled["workers"], 1);
  EXPECT_EQ(settled["places"], 2);
  EXPECT_EQ(weir_json({"status"})["workers"].size(), 0u) << "it leaves as it came";
  ASSERT_TRUE(poll_until([&] { return weir_json({"reap"})["lingering"] == 0; }));
  EXPECT_THAT(weir({"reap"}).out, HasSubstr("settled: 0 dead workers, 0 places of theirs"));
}

TEST_F(CliAdmin, FinishesAChangeThatWasLeftHalfDone) {
  const auto worker = world_.join();
  const std::uint32_t quota = world_.quota(worker->id(), 4, "pg");
  world_.segment().quotas()[quota].limit.store(2);
  EXPECT_THAT(weir({"reap"}).out, HasSubstr("finished: 1 change of a limit"));
  EXPECT_EQ(weir_json({"reap"})["resizes_finished"], 0);
}

}  // namespace
}  // namespace weir::test
