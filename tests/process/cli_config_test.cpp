// `weir config check` and `weir config show`, as a user runs them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "cli_command.h"
#include "support/temp_folder.h"
#include "unit/config/environment.h"

namespace weir::test {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class CliConfig : public testing::Test {
 protected:
  std::string write(const std::string& name, const std::string& text) {
    const std::filesystem::path path = folder_.path() / name;
    std::ofstream(path) << text;
    return path.string();
  }
  std::string write_pool(const std::string& lines = "") {
    return write("weir.toml",
                 "[quota.pg]\nlimit = 20\n[pool.main]\ndriver = \"postgres\"\nquota = \"pg\"\n"
                 "dsn = \"host=db user=app password=hunter2\"\n" +
                     lines);
  }
  static std::map<std::string, json> shown(const std::string& file) {
    const CommandOutcome outcome = run_weir({"config", "show", file, "--json"});
    EXPECT_EQ(outcome.exit_status, 0) << outcome.err;
    std::map<std::string, json> by_name;
    const json document = json::parse(outcome.out);
    for (const json& one : document["settings"]) {
      by_name[one["section"].get<std::string>() + "." + one["key"].get<std::string>()] = one;
    }
    return by_name;
  }

  TempFolder folder_;
  Variables variables_;
};

TEST_F(CliConfig, CheckSaysThatAGoodFileIsGood) {
  const std::string file = write_pool();
  const CommandOutcome outcome = run_weir({"config", "check", file});
  EXPECT_EQ(outcome.exit_status, 0) << outcome.err;
  EXPECT_EQ(outcome.out, file + ": good: 1 quota, 1 pool\n");
}

TEST_F(CliConfig, CheckNamesFileLineAndKeyOfWhatIsWrong) {
  const std::string file = write_pool("idel_timeout = \"3s\"\n");
  const CommandOutcome outcome = run_weir({"config", "check", file});
  EXPECT_EQ(outcome.exit_status, 1);
  EXPECT_EQ(outcome.err, "weir config check: " + file +
                             ":7: pool.main.idel_timeout: unknown key; the nearest valid key is "
                             "\"idle_timeout\"\n");
}

TEST_F(CliConfig, CheckLooksAtDriversDsnsAndPasswordFilesAndTellsAllThatIsWrong) {
  const std::string file =
      write("weir.toml",
            "[pool.main]\ndriver = \"postgres\"\ndsn = \"host=db prot=1 password=hunter2\"\n"
            "password_file = \"none\"\n[pool.odd]\ndriver = \"nosuch\"\ndsn = \"x\"\n");
  const CommandOutcome outcome = run_weir({"config", "check", file});
  EXPECT_EQ(outcome.exit_status, 1);
  EXPECT_THAT(outcome.out, HasSubstr("not good"));
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("pool main: postgres dsn:"),
                                 HasSubstr("password_file " + folder_.path().string() + "/none"),
                                 HasSubstr("pool odd: driver"), Not(HasSubstr("hunter2"))));
}

TEST_F(CliConfig, CheckLooksAtScriptsAndTheirParameters) {
  const std::string script = write(
      "p.lua", "return { name = 'p', api = 1, params = { most = 1 }, size = function() end }");
  const std::string pool = "[pool.main]\ndriver = \"null\"\ndsn = \"null://x\"\n";
  const auto checked = [&](const std::string& keys) {
    return run_weir({"config", "check", write("weir.toml", pool + keys)}).err;
  };
  EXPECT_THAT(checked("policy = \"p.lua\"\npolicy_params = { mots = 2 }\n"),
              HasSubstr("pool main: policy: " + script + ": params.mots: unknown"));
  EXPECT_THAT(checked("policy = \"none.lua\"\n"), HasSubstr("expected a script, found no file"));
  EXPECT_THAT(checked("policy = \"p.lua\"\npolicy_params = { most = 2.5 }\n"),
              Not(HasSubstr("policy")));
}

TEST_F(CliConfig, CheckTellsWhatTheEnvironmentReplaced) {
  variables_.set("DB_POOL_TIMEOUT", "3");
  const std::string file = write_pool("acquire_timeout = \"9s\"\n");
  const CommandOutcome outcome = run_weir({"config", "check", file});
  EXPECT_THAT(
      outcome.out,
      HasSubstr("note: pool.main.acquire_timeout: DB_POOL_TIMEOUT goes before " + file + ":7"));
}

