// What the command line of weir-conformance says, once it is read: the means that tests need.
// Threads: constant once read.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace weir::test {

/// Empty: not given.
struct GivenMeans {
  std::string plugin;  // path
  std::string dsn;
  std::string secret;
  std::string wrong_password_dsn;
  std::string other_session_dsn;
  std::string other_server_dsn;
  std::string tcp_dsn;                                        // {port} stands for a number
  std::vector<std::pair<std::string, std::string>> bad_dsns;  // and what a refusal names
  std::string statement;
  std::string slow_statement;
  std::string refused_statement;
  std::string refusal;
  std::string freeze;  // shell commands
  std::string thaw;
};

}  // namespace weir::test
