// What a configuration comes to in a process on a real PostgreSQL.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <optional>

#include "pool_on_postgres.h"

namespace weir::test {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

class PoolConfigured : public PoolOnPostgres {
 protected:
  weir_pool_t* open(const std::string& keys) { return PoolOnPostgres::open(keys).pool(); }
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

TEST_F(PoolConfigured, ByAnEmptyTextIsRefusedAndNotLookedForElsewhere) {
  weir_open_options_t options{};
  options.struct_size = sizeof options;
  options.config_text = "";
  weir_runtime_t* runtime = nullptr;
  weir_error_t error = WEIR_ERROR_INIT;
  const Answer answer = answer_of(weir_open(&options, &runtime, &error), error);
  EXPECT_EQ(answer.code, "bad_config");
  EXPECT_THAT(answer.message, HasSubstr("at least one section [pool.NAME]"));
  options.config_path = "weir.toml";
  EXPECT_EQ(answer_of(weir_open(&options, &runtime, &error), error).code, "bad_argument");
}

// ---- passwords ----------------------------------------------------------------------------------

class PoolWithAPasswordFile : public testing::Test {
 protected:
  void SetUp() override {
    if (!PostgresServer::is_installed()) {
      GTEST_SKIP() << "PostgreSQL's server programs are not installed";
    }
    server_ = std::make_unique<PostgresServer>(PostgresSettings{.auth = "scram-sha-256"});
    world_.emplace(server_->dsn());
    rotate("hunter2 the first");
  }
  /// Gives the role another password; the file has it as well, if it is told.
  void rotate(const std::string& password, bool tell = true) {
    server_->ask("ALTER ROLE app PASSWORD '" + password + "'");
    if (tell) write(password + "\n");
  }
  void write(const std::string& text) const { std::ofstream(path()) << text; }
  [[nodiscard]] std::string path() const { return (folder_.path() / "password").string(); }
  weir_pool_t* open() {
    return weir_.emplace(world_->config("max = 3\npassword_file = \"" + path() + "\"")).pool();
  }

  std::unique_ptr<PostgresServer> server_;
  std::optional<PoolWorld> world_;
  TempFolder folder_;
  std::optional<Weir> weir_;
};

TEST_F(PoolWithAPasswordFile, ConnectsWithWhatItHoldsAtThatMoment) {
  weir_pool_t* const pool = open();
  Got first = acquire(pool);
  ASSERT_TRUE(first.ok()) << first.message;
  rotate("hunter2 the second");
  Got second = acquire(pool);
  ASSERT_TRUE(second.ok()) << second.message;
  EXPECT_EQ(ask(first, "SELECT 1"), "1") << "a session outlives its password";

  rotate("hunter2 the third", false);
  const Got third = acquire(pool, 2s);
  EXPECT_EQ(third.code, "auth_failed");
  std::filesystem::remove(path());
  const Got fourth = acquire(pool, 2s);
  EXPECT_EQ(fourth.code, "auth_failed");
  EXPECT_THAT(fourth.message, AllOf(HasSubstr("pool main"), HasSubstr(path())));
  write("hunter2 the third\n");
  Got fifth = acquire(pool);
  EXPECT_TRUE(fifth.ok()) << fifth.message;

  EXPECT_THAT(weir_->log(), Not(Contains(HasSubstr("hunter2"))));
  EXPECT_THAT(third.message + fourth.message, Not(HasSubstr("hunter2")));
  for (Got* got : {&first, &second, &fifth}) EXPECT_TRUE(release(got->lease).ok());
}

// ---- statements of every session ----------------------------------------------------------------

TEST_F(PoolConfigured, RunsItsStatementsInEverySession) {
  weir_pool_t* const main = open(
      "max = 2\non_connect = [\"SET work_mem = '3MB'\", "
      "\"SET lock_timeout = '7s'\"]");
  Got one = acquire(main);
  Got two = acquire(main);
  for (const Got* got : {&one, &two}) {
    ASSERT_TRUE(got->ok()) << got->message;
    EXPECT_EQ(ask(*got, "SHOW work_mem"), "3MB");
    EXPECT_EQ(ask(*got, "SHOW lock_timeout"), "7s");
  }
  EXPECT_TRUE(release(one.lease).ok());
  EXPECT_TRUE(release(two.lease).ok());
}

TEST_F(PoolConfigured, RunsItsStatementsAgainAfterAResetThatUndidThem) {
  for (const char* reset : {"tracked", "always"}) {
    weir_pool_t* const main = open(std::string("max = 1\nreset = \"") + reset +
                                   "\"\non_connect = \"SET work_mem = '3MB'\"");
    Got got = acquire(main);
    ASSERT_TRUE(got.ok()) << got.message;
    const int session = PQbackendPID(got.conn());
    EXPECT_EQ(ask(got, "SET work_mem = '9MB'; SHOW work_mem"), "9MB");
    EXPECT_TRUE(release(got.lease).ok());
    got = acquire(main);
    ASSERT_TRUE(got.ok()) << got.message;
    EXPECT_EQ(PQbackendPID(got.conn()), session) << "the same session, made clean";
    EXPECT_EQ(ask(got, "SHOW work_mem"), "3MB") << reset;
    EXPECT_TRUE(release(got.lease).ok());
    weir_.reset();
  }
}

TEST_F(PoolConfigured, LendsNoSessionWhoseStatementsFailed) {
  weir_pool_t* const main = open("max = 1\non_connect = \"SELECT 1/0\"");
  const Got got = acquire(main, 2s);
  EXPECT_EQ(got.code, "database_error");
  EXPECT_THAT(got.message, HasSubstr("division by zero"));
  EXPECT_TRUE(poll_until([&] { return server_->count_sessions() == 0; }));
}

// ---- a server that turns read-only --------------------------------------------------------------

class PoolOfTwoHosts : public testing::Test {
 protected:
  static PostgresSettings named(const std::string& name) {
    return {.extra = {{"cluster_name", name}}};
  }
  static void make_read_only(PostgresServer& server, bool read_only) {
    server.ask(std::string("ALTER SYSTEM SET default_transaction_read_only = ") +
               (read_only ? "on" : "off"));
    server.ask("SELECT pg_reload_conf()");
    ASSERT_TRUE(poll_until([&] {
      return server.ask("SHOW default_transaction_read_only") == (read_only ? "on" : "off");
    }));
  }
  void SetUp() override {
    if (!PostgresServer::is_installed()) {
      GTEST_SKIP() << "PostgreSQL's server programs are not installed";
    }
    first_ = std::make_unique<PostgresServer>(named("first"));
    second_ = std::make_unique<PostgresServer>(named("second"));
    for (PostgresServer* server : {first_.get(), second_.get()}) {
      server->ask("CREATE TABLE notes (n int); GRANT ALL ON notes TO app");
    }
    make_read_only(*second_, true);
    world_.emplace("host=" + first_->socket_folder() + "," + second_->socket_folder() +
                   " user=app dbname=app target_session_attrs=read-write");
  }
  void fail_over() {
    make_read_only(*first_, true);
    make_read_only(*second_, false);
  }
  weir_pool_t* open(const std::string& keys) { return weir_.emplace(world_->config(keys)).pool(); }
  static std::vector<Got> acquire_all(weir_pool_t* pool, int count) {
    std::vector<Got> all;
    for (int i = 0; i < count; ++i) {
      all.push_back(acquire(pool));
      EXPECT_TRUE(all.back().ok()) << all.back().message;
    }
    return all;
  }

