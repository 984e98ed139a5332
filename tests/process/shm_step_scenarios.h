// The scenarios that are led through at every point: what each worker's part of them is.
#pragma once

#include <functional>
#include <vector>

#include "shm_step_stage.h"

namespace weir::test {

struct ShmScenario {
  using Part = std::function<void(ShmStage&)>;

  const char* name;
  ShmStage::Options stage{};
  bool fresh = false;             // a stage of its own for each trial: it leaves something for good
  bool joins = true;              // the actor has joined before it begins
  Part first = [](ShmStage&) {};  // me, before the child is there
  Part prepare = [](ShmStage&) {};  // the actor, at full speed
  Part then = [](ShmStage&) {};     // me, while the actor stands before its part
  Part act;                         // the actor, step by step
  Part meanwhile{};                 // me, over and over while it does
  Part after = [](ShmStage&) {};    // me, once the actor is dead or through
  bool moves = false;               // connections arrive, at the actor or at me
  std::uint32_t most_deeds = 150;   // step_trials.h: fewer where a like scenario tries them all
  // The pool in which I wait, or want a room, at the end.
  shm::PoolRef ShmStage::*wanted = &ShmStage::a;
};

[[nodiscard]] std::vector<ShmScenario> shm_scenarios();

}  // namespace weir::test
