// `weir doctor` against a real PostgreSQL and real segments.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli_command.h"
#include "support/postgres_server.h"
#include "support/temp_folder.h"
#include "weir/weir.hpp"

namespace weir::test {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class CliDoctor : public testing::Test {
 protected:
  void SetUp() override {
    if (!PostgresServer::is_installed()) {
      GTEST_SKIP() << "PostgreSQL's server programs are not installed";
    }
    server_.emplace(PostgresSettings{.max_connections = 30,
                                     .superuser_reserved_connections = 3,
                                     .extra = {{"client_connection_check_interval", "1s"}}});
  }
  void write_config(const std::string& limit, const std::string& dsn) {
    config_ = (folder_.path() / "weir.toml").string();
    std::ofstream(config_) << "[runtime]\nservice = \"auth\"\naliases = false\nfolder = \""
                           << folder_.path().string() << "\"\n[quota.pg]\nlimit = " << limit
                           << "\n[pool.main]\nmax = 2\nquota = \"pg\"\ndriver = \"postgres\"\n"
                           << "dsn = \"" << dsn << "\"\n";
  }
  /// A worker: this process, with an idle connection.
  void work() {
    runtime_.emplace(Runtime::from_file(config_));
    const Lease lease = runtime_->pool("main").acquire();
  }
  json doctor(int exit_status) const {
    const CommandOutcome outcome = run_weir({"doctor", "--config", config_, "--json"});
    EXPECT_EQ(outcome.exit_status, exit_status) << outcome.out << outcome.err;
    EXPECT_THAT(outcome.err, IsEmpty());
    const json shown = json::parse(outcome.out);
    EXPECT_EQ(shown["exit_status"], exit_status);
    return shown["findings"];
  }
  static std::string about(const json& findings, const std::string& severity) {
    std::string all;
    for (const json& finding : findings) {
      if (finding["severity"] != severity) continue;
      // What else is on this machine is not this test's.
      if (finding["what"].get<std::string>().starts_with("another segment on")) continue;
      all += finding["about"].get<std::string>() + ": " + finding["what"].get<std::string>() + "\n";
    }
    return all;
  }

  std::optional<PostgresServer> server_;
  TempFolder folder_{"/dev/shm/weir-doctor-"};
  std::string config_;
  std::optional<Runtime> runtime_;
};

/// The exit status that findings about this machine's other segments alone would give.
int least_status(const CommandOutcome& outcome) {
  return outcome.out.find("another segment on this machine") != std::string::npos ? 1 : 0;
}

TEST_F(CliDoctor, FindsNothingWrongWhereNothingIs) {
  write_config("10", server_->dsn());
  work();
  chmod((folder_.path() / "default.weir").c_str(), 0600);
  const CommandOutcome outcome = run_weir({"doctor", "--config", config_});
  EXPECT_EQ(outcome.exit_status, least_status(outcome)) << outcome.out;
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("0 critical"), HasSubstr("layout 3."),
                                 HasSubstr("quota pg (10); the server allows 27")));
  EXPECT_EQ(about(doctor(least_status(outcome)), "warning"), "");
  EXPECT_EQ(server_->count_sessions(), 1) << "its own session is gone";
}

TEST_F(CliDoctor, FindsLimitsThatTheServerDoesNotAllow) {
  write_config("28", server_->dsn());
  work();
  EXPECT_THAT(about(doctor(2), "critical"), AllOf(HasSubstr("quota pg (28); the server allows 27"),
                                                  HasSubstr("max_connections 30, 3 reserved")));
  ASSERT_EQ(run_weir({"quota", "set", "pg", "20", "--config", config_}).exit_status, 0);
  const CommandOutcome lowered = run_weir({"doctor", "--config", config_});
  EXPECT_THAT(lowered.out, AllOf(HasSubstr("0 critical"), HasSubstr("quota pg (20)"),
                                 HasSubstr("limit 20 set by an operator, 28 configured")));
}

TEST_F(CliDoctor, FindsAServerThatDoesNotLookAfterItsClients) {
  server_->ask("ALTER SYSTEM SET client_connection_check_interval = 0");
  server_->ask("SELECT pg_reload_conf()");
  write_config("10", server_->dsn());
  EXPECT_THAT(about(doctor(1), "warning"), HasSubstr("client_connection_check_interval is 0"));
}

TEST_F(CliDoctor, FindsAFileThatOthersMayRead) {
  write_config("10", server_->dsn());
  work();
  chmod((folder_.path() / "default.weir").c_str(), 0644);
  EXPECT_THAT(about(doctor(1), "warning"), HasSubstr("anybody may read it"));
}

TEST_F(CliDoctor, FindsAServerThatCannotBeReached) {
  write_config("10", "host=/nonexistent user=app password=s3cret");
  const json findings = doctor(2);
  EXPECT_THAT(about(findings, "critical"),
              AllOf(HasSubstr("/nonexistent"), Not(HasSubstr("s3cret"))));
  EXPECT_THAT(about(findings, "note"), HasSubstr("there is none")) << "no segment is no harm";
}

TEST_F(CliDoctor, FindsAConfigurationThatIsWrong) {
  config_ = (folder_.path() / "weir.toml").string();
  std::ofstream(config_) << "[pool.main]\nmaximum = 3\n";
  EXPECT_THAT(about(doctor(2), "critical"), HasSubstr("maximum"));
}

TEST_F(CliDoctor, ShowsSizesThatWereSaidPerWorker) {
  config_ = (folder_.path() / "weir.toml").string();
  std::ofstream(config_) << "[runtime]\nfolder = \"" << folder_.path().string()
                         << "\"\n[pool.main]\ndriver = \"postgres\"\ndsn = \"" << server_->dsn()
                         << "\"\n";
  setenv("DB_POOL_SIZE", "2", 1);
  EXPECT_THAT(about(doctor(1), "warning"),
              HasSubstr("pool.main.max = 12 for the whole machine, from DB_POOL_SIZE"));
  setenv("WEB_CONCURRENCY", "2", 1);
  const CommandOutcome known = run_weir({"doctor", "--config", config_});
  unsetenv("DB_POOL_SIZE");
  unsetenv("WEB_CONCURRENCY");
  EXPECT_EQ(known.exit_status, least_status(known)) << known.out;
  EXPECT_THAT(known.out, HasSubstr("pool.main.max = 24"));
}

TEST_F(CliDoctor, LooksAtTheSegmentAloneWithoutAConfiguration) {
  write_config("10", server_->dsn());
  work();
  const CommandOutcome outcome = run_weir({"doctor", "--folder", folder_.path().string()});
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("1 workers, 1 pools"), HasSubstr("takes --config")));
  EXPECT_EQ(run_weir({"doctor", "--nonsense"}).exit_status, 2);
}

}  // namespace
}  // namespace weir::test
