#include "base/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace weir {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class ALog : public testing::Test {
 protected:
  static void keep(void* context, std::int32_t level, const char* line) {
    auto* self = static_cast<ALog*>(context);
    self->lines_.emplace_back(line);
    self->levels_.push_back(level);
  }

  std::vector<std::string> lines_;
  std::vector<std::int32_t> levels_;
  ManualClock clock_;
  Log log_{&ALog::keep, this, LogLevel::kInfo, clock_};
};

TEST_F(ALog, WritesOneEventALineAsKeysAndValues) {
  log_.warn("worker_reaped", {{"row", 7}, {"pid", 4123}, {"pool", "main"}});
  EXPECT_THAT(lines_, ElementsAre("event=worker_reaped row=7 pid=4123 pool=main"));
  EXPECT_THAT(levels_, ElementsAre(2));
}

TEST_F(ALog, WritesNothingBelowItsLevel) {
  log_.debug("detail");
  EXPECT_THAT(lines_, IsEmpty());
  log_.info("attach");
  EXPECT_THAT(lines_, ElementsAre("event=attach"));
}

TEST(ALogWithoutASink, DropsEverything) {
  Log log;
  log.error("anything", {{"key", "value"}});
}

TEST_F(ALog, KeepsForeignTextOnOneLineAndInOneField) {
  log_.info("e", {{"text", "two\nlines \"and\" a=b \x01"}, {"empty", ""}, {"name", "\u00fcber"}});
  EXPECT_THAT(
      lines_,
      ElementsAre("event=e text=\"two\\nlines \\\"and\\\" a=b \\x01\" empty=\"\" name=\u00fcber"));
}

TEST_F(ALog, HoldsBackRepeatsOfOneNameAndTellsHowManyInTheNextSecond) {
  for (int i = 0; i < 20; ++i) log_.info("again");
  EXPECT_EQ(lines_.size(), Log::kBurst);
  clock_.advance(std::chrono::seconds(1));
  lines_.clear();
  log_.info("again", {{"key", 1}});
  log_.info("again");
  EXPECT_THAT(lines_, ElementsAre("event=again key=1 suppressed=15", "event=again"));
}

TEST_F(ALog, DoesNotHoldBackOneNameForAnother) {
  for (int i = 0; i < 20; ++i) log_.info("noisy");
  log_.info("rare");
  EXPECT_EQ(lines_.back(), "event=rare");
}

}  // namespace
}  // namespace weir
