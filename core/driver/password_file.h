// A password in a file of its own, read anew for each connection: who rotates it needs no restart.
// Threads: any. Reads a file: on a slow disk that blocks.
#pragma once

#include <string>

#include "base/status.h"

namespace weir::driver {

/// The file's one line, without the line's end. kAuthFailed names the file and what is wrong with
/// it, never what is in it.
[[nodiscard]] Result<std::string> read_password_file(const std::string& path);

/// Overwrites a password that is no longer needed.
void wipe(std::string& password);

}  // namespace weir::driver
