#include "config/overrides.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <filesystem>
#include <fstream>
#include <ostream>
#include <string>
#include <vector>

#include "config/keys.h"
#include "config/load.h"
#include "environment.h"
#include "support/temp_folder.h"

namespace weir::config {
namespace {

using namespace std::chrono_literals;
using test::Variable;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr const char* kFile = R"([runtime]
service = "auth"
[quota.pg]
limit = 80
[pool.main]
driver = "postgres"
dsn = "host=db"
quota = "pg"
max = 60
acquire_timeout = "5s"
[pool.reports]
driver = "postgres"
dsn = "host=db"
)";

class AnOverride : public testing::Test {
 protected:
  void set(const std::string& name, const std::string& value) { variables_.set(name, value); }

  static RuntimeConfig good(const std::string& text = kFile) {
    Result<RuntimeConfig> config = parse_config(text, "weir.toml");
    EXPECT_TRUE(config.ok()) << config.status().to_string();
    return config.ok() ? std::move(config).value() : RuntimeConfig{};
  }
  static std::string refusal(const std::string& text = kFile) {
    const Status status = parse_config(text, "weir.toml").status();
    EXPECT_EQ(status.code(), Code::kBadConfig);
    return status.message();
  }

 private:
  test::Variables variables_;
};

TEST_F(AnOverride, GoesBeforeTheFileInEverySection) {
  set("WEIR_RUNTIME_SERVICE", "billing");
  set("WEIR_QUOTA_PG_LIMIT", "90");
  set("WEIR_POOL_MAIN_MAX", "70");
  set("WEIR_POOL_MAIN_ACQUIRE_TIMEOUT", "250ms");
  set("WEIR_POOL_REPORTS_MAX", "3");
  const RuntimeConfig config = good();
  EXPECT_EQ(config.service, "billing");
  EXPECT_EQ(config.quotas.at(0).limit, 90u);
  EXPECT_EQ(config.pools.at(0).max, 70u);
  EXPECT_EQ(config.pools.at(0).acquire_timeout, 250ms);
  EXPECT_EQ(config.pools.at(1).max, 3u);
}

TEST_F(AnOverride, ReadsEachKindOfValueWithoutQuotes) {
  set("WEIR_POOL_MAIN_DSN", "host=other password=a$b${c}");
  set("WEIR_POOL_MAIN_VALIDATE_AFTER", "never");
  set("WEIR_POOL_MAIN_RESET", "always");
  set("WEIR_POOL_MAIN_ON_CONNECT", "SET a = 'x'");
  set("WEIR_RUNTIME_SERVICE", "7");
  const RuntimeConfig config = good();
  EXPECT_EQ(config.pools.at(0).dsn, "host=other password=a$b${c}");
  EXPECT_EQ(config.pools.at(0).validate_after, std::nullopt);
  EXPECT_EQ(config.pools.at(0).reset, ResetMode::kAlways);
  EXPECT_THAT(config.pools.at(0).on_connect, ElementsAre("SET a = 'x'"));
  EXPECT_EQ(config.service, "7");
}

TEST_F(AnOverride, MayBeWrittenAsInTheFile) {
  set("WEIR_POOL_MAIN_ON_CONNECT", R"(["SET a = 1", "SET b = '${c}'"])");
  set("WEIR_POOL_MAIN_ACQUIRE_TIMEOUT", "\"7s\"");
  const PoolConfig pool = good().pools.at(0);
  EXPECT_THAT(pool.on_connect, ElementsAre("SET a = 1", "SET b = '${c}'"));
  EXPECT_EQ(pool.acquire_timeout, 7s);
}

TEST_F(AnOverride, ThatIsEmptyIsNone) {
  set("WEIR_POOL_MAIN_MAX", "");
  set("WEIR_POOL_NOBODY_MAX", "");
  EXPECT_EQ(good().pools.at(0).max, 60u);
}

TEST_F(AnOverride, IsThereForEveryKeyOfEverySection) {
  for (const auto& [section, family] :
       {std::pair{"runtime", "runtime"}, std::pair{"quota.pg", "quota"},
        std::pair{"pool.main", "pool"}}) {
    for (const KeyInfo& info : key_infos(family)) {
      // No key can be a table: what is refused is the value, and so the key is known.
      const std::string name = override_name(section, info.name);
      const Variable variable(name, "[1, \"\"]");
      const Result<RuntimeConfig> config = parse_config(kFile, "weir.toml");
      if (config.ok()) continue;  // a text may be anything
      EXPECT_THAT(config.status().message(), Not(HasSubstr("unknown"))) << name;
    }
  }
}

TEST_F(AnOverride, WithAWrongValueIsRefusedByItsNameAndKey) {
  set("WEIR_POOL_MAIN_MAX", "many");
  EXPECT_EQ(refusal(),
            "WEIR_POOL_MAIN_MAX: pool.main.max: expected a number from 1 to 10000, found \"many\"");
}

TEST_F(AnOverride, NeedsAUnitForADurationAsTheFileDoes) {
  set("WEIR_POOL_MAIN_ACQUIRE_TIMEOUT", "30");
  EXPECT_THAT(refusal(),
              AllOf(StartsWith("WEIR_POOL_MAIN_ACQUIRE_TIMEOUT: pool.main.acquire_timeout: "
                               "expected a duration with a unit"),
                    HasSubstr("found 30")));
}

TEST_F(AnOverride, TakesPartInContradictions) {
  set("WEIR_POOL_MAIN_MAX", "81");
  EXPECT_EQ(refusal(),
            "WEIR_POOL_MAIN_MAX: pool.main.max: expected at most 80, the limit of its quota (line "
            "4), found 81");
}

TEST_F(AnOverride, OfALimitIsNamedWhenAMaxIsAboveIt) {
  set("WEIR_QUOTA_PG_LIMIT", "20");
  EXPECT_EQ(refusal(),
            "weir.toml:9: pool.main.max: expected at most 20, the limit of its quota "
            "(WEIR_QUOTA_PG_LIMIT), found 60");
}

TEST_F(AnOverride, IsNamedWhenItsMaxIsBelowTheFilesMin) {
  set("WEIR_POOL_MAIN_MAX", "4");
  EXPECT_EQ(refusal("[pool.main]\ndriver = \"d\"\ndsn = \"x\"\nmin = 6\n"),
            "weir.toml:4: pool.main.min: expected at most max (4), found 6; max comes from "
            "WEIR_POOL_MAIN_MAX");
}

struct Wrong {
  std::string name;
  std::string nearest;
};
// GoogleTest looks for this name.
void PrintTo(const Wrong& wrong, std::ostream* out) {  // NOLINT(readability-identifier-naming)
  *out << wrong.name;
}
class AWrongVariable : public testing::TestWithParam<Wrong> {};

TEST_P(AWrongVariable, IsRefusedWithTheNearestValidOne) {
  const Variable variable(GetParam().name, "5");
  const Status status = parse_config(kFile, "weir.toml").status();
  EXPECT_EQ(status.code(), Code::kBadConfig);
  EXPECT_EQ(status.message(),
            GetParam().name + ": unknown variable; the nearest valid one is " + GetParam().nearest);
}

INSTANTIATE_TEST_SUITE_P(Names, AWrongVariable,
                         testing::Values(Wrong{"WEIR_POOL_MAIN_MAXX", "WEIR_POOL_MAIN_MAX"},
                                         Wrong{"WEIR_POOL_MIAN_MAX", "WEIR_POOL_MAIN_MAX"},
                                         Wrong{"WEIR_POOL_main_MAX", "WEIR_POOL_MAIN_MAX"},
                                         Wrong{"WEIR_POOL_MAIN", "WEIR_POOL_MAIN_DSN"},
                                         Wrong{"WEIR_POOL_REPORT_MAX", "WEIR_POOL_REPORTS_MAX"},
                                         Wrong{"WEIR_QUOTA_PGS_LIMIT", "WEIR_QUOTA_PG_LIMIT"},
                                         Wrong{"WEIR_RUNTIME_SEGMNT", "WEIR_RUNTIME_SEGMENT"}));

TEST_F(AnOverride, OfAPolicysParametersIsATableAsInTheFile) {
  set("WEIR_POOL_MAIN_POLICY", "/etc/weir/adaptive.lua");
  set("WEIR_POOL_MAIN_POLICY_PARAMS",
      "{ headroom = 1.5, idle_ms = 30000, eager = true, tag = \"a\" }");
  const PolicyParams expected = {
      {"headroom", 1.5}, {"idle_ms", 30000.0}, {"eager", true}, {"tag", std::string("a")}};
  EXPECT_EQ(good().pools.at(0).policy_params, expected);
}

TEST_F(AnOverride, IsOnlyWhatBeginsLikeOne) {
  set("WEIR_TEST_SOMETHING", "1");
  set("WEIR_POOLS_MAIN_MAX", "1");
  set("WEIR_STORM_SECONDS", "1");
  set("WEIR", "1");
  EXPECT_EQ(good().pools.at(0).max, 60u);
}

TEST_F(AnOverride, ShowsNoPartOfADsn) {
  set("WEIR_POOL_MAIN_DSN", "\"host=h hunter2");
  EXPECT_THAT(refusal(), Not(HasSubstr("hunter2")));
}

// ---- without a file -----------------------------------------------------------------------------

TEST_F(AnOverride, CanMakeAPoolWhereThereIsNoFile) {
  set("WEIR_POOL_MAIN_DRIVER", "postgres");
  set("WEIR_POOL_MAIN_DSN", "host=db");
  set("WEIR_POOL_MAIN_QUOTA", "pg");
  set("WEIR_QUOTA_PG_LIMIT", "12");
  const Result<Loaded> loaded = load_config_environment();
  ASSERT_TRUE(loaded.ok()) << loaded.status().to_string();
  const RuntimeConfig& config = loaded.value().config;
  ASSERT_EQ(config.pools.size(), 1u);
  EXPECT_EQ(config.pools[0].name, "main");
  EXPECT_EQ(config.pools[0].dsn, "host=db");
  EXPECT_EQ(config.quotas.at(0).limit, 12u);
}

TEST_F(AnOverride, ThatMakesHalfAPoolIsToldWhatIsMissing) {
  set("WEIR_POOL_MAIN_DRIVER", "postgres");
  EXPECT_EQ(load_config_environment().status().message(),
            "WEIR_POOL_MAIN_DRIVER: pool.main.dsn: expected a DSN, found nothing");
}

class AProcessThatNamesNoFile : public testing::Test {
 protected:
  AProcessThatNamesNoFile() { std::filesystem::current_path(folder_.path()); }
  ~AProcessThatNamesNoFile() override { std::filesystem::current_path(before_); }
  void write(const std::string& name, const std::string& max) {
    std::ofstream(folder_.path() / name)
        << "[pool.main]\ndriver = \"d\"\ndsn = \"x\"\nmax = " + max + "\n";
  }

