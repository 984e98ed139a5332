#include "bench/report.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

namespace weir::bench {
namespace {

Report small_report() {
  return {.name = "fastpath",
          .rounds = 3,
          .rows = {{"weir", "1 thread: time", "ns", {12.5, 12, 14}}},
          .ratios = {{"weir", "mutex", "1 thread: time", {0.5, 0.4, 0.6}}},
          .missing = {{"soci", "not installed"}},
          .machine = {.cpus = 2, .seconds = 10, .others_cpu_seconds = 5}};
}

TEST(Report, AsJsonHasTheseKeysAndNoOthers) {
  const auto json = nlohmann::json::parse(to_json(small_report()));
  const auto keys = [](const nlohmann::json& object) {
    std::string all;
    for (const auto& [key, value] : object.items()) all += key + " ";
    return all;
  };
  EXPECT_EQ(keys(json), "machine missing name ratios rounds rows ");
  EXPECT_EQ(keys(json["rows"][0]), "max median metric min unit variant ");
  EXPECT_EQ(keys(json["ratios"][0]), "max median metric min of to ");
  EXPECT_EQ(keys(json["missing"][0]), "variant why ");
  EXPECT_EQ(json["rounds"], 3);
  EXPECT_EQ(json["rows"][0]["median"], 12.5);
  EXPECT_EQ(json["ratios"][0]["max"], 0.6);
}

TEST(Report, ForPeopleHasEveryFigureWithItsSpread) {
  std::ostringstream out;
  print(small_report(), out);
  EXPECT_NE(out.str().find("12.5 ns  (12.0 to 14.0)"), std::string::npos) << out.str();
  EXPECT_NE(out.str().find("weir / mutex"), std::string::npos) << out.str();
  EXPECT_NE(out.str().find("missing: soci: not installed"), std::string::npos) << out.str();
  EXPECT_NE(out.str().find("5.00 s of others"), std::string::npos) << out.str();
}

}  // namespace
}  // namespace weir::bench
