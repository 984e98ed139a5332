#include "cli/reap_command.h"

#include <nlohmann/json.hpp>
#include <string>

#include "cli/json_text.h"
#include "shm/admin.h"
#include "shm/snapshot.h"

namespace weir::cli {
namespace {

std::string counted(unsigned count, const char* one, const char* many) {
  return std::to_string(count) + " " + (count == 1 ? one : many);
}

// What still counts against the limits until the server has let go.
unsigned lingering_in(const shm::Segment& segment) {
  unsigned lingering = 0;
  for (const shm::PoolSnapshot& pool : shm::take_snapshot(segment).pools) {
    lingering += pool.in(shm::PlaceState::kLingering);
  }
  return lingering;
}

std::string settled_text(const shm::SettledNow& settled, unsigned lingering) {
  std::string text = "settled: " + counted(settled.workers, "dead worker", "dead workers") + ", " +
                     counted(settled.places, "place", "places") +
                     " of theirs; freed: " + counted(settled.freed, "place", "places") +
                     " that had lingered long enough\n";
  if (settled.resizes > 0) {
    text += "finished: " + counted(settled.resizes, "change", "changes") +
            " of a limit that was left half done\n";
  }
  if (lingering > 0) {
    text += counted(lingering, "place lingers", "places linger") +
            " until the server has let go: a worker with an open connection asks it, else time "
            "has to do\n";
  }
  return text;
}

nlohmann::ordered_json settled_json(const shm::SettledNow& settled, unsigned lingering) {
  return {{"format", 1},
          {"workers", settled.workers},
          {"places", settled.places},
          {"freed", settled.freed},
          {"resizes_finished", settled.resizes},
          {"lingering", lingering}};
}

}  // namespace

ExitCode run_reap(const ReapOptions& options) {
  const auto fail = [](const Status& status) { return tell_failure("reap", status); };
  const Result<Target> target = resolve(options.where);
  if (!target.ok()) return fail(target.status());
  const auto segment = open_segment_to_change(target.value().segment);
  if (!segment.ok()) return fail(segment.status());
  const Result<shm::SettledNow> settled = shm::settle_now(*segment.value());
  if (!settled.ok()) return fail(settled.status());
  const unsigned lingering = lingering_in(*segment.value());
  return show_once(options.json ? json_text(settled_json(settled.value(), lingering), false)
                                : settled_text(settled.value(), lingering));
}

}  // namespace weir::cli