  test::TempFolder folder_;
  std::filesystem::path before_ = std::filesystem::current_path();
};

TEST_F(AProcessThatNamesNoFile, TakesTheOneInItsFolder) {
  const Variable none("WEIR_CONFIG", std::nullopt);
  write("weir.toml", "3");
  const Result<Loaded> loaded = load_config("");
  ASSERT_TRUE(loaded.ok()) << loaded.status().to_string();
  EXPECT_EQ(loaded.value().config.pools.at(0).max, 3u);
}

TEST_F(AProcessThatNamesNoFile, TakesTheOneThatWeirConfigNamesFirst) {
  write("weir.toml", "3");
  write("other.toml", "4");
  const Variable named("WEIR_CONFIG", (folder_.path() / "other.toml").string());
  const Result<Loaded> loaded = load_config("");
  ASSERT_TRUE(loaded.ok()) << loaded.status().to_string();
  EXPECT_EQ(loaded.value().config.pools.at(0).max, 4u);
}

TEST_F(AProcessThatNamesNoFile, IsToldWhereOneWasLookedFor) {
  const Variable none("WEIR_CONFIG", std::nullopt);
  const Status status = load_config("").status();
  EXPECT_EQ(status.code(), Code::kNotFound);
  EXPECT_THAT(status.message(), AllOf(HasSubstr("weir.toml"), HasSubstr("WEIR_CONFIG")));
}

// ---- where values come from ---------------------------------------------------------------------

std::string source_of(const Loaded& loaded, const std::string& section, const std::string& key) {
  for (const Setting& setting : loaded.settings) {
    if (setting.section == section && setting.key == key) {
      return setting.value + " from " + setting.source.text();
    }
  }
  return "not listed";
}

TEST_F(AnOverride, AndFileAndDefaultAreToldApart) {
  set("WEIR_POOL_MAIN_MAX", "70");
  set("WEIR_POOL_REPORTS_DSN", "host=db password=hunter2");
  const Result<Loaded> loaded = load_config_text(kFile, "weir.toml");
  ASSERT_TRUE(loaded.ok()) << loaded.status().to_string();
  const auto told = [&](const char* section, const char* key) {
    return source_of(loaded.value(), section, key);
  };
  EXPECT_EQ(told("runtime", "service"), "\"auth\" from weir.toml:2");
  EXPECT_EQ(told("runtime", "segment"), "\"default\" from default");
  EXPECT_EQ(told("quota.pg", "limit"), "80 from weir.toml:4");
  EXPECT_EQ(told("pool.main", "max"), "70 from WEIR_POOL_MAIN_MAX");
  EXPECT_EQ(told("pool.main", "keep"), "70 from default");
  EXPECT_EQ(told("pool.main", "acquire_timeout"), "\"5s\" from weir.toml:10");
  EXPECT_EQ(told("pool.main", "linger_max"), " from default");
  EXPECT_EQ(told("pool.main", "dsn"), " from weir.toml:7");
  EXPECT_EQ(told("pool.reports", "dsn"), " from WEIR_POOL_REPORTS_DSN");
}

TEST_F(AnOverride, ListsEveryKeyOfEverySectionOnce) {
  const Result<Loaded> loaded = load_config_text(kFile, "weir.toml");
  ASSERT_TRUE(loaded.ok()) << loaded.status().to_string();
  EXPECT_EQ(loaded.value().settings.size(),
            key_infos("runtime").size() + key_infos("quota").size() + 2 * key_infos("pool").size());
}

// ---- garbage ------------------------------------------------------------------------------------

RC_GTEST_PROP(GarbageInTheEnvironment, IsRefusedOrGood, ()) {
  const auto name = *rc::gen::element<std::string>(
      "WEIR_POOL_MAIN_MAX", "WEIR_POOL_MAIN_DSN", "WEIR_POOL_MAIN_ON_CONNECT",
      "WEIR_POOL_MAIN_VALIDATE_AFTER", "WEIR_POOL_MAIN_PRESET", "WEIR_RUNTIME_PLUGIN_PATH",
      "WEIR_RUNTIME_ALIASES", "WEIR_QUOTA_PG_LIMIT", "DATABASE_URL", "DB_POOL_SIZE",
      "DB_MAX_OVERFLOW", "DB_POOL_TIMEOUT", "DB_POOL_RECYCLE", "DB_POOL_PRE_PING",
      "DB_CONN_MAX_AGE", "DB_STATEMENT_TIMEOUT", "WEB_CONCURRENCY");
  const auto piece = rc::gen::element<std::string>(
      "\"", "'", "[", "]", ",", "\\", "${", "}", "0", "9", "-", "1e9", ".", "s", "never", "None",
      "true", "postgresql://", "\n", "\x01", "\xff", " ");
  std::string value;
  for (const std::string& part : *rc::gen::container<std::vector<std::string>>(piece))
    value += part;
  const Variable variable(name, value);
  const Variable size("DB_POOL_SIZE", name == "WEB_CONCURRENCY" ? "5" : value);
  const Result<RuntimeConfig> config = parse_config(kFile, "weir.toml");
  if (config.ok()) {
    for (const PoolConfig& pool : config.value().pools) RC_ASSERT(pool.validate().ok());
  } else {
    RC_ASSERT(config.status().code() == Code::kBadConfig);
    RC_ASSERT(config.status().message().size() < 1'000u);
  }
}

}  // namespace
}  // namespace weir::config
