// The text of a script, from its file. Threads: pure.
#pragma once

#include <string>

#include "base/status.h"

namespace weir::policy {

/// What stands in the file, but no more than one byte above the longest that is taken: compiling it
/// refuses that one. kNotFound, kNoPermission, kSystemError. Blocks for the file system.
[[nodiscard]] Result<std::string> read_script(const std::string& path);

}  // namespace weir::policy
