#include "demo/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

namespace weir::demo {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

Report good_report() {
  Report report;
  report.quota = 20;
  report.split.summary = {.requests = 1000, .timeouts = 230, .success_pct = 77.0, .p99_ms = 1001.5};
  report.weir.summary = {.requests = 1000, .died = 3, .success_pct = 100.0, .p99_ms = 21.5};
  report.weir.server_max = 20;
  report.weir.samples = 5000;
  report.after_kill = {.killed = 1, .permits_back_ms = 6.5, .permits_missing = 0};
  report.ideal.summary.success_pct = 100.0;
  report.wording = {.sessions = "backends", .counter = "the server", .refusals = "refusals"};
  return report;
}

std::vector<std::string> keys(const nlohmann::ordered_json& object) {
  std::vector<std::string> names;
  for (const auto& item : object.items()) names.push_back(item.key());
  return names;
}

TEST(DemoReport, JsonHasTheseKeysAndNoOthers) {
  const auto json = nlohmann::ordered_json::parse(to_json(good_report()));
  EXPECT_THAT(keys(json), ElementsAre("quota", "static", "weir", "ideal"));
  for (const char* variant : {"static", "ideal"}) {
    EXPECT_THAT(keys(json[variant]), ElementsAre("success_pct", "timeouts", "errors", "p50_ms",
                                                 "p95_ms", "p99_ms", "server_max", "connects"));
  }
  EXPECT_THAT(keys(json["weir"]), ElementsAre("success_pct", "timeouts", "errors", "p50_ms",
                                              "p95_ms", "p99_ms", "server_max", "connects",
                                              "killed", "permits_missing", "permits_back_ms"));
  EXPECT_EQ(json["quota"], 20);
  EXPECT_EQ(json["static"]["timeouts"], 230);
  EXPECT_EQ(json["weir"]["server_max"], 20);
  EXPECT_EQ(json["weir"]["permits_back_ms"], 6.5);
}

TEST(DemoReport, PlacesThatNeverCameBackAreNullInJson) {
  Report report = good_report();
  report.after_kill.permits_back_ms.reset();
  EXPECT_TRUE(nlohmann::json::parse(to_json(report))["weir"]["permits_back_ms"].is_null());
}

TEST(DemoReport, TheComparisonShowsAllThreeAndWhatTheKillDid) {
  std::ostringstream out;
  print_comparison(good_report(), out);
  EXPECT_THAT(out.str(), HasSubstr("static split          weir         ideal"));
  EXPECT_THAT(out.str(), HasSubstr("77.00 %      100.00 %      100.00 %"));
  EXPECT_THAT(out.str(), HasSubstr("were back after 6.5 ms"));
  EXPECT_THAT(out.str(), HasSubstr("3 requests died in it"));
}

TEST(DemoReport, WhatIsCountedIsCalledAsItsDatabaseCallsIt) {
  Report report = good_report();
  std::ostringstream servers;
  print_comparison(report, servers);
  EXPECT_THAT(servers.str(), HasSubstr("most backends, of 20"));
  EXPECT_THAT(servers.str(), HasSubstr("times the server was asked"));
  EXPECT_THAT(servers.str(), HasSubstr("refusals"));

  report.wording = {.sessions = "files", .counter = "the kernel", .note = "  By looking.\n"};
  std::ostringstream files;
  print_comparison(report, files);
  EXPECT_THAT(files.str(), HasSubstr("most files, of 20"));
  EXPECT_THAT(files.str(), HasSubstr("times the kernel was asked"));
  EXPECT_THAT(files.str(), HasSubstr("  By looking.\n"));
  EXPECT_THAT(files.str(), Not(HasSubstr("refusals")));
}

TEST(DemoReport, NothingIsBrokenWhenWeirKeptItsWord) {
  EXPECT_EQ(broken_promises(good_report()), "");
}

TEST(DemoReport, EveryBrokenPromiseIsNamed) {
  Report report = good_report();
  report.weir.server_max = 21;
  EXPECT_THAT(broken_promises(report), HasSubstr("21 backends with a quota of 20"));

  report = good_report();
  report.weir.refused = 2;
  EXPECT_THAT(broken_promises(report), HasSubstr("refused 2 connections"));

  report = good_report();
  report.weir.samples = 0;
  EXPECT_THAT(broken_promises(report), HasSubstr("never asked"));

  report = good_report();
  report.weir.summary.errors = 4;
  EXPECT_THAT(broken_promises(report), HasSubstr("4 requests failed"));

  report = good_report();
  report.weir.summary.success_pct = 99.89;
  EXPECT_THAT(broken_promises(report), HasSubstr("99.890 %"));

  report = good_report();
  report.after_kill.killed = 0;
  EXPECT_THAT(broken_promises(report), HasSubstr("no worker was killed"));

  report = good_report();
  report.after_kill.permits_back_ms.reset();
  EXPECT_THAT(broken_promises(report), HasSubstr("did not come back"));

  report = good_report();
  report.after_kill.permits_missing = 2;
  EXPECT_THAT(broken_promises(report), HasSubstr("2 places are missing"));
}

TEST(DemoReport, TheIdealNeverConnectsMoreOftenThanItMust) {
  Ideal ideal;
  ideal.outcomes = {{End::kServed, 5000}, {End::kServed, 7000}};
  ideal.most_in_use = 2;
  const Figures figures = figures_of(ideal);
  EXPECT_EQ(figures.server_max, 2U);
  EXPECT_EQ(figures.connects, 2U);
  EXPECT_DOUBLE_EQ(figures.summary.p50_ms, 5.0);
}

}  // namespace
}  // namespace weir::demo
