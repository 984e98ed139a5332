// docs/weir.1 and docs/operations.md tell of every command and every option that the built command
// has: who adds one tells of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "cli_command.h"

namespace weir::test {
namespace {

using testing::HasSubstr;

std::string content_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::string help_of(std::vector<std::string> command) {
  command.emplace_back("--help");
  const CommandOutcome outcome = run_weir(command);
  EXPECT_EQ(outcome.exit_status, 0) << outcome.err;
  return outcome.out;
}

/// The commands of the section "Subcommands:" of a help.
std::vector<std::string> subcommands_in(const std::string& help) {
  std::vector<std::string> names;
  const std::size_t at = help.find("Subcommands:");
  if (at == std::string::npos) return names;
  std::istringstream lines(help.substr(at));
  for (std::string line; std::getline(lines, line);) {
    // Two spaces and a name; what continues a description stands further in.
    if (!line.starts_with("  ") || line.starts_with("   ")) continue;
    names.push_back(line.substr(2, line.find(' ', 2) - 2));
  }
  return names;
}

/// Every command there is, with its words.
std::vector<std::vector<std::string>> commands() {
  std::vector<std::vector<std::string>> all;
  for (const std::string& name : subcommands_in(help_of({}))) {
    const std::vector<std::string> below = subcommands_in(help_of({name}));
    if (below.empty()) all.push_back({name});
    for (const std::string& sub : below) all.push_back({name, sub});
  }
  return all;
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

/// The manual page as a reader sees it, more or less.
std::string manual() {
  std::string text = content_of(WEIR_SOURCE_FOLDER "/docs/weir.1");
  std::erase(text, '\\');  // a page writes a hyphen as "\-"
  return text;
}

TEST(TheManualPage, NamesEveryCommand) {
  const auto all = commands();
  EXPECT_GE(all.size(), 7u);
  for (const auto& command : all) {
    EXPECT_THAT(manual(), HasSubstr(".B weir " + joined(command))) << "in the synopsis";
    EXPECT_THAT(manual(), HasSubstr("\n.B " + joined(command) + "\n")) << "in COMMANDS";
  }
}

TEST(TheManualPage, NamesEveryOption) {
  std::set<std::string> options;
  for (const auto& command : commands()) {
    const std::string help = help_of(command);
    const std::size_t at = help.find("Options:");
    ASSERT_NE(at, std::string::npos) << joined(command);
    for (std::size_t from = help.find("--", at); from != std::string::npos;) {
      const std::size_t end = help.find_first_not_of("-abcdefghijklmnopqrstuvwxyz", from);
      options.insert(help.substr(from, end - from));
      from = help.find("--", end);
    }
  }
  EXPECT_GE(options.size(), 8u);
  for (const std::string& name : options) EXPECT_THAT(manual(), HasSubstr(name));
}

TEST(TheOperationsPage, TellsOfEveryCommand) {
  const std::string page = content_of(WEIR_SOURCE_FOLDER "/docs/operations.md");
  for (const auto& command : commands()) {
    EXPECT_THAT(page, HasSubstr("`weir " + joined(command))) << joined(command);
  }
}

}  // namespace
}  // namespace weir::test
