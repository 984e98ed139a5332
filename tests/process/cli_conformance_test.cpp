// `weir conformance`: the suite for drivers as a command, on drivers of all three kinds: in memory,
// with a server, embedded. What is not given is skipped by name, and what fails decides.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "cli_command.h"
#include "support/postgres_server.h"
#include "support/temp_folder.h"

namespace weir::test {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

std::string plugin(const std::string& name) { return WEIR_PLUGIN_DIRECTORY "/" + name + ".so"; }

/// The same for a suite that takes longer than a command may: on a busy machine, with a real
/// server.
CommandOutcome conformance_at_length(const std::vector<std::string>& arguments) {
  std::string command = WEIR_COMMAND " conformance";
  for (const std::string& argument : arguments) {
    std::string quoted;
    for (const char c : argument) quoted += c == '\'' ? "'\\''" : std::string(1, c);
    command += " '" + quoted + "'";
  }
  CommandOutcome outcome;
  FILE* const pipe = popen((command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) return outcome;
  std::array<char, 4096> piece{};
  while (const std::size_t size = std::fread(piece.data(), 1, piece.size(), pipe)) {
    outcome.out.append(piece.data(), size);
  }
  const int status = pclose(pipe);
  outcome.exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return outcome;
}

CommandOutcome conformance(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "conformance");
  return run_weir(arguments);
}

TEST(WeirConformance, PassesTheNullDriverAndSkipsOnlyWhatANetworkAndAPasswordAreNeededFor) {
  const CommandOutcome outcome = conformance(
      {plugin("null"), "--dsn", "null://here?user=app&password=hunter2", "--secret", "hunter2",
       "--other-session-dsn", "null://here?user=else", "--other-server-dsn", "null://elsewhere",
       "--bad-dsn", "null://=server", "--bad-dsn", "null://a?seed=-1=seed"});
  EXPECT_EQ(outcome.exit_status, 0) << outcome.out << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("driver null, version 1, ABI 1."));
  EXPECT_THAT(outcome.out, HasSubstr("\nskip SaysThatNobodyListens: needs --tcp-dsn\n"));
  EXPECT_THAT(outcome.out, HasSubstr("\n  needs --wrong-password-dsn\n"
                                     "    GivesTheSameFingerprintWhateverTheSecret\n"
                                     "    RefusesAWrongSecretAsAnAuthenticationFailure\n"));
  EXPECT_THAT(outcome.out, HasSubstr("\n50 ok, 0 failed, 4 skipped\n"));
}

TEST(WeirConformance, PassesThePostgresDriverOnAServerOfItsOwn) {
  if (!PostgresServer::is_installed()) GTEST_SKIP() << "PostgreSQL is not installed";
  PostgresServer server({.auth = "scram-sha-256"});
  server.ask("ALTER ROLE app PASSWORD 'hunter2'");
  const std::string dsn = server.dsn() + " password=hunter2";
  const std::string pid = std::to_string(server.pid());
  // Some may have ended meanwhile, so kill may fail.
  const std::string everybody =
      pid + " $(cat /proc/" + pid + "/task/" + pid + "/children) 2>/dev/null; true";
  const CommandOutcome outcome = conformance_at_length(
      {plugin("postgres"), "--dsn", dsn, "--secret", "hunter2", "--wrong-password-dsn",
       server.dsn() + " password=wrong", "--other-session-dsn",
       dsn + " options='-c search_path=elsewhere'", "--tcp-dsn",
       "host=127.0.0.1 port={port} user=app sslmode=disable", "--bad-dsn", "hots=somewhere=hots",
       "--freeze", "kill -STOP " + everybody, "--thaw", "kill -CONT " + everybody});
  EXPECT_EQ(outcome.exit_status, 0) << outcome.out << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("\n54 ok, 0 failed, 0 skipped\n"));
  EXPECT_THAT(outcome.out + outcome.err, Not(HasSubstr("hunter2")));
}