  std::unique_ptr<PostgresServer> first_, second_;
  std::optional<PoolWorld> world_;
  std::optional<Weir> weir_;
};

TEST_F(PoolOfTwoHosts, ReplacesAllItsConnectionsOnceOneWasRefusedToWrite) {
  weir_pool_t* const pool = open("max = 3\nvalidate_after = \"never\"");
  std::vector<Got> all = acquire_all(pool, 3);
  for (const Got& got : all) EXPECT_EQ(ask(got, "SHOW cluster_name"), "first");
  EXPECT_TRUE(release(all[0].lease).ok());
  EXPECT_TRUE(release(all[1].lease).ok());
  fail_over();

  Got writer = acquire(pool);
  ASSERT_TRUE(writer.ok()) << writer.message;
  EXPECT_THAT(ask(writer, "INSERT INTO notes VALUES (1)"), HasSubstr("read-only"));
  EXPECT_TRUE(release(writer.lease).ok());
  EXPECT_THAT(weir_->log_of("server_changed"), ElementsAre(HasSubstr("replaced=2")));

  Got reader = all[2];  // lent all the time; it goes once it is back
  EXPECT_EQ(ask(reader, "SELECT 1"), "1");
  EXPECT_TRUE(release(reader.lease).ok());
  all = acquire_all(pool, 3);
  for (Got& got : all) {
    EXPECT_EQ(ask(got, "SHOW cluster_name"), "second");
    EXPECT_EQ(ask(got, "INSERT INTO notes VALUES (1) RETURNING n"), "1");
    EXPECT_TRUE(release(got.lease).ok());
  }
  EXPECT_TRUE(
      poll_until([this] { return first_->count_sessions() == 0; }));  // libpq looked there first
}

TEST_F(PoolOfTwoHosts, FindsOutByACheckBeforeAnybodyIsRefused) {
  weir_pool_t* const pool = open("max = 2\nvalidate_after = \"0s\"");
  for (Got& got : acquire_all(pool, 2)) EXPECT_TRUE(release(got.lease).ok());
  fail_over();
  for (Got& got : acquire_all(pool, 2)) {
    EXPECT_EQ(ask(got, "INSERT INTO notes VALUES (1) RETURNING n"), "1");
    EXPECT_TRUE(release(got.lease).ok());
  }
  EXPECT_TRUE(poll_until([this] { return first_->count_sessions() == 0; }));
}

TEST_F(PoolOfTwoHosts, KeepsASessionThatOnlyItsLeaseHadMadeReadOnly) {
  for (const char* reset : {"tracked", "transaction"}) {
    weir_pool_t* const pool = open(std::string("max = 1\nreset = \"") + reset + "\"");
    Got got = acquire(pool);
    ASSERT_TRUE(got.ok()) << got.message;
    const int session = PQbackendPID(got.conn());
    EXPECT_THAT(ask(got, "BEGIN READ ONLY; INSERT INTO notes VALUES (1)"), HasSubstr("read-only"));
    EXPECT_TRUE(release(got.lease).ok());
    got = acquire(pool);
    ASSERT_TRUE(got.ok()) << got.message;
    EXPECT_EQ(PQbackendPID(got.conn()), session) << reset;
    EXPECT_TRUE(release(got.lease).ok());
    EXPECT_THAT(weir_->log_of("server_changed"), IsEmpty());
    weir_.reset();
  }
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
