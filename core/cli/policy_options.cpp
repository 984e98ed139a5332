#include "cli/policy_options.h"

#include <chrono>

#include "cli/simulate_options.h"

namespace weir::cli {

PolicyGroup::PolicyGroup(CLI::App& app, const std::function<void(CLI::App&, Where&)>& add_where) {
  CLI::App* group = app.add_subcommand(
      "policy", "what decides a pool's size, what idles and when to stop trying");
  group->require_subcommand(1);

  CLI::App* check = group->add_subcommand(
      "check", "compiles a script and runs its self-check, as a worker would; no workers needed");
  check->add_option("file", check_.file, "the script")->type_name("FILE")->required();
  check
      ->add_option("--params", check_.params, "replaces params of the script's; may be given again")
      ->type_name("NAME=VALUE");
  check_command_ = check;

  CLI::App* eval = group->add_subcommand(
      "eval",
      "runs scripts as plain chunks, one after the other in one sandbox, and tells what came of\n"
      "the last. Ends with 0 whatever they do");
  eval->add_option("files", eval_.files, "the scripts")->type_name("FILE")->required();
  eval->add_flag("--json", eval_.json, "one line of JSON")->required();
  eval_command_ = eval;

  CLI::App* list =
      group->add_subcommand("list", "what decides in each worker, and what it decided last");
  add_where(*list, list_.where);
  list->add_flag("--json", list_.json, "one JSON document");
  list_command_ = list;

  CLI::App* reload = group->add_subcommand(
      "reload",
      "has every worker read its scripts again, changed or not, and shows what came of it.\n"
      "Ends with 1 if a script was refused, or a worker did not answer");
  add_where(*reload, reload_.where);
  reload->add_flag("--json", reload_.json, "one JSON document");
  reload->add_option("--timeout", reload_timeout_s_, "seconds for all to answer (default: 10)")
      ->type_name("SECONDS")
      ->check(CLI::Range(0.05, 86'400.0).description(""));
  reload_command_ = reload;

  CLI::App* shadow = group->add_subcommand(
      "shadow",
      "asks a script beside the one in charge, once a second, on what happens now; counts what it\n"
      "decides, and does nothing");
  add_where(*shadow, shadow_.where);
  shadow->add_option("file", shadow_.file, "the script")->type_name("FILE")->required();
  shadow->add_option("--pool", shadow_.pool, "the pool (default: the only one)")->type_name("NAME");
  shadow
      ->add_option("--params", shadow_.params,
                   "replaces params of the script's; may be given again")
      ->type_name("NAME=VALUE");
  shadow->add_option("--seconds", shadow_.seconds, "how long (default: 10)")
      ->type_name("N")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{86'400}).description(""));
  shadow->add_flag("--json", shadow_.json, "one JSON document");
  shadow_command_ = shadow;

  simulate_command_ = add_simulate(*group, simulate_, add_where);
}

std::optional<ExitCode> PolicyGroup::run() const {
  if (check_command_->parsed()) return run_policy_check(check_);
  if (eval_command_->parsed()) return run_policy_eval(eval_);
  if (list_command_->parsed()) return run_policy_list(list_);
  if (reload_command_->parsed()) {
    PolicyReloadOptions reload = reload_;
    reload.timeout =
        std::chrono::duration_cast<Nanos>(std::chrono::duration<double>(reload_timeout_s_));
    return run_policy_reload(reload);
  }
  if (shadow_command_->parsed()) return run_policy_shadow(shadow_);
  if (simulate_command_->parsed()) return run_simulate(simulate_);
  return std::nullopt;
}

}  // namespace weir::cli
