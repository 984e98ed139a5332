#include "config/aliases.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <vector>

#include "config/load.h"
#include "environment.h"

namespace weir::config {
namespace {

using namespace std::chrono_literals;
using test::Variable;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr const char* kFile = R"([quota.pg]
limit = 80
[pool.main]
driver = "postgres"
dsn = "host=db"
quota = "pg"
)";

class AnAlias : public testing::Test {
 protected:
  void set(const std::string& name, const std::string& value) { variables_.set(name, value); }

  static Loaded load(const std::string& text = kFile) {
    Result<Loaded> loaded = load_config_text(text, "weir.toml");
    EXPECT_TRUE(loaded.ok()) << loaded.status().to_string();
    return loaded.ok() ? std::move(loaded).value() : Loaded{};
  }
  static PoolConfig main_of(const std::string& text = kFile) {
    const Loaded loaded = load(text);
    return loaded.config.pools.empty() ? PoolConfig{} : loaded.config.pools.front();
  }
  static std::string refusal(const std::string& text = kFile) {
    const Status status = load_config_text(text, "weir.toml").status();
    EXPECT_EQ(status.code(), Code::kBadConfig);
    return status.message();
  }

 private:
  test::Variables variables_;
};

// ---- sizes --------------------------------------------------------------------------------------

TEST_F(AnAlias, OfSqlalchemysSizesIsMultipliedByTheWorkers) {
  set("DB_POOL_SIZE", "5");
  set("DB_MAX_OVERFLOW", "5");
  set("WEB_CONCURRENCY", "8");
  const PoolConfig pool = main_of();
  EXPECT_EQ(pool.keep, 40u);
  EXPECT_EQ(pool.max, 80u);
}

TEST_F(AnAlias, OfSqlalchemysSizesIsTakenAsItIsForOneWorker) {
  set("DB_POOL_SIZE", "10");
  set("DB_MAX_OVERFLOW", "20");
  const PoolConfig pool = main_of();
  EXPECT_EQ(pool.keep, 10u);
  EXPECT_EQ(pool.max, 30u);
}

TEST_F(AnAlias, WhoseProductIsAboveTheQuotaIsCutToIt) {
  set("DB_POOL_SIZE", "10");
  set("DB_MAX_OVERFLOW", "10");
  set("WEB_CONCURRENCY", "8");
  const Loaded loaded = load();
  EXPECT_EQ(loaded.config.pools.at(0).max, 80u);
  EXPECT_EQ(loaded.config.pools.at(0).keep, 80u);
  for (const Setting& setting : loaded.settings) {
    if (setting.key != "max") continue;
    EXPECT_EQ(setting.source.text(),
              "DB_POOL_SIZE plus DB_MAX_OVERFLOW times WEB_CONCURRENCY, cut to 80");
  }
}

TEST_F(AnAlias, OfOneSqlalchemySizeCountsTheOtherAsItsDefault) {
  set("DB_POOL_SIZE", "7");
  EXPECT_EQ(main_of().max, 17u);
}

TEST_F(AnAlias, OfTheOverflowAloneCountsTheSizeAsItsDefault) {
  set("DB_MAX_OVERFLOW", "3");
  EXPECT_EQ(main_of().max, 8u);
  EXPECT_EQ(main_of().keep, 5u);
}

TEST_F(AnAlias, ThatSaysNoLimitMeansTheQuotas) {
  set("DB_MAX_OVERFLOW", "-1");
  EXPECT_EQ(main_of().max, 80u);
}

TEST_F(AnAlias, ThatSaysNoLimitWithoutAQuotaIsRefused) {
  set("DB_POOL_SIZE", "0");
  EXPECT_THAT(refusal("[pool.main]\ndriver = \"postgres\"\ndsn = \"host=db\"\n"),
              AllOf(HasSubstr("DB_POOL_SIZE: "), HasSubstr("quota")));
}

TEST_F(AnAlias, OfMongodbAndRedisSetsMinAndMaxOfTheirPools) {
  set("MONGODB_MAX_POOL_SIZE", "50");
  set("MONGODB_MIN_POOL_SIZE", "10");
  set("REDIS_MAX_CONNECTIONS", "20");
  set("WEB_CONCURRENCY", "2");
  const Loaded loaded = load(
      "[pool.docs]\ndriver = \"mongodb\"\ndsn = \"x\"\n[pool.cache]\ndriver = \"redis\"\ndsn = "
      "\"x\"\n");
  EXPECT_EQ(loaded.config.pools.at(0).max, 100u);
  EXPECT_EQ(loaded.config.pools.at(0).min, 20u);
  EXPECT_EQ(loaded.config.pools.at(1).max, 40u);
}

TEST_F(AnAlias, NeedsANumberOfWorkersOnlyWhereItMultiplies) {
  set("WEB_CONCURRENCY", "lots");
  EXPECT_EQ(main_of().max, 10u);
  set("DB_POOL_SIZE", "5");
  EXPECT_EQ(refusal(), "WEB_CONCURRENCY: expected a number from 1 to 10000, found \"lots\"");
}

// ---- times --------------------------------------------------------------------------------------

TEST_F(AnAlias, OfATimeHasTheUnitOfItsOrigin) {
  set("DB_POOL_TIMEOUT", "45");
  set("DB_POOL_RECYCLE", "1800");
  set("DB_CONNECT_TIMEOUT", "2.5");
  set("DB_STATEMENT_TIMEOUT", "30000");
  const PoolConfig pool = main_of();
  EXPECT_EQ(pool.acquire_timeout, 45s);
  EXPECT_EQ(pool.max_lifetime, 30min);
  EXPECT_EQ(pool.connect_timeout, 2500ms);
  EXPECT_EQ(pool.statement_timeout, 30s);
}

TEST_F(AnAlias, OfRecycleMinusOneIsNever) {
  set("DB_POOL_RECYCLE", "-1");
  EXPECT_EQ(main_of().max_lifetime, 0s);
}

TEST_F(AnAlias, OfDjangosMaxAgeIsALifetime) {
  set("DB_CONN_MAX_AGE", "600");
  EXPECT_EQ(main_of().max_lifetime, 10min);
}

TEST_F(AnAlias, OfDjangosMaxAgeNoneIsNever) {
  set("DB_CONN_MAX_AGE", "None");
  EXPECT_EQ(main_of().max_lifetime, 0s);
}

TEST_F(AnAlias, OfDjangosMaxAgeZeroKeepsNothing) {
  set("DB_CONN_MAX_AGE", "0");
  const PoolConfig pool = main_of();
  EXPECT_EQ(pool.keep, 0u);
  EXPECT_EQ(pool.max_lifetime, 1h);
}

TEST_F(AnAlias, OfTwoLifetimesTheShorterHolds) {
  set("DB_POOL_RECYCLE", "3600");
  set("DB_CONN_MAX_AGE", "600");
  EXPECT_EQ(main_of().max_lifetime, 10min);
  set("DB_CONN_MAX_AGE", "None");
  EXPECT_EQ(main_of().max_lifetime, 1h);
}

// ---- flags --------------------------------------------------------------------------------------

TEST_F(AnAlias, OfPrePingTurnsTheCheckOn) {
  set("DB_POOL_PRE_PING", "True");
  EXPECT_EQ(main_of(std::string(kFile) + "validate_after = \"never\"\n").validate_after, 500ms);
}

TEST_F(AnAlias, OfPrePingLeavesACheckThatIsOnAsItIs) {
  set("DB_POOL_PRE_PING", "1");
  EXPECT_EQ(main_of(std::string(kFile) + "validate_after = \"0s\"\n").validate_after, 0ms);
}

TEST_F(AnAlias, OfPrePingTurnsTheCheckOff) {
  set("DB_POOL_PRE_PING", "false");
  EXPECT_EQ(main_of().validate_after, std::nullopt);
}

TEST_F(AnAlias, OfEchoIsTakenAndTold) {
  set("DB_ECHO", "true");
  EXPECT_THAT(load().notes, Contains(HasSubstr("DB_ECHO")));
  set("DB_ECHO", "false");
  EXPECT_THAT(load().notes, IsEmpty());
}

// ---- DATABASE_URL -------------------------------------------------------------------------------

TEST_F(AnAlias, OfTheUrlMakesAPoolWhereThereIsNone) {
  set("DATABASE_URL", "postgres://app:secret@db:5433/app");
  set("DB_POOL_SIZE", "4");
  const Result<Loaded> loaded = load_config_environment();
  ASSERT_TRUE(loaded.ok()) << loaded.status().to_string();
  ASSERT_EQ(loaded.value().config.pools.size(), 1u);
  const PoolConfig& pool = loaded.value().config.pools[0];
  EXPECT_EQ(pool.name, "main");
  EXPECT_EQ(pool.driver, "postgres");
  EXPECT_EQ(pool.dsn, "postgresql://app:secret@db:5433/app");
  EXPECT_EQ(pool.keep, 4u);
}

TEST_F(AnAlias, OfTheUrlMakesAPoolInAFileWithoutOne) {
  set("DATABASE_URL", "postgresql://db/app");
  EXPECT_EQ(main_of("[runtime]\nservice = \"auth\"\n").name, "main");
}

TEST_F(AnAlias, OfTheUrlGoesBeforeTheFileAndSaysSo) {
  set("DATABASE_URL", "postgresql://u:hunter2@other/app");
  const Loaded loaded = load();
  EXPECT_EQ(loaded.config.pools.at(0).dsn, "postgresql://u:hunter2@other/app");
  EXPECT_THAT(loaded.notes, ElementsAre("pool.main.dsn: DATABASE_URL goes before weir.toml:5"));
}

TEST_F(AnAlias, OfTheUrlThatTheFileReadsItselfIsNoNews) {
  set("DATABASE_URL", "postgresql://other/app");
  const Loaded loaded = load("[pool.main]\ndriver = \"postgres\"\ndsn = \"${DATABASE_URL}\"\n");
  EXPECT_EQ(loaded.config.pools.at(0).dsn, "postgresql://other/app");
  EXPECT_THAT(loaded.notes, IsEmpty());
}

TEST_F(AnAlias, OfTheUrlThatTheFileReadsItselfStillGetsASchemeThatTheDriverKnows) {
  set("DATABASE_URL", "postgresql+asyncpg://other/app");
  const Loaded loaded = load("[pool.main]\ndriver = \"postgres\"\ndsn = \"${DATABASE_URL}\"\n");
  EXPECT_EQ(loaded.config.pools.at(0).dsn, "postgresql://other/app");
  EXPECT_THAT(loaded.notes, IsEmpty());
}

TEST_F(AnAlias, ThatTheFileBuildsAValueFromLeavesThatValueAlone) {
  set("DATABASE_URL", "postgresql://other/app");
  set("DB_POOL_TIMEOUT", "7");
  const Loaded loaded = load(
      "[pool.main]\ndriver = \"postgres\"\ndsn = \"${DATABASE_URL}?sslmode=require\"\n"
      "acquire_timeout = \"${DB_POOL_TIMEOUT:-30}0s\"\n");
  EXPECT_EQ(loaded.config.pools.at(0).dsn, "postgresql://other/app?sslmode=require");
  EXPECT_EQ(loaded.config.pools.at(0).acquire_timeout, 70s);
  EXPECT_THAT(loaded.notes, IsEmpty());
}

TEST_F(AnAlias, OfTheUrlTakesSqlalchemysWaysToNameADriver) {
  for (const char* scheme : {"postgresql+psycopg2", "postgresql+asyncpg", "POSTGRES", "postgis"}) {
    set("DATABASE_URL", std::string(scheme) + "://h/db");
    EXPECT_EQ(main_of().dsn, "postgresql://h/db") << scheme;
  }
}

TEST_F(AnAlias, OfTheUrlOfAnotherDriverIsLeftAloneAndTold) {
  set("DATABASE_URL", "mysql://u:hunter2@h/db");
  const Loaded loaded = load();
  EXPECT_EQ(loaded.config.pools.at(0).dsn, "host=db");
  EXPECT_THAT(loaded.notes,
              ElementsAre(AllOf(HasSubstr("another driver"), Not(HasSubstr("hunter2")))));
}

TEST_F(AnAlias, OfAUrlThatNobodyCanReadIsRefusedWithoutAFileAndNotShown) {
  set("DATABASE_URL", "mysql://u:hunter2@h/db");
  const Status status = load_config_environment().status();
  EXPECT_EQ(status.code(), Code::kBadConfig);
  EXPECT_THAT(status.message(), AllOf(HasSubstr("DATABASE_URL"), Not(HasSubstr("hunter2"))));
}

// ---- to whom, and before whom -------------------------------------------------------------------

constexpr const char* kTwo = R"([pool.reports]
driver = "postgres"
dsn = "host=db"
[pool.main]
driver = "postgres"
dsn = "host=db"
[pool.cache]
driver = "redis"
dsn = "x"
)";

