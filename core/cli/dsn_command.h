// `weir dsn check`: what a driver reads in a DSN, or what is wrong with it. Loads the driver as the
// workers do; touches neither segment nor network.
//
// The DSN itself is never printed, nor any part of it that the driver does not show.
// Threads: the command from one; the texts are pure functions.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "base/status.h"
#include "cli/screen.h"

namespace weir::cli {

struct DsnOptions {
  std::string driver;
  std::string dsn;                   // "-": the first line of stdin
  std::vector<std::string> plugins;  // folders; empty: the usual one
  bool json = false;
};

/// Writes to stdout; what is wrong to stderr, with --json to stdout.
[[nodiscard]] ExitCode run_dsn_check(const DsnOptions& options);

/// What the driver says of a good DSN.
struct DsnParts {
  std::string driver, version;
  std::string display, server_identity;
  std::uint64_t fingerprint = 0;
};
[[nodiscard]] std::string dsn_text(const DsnParts& parts);
[[nodiscard]] nlohmann::ordered_json dsn_json(const DsnParts& parts);
/// `kind` is the code's stable name.
[[nodiscard]] nlohmann::ordered_json dsn_error_json(const Status& status);

}  // namespace weir::cli
