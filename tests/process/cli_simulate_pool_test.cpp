// `weir policy simulate` of a pool: its settings and the policy that runs, from the configuration
// and from the segment.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cli_command.h"
#include "support/pool_on_null.h"

namespace weir::test {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using testing::HasSubstr;

CommandOutcome simulate(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"policy", "simulate"});
  return run_weir(arguments);
}

json simulated(std::vector<std::string> arguments) {
  arguments.emplace_back("--json");
  const CommandOutcome outcome = simulate(std::move(arguments));
  EXPECT_EQ(outcome.exit_status, 0) << outcome.err;
  return json::parse(outcome.out);
}

class CliSimulateAPool : public PoolOnNull {
 protected:
  /// The pool of a weir.toml, with no worker yet.
  void SetUp() override {
    std::ofstream(path("policy.lua")) << script(3);
    std::ofstream(path("weir.toml"))
        << config(server_.dsn(), 7,
                  "policy = \"policy.lua\"\npolicy_params = { most = 4 }\n"
                  "acquire_timeout = \"40ms\"\n");
  }
  static std::string script(int most) {
    return "return { name = 'few', api = 1, params = { most = " + std::to_string(most) +
           " }, size = function(view, params) return { max = params.most } end }";
  }
  [[nodiscard]] std::string path(const std::string& name) const {
    return (scripts_.path() / name).string();
  }
  [[nodiscard]] std::vector<std::string> with_config(std::vector<std::string> more) const {
    more.insert(more.end(), {"--config", path("weir.toml"), "--load", "heavy", "--seconds", "4"});
    return more;
  }
  /// A worker from now on.
  void work(Runtime runtime) {
    runtime_.emplace(std::move(runtime));
    const Lease lease = runtime_->pool("main").acquire({20s});
  }

  TempFolder scripts_;
  std::optional<Runtime> runtime_;
};

TEST_F(CliSimulateAPool, TakesItsSettingsAndTheRunningPolicyFromTheConfiguration) {
  const json of = simulated(with_config({}));
  EXPECT_EQ(of["pool"], "main");
  EXPECT_EQ(of["max"], 7);
  EXPECT_EQ(of["candidate"]["policy"], "fixed");
  EXPECT_GT(of["candidate"]["open_most"], 4);
  EXPECT_EQ(of["running"]["policy"], "few");
  EXPECT_EQ(of["running"]["seconds"].back()["open"], 4) << "its params are the pool's";
  EXPECT_GT(of["running"]["timeouts"], 0) << "so is its acquire_timeout";
  EXPECT_EQ(simulated(with_config({"--max", "2"}))["max"], 2) << "what is said goes before";
  EXPECT_EQ(simulated(with_config({"--against", "fixed"}))["running"]["policy"], "fixed");
}

TEST_F(CliSimulateAPool, TakesWhatIsInForceFromTheSegment) {
  work(Runtime::from_file(path("weir.toml")));
  ASSERT_EQ(run_weir({"quota", "set", "main", "5", "--folder", segments_folder()}).exit_status, 0);
  const json of = simulated(with_config({}));
  EXPECT_EQ(of["workers"], 1);
  EXPECT_EQ(of["max"], 5);
  EXPECT_EQ(of["running"]["policy"], "few");
}

TEST_F(CliSimulateAPool, SaysWhereTheWorkersRunAnotherScriptThanTheFileHas) {
  work(Runtime::from_file(path("weir.toml")));
  const auto outcome = [&] { return simulate(with_config({})); };
  ASSERT_TRUE(soon([&] { return outcome().err.empty(); })) << outcome().err;
  runtime_->close();
  work(open(server_.dsn(), 7));
  ASSERT_TRUE(soon([&] { return !outcome().err.empty(); }));
  EXPECT_THAT(outcome().err, HasSubstr("note: the workers run the built-in policy, the "
                                       "configuration has few ("));
}

TEST_F(CliSimulateAPool, WantsToBeToldWhereTheScriptOfTheWorkersIs) {
  work(Runtime::from_file(path("weir.toml")));
  const std::vector<std::string> of_segment{"--folder", segments_folder(), "--load", "light"};
  ASSERT_TRUE(soon([&] { return simulate(of_segment).exit_status == 1; }));
  EXPECT_THAT(simulate(of_segment).err, HasSubstr("expected --config or --against"));
  std::vector<std::string> against = of_segment;
  against.insert(against.end(), {"--against", path("policy.lua")});
  EXPECT_EQ(simulated(against)["running"]["policy"], "few");
  EXPECT_THAT(simulate({"--pool", "jobs", "--folder", segments_folder()}).err,
              HasSubstr("--pool: expected one of main, found jobs"));
}

}  // namespace
}  // namespace weir::test