TEST_F(AnAlias, SpeaksToMainOfSeveralAndToTheOnlyOneOfItsKind) {
  set("DB_POOL_SIZE", "1");
  set("DB_MAX_OVERFLOW", "2");
  set("REDIS_MAX_CONNECTIONS", "4");
  set("MONGODB_MAX_POOL_SIZE", "5");
  const Loaded loaded = load(kTwo);
  EXPECT_EQ(loaded.config.pools.at(0).max, 10u);
  EXPECT_EQ(loaded.config.pools.at(1).max, 3u);
  EXPECT_EQ(loaded.config.pools.at(2).max, 4u);
  EXPECT_THAT(loaded.notes, ElementsAre(HasSubstr("MONGODB_")));
}

TEST_F(AnAlias, SpeaksToNobodyRatherThanToOneOfSeveral) {
  set("DB_POOL_SIZE", "1");
  const Loaded loaded = load(
      "[pool.a]\ndriver = \"postgres\"\ndsn = \"x\"\n[pool.b]\ndriver = \"postgres\"\ndsn = "
      "\"x\"\n");
  EXPECT_EQ(loaded.config.pools.at(0).max, 10u);
  EXPECT_EQ(loaded.config.pools.at(1).max, 10u);
  EXPECT_THAT(loaded.notes, ElementsAre(HasSubstr("DB_...")));
}

