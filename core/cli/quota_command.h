// `weir quota set`: changes a quota's limit, or a pool's max, while workers use it, or while none
// does.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "cli/screen.h"
#include "cli/where.h"
#include "shm/admin.h"

namespace weir::cli {

struct QuotaSetOptions {
  Where where;
  std::string name;
  std::uint32_t limit = 0;
  bool json = false;
};

/// Blocks for a second at most. Writes to stdout, failures to stderr.
[[nodiscard]] ExitCode run_quota_set(const QuotaSetOptions& options);

/// What became of it, for people and for programs.
[[nodiscard]] std::string resized_text(const shm::Resized& resized);
[[nodiscard]] nlohmann::ordered_json resized_json(const shm::Resized& resized);

}  // namespace weir::cli
