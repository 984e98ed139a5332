// `weir policy simulate`: a policy and the one that runs, on the same load, in a model of the
// machine. Needs no server, no driver, and no segment unless a pool's settings are to be taken from
// one.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "cli/plot.h"
#include "cli/screen.h"
#include "cli/where.h"
#include "simulation/load.h"
#include "simulation/report.h"
#include "simulation/settings.h"

namespace weir::cli {

struct SimulateOptions {
  std::string candidate = "fixed";                      // as policy_named() reads it
  std::string against{};                                // likewise; empty: the pool's, or fixed
  std::vector<std::string> params{}, against_params{};  // NAME=VALUE
  std::string load = "steady";                          // unless there is a trace
  std::string trace{};                                  // a file
  std::uint32_t seconds = 0;                            // of a named load; 0: its own length
  Where where{};                                        // of the pool
  std::string pool{};                                   // empty: the only one there, or none
  /// What is said of the machine, whose seed is the load's as well; in this order, after the pool
  /// and the trace.
  std::vector<std::function<void(simulation::MachineSettings&)>> changes{};
  bool json = false;
  std::string plot{};  // a file; empty: none
};

/// Writes to stdout, and the plot to its file; failures to stderr. Blocks: seconds for a million
/// requests.
[[nodiscard]] ExitCode run_simulate(const SimulateOptions& options);

/// What was compared.
struct Simulated {
  std::string pool;  // whose settings these are; empty: none
  simulation::Load load;
  simulation::MachineSettings machine;
  simulation::Report candidate, running;
};
[[nodiscard]] std::string simulated_text(const Simulated& simulated);
[[nodiscard]] nlohmann::ordered_json simulated_json(const Simulated& simulated);
[[nodiscard]] Plot simulated_plot(const Simulated& simulated);

}  // namespace weir::cli
