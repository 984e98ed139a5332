// StepTrials: one scenario tried over and over, interrupted somewhere else each time, and what came
// of it in a line.
//
// First the scenario is run once under a survey, to know its instructions and deeds
// (stepped_worker.h). Then a worker is killed, and in another trial left standing for a while:
//   - right before each of its deeds: all the points that others can tell apart (before each second
//     or third of them where there are hundreds, unless all instructions are asked for);
//   - after its n-th, 2n-th ... instruction, which puts that to the proof; where only deeds were
//     surveyed, at some instruction behind each deed that is tried.
// The environment may say how many:
//   WEIR_STEP_STRIDE=n  each n-th instruction; 1: every one
//   WEIR_STEP_TRIALS=n  about n instructions, evenly spread, if there is no stride;
//                       usual_trials unless set
//   WEIR_STEP_AT=i[:n]  before deed i, or n instructions behind it, alone: to see a failure again
// Threads: one.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "stepped_worker.h"

namespace weir::test {

struct Trial {
  bool interrupted = false;       // false: it was through before its point came
  std::uint64_t recovery_ns = 0;  // from its death until whoever waited was served
};

struct StepReport {
  std::uint32_t instructions = 0, deeds = 0;  // of the survey
  std::uint32_t stride = 1;                   // of instructions
  std::uint32_t trials = 0, kills = 0, freezes = 0, failures = 0;
  std::uint64_t slowest_ns = 0;  // recovery after a kill
  double seconds = 0;
};

/// What a trial needs of the scenario.
struct StepScenario {
  std::string name;
  // Scans are deeds as well, one for each word: of more than these each second, third ... is tried,
  // unless every instruction is asked for.
  std::uint32_t most_deeds = 150;
  std::uint32_t usual_trials = 20;
  std::function<Survey()> survey;
  std::function<Trial(Point, Fate)> try_at;
  std::function<bool()> has_failed;
};

/// Whether every instruction is asked for: then what takes long takes it.
[[nodiscard]] bool wants_every_instruction();

/// All trials, or those up to the first failure. Prints a line for the scenario, and one that says
/// how to see a failure again.
StepReport run_trials(const StepScenario& scenario);

}  // namespace weir::test
