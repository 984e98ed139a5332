#include "config/presets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ostream>
#include <string>

#include "config/load.h"
#include "environment.h"

namespace weir::config {
namespace {

using namespace std::chrono_literals;
using test::Variable;

std::string pool_with(const std::string& lines) {
  return "[pool.main]\ndriver = \"postgres\"\ndsn = \"host=h\"\n" + lines + "\n";
}

PoolConfig main_of(const std::string& text) {
  Result<RuntimeConfig> config = parse_config(text, "weir.toml");
  EXPECT_TRUE(config.ok()) << config.status().to_string();
  return config.ok() ? config.value().pools.at(0) : PoolConfig{};
}

struct Expected {
  std::string name;
  std::uint32_t keep;
  std::uint32_t max;
  milliseconds acquire_timeout;
};
// GoogleTest looks for this name.
void PrintTo(const Expected& preset, std::ostream* out) {  // NOLINT(readability-identifier-naming)
  *out << preset.name;
}
class APreset : public testing::TestWithParam<Expected> {
 protected:
  const Variable workers_{"WEB_CONCURRENCY", std::nullopt};
};

TEST_P(APreset, GivesThePoolItsSizesAndTimes) {
  const PoolConfig pool = main_of(pool_with("preset = \"" + GetParam().name + "\""));
  EXPECT_EQ(pool.preset, GetParam().name);
  EXPECT_EQ(pool.keep, GetParam().keep);
  EXPECT_EQ(pool.max, GetParam().max);
  EXPECT_EQ(pool.acquire_timeout, GetParam().acquire_timeout);
  EXPECT_EQ(pool.max_lifetime, 1h);
  EXPECT_EQ(pool.validate_after, 500ms);
}

// pool_size + max_overflow, times the workers it was written for: eight for the last two.
INSTANTIATE_TEST_SUITE_P(
    Each, APreset,
    testing::Values(Expected{"small", 5, 15, 30s}, Expected{"medium", 15, 45, 30s},
                    Expected{"large", 30, 90, 20s}, Expected{"development", 3, 8, 30s},
                    Expected{"high_traffic", 80, 160, 30s}, Expected{"low_memory", 24, 40, 30s}));

TEST(ThePresets, AreTheOnesThatAreTested) { EXPECT_EQ(kPresets.size(), 6u); }

TEST(APresetsSize, IsMultipliedByTheWorkersThereAre) {
  const Variable workers("WEB_CONCURRENCY", "4");
  EXPECT_EQ(main_of(pool_with("preset = \"small\"")).max, 60u);
  EXPECT_EQ(main_of(pool_with("preset = \"high_traffic\"")).max, 80u);
}

TEST(APresetsSize, IsCutToTheQuota) {
  const PoolConfig pool =
      main_of("[quota.pg]\nlimit = 12\n" + pool_with("preset = \"medium\"\nquota = \"pg\""));
  EXPECT_EQ(pool.max, 12u);
  EXPECT_EQ(pool.keep, 12u);
}

TEST(APresetsValue, YieldsToAnExplicitOne) {
  const PoolConfig pool = main_of(
      pool_with("preset = \"large\"\nmax = 12\nacquire_timeout = \"3s\"\nmax_lifetime = \"0s\""));
  EXPECT_EQ(pool.max, 12u);
  EXPECT_EQ(pool.keep, 12u);  // of the preset's 30 as many as there may be
  EXPECT_EQ(pool.acquire_timeout, 3s);
  EXPECT_EQ(pool.max_lifetime, 0s);
}

TEST(APresetsValue, YieldsToAliasesAndOverrides) {
  const Variable timeout("DB_POOL_TIMEOUT", "7");
  const Variable max("WEIR_POOL_MAIN_MAX", "9");
  const PoolConfig pool = main_of(pool_with("preset = \"large\""));
  EXPECT_EQ(pool.acquire_timeout, 7s);
  EXPECT_EQ(pool.max, 9u);
}

TEST(APresetByName, MayComeFromTheEnvironment) {
  const Variable workers("WEB_CONCURRENCY", std::nullopt);
  const Variable preset("WEIR_POOL_MAIN_PRESET", "medium");
  EXPECT_EQ(main_of(pool_with("")).max, 45u);
}

TEST(APresetByName, ThatThereIsNotIsRefusedWithThoseThereAre) {
  EXPECT_EQ(parse_config(pool_with("preset = \"huge\""), "weir.toml").status().message(),
            "weir.toml:4: pool.main.preset: expected one of \"small\", \"medium\", \"large\", "
            "\"development\", \"high_traffic\", \"low_memory\", found \"huge\"");
}

TEST(APresetByName, IsNamedWhereItContradictsAnExplicitValue) {
  EXPECT_EQ(parse_config(pool_with("preset = \"small\"\nmin = 16"), "weir.toml").status().message(),
            "weir.toml:5: pool.main.min: expected at most max (15), found 16; max comes from "
            "preset small");
}

TEST(APresetByName, IsWhereItsValuesComeFrom) {
  const Variable workers("WEB_CONCURRENCY", "2");
  const Result<Loaded> loaded = load_config_text(pool_with("preset = \"small\""), "weir.toml");
  ASSERT_TRUE(loaded.ok()) << loaded.status().to_string();
  for (const Setting& setting : loaded.value().settings) {
    if (setting.key == "max") {
      EXPECT_EQ(setting.source.text(), "preset small times WEB_CONCURRENCY");
    }
    if (setting.key == "max_lifetime") {
      EXPECT_EQ(setting.source.text(), "preset small");
    }
    if (setting.key == "idle_timeout") {
      EXPECT_EQ(setting.source.text(), "default");
    }
  }
}

}  // namespace
}  // namespace weir::config
