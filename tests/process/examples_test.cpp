// The programs of docs/examples, run as their readers would.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <string>

#include "pool_on_files.h"

namespace weir::test {
namespace {

using testing::HasSubstr;

struct Ended {
  int status = -1;
  std::string out;
};

Ended run(const std::string& command) {
  Ended ended;
  FILE* const pipe = popen((command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) return ended;
  std::array<char, 256> line{};
  while (fgets(line.data(), line.size(), pipe) != nullptr) ended.out += line.data();
  ended.status = pclose(pipe);
  return ended;
}

class Examples : public PoolOnFiles {};

TEST_F(Examples, OfAnEpollLoopServeManyRequestsOverFewConnectionsInOneThread) {
  write("loop", 5, "");
  const Ended ended = run(WEIR_EPOLL_LOOP " " + path("loop") + " 300");
  EXPECT_EQ(ended.status, 0) << ended.out;
  EXPECT_THAT(ended.out, HasSubstr("300 served, 0 failed, over 5 connections (max 5)"));
}

TEST_F(Examples, OfAnEpollLoopSayWhatIsWrong) {
  const Ended ended = run(WEIR_EPOLL_LOOP " " + path("nowhere"));
  EXPECT_EQ(WEXITSTATUS(ended.status), 1);
  EXPECT_THAT(ended.out, HasSubstr("nowhere.toml"));
}

}  // namespace
}  // namespace weir::test
