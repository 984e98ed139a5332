// The command line of `weir policy`.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <optional>

#include "cli/policy_command.h"
#include "cli/policy_list_command.h"
#include "cli/policy_shadow_command.h"
#include "cli/simulate_command.h"

namespace weir::cli {

class PolicyGroup {
 public:
  /// Adds `policy` and all below it. `add_where` adds --config and the like. Must outlive the
  /// parsing.
  PolicyGroup(CLI::App& app, const std::function<void(CLI::App&, Where&)>& add_where);
  PolicyGroup(const PolicyGroup&) = delete;
  PolicyGroup& operator=(const PolicyGroup&) = delete;

  /// Runs the one that was asked for; nullopt: none of these.
  [[nodiscard]] std::optional<ExitCode> run() const;

 private:
  PolicyCheckOptions check_;
  PolicyEvalOptions eval_;
  PolicyListOptions list_;
  PolicyReloadOptions reload_;
  double reload_timeout_s_ = 10;
  PolicyShadowOptions shadow_;
  SimulateOptions simulate_;
  const CLI::App *check_command_, *eval_command_, *list_command_, *reload_command_,
      *shadow_command_, *simulate_command_;
};

}  // namespace weir::cli
