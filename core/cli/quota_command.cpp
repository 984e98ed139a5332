#include "cli/quota_command.h"

#include <nlohmann/json.hpp>

#include "cli/json_text.h"
#include "cli/render.h"

namespace weir::cli {
namespace {

std::string kind_of(const shm::Resized& resized) {
  return resized.of == shm::LimitOf::kQuota ? "quota" : "pool";
}

std::uint32_t excess_of(const shm::Resized& resized) {
  return resized.in_use > resized.now ? resized.in_use - resized.now : 0;
}

}  // namespace

ExitCode run_quota_set(const QuotaSetOptions& options) {
  const auto fail = [](const Status& status) { return tell_failure("quota set", status); };
  const Result<Target> target = resolve(options.where);
  if (!target.ok()) return fail(target.status());
  const auto segment = open_segment_to_change(target.value().segment);
  if (!segment.ok()) return fail(segment.status());
  const Result<shm::Resized> resized =
      shm::set_limit(*segment.value(), options.name, options.limit);
  if (!resized.ok()) return fail(resized.status());
  return show_once(options.json ? json_text(resized_json(resized.value()), false)
                                : resized_text(resized.value()));
}

std::string resized_text(const shm::Resized& resized) {
  std::string text = kind_of(resized) + " " + printable(resized.name) + ": ";
  if (resized.was == resized.now) {
    text += "is " + std::to_string(resized.now) + " already";
  } else {
    text += std::to_string(resized.was) + " -> " + std::to_string(resized.now);
  }
  text += "; in use now: " + std::to_string(resized.in_use);
  if (const std::uint32_t excess = excess_of(resized); excess > 0) {
    text += ", of which " + std::to_string(excess) + (excess == 1 ? " goes" : " go") +
            " as leases come back";
  }
  text += "\n";
  if (resized.configured != resized.now) {
    text += "The workers are configured to " + std::to_string(resized.configured) +
            "; this stands until they say something else, or the segment goes.\n";
  }
  if (resized.usable < resized.now) {
    text += "Its pools may have " + std::to_string(resized.usable) +
            " together: raise their max as well (weir quota set POOL MAX).\n";
  }
  return text;
}

nlohmann::ordered_json resized_json(const shm::Resized& resized) {
  return {{"format", 1},
          {"kind", kind_of(resized)},
          {"name", resized.name},
          {"old", resized.was},
          {"new", resized.now},
          {"in_use", resized.in_use},
          {"excess", excess_of(resized)},
          {"room", resized.room},
          {"usable", resized.usable},
          {"configured", resized.configured},
          {"revision", resized.revision}};
}

}  // namespace weir::cli
