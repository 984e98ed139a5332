#include "demo/open_files.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "support/temp_folder.h"

namespace weir::demo {
namespace {

TEST(DemoOpenFiles, EveryDescriptorOfTheFileCountsAndNoOther) {
  const test::TempFolder folder;
  const std::string path = std::filesystem::canonical(folder.path()) / "log";
  std::ofstream one(path), two(path), other(path + "2");
  EXPECT_EQ(find_open({getpid()}, path).size(), 2U);
  two.close();
  EXPECT_EQ(find_open({getpid()}, path).size(), 1U);
}

TEST(DemoOpenFiles, AProcessThatIsNotThereHasNone) {
  constexpr pid_t kNobody = 0x7fffffff;  // beyond the kernel's pid_max
  EXPECT_TRUE(find_open({kNobody}, "/dev/null").empty());
}

TEST(DemoOpenFiles, WhatWasClosedHereAndOpenedThereMeanwhileCountsOnce) {
  // The first look came to 7 before it closed the file, and to 8 after it had opened it.
  const std::vector<OpenFile> first = {{7, 3}, {7, 4}, {8, 5}};
  const std::vector<OpenFile> second = {{7, 3}, {8, 5}};
  EXPECT_EQ(count_in_both(first, second), 2U);
}

}  // namespace
}  // namespace weir::demo
