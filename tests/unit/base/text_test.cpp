#include "base/text.h"

#include <gtest/gtest.h>

namespace weir {
namespace {

TEST(AName, IsLowerCaseLettersAndDigitsBeginningWithALetter) {
  for (const char* good : {"a", "main", "pg15", "x0y"}) EXPECT_TRUE(is_name(good)) << good;
  for (const char* bad : {"", "0a", "Main", "a-b", "a_b", "a b", "../a", "\u00e4"}) {
    EXPECT_FALSE(is_name(bad)) << bad;
  }
}

TEST(ShownText, IsQuotedAndEscaped) {
  EXPECT_EQ(show_text("main"), "\"main\"");
  EXPECT_EQ(show_text("a\"b\\c\n\t\x7f"), R"("a\"b\\c\n\t\x7f")");
}

TEST(ShownText, IsCutBetweenTwoCharacters) {
  const std::string text(255, 'x');
  EXPECT_EQ(show_text(text + "\u00e9 and more"), "\"" + text + "...\"");
}

TEST(ShownText, HidesWhatMayHoldAPassword) {
  for (const char* secret : {"postgres://u:hunter2@h/db", "host=h password=hunter2",
                             "host=h PassWord = hunter2", "redis://:hunter2@h"}) {
    EXPECT_EQ(show_text(secret), "a text that may hold a password (not shown)");
  }
  EXPECT_EQ(show_text("postgres://h/db"), "\"postgres://h/db\"");
}

TEST(CutText, KeepsWholeCharacters) {
  EXPECT_EQ(cut_text("abc", 3), "abc");
  EXPECT_EQ(cut_text("abc", 2), "ab");
  EXPECT_EQ(cut_text("a\u20ac", 3), "a");
  EXPECT_EQ(cut_text("a\u20ac", 4), "a\u20ac");
  EXPECT_EQ(cut_text("\u20ac", 0), "");
}

TEST(LowerCase, KeepsAllButCapitals) {
  EXPECT_EQ(lower_case("DB_Pool-1 \xC3\x84"), "db_pool-1 \xC3\x84");
}

}  // namespace
}  // namespace weir
