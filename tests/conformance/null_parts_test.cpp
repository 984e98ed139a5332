// The null driver's script by itself: its grammar, and what it decides for each call.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "weir/codes.h"

extern "C" {
#include "plugins/null/script.h"
}

namespace weir::test {
namespace {

/// Parses; the complaint as "expected: found", or "" if there is none.
std::string complaint_about(const std::string& text, null_script* script) {
  null_complaint complaint{};
  if (null_script_parse(text.data(), text.size(), script, &complaint)) return "";
  return std::string(complaint.expected) + ": " + complaint.found;
}

null_script parsed(const std::string& text) {
  null_script script{};
  EXPECT_EQ(complaint_about(text, &script), "") << text;
  return script;
}

null_outcome outcome(const null_script& script, std::uint64_t call, std::uint64_t seed = 0) {
  return null_script_outcome(&script, seed, 1, call);
}

}  // namespace

TEST(NullScriptText, ReadsEachAction) {
  const null_script script = parsed("delay:20ms,delay:3us@4,fail:server_full:no%20room@2,hang@3");
  EXPECT_EQ(script.count, 4U);
  EXPECT_EQ(outcome(script, 1).action, NULL_ACTION_OK);
  EXPECT_EQ(outcome(script, 1).delay_ns, 20'000'000U);
  EXPECT_EQ(outcome(script, 2).action, NULL_ACTION_FAIL);
  EXPECT_EQ(outcome(script, 2).code, WEIR_SERVER_FULL);
  EXPECT_STREQ(outcome(script, 2).text, "no room");
  EXPECT_EQ(outcome(script, 3).action, NULL_ACTION_HANG);
  EXPECT_EQ(outcome(script, 4).delay_ns, 20'003'000U);
  EXPECT_EQ(outcome(parsed("drop"), 1).action, NULL_ACTION_DROP);
  EXPECT_EQ(outcome(parsed("ok,fail"), 1).action, NULL_ACTION_OK);
}

TEST(NullScriptText, ReadsDurationsUpToAnHour) {
  EXPECT_EQ(outcome(parsed("delay:60m"), 1).delay_ns, 3'600'000'000'000U);
  EXPECT_EQ(outcome(parsed("delay:3600s"), 1).delay_ns, 3'600'000'000'000U);
  EXPECT_EQ(outcome(parsed("delay:0us"), 1).delay_ns, 0U);
}

TEST(NullScriptText, RefusesWhatItDoesNotKnowAndQuotesIt) {
  const std::vector<std::pair<std::string, std::string>> refused = {
      {"", ""},
      {"fial", "fial"},
      {"ok:1", "ok:1"},
      {"hang:20ms", "hang:20ms"},
      {"delay", "delay"},
      {"delay:", "delay:"},
      {"delay:20", "20"},
      {"delay:-1ms", "-1ms"},
      {"delay:3601s", "an hour"},
      {"delay:99999999999999999999s", "an hour"},
      {"fail:", "codes"},
      {"fail:ok", "ok"},
      {"fail:timeout:%", "%25"},
      {"fail:timeout:%0", "%25"},
      {"fail:timeout:a%00b", "%25"},
      {"fail:timeout:" + std::string(96, 'x'), "95 bytes"},
      {"ok@", "number"},
      {"ok@0", "0"},
      {"ok@every:0", "every:0"},
      {"ok@every:", "every:"},
      {"ok@%", "%"},
      {"ok@101%", "101%"},
      {"ok,,ok", "ok"},
      {"ok,ok,ok,ok,ok,ok,ok,ok,ok", "8 behaviours"}};
  for (const auto& [text, names] : refused) {
    null_script script{};
    const std::string complaint = complaint_about(text, &script);
    EXPECT_NE(complaint, "") << text;
    EXPECT_NE(complaint.find(names), std::string::npos) << text << " -> " << complaint;
  }
}

TEST(NullScriptText, KeepsAComplaintOnOneLine) {
  null_script script{};
  EXPECT_EQ(complaint_about("two\nlines\x7f", &script).find_first_of("\n\x7f"), std::string::npos);
}

TEST(NullScriptText, EndsWhereItsLengthSays) {
  const std::string text = "ping=fail&reset=hang";
  null_script script{};
  null_complaint complaint{};
  ASSERT_TRUE(null_script_parse(text.data() + 5, 4, &script, &complaint));
  EXPECT_EQ(outcome(script, 1).action, NULL_ACTION_FAIL);
}

TEST(NullScriptOutcome, CountsCallsFromOne) {
  const null_script script = parsed("fail@every:3");
  for (std::uint64_t call = 1; call < 30; ++call) {
    EXPECT_EQ(outcome(script, call).action, call % 3 == 0 ? NULL_ACTION_FAIL : NULL_ACTION_OK);
  }
}

TEST(NullScriptOutcome, TakesTheFirstThatApplies) {
  const null_script script = parsed("fail:auth_failed@2,delay:1ms,drop@every:2,hang");
  EXPECT_EQ(outcome(script, 1).action, NULL_ACTION_HANG);
  EXPECT_EQ(outcome(script, 2).action, NULL_ACTION_FAIL);
  EXPECT_EQ(outcome(script, 2).delay_ns, 0U) << "the delay comes after the failure";
  EXPECT_EQ(outcome(script, 4).action, NULL_ACTION_DROP);
  EXPECT_EQ(outcome(script, 4).delay_ns, 1'000'000U);
}

TEST(NullScriptOutcome, FailsAboutAsOftenAsThePercentageSays) {
  const null_script script = parsed("fail@30%");
  int failures = 0;
  for (std::uint64_t call = 1; call <= 10'000; ++call) {
    failures += outcome(script, call, 42).action == NULL_ACTION_FAIL ? 1 : 0;
  }
  EXPECT_GT(failures, 2'800);
  EXPECT_LT(failures, 3'200);
}

TEST(NullScriptOutcome, NeverOrAlwaysAtTheEndsOfTheScale) {
  for (std::uint64_t call = 1; call <= 1'000; ++call) {
    EXPECT_EQ(outcome(parsed("fail@0%"), call).action, NULL_ACTION_OK);
    EXPECT_EQ(outcome(parsed("fail@100%"), call).action, NULL_ACTION_FAIL);
  }
}

TEST(NullScriptOutcome, ThrowsAnotherDieForEachBehaviour) {
  // Were it the same die, the second could never apply where the first did not.
  const null_script script = parsed("fail@50%,drop@50%");
  int drops = 0;
  for (std::uint64_t call = 1; call <= 1'000; ++call) {
    drops += outcome(script, call).action == NULL_ACTION_DROP ? 1 : 0;
  }
  EXPECT_GT(drops, 150);
  EXPECT_LT(drops, 350);
}

}  // namespace weir::test
