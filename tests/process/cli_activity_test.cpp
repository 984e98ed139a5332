// `weir activity` against a real PostgreSQL, with this process as the worker that holds the places.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <libpq-fe.h>

#include <array>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli_command.h"
#include "support/postgres_server.h"
#include "support/temp_folder.h"
#include "support/worker_process.h"
#include "weir/weir.hpp"

namespace weir::test {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

using OwnConnection = std::unique_ptr<PGconn, decltype(&PQfinish)>;

class CliActivity : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (PostgresServer::is_installed()) server_ = std::make_unique<PostgresServer>();
  }
  static void TearDownTestSuite() { server_.reset(); }

  void SetUp() override {
    if (server_ == nullptr) GTEST_SKIP() << "PostgreSQL's server programs are not installed";
  }

  // Pools "main" and "jobs" on one server; the driver is found where the build put it.
  std::string write_config(const std::string& name, const std::string& dsn) const {
    std::string path = (folder_.path() / name).string();
    std::ofstream(path) << "[runtime]\nservice = \"auth\"\nfolder = \"" << folder_.path().string()
                        << "\"\n[pool.main]\nmax = 3\ndriver = \"postgres\"\ndsn = \"" << dsn
                        << "\"\n[pool.jobs]\nmax = 2\ndriver = \"postgres\"\ndsn = \"" << dsn
                        << "\"\n";
    return path;
  }

  void open(const std::string& dsn) {
    config_ = write_config("weir.toml", dsn);
    runtime_.emplace(Runtime::from_file(config_));
  }
  Lease acquire(const std::string& pool, const char* label) {
    return runtime_->pool(pool).acquire({std::chrono::seconds(10), label});
  }

  CommandOutcome activity(std::vector<std::string> more = {}) const {
    more.insert(more.begin(), {"activity", "--config", config_});
    return run_weir(more);
  }
  json activity_json(std::vector<std::string> more = {}) const {
    more.emplace_back("--json");
    const CommandOutcome outcome = activity(more);
    EXPECT_EQ(outcome.exit_status, 0) << outcome.err;
    return json::parse(outcome.out)["servers"][0];
  }

  static OwnConnection connect_as(const std::string& application_name) {
    OwnConnection conn(
        PQconnectdb((server_->dsn() + " application_name='" + application_name + "'").c_str()),
        &PQfinish);
    EXPECT_EQ(PQstatus(conn.get()), CONNECTION_OK) << PQerrorMessage(conn.get());
    return conn;
  }

  static inline std::unique_ptr<PostgresServer> server_;
  TempFolder folder_;
  std::string config_;
  std::optional<Runtime> runtime_;
};

// A query that runs until it is cancelled, seen to run by the server.
class LongQuery {
 public:
  LongQuery(PGconn* conn, PostgresServer& server) : conn_(conn) {
    EXPECT_EQ(PQsendQuery(conn_, "SELECT pg_sleep(60)"), 1);
    EXPECT_TRUE(poll_until([&] {
      return server.ask("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") ==
             "1";
    }));
  }
  LongQuery(const LongQuery&) = delete;
  LongQuery& operator=(const LongQuery&) = delete;
  ~LongQuery() {
    std::array<char, 256> error{};
    PGcancel* cancel = PQgetCancel(conn_);
    EXPECT_EQ(PQcancel(cancel, error.data(), error.size()), 1) << error.data();
    PQfreeCancel(cancel);
    while (PGresult* result = PQgetResult(conn_)) PQclear(result);
  }

 private:
  PGconn* conn_;
};

std::vector<std::string> notes_of(const json& server) {
  std::vector<std::string> notes;
  for (const json& other : server["other"]) notes.push_back(other["note"]);
  return notes;
}

TEST_F(CliActivity, ShowsWhoHoldsWhichSessionAndWhatTheServerDoesInIt) {
  open(server_->dsn());
  const Lease lease = acquire("main", "GET /cart");
  auto* const conn = lease.native<PGconn>();
  const LongQuery query(conn, *server_);

  const json shown = activity_json();
  ASSERT_EQ(shown["places"].size(), 1u);
  const json& place = shown["places"][0];
  EXPECT_EQ(place["pool"], "main");
  EXPECT_EQ(place["state"], "used");
  EXPECT_EQ(place["pid"], getpid());
  EXPECT_EQ(place["label"], "GET /cart");
  EXPECT_EQ(place["session"]["server_pid"], PQbackendPID(conn));
  EXPECT_EQ(place["session"]["state"], "active");
  EXPECT_EQ(place["session"]["wait"], "Timeout:PgSleep");
  EXPECT_THAT(place["hints"], IsEmpty());
  EXPECT_THAT(notes_of(shown), testing::Contains("this command"));

  const CommandOutcome text = activity();
  EXPECT_EQ(text.exit_status, 0) << text.err;
  EXPECT_THAT(text.out, AllOf(HasSubstr("main#0"), HasSubstr("GET /cart"), HasSubstr("PgSleep"),
                              HasSubstr("outside the quota")));
  EXPECT_EQ(server_->count_sessions(), 1) << "the command's own sessions are gone";
}

TEST_F(CliActivity, FlagsAConnectionThatIsUsedWithoutALease) {
  open(server_->dsn());
  PGconn* conn = nullptr;
  {
    const Lease lease = acquire("main", "careless");
    conn = lease.native<PGconn>();
  }
  const LongQuery query(conn, *server_);
  EXPECT_THAT(activity_json()["places"][0]["hints"],
              ElementsAre("idle here, but active on the server"));
  EXPECT_THAT(activity().out, HasSubstr("careless"));
}

