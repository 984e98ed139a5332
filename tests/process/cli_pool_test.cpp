// `weir holders`, `pause`, `resume`, `drain`, `clear` and `dsn check`: the real command beside a
// worker in a process of its own, on the null driver.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "cli_command.h"
#include "support/pool_on_null.h"
#include "support/worker_process.h"

namespace weir::test {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr auto kLong = 20s;

class CliPool : public PoolOnNull {
 protected:
  void SetUp() override { std::ofstream(file_) << config_; }

  CommandOutcome weir(std::vector<std::string> arguments) const {
    arguments.insert(arguments.end(), {"--config", file_});
    return run_weir(arguments);
  }
  json weir_json(std::vector<std::string> arguments, int exit_status = 0) const {
    arguments.emplace_back("--json");
    const CommandOutcome outcome = weir(arguments);
    EXPECT_EQ(outcome.exit_status, exit_status) << outcome.err;
    return json::parse(outcome.out);
  }
  json pool_status() const { return weir_json({"status"})["pools"][0]; }
  bool soon_status(const std::function<bool(const json& pool)>& holds) const {
    return poll_until([&] { return holds(pool_status()); });
  }

  /// A worker that has the pool's one connection on loan until it is told to give it back, and then
  /// acquires once more. Its second caller waits meanwhile, if there is to be one; it ends with the
  /// code that this one got, or else the second acquire.
  void start_holder(bool with_waiter = false) {
    worker_ = std::make_unique<WorkerProcess>([this, with_waiter]() -> int {
      Runtime runtime = Runtime::from_text(config_, {});
      Pool pool = runtime.pool("main");
      std::optional<Lease> lease = pool.acquire({kLong, "GET /cart"});
      std::int32_t code = -1;
      std::thread waiter([&] {
        if (!with_waiter) return;
        code = code_of([&] { const Lease own = pool.acquire({kLong, "waits"}); });
        answered_.add();
      });
      out_.add();
      if (!back_.await(1, 60s)) return 99;
      lease.reset();
      waiter.join();
      out_.add();
      if (!again_.await(1, 60s)) return 99;
      if (with_waiter) return code;
      return code_of([&] { const Lease own = pool.acquire({kLong, "again"}); });
    });
    ASSERT_TRUE(out_.await(1));
  }
  int end_of_holder() {
    back_.add();
    again_.add();
    return worker_->wait_at_most();
  }