TEST_F(AnAlias, GoesBeforeTheFileAndBehindAnOverride) {
  set("DB_POOL_TIMEOUT", "5");
  const std::string file = std::string(kFile) + "acquire_timeout = \"9s\"\n";
  EXPECT_EQ(main_of(file).acquire_timeout, 5s);
  set("WEIR_POOL_MAIN_ACQUIRE_TIMEOUT", "3s");
  EXPECT_EQ(main_of(file).acquire_timeout, 3s);
}

TEST_F(AnAlias, CutsWhatItKeepsToAnOverriddenMax) {
  set("DB_POOL_SIZE", "20");
  set("WEIR_POOL_MAIN_MAX", "6");
  EXPECT_EQ(main_of().max, 6u);
  EXPECT_EQ(main_of().keep, 6u);
}

TEST_F(AnAlias, CountsForNothingWhereTheRuntimeTakesNone) {
  set("DB_POOL_SIZE", "nonsense");
  set("DATABASE_URL", "postgresql://other/db");
  EXPECT_EQ(main_of(std::string("[runtime]\naliases = false\n") + kFile).dsn, "host=db");
  set("WEIR_RUNTIME_ALIASES", "false");
  EXPECT_EQ(main_of().dsn, "host=db");
}

TEST_F(AnAlias, ThatIsEmptyIsNone) {
  set("DB_POOL_SIZE", "");
  set("DATABASE_URL", "");
  EXPECT_EQ(main_of().dsn, "host=db");
}

