// `weir config check` and `weir config show`: what the workers are configured to do, and why.
//
// Both read what a worker would read, the environment of this process included, and touch neither
// segment nor network.
#pragma once

#include <string>

#include "cli/screen.h"

namespace weir::cli {

struct ConfigOptions {
  std::string file;   // empty: as weir_open finds one
  bool json = false;  // show
};

/// Good or not: the configuration, its drivers, DSNs and password files. Writes to stdout what was
/// read and what people should know, to stderr everything that is wrong.
[[nodiscard]] ExitCode run_config_check(const ConfigOptions& options);

/// Every key of every section with its value and where it comes from. Writes to stdout.
[[nodiscard]] ExitCode run_config_show(const ConfigOptions& options);

}  // namespace weir::cli