TEST_F(CliConfig, ShowSaysWhereEachValueComesFrom) {
  variables_.set("WEIR_POOL_MAIN_MAX", "12");
  variables_.set("DB_POOL_TIMEOUT", "3");
  const std::string file = write_pool("preset = \"small\"\nmin = 2\n");
  const auto settings = shown(file);
  const auto told = [&](const char* name) {
    const json& one = settings.at(name);
    return one["value"].dump() + " " + one["from"].get<std::string>() + " " +
           one["source"].get<std::string>();
  };
  EXPECT_EQ(told("pool.main.max"), "12 environment WEIR_POOL_MAIN_MAX");
  EXPECT_EQ(told("pool.main.acquire_timeout"), "\"3s\" alias DB_POOL_TIMEOUT");
  EXPECT_EQ(told("pool.main.min"), "2 file " + file + ":8");
  EXPECT_EQ(told("pool.main.max_lifetime"), "\"1h\" preset preset small");
  EXPECT_EQ(told("pool.main.idle_timeout"), "\"10m\" default default");
  EXPECT_EQ(told("pool.main.linger_max"), "null default default");
  EXPECT_EQ(settings.at("pool.main.linger_max")["comes_to"],
            "50ms after an idle session, 1m after a used one, 40ms once it was told to end");
  EXPECT_EQ(told("runtime.aliases"), "true default default");
  EXPECT_EQ(told("quota.pg.limit"), "20 file " + file + ":2");
}

TEST_F(CliConfig, ShowHidesSecretsAndShowsWhatTheDriverShowsOfADsn) {
  const std::string file =
      write_pool("on_connect = [\"SELECT 1\", \"SET app.password = 'hunter2'\"]\n");
  const CommandOutcome text = run_weir({"config", "show", file});
  EXPECT_EQ(text.exit_status, 0) << text.err;
  EXPECT_THAT(text.out, AllOf(HasSubstr("host=db"), HasSubstr("user=app"), HasSubstr("SELECT 1"),
                              Not(HasSubstr("hunter2"))));
  const auto settings = shown(file);
  EXPECT_EQ(settings.at("pool.main.dsn")["secret"], true);
  EXPECT_THAT(settings.at("pool.main.dsn")["value"].get<std::string>(),
              AllOf(HasSubstr("host=db"), Not(HasSubstr("hunter2"))));
}

TEST_F(CliConfig, ShowHidesAllOfADsnThatNoDriverCanRead) {
  const std::string file =
      write("weir.toml", "[pool.main]\ndriver = \"nosuch\"\ndsn = \"hunter2\"\n");
  const CommandOutcome text = run_weir({"config", "show", file});
  EXPECT_EQ(text.exit_status, 0) << text.err;
  EXPECT_THAT(text.out, AllOf(HasSubstr("dsn = \"(not shown)\""), Not(HasSubstr("hunter2"))));
}

TEST_F(CliConfig, ShowPrintsAFileThatMeansTheSame) {
  const std::string file = write_pool(
      "preset = \"small\"\nvalidate_after = \"never\"\non_connect = [\"SET a = 'x\\ty'\"]\n");
  const CommandOutcome first = run_weir({"config", "show", file});
  const std::string again = write("again.toml", first.out);
  EXPECT_EQ(run_weir({"config", "check", again}).exit_status, 0) << first.out;
  auto before = shown(file);
  for (const auto& [name, setting] : shown(again)) {
    EXPECT_EQ(setting["value"], before.at(name)["value"]) << name;
  }
}

TEST_F(CliConfig, TakesTheFileThatAWorkerWouldTake) {
  variables_.set("WEIR_CONFIG", write_pool());
  const CommandOutcome outcome = run_weir({"config", "check"});
  EXPECT_EQ(outcome.exit_status, 0) << outcome.err;
  EXPECT_THAT(outcome.out, StartsWith(folder_.path().string()));
}

TEST_F(CliConfig, ThatIsNotThereEndsWithAMessage) {
  const CommandOutcome outcome = run_weir({"config", "show", (folder_.path() / "no").string()});
  EXPECT_EQ(outcome.exit_status, 1);
  EXPECT_THAT(outcome.err, HasSubstr("expected a file, found none"));
  EXPECT_EQ(run_weir({"config"}).exit_status, 2);
}

}  // namespace
}  // namespace weir::test
