// TightQuota: a fixture for tests in which workers die. Its server has just as many sessions as the
// quota allows, and somebody watches it all the time; at the end it was never too much.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "pool_world.h"

namespace weir::test {

/// A server that refuses what goes beyond the quota: `quota` ordinary sessions, and room for the
/// two of the tests' own.
inline PostgresSettings tight(int quota) {
  PostgresSettings settings;
  settings.superuser_reserved_connections = 1;
  settings.max_connections = quota + settings.superuser_reserved_connections + 2;
  return settings;
}

class TightQuota : public testing::Test {
 protected:
  void SetUp() override {
    if (!PostgresServer::is_installed()) {
      GTEST_SKIP() << "PostgreSQL's server programs are not installed";
    }
  }

  /// A server and an eye on it, made for one quota.
  void begin(int quota) {
    server_.emplace(tight(quota));
    world_.emplace(server_->dsn());
    server_->ask("SELECT 1");  // our own session, before the places are counted
    sampler_.emplace(*server_);
    quota_ = static_cast<std::uint32_t>(quota);
  }
  void TearDown() override {
    if (!server_) return;
    EXPECT_LE(sampler_->most(), quota_);
    EXPECT_THAT(server_->log(), testing::Not(testing::HasSubstr("too many clients")));
    EXPECT_THAT(server_->log(), testing::Not(testing::HasSubstr("remaining connection slots")));
  }
  [[nodiscard]] int running(const std::string& statement) {
    return std::stoi(server_->ask(
        "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app' AND state = 'active'"
        " AND query = '" +
        statement + "'"));
  }

  std::optional<PostgresServer> server_;
  std::optional<PoolWorld> world_;
  std::optional<SessionSampler> sampler_;
  std::uint32_t quota_ = 0;
};

}  // namespace weir::test
