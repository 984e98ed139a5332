// `weir policy list`, `reload` and `shadow`, beside a worker whose pool has a script.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "cli_command.h"
#include "support/pool_on_null.h"

namespace weir::test {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using testing::HasSubstr;

class CliPolicies : public PoolOnNull {
 protected:
  void SetUp() override {
    write("one", 2);
    runtime_.emplace(open(server_.dsn(), 4, "policy = \"" + path() + "\"\n"));
    { const Lease lease = pool().acquire({20s}); }
    ASSERT_TRUE(soon([&] { return listed().at("policies").size() == 1; }));
  }
  void write(const std::string& name, int max) const {
    const std::string next = path() + ".next";
    std::ofstream(next) << "return { name = '" << name
                        << "', api = 1, size = function() return { max = " << max << " } end }";
    std::filesystem::rename(next, path());
  }
  [[nodiscard]] std::string path(const std::string& name = "policy.lua") const {
    return (scripts_.path() / name).string();
  }
  [[nodiscard]] Pool pool() const { return runtime_->pool("main"); }
  [[nodiscard]] CommandOutcome policy(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), "policy");
    arguments.insert(arguments.end(), {"--folder", segments_folder()});
    return run_weir(arguments);
  }
  [[nodiscard]] json listed() const {
    const CommandOutcome outcome = policy({"list", "--json"});
    EXPECT_EQ(outcome.exit_status, 0) << outcome.err;
    return json::parse(outcome.out);
  }

  TempFolder scripts_;
  std::optional<Runtime> runtime_;
};

TEST_F(CliPolicies, ListShowsWhatDecidesInEachWorkerAndWhatItDecided) {
  const json row = listed().at("policies").at(0);
  EXPECT_EQ(row.at("pool"), "main");
  EXPECT_EQ(row.at("policy"), "one");
  EXPECT_EQ(row.at("hash").get<std::string>().size(), 16u);
  EXPECT_EQ(row.at("max"), 2);
  EXPECT_EQ(row.at("fallen_back"), false);
  const CommandOutcome text = policy({"list"});
  EXPECT_THAT(text.out, HasSubstr("in charge"));
  EXPECT_THAT(text.out, HasSubstr(row.at("hash").get<std::string>()));
}

TEST_F(CliPolicies, ReloadAnswersOnceTheNewScriptIsInCharge) {
  write("two", 3);
  const CommandOutcome outcome = policy({"reload", "--json"});
  EXPECT_EQ(outcome.exit_status, 0) << outcome.err;
  const json row = json::parse(outcome.out).at("policies").at(0);
  EXPECT_EQ(row.at("policy"), "two");
  EXPECT_EQ(row.at("max"), 3);
}

TEST_F(CliPolicies, ReloadOfABadScriptSaysWhyAndTheGoodOneStays) {
  std::ofstream(path()) << "return {";
  const CommandOutcome outcome = policy({"reload"});
  EXPECT_EQ(outcome.exit_status, 1);
  EXPECT_THAT(outcome.out, HasSubstr("pool main, worker 0: "));
  EXPECT_THAT(outcome.out, HasSubstr("expected"));
  EXPECT_EQ(listed().at("policies").at(0).at("policy"), "one");
}

TEST_F(CliPolicies, ShadowCountsWhatAScriptWouldDecideAndDoesNothing) {
  std::ofstream(path("other.lua"))
      << "return { name = 'other', api = 1, params = { most = 1 },"
         " size = function(view, params) return { max = params.most } end,"
         " evict = function() return 'close' end }";
  const CommandOutcome outcome =
      policy({"shadow", path("other.lua"), "--seconds", "1", "--params", "most=3", "--json"});
  ASSERT_EQ(outcome.exit_status, 0) << outcome.err;
  const json seen = json::parse(outcome.out);
  EXPECT_EQ(seen.at("policy"), "other");
  EXPECT_EQ(seen.at("ticks"), 1);
  EXPECT_EQ(seen.at("differing"), 1);
  EXPECT_EQ(seen.at("shadow").at("max"), 3);
  EXPECT_EQ(seen.at("in_charge").at("max"), 2);
  EXPECT_EQ(seen.at("idle").at("close"), 1);
  EXPECT_EQ(pool().stats().idle, 1u);
  EXPECT_EQ(listed().at("policies").at(0).at("policy"), "one");
}

TEST_F(CliPolicies, ShadowTellsTheScriptOfClasses) {
  runtime_->close();
  runtime_.emplace(open(server_.dsn(), 9, "class = [\"auth: 4\", \"jobs: 0\"]\n"));
  AcquireOptions of_auth;
  of_auth.class_name = "auth";
  const Lease lease = pool().acquire(of_auth);
  std::ofstream(path("floors.lua"))
      << "return { name = 'floors', api = 1, size = function(view)"
         " local auth, jobs = view.classes[1], view.classes[2]"
         " return { max = auth.floor + auth.used + jobs.floor + jobs.used } end }";
  const CommandOutcome outcome = policy({"shadow", path("floors.lua"), "--seconds", "1", "--json"});
  ASSERT_EQ(outcome.exit_status, 0) << outcome.err;
  EXPECT_EQ(json::parse(outcome.out).at("shadow").at("max"), 5);
}

TEST_F(CliPolicies, ShadowSaysWhatItCannotDo) {
  EXPECT_THAT(policy({"shadow", path("none.lua")}).err,
              HasSubstr("expected a script, found no file"));
  EXPECT_THAT(policy({"shadow", path(), "--pool", "jobs"}).err,
              HasSubstr("--pool: expected one of main, found jobs"));
}

}  // namespace
}  // namespace weir::test
