// The command line of `weir policy simulate`.
#pragma once

#include <CLI/CLI.hpp>

#include "cli/simulate_command.h"

namespace weir::cli {

/// Adds it to `weir policy`. `options` must outlive the parsing.
CLI::App* add_simulate(CLI::App& policy, SimulateOptions& options);

}  // namespace weir::cli
