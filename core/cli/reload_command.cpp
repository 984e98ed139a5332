#include "cli/reload_command.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/json_text.h"
#include "cli/render.h"
#include "shm/control.h"
#include "shm/words.h"

namespace weir::cli {
namespace {

/// What one worker made of it.
struct Outcome {
  std::uint32_t row = 0, pid = 0;
  std::string service;
  bool answered = false;
  Code code = Code::kOk;
  [[nodiscard]] bool ok() const { return answered && code == Code::kOk; }
};

std::vector<Outcome> outcomes_of(const shm::Segment& segment, std::uint32_t number) {
  std::vector<Outcome> outcomes;
  const std::span<shm::WorkerRow> rows = segment.workers();
  for (std::uint32_t i = 0; i < rows.size(); ++i) {
    if (shm::WorkerWord(rows[i].word.load()).state() != shm::WorkerState::kLive) continue;
    Outcome outcome;
    outcome.row = i;
    outcome.pid = rows[i].pid.load();
    outcome.service = rows[i].service.load();
    outcome.answered = rows[i].reloaded.load() >= number;
    outcome.code = static_cast<Code>(rows[i].reload_code.load());
    outcomes.push_back(std::move(outcome));
  }
  return outcomes;
}

std::vector<Outcome> ask_all(const shm::Segment& segment, Nanos timeout) {
  const Deadline deadline = Deadline::after(timeout);
  const std::uint32_t number = shm::ask_to_reload(segment);
  while (true) {
    std::vector<Outcome> outcomes = outcomes_of(segment, number);
    const bool all = std::all_of(outcomes.begin(), outcomes.end(),
                                 [](const Outcome& one) { return one.answered; });
    if (all || deadline.passed(monotonic_ns())) return outcomes;
    const timespec pause{0, 2'000'000};
    nanosleep(&pause, nullptr);
  }
}

std::string word_for(const Outcome& outcome) {
  if (!outcome.answered) return "no answer yet";
  return outcome.code == Code::kOk ? "done" : "refused: " + std::string(code_name(outcome.code));
}

std::string text_of(const std::vector<Outcome>& outcomes) {
  if (outcomes.empty()) return "No worker is attached: nobody to ask.\n";
  Table table(
      {{"WORKER"}, {"PID"}, {"SERVICE", Table::Align::kText}, {"RELOAD", Table::Align::kText}});
  bool refused = false;
  for (const Outcome& one : outcomes) {
    table.add({std::to_string(one.row), std::to_string(one.pid), one.service, word_for(one)});
    refused |= one.answered && one.code != Code::kOk;
  }
  return table.text() + (refused ? "Who refused goes on as before; its log says why "
                                   "(event=reload_refused).\n"
                                 : "");
}

nlohmann::ordered_json json_of(const std::vector<Outcome>& outcomes) {
  nlohmann::ordered_json workers = nlohmann::ordered_json::array();
  for (const Outcome& one : outcomes) {
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
  const std::vector<Outcome> outcomes = ask_all(*segment.value(), options.timeout);
  const ExitCode shown =
      show_once(options.json ? json_text(json_of(outcomes), false) : text_of(outcomes));
  const bool good =
      std::all_of(outcomes.begin(), outcomes.end(), [](const Outcome& one) { return one.ok(); });
  return shown == kShown && !good ? kFailed : shown;
}

}  // namespace weir::cli
