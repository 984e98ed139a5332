#include "driver/host_services.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/clock.h"

namespace weir::driver {
namespace {

using testing::ElementsAre;

class TheHost : public testing::Test {
 protected:
  void driver_logs(std::int32_t level, const char* line) {
    host_.table()->log(host_.table()->host_data, level, line);
  }
  static void keep(void* context, std::int32_t level, const char* line) {
    static_cast<TheHost*>(context)->lines_.push_back(std::to_string(level) + " " + line);
  }

  std::vector<std::string> lines_;
  Log log_{&TheHost::keep, this, LogLevel::kDebug};
  HostServices host_{"postgres", log_};
};

TEST_F(TheHost, PutsWhatADriverLogsIntoOneFieldOfItsOwnLine) {
  driver_logs(WEIR_LOG_WARN, "event=notice text=\"two\nlines\"");
  EXPECT_THAT(lines_, ElementsAre("2 event=driver driver=postgres "
                                  R"(text="event=notice text=\"two\nlines\"")"));
}

TEST_F(TheHost, TakesALevelThatDoesNotExistForTheNearest) {
  driver_logs(-5, "low");
  driver_logs(99, "high");
  EXPECT_THAT(lines_, ElementsAre("0 event=driver driver=postgres text=low",
                                  "3 event=driver driver=postgres text=high"));
}

TEST_F(TheHost, LogsNothingForNoLine) {
  driver_logs(WEIR_LOG_ERROR, nullptr);
  EXPECT_TRUE(lines_.empty());
}

TEST_F(TheHost, TellsTheMonotonicTime) {
  const std::uint64_t before = monotonic_ns();
  const std::uint64_t told = host_.table()->now_ns(host_.table()->host_data);
  EXPECT_LE(before, told);
  EXPECT_LE(told, monotonic_ns());
}

TEST_F(TheHost, SaysHowLongItsTableIs) {
  EXPECT_EQ(host_.table()->struct_size, sizeof(weir_host_t));
}

}  // namespace
}  // namespace weir::driver
