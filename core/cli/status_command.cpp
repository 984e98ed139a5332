#include "cli/status_command.h"

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "cli/json_text.h"
#include "cli/status_report.h"
#include "shm/snapshot.h"

namespace weir::cli {
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
