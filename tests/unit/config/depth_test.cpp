#include "config/depth.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace weir::config {
namespace {

std::string repeated(const std::string& text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

TEST(NestingDepth, OfAnOrdinaryConfigurationIsNoConcern) {
  EXPECT_EQ(
      line_nested_too_deep("[pool.main]\nmax = 3\non_connect = [\"a\", \"b\"]\nx.y.z = 1.5\n"),
      std::nullopt);
}

TEST(NestingDepth, IsBoundedForTheKeysOfALineAndForAHeader) {
  const std::string key = repeated("a.", kMostKeyParts);
  EXPECT_EQ(line_nested_too_deep("x = 1\n" + key + "a = 1\n"), 2u);
  EXPECT_EQ(line_nested_too_deep("[" + key + "a]\n"), 1u);
  EXPECT_EQ(line_nested_too_deep("x = {" + key + "a = 1}\n"), 1u);
  EXPECT_EQ(line_nested_too_deep(repeated("a.", kMostKeyParts - 1) + "a = 1\n"), std::nullopt);
}

TEST(NestingDepth, CountsQuotedPartsOfAKeyToo) {
  EXPECT_EQ(line_nested_too_deep(repeated("\"#\".", kMostKeyParts) + "a = 1\n"), 1u);
  EXPECT_EQ(line_nested_too_deep(repeated("'\"' . ", kMostKeyParts) + "a = 1\n"), 1u);
}

TEST(NestingDepth, IsBoundedForBracketsWithinBrackets) {
  EXPECT_EQ(line_nested_too_deep("x = [\n" + repeated("[", kMostOpenBrackets) + "\n"), 2u);
  EXPECT_EQ(line_nested_too_deep("x = " + repeated("{a=", kMostOpenBrackets + 1)), 1u);
  EXPECT_EQ(line_nested_too_deep("x = [" + repeated("[], ", 1'000) + "]\n"), std::nullopt);
}

/// `text` with every DEEP replaced by what would be refused outside of texts and comments.
std::string with_deep(std::string text) {
  constexpr std::string_view kMark = "DEEP";
  const std::string deep = repeated("a.", 100) + repeated("[", 100);
  for (std::size_t at = 0; (at = text.find(kMark, at)) != std::string::npos; at += deep.size()) {
    text.replace(at, kMark.size(), deep);
  }
  return text;
}

TEST(NestingDepth, DoesNotCountWhatStandsInTextsAndComments) {
  for (const char* text : {
           "# DEEP",
           "x = 1 # DEEP",
           R"(x = "DEEP")",
           R"(x = 'DEEP')",
           R"(x = "\"DEEP")",
           "x = \"\"\"DEEP\nDEEP\"\"\"",
           "x = '''DEEP\nDEEP'''",
           R"(x = """\"""DEEP""")",
       }) {
    EXPECT_EQ(line_nested_too_deep(with_deep(text)), std::nullopt) << text;
  }
  EXPECT_EQ(line_nested_too_deep(with_deep("DEEP")), 1u);
}

TEST(NestingDepth, IsCountedAgainBehindATextThatEnded) {
  const std::string deep = "\n" + repeated("a.", kMostKeyParts) + "a = 1\n";
  for (const std::string text :
       {"x = \"\"", "x = \"a\"", "x = ''", "x = \"\"\"a\"\"\"\"\"", "x = '''a''''",
        "x = \"\"\"\"\"\"", "x = 'C:\\'", "x = \"\\\\\"", "# \" ' \"\"\""}) {
    EXPECT_EQ(line_nested_too_deep(text + deep), 2u) << text;
  }
}

TEST(NestingDepth, CountsTheLinesWithinLongTexts) {
  const std::string deep = repeated("a.", kMostKeyParts) + "a = 1\n";
  EXPECT_EQ(line_nested_too_deep("x = \"\"\"\n\\\n\"\"\"\n" + deep), 4u);
}

}  // namespace
}  // namespace weir::config
