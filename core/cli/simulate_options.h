// The command line of `weir policy simulate`.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

#include "cli/simulate_command.h"

namespace weir::cli {

/// Adds it to `weir policy`. `options` must outlive the parsing. `add_where` adds --config and the
/// like.
CLI::App* add_simulate(CLI::App& policy, SimulateOptions& options,
                       const std::function<void(CLI::App&, Where&)>& add_where);

}  // namespace weir::cli