  TempFolder files_;
  std::string config_ = config(server_.dsn(), 1);
  std::string file_ = (files_.path() / "weir.toml").string();
  SharedCounter out_, back_, again_, answered_;
  std::unique_ptr<WorkerProcess> worker_;
};

TEST_F(CliPool, HoldersShowsWhoHasAConnectionAndWhoWaitsAlsoOfAStoppedWorker) {
  start_holder(true);
  ASSERT_TRUE(soon_status([](const json& pool) { return pool["waiting"] == 1; }));
  worker_->stop();
  const json shown = weir_json({"holders"});
  ASSERT_EQ(shown["leases"].size(), 1u);
  const json& lease = shown["leases"][0];
  EXPECT_EQ(lease["pool"], "main");
  EXPECT_EQ(lease["connection"], 1);
  EXPECT_EQ(lease["label"], "GET /cart");
  EXPECT_EQ(lease["pid"], worker_->pid());
  EXPECT_EQ(lease["thread"], worker_->pid()) << "its first thread";
  EXPECT_EQ(lease["service"], "one");
  EXPECT_EQ(lease["session_leases"], 1);
  EXPECT_LT(lease["held_ms"], 60'000);
  EXPECT_GT(lease["session_ms"], 0);
  EXPECT_EQ(shown["resolution_ms"], 10.0);
  ASSERT_EQ(shown["waiting"].size(), 1u);
  EXPECT_EQ(shown["waiting"][0]["label"], "waits");
  EXPECT_EQ(shown["waiting"][0]["pid"], worker_->pid());
  const json young = weir_json({"holders", "--pool", "main", "--older-than", "1h"});
  EXPECT_THAT(young["leases"], IsEmpty());
  EXPECT_EQ(young["younger"], 1);
  EXPECT_THAT(weir({"holders"}).out,
              AllOf(HasSubstr("1 lease; oldest first"), HasSubstr("GET /cart")));
  worker_->resume();
  EXPECT_EQ(end_of_holder(), WEIR_OK);
}

TEST_F(CliPool, HoldersTellsThatAWorkerIsDeadAsLongAsNobodyHasSettledIt) {
  start_holder();
  worker_->kill();
  EXPECT_EQ(weir_json({"holders"})["leases"][0]["dead"], true);
  EXPECT_THAT(weir({"holders"}).out, HasSubstr("DEAD, not settled yet"));
}

TEST_F(CliPool, PauseTurnsAwayWhoWaitsInAWorkerUntilResume) {
  start_holder(true);
  ASSERT_TRUE(soon_status([](const json& pool) { return pool["waiting"] == 1; }));
  const json paused = weir_json({"pause", "main"});
  EXPECT_EQ(paused["changed"], true);
  EXPECT_EQ(paused["paused"], true);
  EXPECT_EQ(paused["used"], 1) << "what is lent stays lent";
  EXPECT_TRUE(answered_.await(1)) << "at once, while the connection is still out";
  EXPECT_EQ(end_of_holder(), WEIR_PAUSED);
  EXPECT_EQ(weir_json({"pause", "main"})["changed"], false);
  EXPECT_THAT(weir({"status"}).out, HasSubstr("! pool main: paused"));
  EXPECT_EQ(weir({"resume", "main"}).out, "pool main: lends again in all workers\n");
  EXPECT_EQ(weir({"resume", "main"}).out, "pool main: was not paused\n");
  EXPECT_EQ(pool_status()["paused"], false);
}

TEST_F(CliPool, DrainWaitsUntilWhatWasOpenBeforeIsGone) {
  start_holder();
  const CommandOutcome early = weir({"drain", "main", "--wait", "--timeout", "0.2"});
  EXPECT_EQ(early.exit_status, 1);
  EXPECT_THAT(early.out, HasSubstr("drained in all workers, generation 1\n"
                                   "From before: 1 connection (1 in use)"));
  EXPECT_THAT(early.err, AllOf(HasSubstr("1 connection from before was still there"),
                               HasSubstr("\"GET /cart\"")));
  EXPECT_EQ(pool_status()["older_connections"], 1);
  EXPECT_THAT(weir({"holders"}).out, HasSubstr("! 1 of them from before a drain"));

  const json late = weir_json({"drain", "main", "--wait", "--timeout", "0.1"}, 1);
  EXPECT_EQ(late["older"]["used"], 1);
  EXPECT_GE(late["waited_ms"], 100);

  Command waits({"drain", "main", "--wait", "--timeout", "60", "--config", file_});
  ASSERT_TRUE(soon_status([](const json& pool) { return pool["generation"] == 3; }));
  back_.add();
  const CommandOutcome done = waits.finish();
  EXPECT_EQ(done.exit_status, 0) << done.err;
  EXPECT_THAT(done.out, HasSubstr("No connection from before is left, after "));
  EXPECT_EQ(pool_status()["counters"]["closed"]["stale"], 1);
  EXPECT_EQ(end_of_holder(), WEIR_OK) << "a drained pool lends";
  EXPECT_EQ(pool_status()["counters"]["connects"], 2);
}

TEST_F(CliPool, ClearPausesAndWithInterruptBreaksOffWhatIsLent) {
  start_holder();
  const json cleared = weir_json({"clear", "main", "--interrupt"});
  EXPECT_EQ(cleared["interrupt"], true);
  EXPECT_EQ(cleared["paused"], true);
  EXPECT_EQ(cleared["generation"], 1);
  EXPECT_EQ(weir_json({"clear", "main"})["changed"], false);
  EXPECT_EQ(end_of_holder(), WEIR_PAUSED);
  EXPECT_EQ(pool_status()["counters"]["closed"]["interrupted"], 1);
}

TEST_F(CliPool, DecidesAlsoBesideStoppedWorkersAndWithNone) {
  start_holder();
  worker_->stop();
  EXPECT_EQ(weir_json({"drain", "main"})["older"]["used"], 1);
  EXPECT_EQ(weir_json({"pause", "main"})["changed"], true);
  worker_->kill();
  EXPECT_EQ(weir_json({"resume", "main"})["changed"], true);
  weir_json({"reap"});
  EXPECT_EQ(weir_json({"pause", "main"})["changed"], true);
}

TEST_F(CliPool, SaysWhyItCannotDecide) {
  EXPECT_THAT(weir({"pause", "main"}).err, HasSubstr("there is none"));
  start_holder();
  for (const char* command : {"pause", "resume", "drain", "clear"}) {
    const CommandOutcome unknown = weir({command, "mian"});
    EXPECT_EQ(unknown.exit_status, 1);
    EXPECT_THAT(unknown.out, IsEmpty());
    EXPECT_THAT(unknown.err, AllOf(HasSubstr("\"mian\""), HasSubstr("pools: main")));
    EXPECT_EQ(weir({command}).exit_status, 2);
  }
  EXPECT_THAT(weir({"holders", "--pool", "mian"}).err, HasSubstr("pools: main"));
  EXPECT_EQ(weir({"holders", "--older-than", "30"}).exit_status, 2) << "30 what?";
  EXPECT_EQ(weir({"drain", "main", "--timeout", "3"}).exit_status, 2) << "without --wait";
  EXPECT_EQ(pool_status()["generation"], 0);
}

// ---- dsn check ----------------------------------------------------------------------------------

CommandOutcome check_dsn(const std::string& driver, std::vector<std::string> more) {
  more.insert(more.begin(),
              {"dsn", "check", "--plugin-path", WEIR_PLUGIN_DIRECTORY, "--driver", driver});
  return run_weir(more);
}

TEST(CliDsn, ShowsWhatTheDriverReadsAndNoPassword) {
  const CommandOutcome text = check_dsn("null", {"null://a?user=app&password=hunter2"});
  EXPECT_EQ(text.exit_status, 0) << text.err;
  EXPECT_THAT(text.out, AllOf(HasSubstr("server       null:a\n"), HasSubstr("user=app"),
                              Not(HasSubstr("hunter2"))));
  const json one = json::parse(check_dsn("null", {"null://a?password=hunter2", "--json"}).out);
  const json two = json::parse(check_dsn("null", {"null://a?password=hunter3", "--json"}).out);
  EXPECT_EQ(one["outcome"], "good");
  EXPECT_EQ(one["server_identity"], "null:a");
  EXPECT_EQ(one["driver"], "null");
  EXPECT_EQ(one, two) << "a password makes no other session";
}

TEST(CliDsn, TellsTheKindOfWhatIsWrong) {
  const CommandOutcome text = check_dsn("null", {"null://a?colour=blue"});
  EXPECT_EQ(text.exit_status, 1);
  EXPECT_THAT(text.out, IsEmpty());
  EXPECT_THAT(text.err, AllOf(HasSubstr("weir dsn check: bad_config: "), HasSubstr("colour")));
  const CommandOutcome bad = check_dsn("null", {"null://a?colour=blue", "--json"});
  EXPECT_EQ(bad.exit_status, 1);
  EXPECT_EQ(json::parse(bad.out)["outcome"], "error");
  EXPECT_EQ(json::parse(bad.out)["kind"], "bad_config");
  EXPECT_EQ(json::parse(check_dsn("nosuch", {"x", "--json"}).out)["kind"], "not_found");
}

TEST(CliDsn, NeverRepeatsAPasswordHoweverItIsAsked) {
  const std::vector<std::vector<std::string>> ways = {
      {"null://a?colour=blue&password=hunter2"},
      {"postgres://app:hunter2@db/app"},
      {"host=db", "password=hunter2"},
      {"host=db password = hunter2 prot=1"},
      {"password='hunter2"},
      {"hunter2", "hunter2"},
      {"x", "--password=hunter2"},
      {"x", "--json", "--json=hunter2"},
      {"x", "--plugin-path"},
      {"hunter2\x1b[2J", "hunter2"},
  };
  for (const std::string driver : {"null", "postgres", "postgres://app:hunter2@db/app"}) {
    for (const std::vector<std::string>& way : ways) {
      const CommandOutcome outcome = check_dsn(driver, way);
      EXPECT_THAT(outcome.out + outcome.err, Not(HasSubstr("hunter2"))) << driver << " " << way[0];
    }
  }
  const CommandOutcome astray = run_weir({"dsn", "postgres://app:hunter2@db/app"});
  EXPECT_EQ(astray.exit_status, 2);
  EXPECT_THAT(astray.out + astray.err, Not(HasSubstr("hunter2")));
}

TEST(CliDsn, WantsADriverAndOneDsn) {
  EXPECT_EQ(check_dsn("null", {}).exit_status, 2);
  EXPECT_EQ(check_dsn("null", {"null://a", "null://b"}).exit_status, 2);
  EXPECT_EQ(run_weir({"dsn", "check", "null://a"}).exit_status, 2);
  EXPECT_EQ(run_weir({"dsn"}).exit_status, 2);
  EXPECT_EQ(run_weir({"dsn", "check", "--help"}).exit_status, 0);
}

}  // namespace
}  // namespace weir::test
