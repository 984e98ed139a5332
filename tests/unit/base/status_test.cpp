#include "base/status.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string>
#include <vector>

namespace weir {
namespace {

TEST(Codes, HaveTheNumbersNamesAndTraitsOfTheCHeader) {
#define EXPECT_CODE(name, number, text, retryable, timeout)                       \
  EXPECT_EQ(WEIR_##name, number);                                                 \
  EXPECT_EQ(code_name(static_cast<Code>(number)), text);                          \
  EXPECT_EQ(is_retryable(static_cast<Code>(number)), (retryable) != 0) << (text); \
  EXPECT_EQ(is_timeout(static_cast<Code>(number)), (timeout) != 0) << (text);
  WEIR_CODES(EXPECT_CODE)
#undef EXPECT_CODE
}

TEST(Codes, OutsideTheListAreUnknownAndNotRetryable) {
  for (const std::int32_t number : {-1, 33, 1 << 30}) {
    EXPECT_EQ(code_name(static_cast<Code>(number)), "unknown");
    EXPECT_FALSE(is_retryable(static_cast<Code>(number)));
    EXPECT_FALSE(is_timeout(static_cast<Code>(number)));
  }
}

TEST(AStatus, IsOkWithoutAMessageByDefault) {
  const Status status;
  EXPECT_TRUE(status.ok());
  EXPECT_EQ(status.to_string(), "ok");
}

TEST(AStatus, PutsItsContextInFrontOfItsMessage) {
  EXPECT_EQ(Status(Code::kTimeout, "no place").in("pool main").to_string(),
            "timeout: pool main: no place");
}

TEST(AStatus, ThatIsOkTakesNoContext) { EXPECT_EQ(Status().in("pool main").to_string(), "ok"); }

TEST(AStatus, KeepsTheClientLibrarysOwnWords) {
  const Status status = Status(Code::kDatabaseError, "no").with_native(7, "42P01");
  EXPECT_EQ(status.native_code(), 7);
  EXPECT_EQ(status.native_text(), "42P01");
}

TEST(ASystemError, NamesWhatFailedTheReasonAndTheNumber) {
  const Status status = Status::system_error("open x.toml", EIO);
  EXPECT_EQ(status.code(), Code::kSystemError);
  EXPECT_EQ(status.message(), "open x.toml: Input/output error (errno 5)");
  EXPECT_EQ(status.native_code(), EIO);
}

TEST(ASystemError, SaysWhenItIsAMatterOfPermissionOrMemory) {
  EXPECT_EQ(Status::system_error("x", EACCES).code(), Code::kNoPermission);
  EXPECT_EQ(Status::system_error("x", EPERM).code(), Code::kNoPermission);
  EXPECT_EQ(Status::system_error("x", ENOMEM).code(), Code::kOutOfMemory);
}

TEST(AResult, HoldsAValueOrTheReasonWhyThereIsNone) {
  const Result<int> value = 7;
  const Result<int> none = Status(Code::kNotFound, "no such thing");
  EXPECT_TRUE(value.ok());
  EXPECT_EQ(value.value(), 7);
  EXPECT_FALSE(none.ok());
  EXPECT_EQ(none.status().code(), Code::kNotFound);
}

TEST(WritingAnError, FillsInCodeMessageAndNativeWords) {
  weir_error_t error = WEIR_ERROR_INIT;
  const Status status = Status(Code::kDatabaseError, "no such table").with_native(7, "42P01");
  EXPECT_EQ(write_error(status, &error), WEIR_DATABASE_ERROR);
  EXPECT_EQ(error.code, WEIR_DATABASE_ERROR);
  EXPECT_EQ(error.native_code, 7);
  EXPECT_STREQ(error.native_text, "42P01");
  EXPECT_STREQ(error.message, "no such table");
}

TEST(WritingAnError, WithoutAnErrorToWriteToOnlyReturnsTheCode) {
  EXPECT_EQ(write_error(Status(Code::kTimeout, "late"), nullptr), WEIR_TIMEOUT);
}

TEST(WritingAnError, LeavesNothingOfAnEarlierOneWhenAllIsWell) {
  weir_error_t error = WEIR_ERROR_INIT;
  write_error(Status(Code::kDatabaseError, "old").with_native(7, "42P01"), &error);
  write_error(Status(), &error);
  EXPECT_EQ(error.code, WEIR_OK);
  EXPECT_EQ(error.native_code, 0);
  EXPECT_STREQ(error.native_text, "");
  EXPECT_STREQ(error.message, "");
}

TEST(WritingAnError, CutsALongMessageBetweenTwoCharacters) {
  weir_error_t error = WEIR_ERROR_INIT;
  std::string message(510, 'x');
  message += "\u00e9";  // two bytes: one would fit
  write_error(Status(Code::kTimeout, message), &error);
  EXPECT_EQ(error.message, std::string(510, 'x'));
}

TEST(WritingAnError, SaysWhenToTryAgainToWhoKnowsOfIt) {
  const Status status = Status(Code::kBreakerOpen, "down").with_retry_after(312);
  weir_error_t error = WEIR_ERROR_INIT;
  write_error(status, &error);
  EXPECT_EQ(error.retry_after_ms, 312u);
  error.struct_size = offsetof(weir_error_t, retry_after_ms);  // compiled before it was there
  error.retry_after_ms = 7;
  write_error(status, &error);
  EXPECT_EQ(error.retry_after_ms, 7u);
}

RC_GTEST_PROP(WritingAnError, TouchesNothingPastTheCallersStructSize, ()) {
  const auto size = *rc::gen::inRange<std::uint32_t>(4, sizeof(weir_error_t) + 1);
  const auto message = *rc::gen::container<std::string>(rc::gen::inRange('a', 'z'));
  // A caller's memory, ending at `size`, with a guard behind it.
  constexpr unsigned char kGuard = 0xA5;
  alignas(weir_error_t) unsigned char memory[sizeof(weir_error_t) + 64];
  std::memset(memory, kGuard, sizeof memory);
  std::memcpy(memory, &size, sizeof size);

  write_error(Status(Code::kTimeout, message).with_native(9, message),
              reinterpret_cast<weir_error_t*>(memory));

  RC_ASSERT(std::all_of(memory + size, memory + sizeof memory,
                        [](unsigned char byte) { return byte == kGuard; }));
  constexpr std::size_t kMessage = offsetof(weir_error_t, message);
  if (size > kMessage) {  // whatever fits ends with a zero inside the caller's memory
    const auto* text = reinterpret_cast<const char*>(memory + kMessage);
    const std::size_t length = strnlen(text, size - kMessage);
    RC_ASSERT(length < size - kMessage);
    RC_ASSERT(message.compare(0, length, text) == 0);
  }
}

TEST(ReadingAnError, GivesTheStatusThatWasWritten) {
  weir_error_t error = WEIR_ERROR_INIT;
  write_error(Status(Code::kAuthFailed, "role x").with_native(3, "28P01"), &error);
  const Status status = read_error(error.code, error);
  EXPECT_EQ(status.to_string(), "auth_failed: role x");
  EXPECT_EQ(status.native_code(), 3);
  EXPECT_EQ(status.native_text(), "28P01");
}

TEST(ReadingAnError, IsOkWhateverTheErrorHoldsIfTheCodeSaysSo) {
  weir_error_t error = WEIR_ERROR_INIT;
  write_error(Status(Code::kAuthFailed, "left over"), &error);
  EXPECT_TRUE(read_error(WEIR_OK, error).ok());
}

TEST(ReadingAnError, BlamesTheDriverForACodeThatNobodyKnows) {
  weir_error_t error = WEIR_ERROR_INIT;
  std::strcpy(error.message, "hm");
  const Status status = read_error(4711, error);
  EXPECT_EQ(status.code(), Code::kBadDriver);
  EXPECT_EQ(status.message(), "code 4711 found, one of weir/codes.h expected: hm");
}

TEST(ReadingAnError, StaysInsideTextsThatDoNotEnd) {
  weir_error_t error = WEIR_ERROR_INIT;
  std::memset(error.native_text, 'n', sizeof error.native_text);
  std::memset(error.message, 'm', sizeof error.message);
  const Status status = read_error(WEIR_TIMEOUT, error);
  EXPECT_EQ(status.message(), std::string(sizeof error.message, 'm'));
  EXPECT_EQ(status.native_text(), std::string(sizeof error.native_text, 'n'));
}

TEST(ABrokenPromiseOfOurOwn, EndsTheProcessAndSaysWhere) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(WEIR_CHECK(1 + 1 == 3), "status_test.cpp:.*1 \\+ 1 == 3");
}

}  // namespace
}  // namespace weir
