// What a configuration comes to in a process on a real PostgreSQL.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <optional>

#include "pool_world.h"

namespace weir::test {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class PoolConfigured : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (PostgresServer::is_installed()) server_ = std::make_unique<PostgresServer>();
  }
  static void TearDownTestSuite() { server_.reset(); }

  void SetUp() override {
    if (server_ == nullptr) GTEST_SKIP() << "PostgreSQL's server programs are not installed";
    world_.emplace(server_->dsn());
  }
  weir_pool_t* open(const std::string& keys) { return weir_.emplace(world_->config(keys)).pool(); }
  [[nodiscard]] weir_pool_t* pool() const { return weir_->pool(); }

  static inline std::unique_ptr<PostgresServer> server_;
  std::optional<PoolWorld> world_;
  std::optional<Weir> weir_;
};

// ---- the environment ----------------------------------------------------------------------------

TEST_F(PoolConfigured, ByNothingButTheEnvironmentLends) {
  TempFolder empty;
  WorkerProcess process([&]() -> int {
    std::filesystem::current_path(empty.path());
    unsetenv("WEIR_CONFIG");
    const std::string url = "postgresql+psycopg2:///app?user=app&host=" + server_->socket_folder();
    setenv("DATABASE_URL", url.c_str(), 1);
    setenv("DB_POOL_SIZE", "1", 1);
    setenv("DB_MAX_OVERFLOW", "1", 1);
    setenv("WEB_CONCURRENCY", "2", 1);
    setenv("WEIR_RUNTIME_FOLDER", world_->folder().c_str(), 1);
    setenv("WEIR_POOL_MAIN_ACQUIRE_TIMEOUT", "100ms", 1);

    weir_open_options_t options{};
    options.struct_size = sizeof options;
    weir_runtime_t* runtime = nullptr;
    weir_pool_t* main = nullptr;
    weir_error_t error = WEIR_ERROR_INIT;
    require(answer_of(weir_open(&options, &runtime, &error), error), "weir_open");
    weir_runtime_t* again = nullptr;
    require(answer_of(weir_open(&options, &again, &error), error), "weir_open again");
    require(again == runtime, "one runtime in a process");
    require(answer_of(weir_pool(runtime, "main", &main, &error), error), "weir_pool");
    std::vector<Got> all;
    for (int i = 0; i < 4; ++i) {
      all.push_back(acquire(main));
      require(all.back(), "acquire");
    }
    require(ask(all[0], "SELECT current_user") == "app", "the role of the URL");
    const std::uint64_t start = monotonic_ns();
    require(acquire(main, kDefaultTimeout).code == "timeout", "(1 + 1) times 2 is the most");
    require(Nanos(monotonic_ns() - start) < 5s, "the timeout of the variable");
    for (Got& got : all) require(release(got.lease), "release");
    require(answer_of(weir_close(again, &error), error), "weir_close");
    require(answer_of(weir_close(runtime, &error), error), "weir_close");
    return 0;
  });
  EXPECT_EQ(process.wait_at_most(), 0);
}

// ---- two workers, two configurations ------------------------------------------------------------

/// What stands while the first of two runtimes, which count as two workers, has used its pool.
class TwoConfigurations : public PoolConfigured {
 protected:
  void SetUp() override {
    PoolConfigured::SetUp();
    if (server_ == nullptr) return;
    Got got = acquire(open("max = 4\nacquire_timeout = \"1s\""));
    ASSERT_TRUE(got.ok()) << got.message;
    ASSERT_TRUE(release(got.lease).ok());
  }
  Got acquire_by(const std::string& keys) {
    Got got = acquire(second_.emplace(world_->config(keys)).pool());
    if (got.ok()) {
      EXPECT_TRUE(release(got.lease).ok());
    }
    return got;
  }
  std::optional<Weir> second_;
};

TEST_F(TwoConfigurations, KeepTheFirstAndWarnOfTheDifferencesByDefault) {
  EXPECT_TRUE(acquire_by("max = 3\nmin = 1").ok());
  EXPECT_EQ(stats_of(second_->pool()).max, 4u);
  EXPECT_THAT(second_->log_of("settings_differ"),
              ElementsAre(AllOf(HasSubstr("kind=pool"), HasSubstr("name=main"),
                                HasSubstr("max 4 stands, 3 asked, min 0 stands, 1 asked"))));
}

TEST_F(TwoConfigurations, ReplaceTheFirstWhereTheLaterOneSaysSo) {
  EXPECT_TRUE(acquire_by("max = 3\non_conflict = \"replace\"").ok());
  EXPECT_EQ(stats_of(pool()).max, 3u) << "also for the worker that was there first";
  EXPECT_THAT(second_->log_of("settings_differ"), ElementsAre(HasSubstr("max 4 replaced by 3")));
}

TEST_F(TwoConfigurations, RefuseTheLaterOneWhereItSaysSo) {
  const Got got = acquire_by("max = 3\non_conflict = \"refuse\"");
  EXPECT_EQ(got.code, "bad_config");
  EXPECT_THAT(got.message, HasSubstr("max 4 stands, 3 asked"));
  EXPECT_EQ(stats_of(pool()).max, 4u);
}

TEST_F(TwoConfigurations, RefuseNothingThatOnlyConcernsTheWorkerItself) {
  EXPECT_TRUE(acquire_by("max = 4\nacquire_timeout = \"2s\"\non_conflict = \"refuse\"").ok());
}

}  // namespace
}  // namespace weir::test
