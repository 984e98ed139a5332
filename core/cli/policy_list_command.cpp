#include "cli/policy_list_command.h"

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>

#include "cli/json_text.h"
#include "cli/pool_figures.h"
#include "cli/render.h"
#include "shm/admin.h"

namespace weir::cli {
namespace {

using shm::PolicyNote;
using shm::PoolSnapshot;
using shm::Snapshot;

bool all_of_notes(const Snapshot& snapshot, const std::function<bool(const PolicyNote&)>& holds) {
  return std::all_of(snapshot.pools.begin(), snapshot.pools.end(), [&](const PoolSnapshot& pool) {
    return std::all_of(pool.policies.begin(), pool.policies.end(),
                       [&](const auto& one) { return holds(one.note); });
  });
}

std::string state_of(const PolicyNote& note) {
  if (note.fallen_back) return "fallen back to the built-in one";
  return note.hash.empty() ? "built in" : "in charge";
}

}  // namespace

std::string policies_text(const Snapshot& snapshot) {
  using Align = Table::Align;
  Table table({{"POOL", Align::kText},
               {"WORKER"},
               {"PID"},
               {"POLICY", Align::kText},
               {"HASH", Align::kText},
               {"TARGET"},
               {"WARM"},
               {"MAX"},
               {"PER WORKER"},
               {"ERRORS"},
               {"STATE", Align::kText}});
  std::string errors;
  bool any = false;
  for (const PoolSnapshot& pool : snapshot.pools) {
    for (const auto& [row, note] : pool.policies) {
      const shm::WorkerSnapshot* worker = worker_in(snapshot, row);
      any = true;
      table.add({printable(pool.name), std::to_string(row),
                 worker == nullptr ? "-" : std::to_string(worker->pid), printable(note.name),
                 note.hash.empty() ? "-" : printable(note.hash), std::to_string(note.target),
                 std::to_string(note.warm), std::to_string(note.max),
                 note.max_per_worker == 0 ? "-" : std::to_string(note.max_per_worker),
                 std::to_string(note.bad_ticks), state_of(note)});
      if (note.error.empty()) continue;
      errors += "pool " + printable(pool.name) + ", worker " + std::to_string(row) + ": " +
                printable(note.error) + "\n";
    }
  }
  return any ? table.text() + errors : "No worker has said yet what decides in it.\n";
}

nlohmann::ordered_json policies_json(const Snapshot& snapshot) {
  auto rows = nlohmann::ordered_json::array();
  for (const PoolSnapshot& pool : snapshot.pools) {
    for (const auto& [row, note] : pool.policies) {
      const shm::WorkerSnapshot* worker = worker_in(snapshot, row);
      rows.push_back({{"pool", pool.name},
                      {"worker", row},
                      {"pid", worker == nullptr ? 0 : worker->pid},
                      {"policy", note.name},
                      {"hash", note.hash},
                      {"fallen_back", note.fallen_back},
                      {"errors", note.bad_ticks},
                      {"last_error", note.error},
                      {"target", note.target},
                      {"warm", note.warm},
                      {"max", note.max},
                      {"max_per_worker", note.max_per_worker},
                      {"handover_after_ms", note.handover_after_ms}});
    }
  }
  return {{"format", 1}, {"policies", std::move(rows)}};
}

namespace {

ExitCode show_policies(const Snapshot& snapshot, bool json) {
  return show_once(json ? json_text(policies_json(snapshot), false) : policies_text(snapshot));
}

}  // namespace

ExitCode run_policy_list(const PolicyListOptions& options) {
  const auto fail = [](const Status& status) { return tell_failure("policy list", status); };
  const Result<Target> target = resolve(options.where);
  if (!target.ok()) return fail(target.status());
  const auto segment = open_segment(target.value().segment);
  if (!segment.ok()) return fail(segment.status());
  return show_policies(take_snapshot(*segment.value()), options.json);
}

ExitCode run_policy_reload(const PolicyReloadOptions& options) {
  const auto fail = [](const Status& status) { return tell_failure("policy reload", status); };
  const Result<Target> target = resolve(options.where);
  if (!target.ok()) return fail(target.status());
  const auto segment = open_segment_to_change(target.value().segment);
  if (!segment.ok()) return fail(segment.status());
  const Deadline deadline = Deadline::after(options.timeout);
  const std::uint32_t number = shm::ask_policy_reload(*segment.value());
  // Numbers go round: what was answered is not behind by more than half of them.
  const auto has_answered = [number](const PolicyNote& note) {
    return static_cast<std::int32_t>(note.reloaded - number) >= 0;
  };
  Snapshot snapshot = take_snapshot(*segment.value());
  while (!all_of_notes(snapshot, has_answered) && !deadline.passed(monotonic_ns())) {
    const timespec pause{0, 2'000'000};
    nanosleep(&pause, nullptr);
    snapshot = take_snapshot(*segment.value());
  }
  const ExitCode shown = show_policies(snapshot, options.json);
  const bool good = all_of_notes(
      snapshot, [&](const PolicyNote& note) { return has_answered(note) && note.error.empty(); });
  return shown == kShown && !good ? kFailed : shown;
}

}  // namespace weir::cli
