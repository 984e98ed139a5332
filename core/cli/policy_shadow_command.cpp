#include "cli/policy_shadow_command.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/json_text.h"
#include "cli/policy_named.h"
#include "cli/policy_view.h"
#include "cli/render.h"
#include "policy/script_source.h"
#include "policy/scripted_policy.h"

namespace weir::cli {
namespace {

using policy::SizeDecision;
using shm::PoolSnapshot;
using shm::Snapshot;

// What the one in charge last decided, in whichever worker; as configured where none has said.
SizeDecision live_decision(const PoolSnapshot& pool, const policy::PoolView& view) {
  if (pool.policies.empty()) return policy::FixedPolicy::size_for(view);
  const shm::PolicyNote& note = pool.policies.front().note;
  return {.target = note.target,
          .warm = note.warm,
          .max = note.max,
          .max_per_worker = note.max_per_worker,
          .handover_after_ms = note.handover_after_ms};
}

void ask(policy::ScriptedPolicy& script, const PolicyView& seen, Shadowed& shadowed) {
  const policy::PoolView& view = seen.view();
  shadowed.last = policy::clamp(script.size(view), view);
  shadowed.differing += shadowed.last == shadowed.live ? 0 : 1;
  shadowed.breaker_changes += script.breaker(view).state == view.breaker ? 0 : 1;
  for (const policy::ConnectionView& connection : seen.idle()) {
    switch (script.evict(connection, view)) {
      case policy::Eviction::kKeep:
        ++shadowed.keeps;
        break;
      case policy::Eviction::kClose:
        ++shadowed.closes;
        break;
      case policy::Eviction::kCheck:
        ++shadowed.checks;
        break;
    }
  }
  ++shadowed.ticks;
}

std::string size_text(const SizeDecision& size) {
  return "target " + std::to_string(size.target) + ", warm " + std::to_string(size.warm) +
         ", max " + std::to_string(size.max) + ", per worker " +
         (size.max_per_worker == 0 ? "-" : std::to_string(size.max_per_worker)) +
         ", handover after " + std::to_string(size.handover_after_ms) + " ms";
}

nlohmann::ordered_json size_json(const SizeDecision& size) {
  return {{"target", size.target},
          {"warm", size.warm},
          {"max", size.max},
          {"max_per_worker", size.max_per_worker},
          {"handover_after_ms", size.handover_after_ms}};
}

}  // namespace

std::string shadowed_text(const Shadowed& shadowed) {
  std::string text =
      "pool " + printable(shadowed.pool) + ": " + printable(shadowed.policy) + " (" +
      printable(shadowed.hash) + ") beside the one in charge, " + std::to_string(shadowed.ticks) +
      " ticks; nothing was done\n" + "in charge   " + size_text(shadowed.live) + "\nshadow      " +
      size_text(shadowed.last) + "\nticks that differed   " + std::to_string(shadowed.differing) +
      "\nidle ones   kept " + std::to_string(shadowed.keeps) + ", closed " +
      std::to_string(shadowed.closes) + ", checked " + std::to_string(shadowed.checks) +
      "\nbreaker     changed " + std::to_string(shadowed.breaker_changes) + " times\n";
  if (shadowed.errors > 0) {
    text += "errors      " + std::to_string(shadowed.errors) +
            ", the last: " + printable(shadowed.last_error) + "\n";
  }
  return text;
}

nlohmann::ordered_json shadowed_json(const Shadowed& shadowed) {
  return {
      {"format", 1},
      {"pool", shadowed.pool},
      {"policy", shadowed.policy},
      {"hash", shadowed.hash},
      {"ticks", shadowed.ticks},
      {"differing", shadowed.differing},
      {"in_charge", size_json(shadowed.live)},
      {"shadow", size_json(shadowed.last)},
      {"idle", {{"keep", shadowed.keeps}, {"close", shadowed.closes}, {"check", shadowed.checks}}},
      {"breaker_changes", shadowed.breaker_changes},
      {"errors", shadowed.errors},
      {"last_error", shadowed.last_error}};
}

ExitCode run_policy_shadow(const PolicyShadowOptions& options) {
  const auto fail = [](const Status& status) { return tell_failure("policy shadow", status); };
  const Result<policy::Params> params = params_of(options.params);
  if (!params.ok()) return fail(params.status());
  const Result<std::string> source = policy::read_script(options.file);
  if (!source.ok()) return fail(source.status());
  policy::ScriptedPolicy script;
  if (Status loaded = script.load(source.value(), options.file, params.value()); !loaded.ok()) {
    return fail(loaded);
  }
  const Result<Target> target = resolve(options.where);
  if (!target.ok()) return fail(target.status());
  const auto segment = open_segment(target.value().segment);
  if (!segment.ok()) return fail(segment.status());
  Snapshot snapshot = take_snapshot(*segment.value());
  const Result<std::string> pool = choose_pool(snapshot, options.pool);
  if (!pool.ok()) return fail(pool.status());

  PolicyView seen(pool.value(), target.value().pool(pool.value()));
  Shadowed shadowed;
  shadowed.pool = pool.value();
  shadowed.policy = script.status().name;
  shadowed.hash = script.status().hash;
  for (std::uint64_t second = 0; second < options.seconds; ++second) {
    const timespec pause{1, 0};
    if (second > 0) nanosleep(&pause, nullptr);
    snapshot = take_snapshot(*segment.value());
    if (!seen.look(snapshot)) continue;
    shadowed.live = live_decision(*snapshot.pool(pool.value()), seen.view());
    ask(script, seen, shadowed);
  }
  shadowed.errors = script.status().errors;
  shadowed.last_error = script.status().last_error.ok() ? "" : script.status().last_error.message();
  const ExitCode shown =
      show_once(options.json ? json_text(shadowed_json(shadowed), false) : shadowed_text(shadowed));
  return shown == kShown && shadowed.errors > 0 ? kFailed : shown;
}

}  // namespace weir::cli
