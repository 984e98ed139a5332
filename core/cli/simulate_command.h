// `weir policy simulate`: a policy and the one that runs, on the same load, in a model of the
// machine. Needs no segment, no server and no driver.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "cli/plot.h"
#include "cli/screen.h"
#include "simulation/load.h"
#include "simulation/report.h"
#include "simulation/settings.h"

namespace weir::cli {

struct SimulateOptions {
  std::string candidate = "fixed", against = "fixed";   // as policy_named() reads them
  std::vector<std::string> params{}, against_params{};  // NAME=VALUE
  std::string load = "steady";                          // unless there is a trace
  std::string trace{};                                  // a file
  std::uint32_t seconds = 0;                            // of a named load; 0: its own length
  bool has_workers = false;                             // they were said: not the trace's
  simulation::MachineSettings machine{};                // its seed is the load's as well
  bool json = false;
  std::string plot{};  // a file; empty: none
};

/// Writes to stdout, and the plot to its file; failures to stderr. Blocks: seconds for a million
/// requests.
[[nodiscard]] ExitCode run_simulate(const SimulateOptions& options);

/// What was compared.
struct Simulated {
  simulation::Load load;
  simulation::MachineSettings machine;
  simulation::Report candidate, running;
};
[[nodiscard]] std::string simulated_text(const Simulated& simulated);
[[nodiscard]] nlohmann::ordered_json simulated_json(const Simulated& simulated);
[[nodiscard]] Plot simulated_plot(const Simulated& simulated);

}  // namespace weir::cli
