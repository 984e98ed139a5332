#include "config/text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <array>
#include <optional>
#include <string>

#include "environment.h"

namespace weir::config {
namespace {

using test::Variable;
using testing::HasSubstr;
using testing::Not;

std::string expanded(std::string_view text) {
  const Result<std::string> result = expand_variables(text);
  return result.ok() ? result.value() : "(" + result.status().message() + ")";
}

class Variables : public testing::Test {
 private:
  Variable set_{"WEIR_TEST_SET", "value"};
  Variable empty_{"WEIR_TEST_EMPTY", ""};
  Variable unset_{"WEIR_TEST_UNSET", std::nullopt};
  Variable tricky_{"WEIR_TEST_TRICKY", "${WEIR_TEST_SET}"};
};

TEST_F(Variables, AreFilledInWhereTheyStand) {
  EXPECT_EQ(expanded("${WEIR_TEST_SET}"), "value");
  EXPECT_EQ(expanded("a-${WEIR_TEST_SET}-${WEIR_TEST_SET}-z"), "a-value-value-z");
  EXPECT_EQ(expanded("[${WEIR_TEST_EMPTY}]"), "[]");
}

TEST_F(Variables, HaveADefaultForWhenTheyAreUnsetOrEmpty) {
  EXPECT_EQ(expanded("${WEIR_TEST_SET:-other}"), "value");
  EXPECT_EQ(expanded("${WEIR_TEST_UNSET:-other}"), "other");
  EXPECT_EQ(expanded("${WEIR_TEST_EMPTY:-other}"), "other");
  EXPECT_EQ(expanded("[${WEIR_TEST_UNSET:-}]"), "[]");
  EXPECT_EQ(expanded("${WEIR_TEST_UNSET:-a:-b}"), "a:-b");
}

TEST_F(Variables, AreNotReadAgainInWhatWasFilledIn) {
  EXPECT_EQ(expanded("${WEIR_TEST_TRICKY}"), "${WEIR_TEST_SET}");
  EXPECT_EQ(expanded("${WEIR_TEST_UNSET:-$}{WEIR_TEST_SET}"), "${WEIR_TEST_SET}");
}

TEST_F(Variables, ThatAreUnsetWithoutADefaultAreNamed) {
  const Status status = expand_variables("s3cret${WEIR_TEST_UNSET}").status();
  EXPECT_EQ(status.code(), Code::kBadConfig);
  EXPECT_THAT(status.message(), HasSubstr("WEIR_TEST_UNSET"));
  EXPECT_THAT(status.message(), Not(HasSubstr("s3cret")));
}

TEST_F(Variables, HaveProperNamesOrNothingOfTheTextIsShown) {
  for (const char* bad : {"${}", "${1A}", "${s3cret word}", "${:-s3cret}", "${s3cret", "x${"}) {
    const Status status = expand_variables(bad).status();
    EXPECT_EQ(status.code(), Code::kBadConfig) << bad;
    EXPECT_THAT(status.message(), Not(HasSubstr("s3cret")));
  }
}

TEST_F(Variables, AreLeftAloneBehindADoubledDollar) {
  EXPECT_EQ(expanded("$${WEIR_TEST_SET}"), "${WEIR_TEST_SET}");
  EXPECT_EQ(expanded("$$${WEIR_TEST_SET}"), "$${WEIR_TEST_SET}");
}

TEST_F(Variables, NeedBracesSoThatPasswordsMayHoldDollars) {
  EXPECT_EQ(expanded("pa$$word$WEIR_TEST_SET $"), "pa$$word$WEIR_TEST_SET $");
}

RC_GTEST_PROP(Text, WithoutABraceAfterADollarStaysAsItIs, (const std::string& text)) {
  RC_PRE(text.find("${") == std::string::npos);
  RC_ASSERT(expand_variables(text).value() == text);
}

constexpr std::array<std::string_view, 5> kKeys = {"max", "min", "max_waiting", "idle_timeout",
                                                   "reset"};

TEST(TheNearestKey, IsTheOneWithTheFewestEdits) {
  EXPECT_EQ(nearest("maxx", kKeys), "max");
  EXPECT_EQ(nearest("maxwaiting", kKeys), "max_waiting");
  EXPECT_EQ(nearest("idel_timeout", kKeys), "idle_timeout");
  EXPECT_EQ(nearest("resets", kKeys), "reset");
  EXPECT_EQ(nearest("mni", kKeys), "min");
}

TEST(TheNearestKey, OfSomethingVeryLongIsFoundWithoutReadingAllOfIt) {
  EXPECT_EQ(nearest(std::string(1 << 20, 'x'), kKeys), nearest(std::string(64, 'x'), kKeys));
}

RC_GTEST_PROP(TheNearestKey, OfAValidKeyIsThatKey, ()) {
  const auto key = *rc::gen::elementOf(kKeys);
  RC_ASSERT(nearest(key, kKeys) == key);
}

}  // namespace
}  // namespace weir::config
