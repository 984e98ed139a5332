// Showing a text once, or again and again until interrupted.
//
// On a terminal each frame replaces the one before, cut to the terminal's height; elsewhere frames
// follow one another. SIGINT and SIGTERM end a watch in good order. Threads: call it from one; it
// blocks.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/clock.h"
#include "base/status.h"

namespace weir::cli {

/// What `weir` ends with. A wrong command line is kUsage.
enum ExitCode : int { kShown = 0, kFailed = 1, kUsage = 2 };

struct Watch {
  bool on = false;
  Nanos interval = std::chrono::seconds(1);
  std::uint64_t count = 0;  // frames; 0: until interrupted
};

/// Writes `text` to stdout. kFailed, with a message on stderr, if it cannot be written.
[[nodiscard]] ExitCode show_once(const std::string& text);

/// Tells `status` on stderr as "weir COMMAND: message".
ExitCode tell_failure(const std::string& command, const Status& status);

/// Shows what `frame` makes, once or as `watch` says. A frame that fails is told instead, and a
/// watch goes on: what is missing may come. Answers how the last frame went.
[[nodiscard]] ExitCode show(const std::string& command, const Watch& watch,
                            const std::function<Result<std::string>()>& frame);

}  // namespace weir::cli
