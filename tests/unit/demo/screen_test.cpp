#include "demo/screen.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>
#include <string>

namespace weir::demo {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Moment moment_at(std::uint64_t now_us) {
  Moment moment;
  moment.workers = {{.pid = 4123, .hot = true, .idle = 1, .used = 2, .waiting = 3}, {}};
  moment.now_us = now_us;
  moment.length_us = 12'000'000;
  moment.server_now = 3;
  moment.server_max = 4;
  moment.quota = 20;
  moment.served = 17;
  return moment;
}

TEST(DemoScreen, OnATerminalTheTableIsRedrawnInPlace) {
  std::ostringstream out;
  Screen screen("weir", "backends", out, true);
  screen.show(moment_at(1'000'000));
  EXPECT_THAT(out.str(), HasSubstr("1 *     4123     1     2        3  ##-"));
  EXPECT_THAT(out.str(), HasSubstr("killed"));  // the second worker has no process
  EXPECT_THAT(out.str(), HasSubstr("backends  3 (most 4 of 20), served 17"));
  EXPECT_THAT(out.str(), Not(HasSubstr("\033[")));

  screen.show(moment_at(1'250'000));
  const std::string text = out.str();
  const std::string before = text.substr(0, text.find('\033'));
  const auto first_table_lines =
      std::count(before.begin(), before.end(), '\n') - 2;  // a blank line and the title
  EXPECT_THAT(text, HasSubstr("\033[" + std::to_string(first_table_lines) + "F\033[J"));
}

TEST(DemoScreen, WhatIsSaidStaysAboveTheNextTable) {
  std::ostringstream out;
  Screen screen("weir", "backends", out, true);
  screen.show(moment_at(1'000'000));
  screen.say("worker 1 killed");
  screen.show(moment_at(1'250'000));
  EXPECT_THAT(out.str(), HasSubstr("  worker 1 killed\n"));
  EXPECT_THAT(out.str(), Not(HasSubstr("\033[")));
}

TEST(DemoScreen, ElsewhereThereIsALineEveryTwoSeconds) {
  std::ostringstream out;
  Screen screen("weir", "backends", out, false);
  EXPECT_TRUE(screen.is_due(0));
  screen.show(moment_at(0));
  EXPECT_FALSE(screen.is_due(1'999'999));
  EXPECT_TRUE(screen.is_due(2'000'000));
  EXPECT_THAT(out.str(), HasSubstr("0.0 s  idle/used/waiting 1/2/3* 0/0/0  backends"));
  EXPECT_THAT(out.str(), Not(HasSubstr("\033[")));
}

}  // namespace
}  // namespace weir::demo
