#include "driver/password_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "support/temp_folder.h"

namespace weir::driver {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class APasswordFile : public testing::Test {
 protected:
  std::string write(const std::string& bytes) {
    std::ofstream(path(), std::ios::binary) << bytes;
    return path();
  }
  [[nodiscard]] std::string path() const { return (folder_.path() / "password").string(); }
  static std::string good(const std::string& path) {
    Result<std::string> password = read_password_file(path);
    EXPECT_TRUE(password.ok()) << password.status().to_string();
    return password.ok() ? std::move(password).value() : "";
  }
  static std::string refusal(const std::string& path) {
    const Status status = read_password_file(path).status();
    EXPECT_EQ(status.code(), Code::kAuthFailed);
    return status.message();
  }

  test::TempFolder folder_;
};

TEST_F(APasswordFile, IsItsLineWithoutTheLinesEnd) {
  EXPECT_EQ(good(write("hunter2")), "hunter2");
  EXPECT_EQ(good(write("hunter2\n")), "hunter2");
  EXPECT_EQ(good(write("hunter2\r\n")), "hunter2");
  EXPECT_EQ(good(write(" two words \n")), " two words ");
}

TEST_F(APasswordFile, IsReadAnewEachTime) {
  EXPECT_EQ(good(write("old\n")), "old");
  EXPECT_EQ(good(write("new\n")), "new");
}

TEST_F(APasswordFile, ThatHoldsNoPasswordIsNamedAndNotShown) {
  EXPECT_EQ(refusal(write("")), "password_file " + path() + ": expected a password, found nothing");
  EXPECT_THAT(refusal(write("\n")), HasSubstr("found nothing"));
  EXPECT_THAT(refusal(write("hunter2\nhunter2\n")),
              AllOf(HasSubstr("expected one line"), Not(HasSubstr("hunter2"))));
  EXPECT_THAT(refusal(write(std::string("hunter2\0x", 9))), Not(HasSubstr("hunter2")));
  EXPECT_THAT(refusal(write(std::string(5000, 'x'))), HasSubstr("at most 4096 bytes"));
}

TEST_F(APasswordFile, ThatCannotBeReadIsNamedWithTheReason) {
  EXPECT_THAT(refusal(path()), AllOf(HasSubstr(path()), HasSubstr("No such file")));
  EXPECT_THAT(refusal(folder_.path().string()), HasSubstr("expected a file"));
}

TEST_F(APasswordFile, ThatIsAPipeIsNotWaitedFor) {
  ASSERT_EQ(mkfifo(path().c_str(), 0600), 0);
  EXPECT_THAT(refusal(path()), HasSubstr("expected a file"));
}

}  // namespace
}  // namespace weir::driver
