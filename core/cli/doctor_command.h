// `weir doctor`: looks for what is wrong, or will be: the segment's rights, other segments in
// reach, workers, limits against what the servers allow, sizes that were said per worker.
//
// Changes nothing. With a configuration it connects one session of its own to each server, outside
// the quota.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "base/clock.h"
#include "cli/doctor_findings.h"
#include "cli/where.h"

namespace weir::cli {

struct DoctorOptions {
  Where where;
  bool json = false;
  Nanos timeout = std::chrono::seconds(10);  // for each server
};

/// 0: nothing but notes; 1: warnings; 2: something critical. Blocks for at most `timeout` per
/// server. Writes to stdout.
[[nodiscard]] int run_doctor(const DoctorOptions& options);

/// As people and programs see it.
[[nodiscard]] std::string findings_text(const std::vector<Finding>& findings);
[[nodiscard]] nlohmann::ordered_json findings_json(const std::vector<Finding>& findings);
[[nodiscard]] int exit_code_of(const std::vector<Finding>& findings);

}  // namespace weir::cli
