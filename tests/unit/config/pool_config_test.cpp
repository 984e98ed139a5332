#include "config/pool_config.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>

namespace weir::config {
namespace {

using std::chrono::hours;

PoolConfig good() { return {.name = "main", .driver = "postgres", .dsn = "host=h"}; }

TEST(APoolConfig, NeedsANameADriverAndADsnAndDefaultsTheRest) {
  const PoolConfig config = good();
  EXPECT_TRUE(config.validate().ok()) << config.validate().to_string();
  EXPECT_EQ(config.kept(), config.max);
}

struct Wrong {
  const char* name;
  std::function<void(PoolConfig&)> spoil;
  const char* message;
};

class AWrongPoolConfig : public testing::TestWithParam<Wrong> {};

TEST_P(AWrongPoolConfig, IsRefusedWithPoolKeyExpectedAndFound) {
  PoolConfig config = good();
  GetParam().spoil(config);
  const Status status = config.validate();
  EXPECT_EQ(status.code(), Code::kBadConfig);
  EXPECT_EQ(status.message(), GetParam().message);
}

INSTANTIATE_TEST_SUITE_P(
    OfEveryKind, AWrongPoolConfig,
    testing::Values(
        Wrong{"name", [](PoolConfig& config) { config.name = "Main"; },
              "pool.\"Main\".name: expected a name ([a-z][a-z0-9]*, at most 31 bytes), found "
              "\"Main\""},
        Wrong{"driver", [](PoolConfig& config) { config.driver = ""; },
              "pool.main.driver: expected a name ([a-z][a-z0-9]*, at most 31 bytes), found "
              "nothing"},
        Wrong{"no_dsn", [](PoolConfig& config) { config.dsn = ""; },
              "pool.main.dsn: expected a DSN, found nothing"},
        Wrong{"zero_in_dsn", [](PoolConfig& config) { config.dsn = std::string("secret\0x", 8); },
              "pool.main.dsn: expected text, found a zero byte in it"},
        Wrong{"quota", [](PoolConfig& config) { config.quota = "p g"; },
              "pool.main.quota: expected a name ([a-z][a-z0-9]*, at most 31 bytes), found "
              "\"p g\""},
        Wrong{"max_zero", [](PoolConfig& config) { config.max = 0; },
              "pool.main.max: expected 1 to 10000, found 0"},
        Wrong{"max_huge", [](PoolConfig& config) { config.max = 10'001; },
              "pool.main.max: expected 1 to 10000, found 10001"},
        Wrong{"min_above_max", [](PoolConfig& config) { config.min = 11; },
              "pool.main.min: expected at most max (10), found 11"},
        Wrong{"keep_above_max", [](PoolConfig& config) { config.keep = 11; },
              "pool.main.keep: expected at most max (10), found 11"},
        Wrong{"max_per_worker", [](PoolConfig& config) { config.max_per_worker = 10'001; },
              "pool.main.max_per_worker: expected 0 to 10000, found 10001"},
        Wrong{"reserve", [](PoolConfig& config) { config.reserve = 10; },
              "pool.main.reserve: expected less than max (10), found 10"},
        Wrong{"min_in_reserve",
              [](PoolConfig& config) {
                config.reserve = 4;
                config.min = 7;
              },
              "pool.main.min: expected at most max less reserve (6), found 7"},
        Wrong{"reserve_after", [](PoolConfig& config) { config.reserve_after = milliseconds(-1); },
              "pool.main.reserve_after: expected at least 0s, found -1ms"},
        Wrong{"max_waiting", [](PoolConfig& config) { config.max_waiting = 1'000'001; },
              "pool.main.max_waiting: expected 0 to 1000000, found 1000001"},
        Wrong{"concurrency", [](PoolConfig& config) { config.connect_concurrency = 17; },
              "pool.main.connect_concurrency: expected 1 to 16, found 17"},
        Wrong{"acquire_timeout", [](PoolConfig& config) { config.acquire_timeout = hours(0); },
              "pool.main.acquire_timeout: expected more than 0s, found 0s"},
        Wrong{"connect_timeout", [](PoolConfig& config) { config.connect_timeout = hours(0); },
              "pool.main.connect_timeout: expected more than 0s, found 0s"},
        Wrong{"close_timeout", [](PoolConfig& config) { config.close_timeout = hours(0); },
              "pool.main.close_timeout: expected more than 0s, found 0s"},
        Wrong{"negative", [](PoolConfig& config) { config.idle_timeout = milliseconds(-1); },
              "pool.main.idle_timeout: expected at least 0s, found -1ms"},
        Wrong{"most_negative", [](PoolConfig& config) { config.keepalive = milliseconds::min(); },
              "pool.main.keepalive: expected at least 0s, found -9223372036854775808ms"},
        Wrong{"too_long", [](PoolConfig& config) { config.leak_after = hours(577); },
              "pool.main.leak_after: expected at most 576h, found 577h"},
        Wrong{"long_statement", [](PoolConfig& config) { config.statement_timeout = hours(577); },
              "pool.main.statement_timeout: expected at most 576h, found 577h"},
        Wrong{"linger", [](PoolConfig& config) { config.linger_max = milliseconds(-5); },
              "pool.main.linger_max: expected at least 0s, found -5ms"},
        Wrong{"validate_after",
              [](PoolConfig& config) { config.validate_after = milliseconds(-5); },
              "pool.main.validate_after: expected at least 0s, found -5ms"},
        Wrong{"on_connect",
              [](PoolConfig& config) {
                config.on_connect = {"SELECT 1", ""};
              },
              "pool.main.on_connect: expected statements, found an empty text"}),
    [](const auto& tested) { return std::string(tested.param.name); });

TEST(AQuotaConfig, NeedsANameAndALimit) {
  EXPECT_TRUE((QuotaConfig{"pg", 1}.validate().ok()));
  EXPECT_EQ((QuotaConfig{"pg", 0}.validate().message()),
            "quota.pg.limit: expected 1 to 10000, found nothing");
  EXPECT_EQ((QuotaConfig{"pg", 10'001}.validate().message()),
            "quota.pg.limit: expected 1 to 10000, found 10001");
  EXPECT_EQ((QuotaConfig{"", 5}.validate().code()), Code::kBadConfig);
}

TEST(AName, OfAPoolOrQuotaHasAtMost31Bytes) {
  EXPECT_TRUE(is_valid_name(std::string(31, 'a')));
  EXPECT_FALSE(is_valid_name(std::string(32, 'a')));
}

}  // namespace
}  // namespace weir::config