TEST_F(CliActivity, FlagsAConnectionThatTheServerHasDropped) {
  open(server_->dsn());
  { const Lease lease = acquire("main", ""); }
  server_->ask(
      "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
      " WHERE application_name LIKE 'weir:%'");
  const json place = activity_json()["places"][0];
  EXPECT_EQ(place["session"], nullptr);
  EXPECT_THAT(place["hints"], ElementsAre("the server does not have this session any more"));
}

TEST_F(CliActivity, ShowsSessionsThatAreNotOurs) {
  open(server_->dsn());
  { const Lease lease = acquire("main", ""); }
  const OwnConnection stranger = connect_as("psql of somebody");
  const OwnConnection namesake = connect_as("weir:auth/main#2");
  const json shown = activity_json();
  ASSERT_EQ(shown["places"].size(), 2u);
  EXPECT_EQ(shown["places"][1]["state"], "free");
  EXPECT_THAT(shown["places"][1]["hints"],
              ElementsAre("empty here, but the server has this session"));
  std::vector<std::string> others;
  for (const json& other : shown["other"]) others.push_back(other["client_name"]);
  EXPECT_THAT(others, testing::Contains("psql of somebody"));
  EXPECT_THAT(activity().out, HasSubstr("psql of somebody"));
}

TEST_F(CliActivity, ShowsAllPoolsOfAServerOrOne) {
  open(server_->dsn());
  const Lease main = acquire("main", ""), jobs = acquire("jobs", "");
  json shown = activity_json();
  EXPECT_EQ(shown["pools"], json::parse(R"(["main", "jobs"])"));
  EXPECT_EQ(shown["places"].size(), 2u);
  shown = activity_json({"--pool", "jobs"});
  ASSERT_EQ(shown["places"].size(), 1u);
  EXPECT_EQ(shown["places"][0]["pool"], "jobs");
  EXPECT_THAT(notes_of(shown), testing::IsSupersetOf({"place main#0", "this command"}));
}

TEST_F(CliActivity, SaysThatTheDsnNamesSessionsOtherwise) {
  open(server_->dsn() + " application_name='my app'");
  const Lease lease = acquire("main", "");
  EXPECT_THAT(activity_json()["places"][0]["hints"],
              ElementsAre("the server has this session under another name"));
  EXPECT_THAT(activity().out, HasSubstr("application_name"));
}

TEST_F(CliActivity, SaysThatItNeedsOneSessionBeyondTheQuota) {
  PostgresServer small({.max_connections = 4, .superuser_reserved_connections = 3});
  open(small.dsn());
  const Lease lease = acquire("main", "");
  const CommandOutcome outcome = activity();
  EXPECT_EQ(outcome.exit_status, 1);
  EXPECT_THAT(outcome.out, IsEmpty());
  EXPECT_THAT(outcome.err, HasSubstr("one session beyond the quota"));
}

TEST_F(CliActivity, NeverShowsAPassword) {
  open(server_->dsn() + " password=s3cret");
  const Lease lease = acquire("main", "");
  const CommandOutcome shown = activity();
  EXPECT_EQ(shown.exit_status, 0) << shown.err;
  EXPECT_THAT(shown.out + activity({"--json"}).out, Not(HasSubstr("s3cret")));

  config_ = write_config("unreachable.toml", "host=/nonexistent user=app password=s3cret");
  const CommandOutcome unreachable = activity();
  EXPECT_EQ(unreachable.exit_status, 1);
  EXPECT_THAT(unreachable.err, AllOf(HasSubstr("/nonexistent"), Not(HasSubstr("s3cret"))));
  config_ = write_config("unreadable.toml", "postgres://app:s3cret@host:nonsense/x");
  const CommandOutcome unreadable = activity();
  EXPECT_EQ(unreadable.exit_status, 1);
  EXPECT_THAT(unreadable.err, AllOf(HasSubstr("main"), Not(HasSubstr("s3cret"))));
}

TEST_F(CliActivity, GivesUpOnAServerThatDoesNotAnswer) {
  PostgresServer frozen;
  open(frozen.dsn());
  { const Lease lease = acquire("main", ""); }
  frozen.freeze();
  const CommandOutcome outcome = activity({"--timeout", "0.2"});
  frozen.thaw();
  EXPECT_EQ(outcome.exit_status, 1);
  EXPECT_THAT(outcome.err, HasSubstr("server "));
}

TEST_F(CliActivity, SaysWhatIsMissing) {
  config_ = write_config("weir.toml", server_->dsn());
  const CommandOutcome no_segment = activity();
  EXPECT_EQ(no_segment.exit_status, 1);
  EXPECT_THAT(no_segment.err, HasSubstr("there is none"));

  open(server_->dsn());
  { const Lease lease = acquire("main", ""); }
  const CommandOutcome no_pool = activity({"--pool", "nope"});
  EXPECT_EQ(no_pool.exit_status, 1);
  EXPECT_THAT(no_pool.err, AllOf(HasSubstr("nope"), HasSubstr("main, jobs")));

  EXPECT_EQ(run_weir({"activity"}).exit_status, 2) << "without --config";
  EXPECT_EQ(run_weir({"activity", "--config", "/nonexistent.toml"}).exit_status, 1);
}

}  // namespace
}  // namespace weir::test
