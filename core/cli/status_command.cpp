#include "cli/status_command.h"

#include <chrono>
#include <memory>
#include <string>

#include "cli/json_text.h"
#include "cli/status_report.h"
#include "shm/snapshot.h"

namespace weir::cli {
namespace {

std::uint64_t unix_ns() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(std::chrono::duration_cast<Nanos>(now).count());
}

}  // namespace

ExitCode run_status(const StatusOptions& options) {
  const Result<Target> target = resolve(options.where);
  if (!target.ok()) return tell_failure("status", target.status());
  return show("status", options.watch, [&]() -> Result<std::string> {
    // Anew for each frame: a segment that was replaced meanwhile has another file.
    const auto segment = open_segment(target.value().segment);
    if (!segment.ok()) return segment.status();
    const shm::Snapshot snapshot = shm::take_snapshot(*segment.value());
    if (!options.json) return status_text(snapshot, unix_ns());
    return json_text(status_json(snapshot, unix_ns()), options.watch.on);
  });
}

}  // namespace weir::cli
