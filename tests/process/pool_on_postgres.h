// PoolOnPostgres: what most tests of the pool begin with: one PostgreSQL for the whole suite, and
// for each test a folder of its own for the segment, in which one runtime may be opened.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>

#include "pool_world.h"

namespace weir::test {

class PoolOnPostgres : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (PostgresServer::is_installed()) server_ = std::make_unique<PostgresServer>();
  }
  static void TearDownTestSuite() { server_.reset(); }

  void SetUp() override {
    if (server_ == nullptr) GTEST_SKIP() << "PostgreSQL's server programs are not installed";
    world_.emplace(server_->dsn());
  }

  /// This process's runtime, with `keys` in [pool.main].
  Weir& open(const std::string& keys) { return weir_.emplace(world_->config(keys)); }
  [[nodiscard]] weir_pool_t* pool() const { return weir_->pool(); }

  static inline std::unique_ptr<PostgresServer> server_;
  std::optional<PoolWorld> world_;
  std::optional<Weir> weir_;
};

}  // namespace weir::test