TEST(WeirConformance, PassesTheSqliteDriverOnAFile) {
  if (!std::filesystem::exists(plugin("sqlite"))) GTEST_SKIP() << "the sqlite driver is not built";
  const TempFolder folder;
  const std::string dsn = "sqlite:" + (folder.path() / "app.db").string();
  const CommandOutcome outcome = conformance({plugin("sqlite"), "--dsn", dsn, "--other-session-dsn",
                                              dsn + "?mode=ro", "--other-server-dsn", dsn + "2"});
  EXPECT_EQ(outcome.exit_status, 0) << outcome.out << outcome.err;
  EXPECT_THAT(outcome.out, ContainsRegex("\n2[0-9] ok, 0 failed, 2[0-9] skipped\n"));
  EXPECT_THAT(outcome.out, HasSubstr("sessions on the server, in "));
}

TEST(WeirConformance, EndsWithOneWhereADriverFails) {
  const CommandOutcome outcome = conformance(
      {plugin("null"), "--dsn", "null://broken?reset=ok@1,fail", "--filter", "RollsBack*:Pings*"});
  EXPECT_EQ(outcome.exit_status, 1) << outcome.out;
  EXPECT_THAT(outcome.out, HasSubstr("\nFAIL RollsBackAnOpenTransactionInEveryResetMode\n"));
  EXPECT_THAT(outcome.out, HasSubstr("life_test.cpp:"));
  EXPECT_THAT(outcome.out, HasSubstr("\nok   PingsAHealthySession\n"));
  EXPECT_THAT(outcome.out, HasSubstr("\n1 ok, 1 failed, 0 skipped\n"));
}

TEST(WeirConformance, TriesADriverUnderAnyFileNameAndSaysWhichOneWeirLooksFor) {
  const TempFolder folder;
  const std::string copy = (folder.path() / "libmine.so").string();
  std::filesystem::copy_file(plugin("null"), copy);
  const CommandOutcome outcome =
      conformance({copy, "--dsn", "null://here", "--filter", "PingsAHealthySession"});
  EXPECT_EQ(outcome.exit_status, 0) << outcome.out << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("note: weir looks for null.so; this file is libmine.so\n"));
}

TEST(WeirConformance, SaysWhatItCannotTry) {
  const auto said = [](const std::vector<std::string>& arguments, int status) {
    const CommandOutcome outcome = conformance(arguments);
    EXPECT_EQ(outcome.exit_status, status) << outcome.out << outcome.err;
    return outcome.err;
  };
  EXPECT_THAT(said({}, 2), HasSubstr("expected a driver's FILE"));
  EXPECT_THAT(said({plugin("null")}, 2), HasSubstr("expected --dsn"));
  EXPECT_THAT(said({plugin("null"), "--dsn", "null://a", "--frobnicate"}, 2),
              HasSubstr("--frobnicate"));
  EXPECT_THAT(said({plugin("null"), "--dsn", "null://a", "--bad-dsn", "word"}, 2),
              HasSubstr("--bad-dsn DSN=WORD"));
  EXPECT_THAT(said({plugin("null"), "--dsn", "null://a", "--filter", "Nonsense"}, 2),
              HasSubstr("Nonsense"));
  EXPECT_THAT(said({"/nowhere/mine.so", "--dsn", "null://a"}, 1), HasSubstr("/nowhere/mine.so"));
  EXPECT_THAT(said({plugin("null"), "--dsn", "postgres://a"}, 1), HasSubstr("--dsn: "));
  EXPECT_THAT(said({plugin("null"), "--dsn", "null://a?connect=fail:server_full"}, 1),
              HasSubstr("connecting to --dsn"));
}

TEST(WeirConformance, ListsItsTestsWithoutADriver) {
  const CommandOutcome outcome = conformance({"--list"});
  EXPECT_EQ(outcome.exit_status, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("ConnectsAUsableSession\n"));
  EXPECT_GT(std::count(outcome.out.begin(), outcome.out.end(), '\n'), 50);
}

}  // namespace
}  // namespace weir::test
