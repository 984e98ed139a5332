// `weir policy simulate`, as a user runs it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli_command.h"
#include "support/temp_folder.h"

namespace weir::test {
namespace {

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

TEST(CliSimulate, ShowsBothPoliciesSideBySide) {
  const CommandOutcome outcome = simulate({"fixed", "--load", "light", "--seconds", "4"});
  EXPECT_EQ(outcome.exit_status, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("load light: 30 requests in 4.0 s"));
  for (const char* const what : {"candidate", "running", "wait p95", "timed out", "connects",
                                 "closes", "handovers", "utilisation, peak"}) {
    EXPECT_THAT(outcome.out, HasSubstr(what));
  }
}

TEST(CliSimulate, SaysTheSameInJsonWithEachSecond) {
  const json of = simulated({"--load", "peak", "--seconds", "6", "--max", "5", "--seed", "7"});
  EXPECT_EQ(of["requests"], 270);
  EXPECT_EQ(of["candidate"]["served"], 270);
  EXPECT_EQ(of["candidate"]["open_most"], 5);
  EXPECT_GT(of["candidate"]["wait"]["p95_ms"], 50);
  EXPECT_GE(of["candidate"]["seconds"].size(), 6u);
  EXPECT_EQ(of["candidate"], of["running"]) << "it is the same policy";
}

TEST(CliSimulate, TakesTheMachineFromItsOptions) {
  const json few = simulated({"--load", "heavy", "--seconds", "4", "--max", "4"});
  const json many = simulated({"--load", "heavy", "--seconds", "4", "--max", "20"});
  EXPECT_GT(few["candidate"]["wait"]["p95_ms"], many["candidate"]["wait"]["p95_ms"]);
  const json slow = simulated({"--load", "heavy", "--seconds", "4", "--connect-time", "300000"});
  EXPECT_GT(slow["candidate"]["wait"]["max_ms"], 290);
  const json hasty =
      simulated({"--load", "heavy", "--seconds", "4", "--max", "4", "--acquire-timeout", "40ms"});
  EXPECT_GT(hasty["candidate"]["timeouts"], 0);
}

TEST(CliSimulate, ReplaysARecordedTraceWithItsWorkers) {
  const TempFolder folder;
  const std::string file = (folder.path() / "a.trace").string();
  std::ofstream(file) << "weir-trace 1 a test\n0 0 5000 0 1 -\n100 0 5000 2 3 -\n50000 0 - 1 1 -\n";
  const json of = simulated({"--trace", file, "--max", "1"});
  EXPECT_EQ(of["requests"], 5);
  EXPECT_EQ(of["workers"], 3);
  EXPECT_EQ(of["threads"], 10) << "one in three is recorded: no more is known";
  EXPECT_EQ(of["candidate"]["served"], 5);
}

TEST(CliSimulate, RefusesABadTraceWithItsLine) {
  const TempFolder folder;
  const std::string file = (folder.path() / "a.trace").string();
  std::ofstream(file) << "weir-trace 1 a test\n0 0 5000 0 1 -\noops\n";
  const CommandOutcome outcome = simulate({"--trace", file});
  EXPECT_EQ(outcome.exit_status, 1);
  EXPECT_THAT(outcome.err, HasSubstr("line 3: expected six fields"));
  EXPECT_THAT(outcome.err, HasSubstr("found \"oops\""));
  EXPECT_THAT(simulate({"--trace", file + "x"}).err, HasSubstr("cannot be read"));
}

TEST(CliSimulate, NamesTheLoadsAndPoliciesThereAre) {
  EXPECT_THAT(simulate({"--load", "huge"}).err, HasSubstr("light, moderate, heavy, peak, steady"));
  EXPECT_THAT(simulate({"tiny.lua"}).err, HasSubstr("tiny.lua: expected a script, found no file"));
  EXPECT_THAT(simulate({"fixed", "--params", "x=1"}).err, HasSubstr("it has no params"));
  EXPECT_EQ(simulate({"--load", "light", "--trace", "x"}).exit_status, 2);
  EXPECT_EQ(simulate({"--max", "0"}).exit_status, 2);
}

TEST(CliSimulate, DrawsBothIntoAFile) {
  const TempFolder folder;
  const std::string file = (folder.path() / "plot.svg").string();
  ASSERT_EQ(simulate({"--load", "restart", "--seconds", "12", "--plot", file}).exit_status, 0);
  std::ifstream drawn(file);
  const std::string svg{std::istreambuf_iterator<char>(drawn), {}};
  EXPECT_THAT(svg, HasSubstr("<svg"));
  EXPECT_THAT(svg, HasSubstr("wait p95 (ms)"));
  EXPECT_THAT(svg, HasSubstr("load restart: fixed (candidate) and fixed (running)"));
  EXPECT_EQ(simulate({"--load", "light", "--plot", "/nowhere/plot.svg"}).exit_status, 1);
}

}  // namespace
}  // namespace weir::test
