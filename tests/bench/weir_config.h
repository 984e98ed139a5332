// A configuration of weir for a benchmark: one pool "main" on one PostgreSQL. The rest is weir's
// defaults.
#pragma once

#include <string>

namespace weir::bench {

struct WeirConfig {
  std::string folder;  // for the segment; an empty one of its own
  std::string dsn;
  unsigned max = 20;
  std::string more = {};  // lines of [pool.main]
};

[[nodiscard]] inline std::string text_of(const WeirConfig& config) {
  return "[runtime]\nservice = \"bench\"\nfolder = \"" + config.folder +
         "\"\n[pool.main]\ndriver = \"postgres\"\ndsn = \"" + config.dsn +
         "\"\nmax = " + std::to_string(config.max) + "\n" + config.more;
}

}  // namespace weir::bench
