// weir-conformance: the suite that every driver has to pass, for a driver of anybody's. `weir
// conformance` runs it.
//
// Exit status: 0 nothing failed, 1 something did or the driver cannot be tried at all, 2 wrong
// command line.
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <set>
#include <string>
#include <vector>

#include "conformance/program/plugin_under_test.h"
#include "conformance/program/printer.h"

namespace weir::test {
namespace {

constexpr int kPassed = 0;
constexpr int kFailed = 1;
constexpr int kUsage = 2;

struct Command {
  GivenMeans means;
  std::vector<std::string> bad_dsns;
  std::string filter;
  bool lists = false;
};

void add_options(CLI::App& app, Command& command) {
  GivenMeans& means = command.means;
  const auto add = [&app](const char* option, std::string& value, const char* type,
                          const char* what) {
    return app.add_option(option, value, what)->type_name(type);
  };
  app.add_option("plugin", means.plugin, "the driver: ./mine.so")->type_name("FILE");
  add("--dsn", means.dsn, "DSN", "a server to try it on, in the driver's form");
  add("--secret", means.secret, "TEXT",
      "the password in --dsn, or a part of it: nothing may show it");
  add("--wrong-password-dsn", means.wrong_password_dsn, "DSN",
      "as --dsn, with a password that the server refuses");
  add("--other-session-dsn", means.other_session_dsn, "DSN",
      "the same server, but sessions that cannot stand for those of --dsn");
  add("--other-server-dsn", means.other_server_dsn, "DSN",
      "another server, which need not be there");
  add("--tcp-dsn", means.tcp_dsn, "DSN",
      "a server on 127.0.0.1 at {port}, which the suite fills in");
  app.add_option("--bad-dsn", command.bad_dsns,
                 "a DSN to refuse, and a word that the refusal has to say; again and again")
      ->type_name("DSN=WORD")
      ->allow_extra_args(false);
  add("--statement", means.statement, "TEXT", "a statement that works");
  add("--slow-statement", means.slow_statement, "TEXT", "one that takes some seconds");
  CLI::Option* const refused =
      add("--refused-statement", means.refused_statement, "TEXT", "one that the server refuses");
  add("--refusal", means.refusal, "TEXT", "the native_text of that refusal")->needs(refused);
  CLI::Option* const freeze = add("--freeze", means.freeze, "COMMAND",
                                  "a shell command after which the server answers nobody");
  CLI::Option* const thaw =
      add("--thaw", means.thaw, "COMMAND", "a shell command after which it does again");
  freeze->needs(thaw);
  thaw->needs(freeze);
  add("--filter", command.filter, "NAMES", "only these tests: names with * and ?, with : between");
  app.add_flag("--list", command.lists, "name the tests and run none");
  app.footer(
      "Tests that need what was not given are skipped, and listed at the end.\n"
      "Ends with 0 if nothing failed, 1 if something did, 2 for a wrong command line.");
}

/// "TEXT=WORD" at the last equals sign, for a DSN may hold some; false if there is none.
bool split_bad_dsns(Command& command) {
  for (const std::string& text : command.bad_dsns) {
    const std::size_t equals = text.rfind('=');
    if (equals == std::string::npos || equals + 1 == text.size()) return false;
    command.means.bad_dsns.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  return true;
}

/// GoogleTest's filter for "Pings*:Names*".
std::string filter_of(const std::string& names) {
  std::string filter;
  for (std::size_t from = 0; from <= names.size();) {
    const std::size_t end = std::min(names.find(':', from), names.size());
    filter += (filter.empty() ? "" : ":") + ("*." + names.substr(from, end - from)) + "/*";
    from = end + 1;
  }
  return filter;
}

int list_tests() {
  const testing::TestSuite& suite = *testing::UnitTest::GetInstance()->GetTestSuite(0);
  for (int i = 0; i < suite.total_test_count(); ++i) {
    std::printf("%s\n", plain_name(*suite.GetTestInfo(i)).c_str());
  }
  return kPassed;
}

void drop_line(void* /*context*/, std::int32_t /*level*/, const char* /*line*/) {}

int run_tests(const Command& command) {
  static Log& log = *new Log(&drop_line, nullptr, LogLevel::kError);
  const Result<Plugin> plugin = look_at_plugin(command.means, log);
  if (!plugin.ok()) {
    std::fprintf(stderr, "weir conformance: %s\n", plugin.status().to_string().c_str());
    return kFailed;
  }
  const weir_driver_t& table = *plugin.value().table;
  std::printf("driver %s, version %s, ABI %u.%u\n", table.name, table.version,
              unsigned{table.abi_major}, unsigned{table.abi_minor});
  const std::string file = command.means.plugin.substr(command.means.plugin.rfind('/') + 1);
  if (file != std::string(table.name) + ".so") {
    std::printf("note: weir looks for %s.so; this file is %s\n", table.name, file.c_str());
  }
  std::printf("\n");
  PluginUnderTest::use(&plugin.value());
  testing::TestEventListeners& listeners = testing::UnitTest::GetInstance()->listeners();
  delete listeners.Release(listeners.default_result_printer());
  listeners.Append(new Printer);
  if (!command.filter.empty()) testing::GTEST_FLAG(filter) = filter_of(command.filter);
  const int result = RUN_ALL_TESTS();
  if (testing::UnitTest::GetInstance()->test_to_run_count() > 0) return result;
  std::fprintf(stderr,
               "weir conformance: --filter: expected names that --list shows, found \"%s\"\n",
               command.filter.c_str());
  return kUsage;
}

int run(int argc, char** argv) {
  CLI::App app("Tries a driver with the tests that every driver has to pass", "weir conformance");
  Command command;
  add_options(app, command);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kPassed : kUsage;  // help ends with 0
  }
  int count = 1;  // nothing of the command line is GoogleTest's
  testing::InitGoogleTest(&count, argv);
  if (command.lists) return list_tests();
  const char* const missing = command.means.plugin.empty() ? "a driver's FILE"
                              : command.means.dsn.empty()  ? "--dsn"
                                                           : nullptr;
  if (missing != nullptr || !split_bad_dsns(command)) {
    std::fprintf(stderr, "weir conformance: expected %s; see --help\n",
                 missing != nullptr ? missing : "--bad-dsn DSN=WORD");
    return kUsage;
  }
  return run_tests(command);
}

}  // namespace
}  // namespace weir::test

int main(int argc, char** argv) {
  try {
    return weir::test::run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "weir conformance: %s\n", error.what());
    return weir::test::kFailed;
  }
}
