// Presets: a pool's sizes and timeouts under one name, which explicit keys go before.
//
// Written as their users know them, per worker and as SQLAlchemy's words; made machine-wide times
// WEB_CONCURRENCY, or, where it is not set, times the workers they were written for. Cut to the
// quota. Threads: plain functions.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <utility>

#include "base/status.h"
#include "config/environment.h"
#include "config/tree.h"

namespace weir::config {

struct Preset {
  std::string_view name;
  std::uint32_t pool_size;     // per worker: kept
  std::uint32_t max_overflow;  // per worker: opened beyond that
  std::uint32_t workers;       // what these were written for
  std::string_view acquire_timeout;
};

// All with max_lifetime "1h" and validate_after "500ms" (recycle 3600, pre-ping).
inline constexpr std::array<Preset, 6> kPresets = {{
    {"small", 5, 10, 1, "30s"},
    {"medium", 15, 30, 1, "30s"},
    {"large", 30, 60, 1, "20s"},
    {"development", 3, 5, 1, "30s"},
    {"high_traffic", 10, 10, 8, "30s"},
    {"low_memory", 3, 2, 8, "30s"},
}};

/// Gives each pool of `root` that names a preset the keys it does not have.
[[nodiscard]] Status apply_presets(const Environment& environment, ConfigNode& root);

}  // namespace weir::config
