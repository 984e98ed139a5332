// `weir policy check` and `weir policy eval`, as a user runs them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli_command.h"
#include "support/temp_folder.h"

namespace weir::test {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

constexpr const char* kFixed = WEIR_SOURCE_FOLDER "/policies/fixed.lua";

class CliPolicy : public testing::Test {
 protected:
  std::string write(const std::string& text) {
    const std::filesystem::path path = folder_.path() / ("p" + std::to_string(++written_) + ".lua");
    std::ofstream(path, std::ios::binary) << text;
    return path.string();
  }
  /// What eval says of the last of `texts`.
  json evaluate(const std::vector<std::string>& texts) {
    std::vector<std::string> arguments = {"policy", "eval", "--json"};
    for (const std::string& text : texts) arguments.push_back(write(text));
    const CommandOutcome outcome = run_weir(arguments);
    EXPECT_EQ(outcome.exit_status, 0) << outcome.err;
    EXPECT_EQ(outcome.out.find('\n'), outcome.out.size() - 1) << "one line";
    return json::parse(outcome.out);
  }

  TempFolder folder_;
  int written_ = 0;
};

TEST_F(CliPolicy, CheckSaysWhatAGoodScriptIs) {
  const CommandOutcome outcome =
      run_weir({"policy", "check", kFixed, "--params", "failures_to_open=5"});
  EXPECT_EQ(outcome.exit_status, 0) << outcome.err;
  EXPECT_THAT(outcome.out,
              AllOf(HasSubstr("fixed.lua: good\n"), HasSubstr("name       fixed\n"),
                    HasSubstr("hash       "), HasSubstr("functions  size, evict, breaker\n"),
                    HasSubstr("params     failures_to_open = 5\n"),
                    HasSubstr("           first_retry_ms = 100\n")));
}

TEST_F(CliPolicy, CheckSaysWhatIsWrong) {
  const auto error_of = [](const std::vector<std::string>& arguments, int status) {
    const CommandOutcome outcome = run_weir(arguments);
    EXPECT_EQ(outcome.exit_status, status);
    EXPECT_EQ(outcome.out, "");
    return outcome.err;
  };
  const std::string bad = write("return { name = 'x', api = 1, sise = 1 }");
  EXPECT_THAT(error_of({"policy", "check", bad}, 1),
              HasSubstr("weir policy check: " + bad + ": unknown key \"sise\""));
  EXPECT_THAT(error_of({"policy", "check", bad + "x"}, 1),
              HasSubstr("expected a script, found no file"));
  EXPECT_THAT(error_of({"policy", "check", folder_.path().string()}, 1),
              HasSubstr("Is a directory"));
  EXPECT_THAT(error_of({"policy", "check", kFixed, "--params", "retries=5"}, 1),
              HasSubstr("params.retries: unknown; the script has failures_to_open"));
  EXPECT_THAT(error_of({"policy", "check", kFixed, "--params", "retries"}, 2),
              HasSubstr("expected NAME=VALUE"));
  EXPECT_THAT(error_of({"policy", "check"}, 2), HasSubstr("file is required"));
}

TEST_F(CliPolicy, EvalShowsWhatAScriptReturned) {
  const json line = evaluate(
      {"return nil, true, 3, 0.5, 'x', {1, {a = 2}}, {}, {[2.5] = 1}, 0/0, -1/0, type, 1 << 62"});
  EXPECT_EQ(line["outcome"], "value");
  EXPECT_EQ(line["values"].dump(),
            R"([null,true,3,0.5,"x",[1,{"a":2}],{},{"2.5":1},"nan","-inf","<function>",)"
            "4611686018427387904]");
  EXPECT_EQ(line["kind"], "");
  EXPECT_GT(line["memory_bytes"], 1'000);
  EXPECT_GE(line["elapsed_ms"], 0);
}

TEST_F(CliPolicy, EvalShowsNoMoreOfATableThanThereIsRoomFor) {
  EXPECT_EQ(evaluate({"local t = {} t.t = t return t"})["outcome"], "value");
  const json line = evaluate({"local t = {} for i = 1, 20000 do t[i] = i end return t, 1"});
  EXPECT_LT(line["values"][0].size(), 10'001u);
}

TEST_F(CliPolicy, EvalTellsEachKindOfFailure) {
  const auto told = [&](const std::string& text) {
    const json line = evaluate({text});
    EXPECT_EQ(line["values"], json::array());
    EXPECT_NE(line["message"], "");
    return line["outcome"].get<std::string>() + " " + line["kind"].get<std::string>();
  };
  EXPECT_EQ(told("error('x')"), "error policy_runtime");
  EXPECT_EQ(told("while true do pcall(error) end"), "budget policy_budget");
  EXPECT_EQ(told("return ('x'):rep(1e9)"), "memory policy_memory");
  EXPECT_EQ(told("return ("), "refused bad_config");
  EXPECT_EQ(told("\x1bLua"), "refused bad_config");
  EXPECT_EQ(told(std::string(70'000, ' ')), "refused bad_config");
  const CommandOutcome missing =
      run_weir({"policy", "eval", "--json", (folder_.path() / "no").string()});
  EXPECT_EQ(missing.exit_status, 0);
  EXPECT_EQ(json::parse(missing.out)["outcome"], "refused");
}

TEST_F(CliPolicy, EvalRunsScriptsOneAfterTheOtherAndNothingOfOneReachesTheNext) {
  const json line = evaluate({"_ENV = { x = 1 } return 1", "while true do end", "x = 1",
                              "return ('x'):rep(1e9)", "return (", "return x, #('y'):rep(3)"});
  EXPECT_EQ(line["outcome"], "value");
  EXPECT_EQ(line["values"], json::array({nullptr, 3}));
}

}  // namespace
}  // namespace weir::test