// ---- what is refused ----------------------------------------------------------------------------

struct WrongAlias {
  std::string name;
  std::string value;
  std::string message;
};
// GoogleTest looks for this name.
void PrintTo(const WrongAlias& wrong, std::ostream* out) {  // NOLINT(readability-identifier-naming)
  *out << wrong.name << "=" << wrong.value;
}
class AWrongAlias : public testing::TestWithParam<WrongAlias> {};

TEST_P(AWrongAlias, IsRefusedByItsName) {
  const Variable variable(GetParam().name, GetParam().value);
  const Status status =
      load_config_text(std::string(kFile) + "[pool.m]\ndriver = \"mongodb\"\ndsn = \"x\"\n",
                       "weir.toml")
          .status();
  EXPECT_EQ(status.code(), Code::kBadConfig);
  EXPECT_EQ(status.message(), GetParam().name + ": " + GetParam().message);
}

INSTANTIATE_TEST_SUITE_P(
    Values, AWrongAlias,
    testing::Values(
        WrongAlias{"DB_POOL_SIZE", "ten", "expected a number from 0 to 10000, found \"ten\""},
        WrongAlias{"DB_POOL_SIZE", "-1", "expected a number from 0 to 10000, found \"-1\""},
        WrongAlias{"DB_MAX_OVERFLOW", "5 ", "expected a number from -1 to 10000, found \"5 \""},
        WrongAlias{"DB_POOL_TIMEOUT", "30s",
                   "expected a number of seconds, more than 0, found \"30s\""},
        WrongAlias{"DB_POOL_TIMEOUT", "0",
                   "expected a number of seconds, more than 0, found \"0\""},
        WrongAlias{"DB_CONNECT_TIMEOUT", "inf",
                   "expected a number of seconds, more than 0, found \"inf\""},
        WrongAlias{"DB_CONNECT_TIMEOUT", "1e300",
                   "expected a number of seconds, more than 0, found \"1e300\""},
        WrongAlias{"DB_POOL_RECYCLE", "0",
                   "expected a number of seconds, more than 0, or -1 for never, found \"0\""},
        WrongAlias{"DB_CONN_MAX_AGE", "-5",
                   "expected a number of seconds, 0 to keep none, or None for never, found \"-5\""},
        WrongAlias{"DB_STATEMENT_TIMEOUT", "30s",
                   "expected a number of milliseconds, found \"30s\""},
        WrongAlias{"DB_POOL_PRE_PING", "perhaps", "expected true or false, found \"perhaps\""},
        WrongAlias{"DB_ECHO", "loud", "expected true or false, found \"loud\""},
        WrongAlias{"MONGODB_MIN_POOL_SIZE", "x",
                   "expected a number from 0 to 10000, found \"x\""}));

}  // namespace
}  // namespace weir::config
