#include "step_trials.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace weir::test {
namespace {

// So many instructions without a deed are loops over memory of its own: where they end is far.
constexpr std::uint32_t kMostSteps = 4000;

const char* asked(const char* variable) {
  return std::getenv(variable);  // NOLINT(concurrency-mt-unsafe): one thread
}

std::uint32_t number(const char* text, std::uint32_t otherwise) {
  const int value = text == nullptr ? 0 : std::atoi(text);
  return value > 0 ? static_cast<std::uint32_t>(value) : otherwise;
}

std::uint32_t stride_for(std::uint32_t instructions, std::uint32_t usual_trials) {
  if (const std::uint32_t stride = number(asked("WEIR_STEP_STRIDE"), 0); stride > 0) return stride;
  // Odd, so that a loop of even length does not hide every other instruction.
  return (instructions / number(asked("WEIR_STEP_TRIALS"), usual_trials)) | 1u;
}

}  // namespace

bool wants_every_instruction() { return number(asked("WEIR_STEP_STRIDE"), 0) > 0; }

namespace {

std::vector<Point> points_of(const Survey& survey, std::uint32_t stride, std::uint32_t most_deeds) {
  if (const char* const only = asked("WEIR_STEP_AT"); only != nullptr) {
    const char* const colon = std::strchr(only, ':');
    return {{number(only, 0), colon == nullptr ? 0 : number(colon + 1, 0)}};
  }
  std::vector<Point> points;
  const std::size_t deed_stride =
      wants_every_instruction() ? 1 : survey.deeds.size() / most_deeds + 1;
  for (std::size_t deed = 1; deed <= survey.deeds.size(); deed += deed_stride) {
    const auto number_of_it = static_cast<std::uint32_t>(deed);
    points.push_back({number_of_it, 0});
    // How many instructions follow is not known: somewhere behind it.
    if (survey.instructions == 0) points.push_back({number_of_it, number_of_it * 7919 % 499 + 1});
  }
  for (std::uint32_t n = std::max(1u, stride / 2); n <= survey.instructions; n += stride) {
    const Point point = survey.after(n);
    const bool is_far = point.steps > kMostSteps && !wants_every_instruction();
    if (point.steps > 0 && !is_far) points.push_back(point);
  }
  return points;
}

}  // namespace

StepReport run_trials(const StepScenario& scenario) {
  const std::uint64_t began = monotonic_ns();
  const Survey survey = scenario.survey();
  StepReport report;
  report.instructions = survey.instructions;
  report.deeds = static_cast<std::uint32_t>(survey.deeds.size());
  report.stride = stride_for(survey.instructions, scenario.usual_trials);
  const auto try_at = [&](Point point, Fate fate) {
    if (scenario.has_failed()) return;
    const Trial trial = scenario.try_at(point, fate);
    ++report.trials;
    if (trial.interrupted) ++(fate == Fate::kKilled ? report.kills : report.freezes);
    if (fate == Fate::kKilled) {
      report.slowest_ns = std::max(report.slowest_ns, trial.recovery_ns);
    }
    if (!scenario.has_failed()) return;
    ++report.failures;
    std::printf("failed: %s, %s at deed %u of %u and %u instructions; again: WEIR_STEP_AT=%u:%u\n",
                scenario.name.c_str(), fate == Fate::kKilled ? "killed" : "stopped", point.deed,
                report.deeds, point.steps, point.deed, point.steps);
  };
  for (const Point point : points_of(survey, report.stride, scenario.most_deeds)) {
    try_at(point, Fate::kKilled);
    try_at(point, Fate::kStopped);
  }
  report.seconds = static_cast<double>(monotonic_ns() - began) / 1e9;
  std::printf(
      "steps scenario=%s instructions=%u deeds=%u stride=%u trials=%u kills=%u freezes=%u "
      "failures=%u slowest_ms=%.1f seconds=%.1f\n",
      scenario.name.c_str(), report.instructions, report.deeds, report.stride, report.trials,
      report.kills, report.freezes, report.failures, static_cast<double>(report.slowest_ns) / 1e6,
      report.seconds);
  std::fflush(stdout);
  return report;
}

}  // namespace weir::test
