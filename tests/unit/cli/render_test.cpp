#include "cli/render.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

namespace weir::cli {
namespace {

constexpr std::uint64_t kMs = 1'000'000;
constexpr std::uint64_t kSecond = 1'000'000'000;

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

TEST(Ages, AreShownInTheUnitPeopleWouldUse) {
  EXPECT_EQ(age_text(0), "0.0 ms");
  EXPECT_EQ(age_text(420'000), "0.4 ms");
  EXPECT_EQ(age_text(120 * kMs), "120 ms");
  EXPECT_EQ(age_text(4'200 * kMs), "4.2 s");
  EXPECT_EQ(age_text(192 * kSecond), "3m 12s");
  EXPECT_EQ(age_text(7500 * kSecond), "2h 5m");
  EXPECT_EQ(age_text(kSecond * 76 * 3600), "3d 4h");
}

TEST(Ages, NeverRoundUpIntoANumberThatTheNextUnitShouldShow) {
  EXPECT_EQ(age_text(9'960'000), "10 ms");
  EXPECT_EQ(age_text(999'600'000), "1.0 s");
  EXPECT_EQ(age_text(59'960 * kMs), "1m");
  EXPECT_EQ(age_text(3'599'600 * kMs), "1h");
}

TEST(Counts, StayExactUpToAMillion) {
  EXPECT_EQ(count_text(999'999), "999999");
  EXPECT_EQ(count_text(1'200'000), "1.2M");
  EXPECT_EQ(count_text(34'000'000'000), "34G");
  EXPECT_EQ(count_text(UINT64_MAX), "18E");
}

TEST(Bytes, AreShownInBinaryUnits) {
  EXPECT_EQ(bytes_text(512), "512 B");
  EXPECT_EQ(bytes_text(2'000'000), "1.9 MiB");
}

TEST(Times, AreShownInUtc) {
  EXPECT_EQ(utc_text(1'767'225'600 * kSecond), "2026-01-01 00:00:00 UTC");
}

TEST(Milliseconds, KeepMicroseconds) { EXPECT_EQ(to_ms(120'400'499), 120.4); }

TEST(ForeignText, CannotSteerATerminal) {
  EXPECT_EQ(printable("GET /\x1b[2J\n\xc3\xa9\x7f"), "GET /?[2J????");
}

TEST(Tables, AlignTextLeftAndNumbersRight) {
  Table table({{"NAME", Table::Align::kText}, {"USED"}});
  table.add({"a", "1234567"});
  table.add({"longer", "1"});
  EXPECT_EQ(table.text(),
            "NAME       USED\n"
            "a       1234567\n"
            "longer        1\n");
}

TEST(Tables, CutTheWidestTextAndNeverANumber) {
  Table table({{"NAME", Table::Align::kText}, {"LABEL", Table::Align::kText}, {"N"}});
  table.add({std::string(60, 'n'), std::string(60, 'l'), "123456789"});
  const std::vector<std::string> lines = lines_of(table.text(60));
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_LE(lines[1].size(), 60u);
  EXPECT_THAT(lines[1], testing::MatchesRegex("n+~ +l+~ +123456789"));
}

TEST(Tables, StayAsWideAsTheirNumbersNeed) {
  Table table({{"N"}, {"M"}});
  table.add({"123456789", "123456789"});
  EXPECT_EQ(table.text(10), "        N          M\n123456789  123456789\n");
}

}  // namespace
}  // namespace weir::cli
