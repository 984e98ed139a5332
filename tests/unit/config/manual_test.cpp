// docs/configuration.md says of every key what this build does: who changes one changes the other.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <fstream>
#include <string>
#include <vector>

#include "config/keys.h"
#include "config/load.h"
#include "config/overrides.h"
#include "config/presets.h"

namespace weir::config {
namespace {

using testing::Contains;
using testing::ElementsAreArray;
using testing::HasSubstr;

std::vector<std::string> lines_of_the_manual() {
  std::ifstream file(WEIR_SOURCE_FOLDER "/docs/configuration.md");
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

std::vector<std::string> cells_of(const std::string& line) {
  std::vector<std::string> cells;
  for (std::size_t at = line.find('|'); at != std::string::npos;) {
    const std::size_t end = line.find('|', at + 1);
    if (end == std::string::npos) break;
    std::string cell = line.substr(at + 1, end - at - 1);
    cell.erase(0, cell.find_first_not_of(' '));
    cell.erase(cell.find_last_not_of(' ') + 1);
    cells.push_back(cell);
    at = end;
  }
  return cells;
}

/// The rows of the table of all keys, without its head.
std::vector<std::vector<std::string>> rows_of_every_key() {
  std::vector<std::vector<std::string>> rows;
  for (const std::string& line : lines_of_the_manual()) {
    std::vector<std::string> cells = cells_of(line);
    if (cells.size() == 7 && cells[0].starts_with("`[")) rows.push_back(std::move(cells));
  }
  return rows;
}

std::string code(std::string_view text) { return "`" + std::string(text) + "`"; }

constexpr std::array<std::array<const char*, 3>, 3> kSections = {{
    {"runtime", "[runtime]", "WEIR_RUNTIME_"},
    {"quota", "[quota.NAME]", "WEIR_QUOTA_<NAME>_"},
    {"pool", "[pool.NAME]", "WEIR_POOL_<NAME>_"},
}};

TEST(TheManual, HasARowForEveryKeyInTheirOrder) {
  std::vector<std::string> expected, found;
  for (const auto& [family, header, prefix] : kSections) {
    for (const KeyInfo& key : key_infos(family)) expected.push_back(code(header) + code(key.name));
  }
  for (const auto& row : rows_of_every_key()) found.push_back(row[0] + row[1]);
  EXPECT_THAT(found, ElementsAreArray(expected));
}

TEST(TheManual, NamesTheVariableOfEveryKey) {
  for (const auto& [family, header, prefix] : kSections) {
    for (const auto& row : rows_of_every_key()) {
      if (row[0] != code(header)) continue;
      const std::string key = row[1].substr(1, row[1].size() - 2);
      // Of a section called "x" the variable differs in the name alone.
      std::string name = override_name(std::string(family) + ".x", key);
      name.replace(name.find("_X_"), 3, std::string(family) == "runtime" ? "_" : "_<NAME>_");
      EXPECT_EQ(row[5], code(name));
    }
  }
}

TEST(TheManual, TellsTheDefaultOfEveryKey) {
  const Result<Loaded> loaded = load_config_text(
      "[runtime]\naliases = true\n[quota.pg]\nlimit = 7\n[pool.main]\ndriver = \"d\"\ndsn = "
      "\"x\"\n",
      "weir.toml");
  ASSERT_TRUE(loaded.ok()) << loaded.status().to_string();
  const auto rows = rows_of_every_key();
  ASSERT_EQ(rows.size(), loaded.value().settings.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Setting& setting = loaded.value().settings[i];
    if (rows[i][3] == "needed") {
      EXPECT_NE(setting.source.kind, Source::Kind::kDefault) << setting.key;
    } else if (setting.key == "keep") {
      EXPECT_EQ(rows[i][3], "`max`");
    } else {
      EXPECT_EQ(rows[i][3], setting.value.empty() ? "none" : code(setting.value)) << setting.key;
    }
  }
}

TEST(TheManual, ExplainsEveryKeyBelow) {
  const std::vector<std::string> lines = lines_of_the_manual();
  for (const auto& [family, header, prefix] : kSections) {
    for (const KeyInfo& key : key_infos(family)) {
      EXPECT_THAT(lines, Contains(testing::StartsWith("| " + code(key.name) + " | "))) << key.name;
    }
  }
}

TEST(TheManual, HasTheFiguresOfEveryPreset) {
  const std::vector<std::string> lines = lines_of_the_manual();
  for (const Preset& preset : kPresets) {
    const auto number = [](std::uint32_t count) { return std::to_string(count); };
    EXPECT_THAT(lines, Contains("| `\"" + std::string(preset.name) + "\"` | " +
                                number(preset.pool_size) + " + " + number(preset.max_overflow) +
                                " | " + number(preset.pool_size * preset.workers) + " | " +
                                number((preset.pool_size + preset.max_overflow) * preset.workers) +
                                " | `\"" + std::string(preset.acquire_timeout) + "\"` |"));
  }
}

}  // namespace
}  // namespace weir::config
