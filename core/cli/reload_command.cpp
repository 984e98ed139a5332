#include "cli/reload_command.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/json_text.h"
#include "cli/render.h"
#include "shm/admin.h"

namespace weir::cli {
namespace {

std::vector<shm::Reloaded> ask_all(const shm::Segment& segment, Nanos timeout) {
  const Deadline deadline = Deadline::after(timeout);
  const std::uint32_t number = shm::ask_to_reload(segment);
  while (true) {
    std::vector<shm::Reloaded> outcomes = shm::reloaded(segment, number);
    const bool all = std::all_of(outcomes.begin(), outcomes.end(),
                                 [](const shm::Reloaded& one) { return one.answered; });
    if (all || deadline.passed(monotonic_ns())) return outcomes;
    const timespec pause{0, 2'000'000};
    nanosleep(&pause, nullptr);
  }
}

std::string word_for(const shm::Reloaded& outcome) {
  if (!outcome.answered) return "no answer yet";
  return outcome.code == Code::kOk ? "done" : "refused: " + std::string(code_name(outcome.code));
}

std::string text_of(const std::vector<shm::Reloaded>& outcomes) {
  if (outcomes.empty()) return "No worker is attached: nobody to ask.\n";
  Table table(
      {{"WORKER"}, {"PID"}, {"SERVICE", Table::Align::kText}, {"RELOAD", Table::Align::kText}});
  bool refused = false;
  for (const shm::Reloaded& one : outcomes) {
    table.add({std::to_string(one.row), std::to_string(one.pid), one.service, word_for(one)});
    refused |= one.answered && one.code != Code::kOk;
  }
  return table.text() + (refused ? "Who refused goes on as before; its log says why "
                                   "(event=reload_refused).\n"
                                 : "");
}

nlohmann::ordered_json json_of(const std::vector<shm::Reloaded>& outcomes) {
  nlohmann::ordered_json workers = nlohmann::ordered_json::array();
  for (const shm::Reloaded& one : outcomes) {
    workers.push_back({{"row", one.row},
                       {"pid", one.pid},
                       {"service", one.service},
                       {"answered", one.answered},
                       {"outcome", one.answered ? code_name(one.code) : std::string_view()}});
  }
  return {{"format", 1}, {"workers", std::move(workers)}};
}

}  // namespace

ExitCode run_reload(const ReloadOptions& options) {
  const auto fail = [](const Status& status) { return tell_failure("reload", status); };
  const Result<Target> target = resolve(options.where);  // reads and checks the file
  if (!target.ok()) return fail(target.status());
  const auto segment = open_segment_to_change(target.value().segment);
  if (!segment.ok()) return fail(segment.status());
  const std::vector<shm::Reloaded> outcomes = ask_all(*segment.value(), options.timeout);
  const ExitCode shown =
      show_once(options.json ? json_text(json_of(outcomes), false) : text_of(outcomes));
  const bool good = std::all_of(outcomes.begin(), outcomes.end(),
                                [](const shm::Reloaded& one) { return one.ok(); });
  return shown == kShown && !good ? kFailed : shown;
}

}  // namespace weir::cli
