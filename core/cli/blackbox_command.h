// `weir blackbox`: the last events of each worker from its flight recorder, newest last; also of
// workers that died, until another one has their row. From the segment alone, read-only.
//
// Threads: the command from one.
#pragma once

#include <cstdint>
#include <optional>

#include "cli/screen.h"
#include "cli/where.h"

namespace weir::cli {

struct BlackboxOptions {
  Where where;
  std::optional<std::uint32_t> worker;  // its row; none: all
  bool json = false;
};

/// Writes to stdout, failures to stderr.
[[nodiscard]] ExitCode run_blackbox(const BlackboxOptions& options);

}  // namespace weir::cli
