// What `weir activity` shows, for people and for programs. docs/operations.md explains both; the
// JSON keys are stable. Threads: pure functions.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "cli/activity_join.h"

namespace weir::cli {

/// One server and the pools whose connections go there.
struct ServerActivity {
  std::string server;  // for people, without secrets
  std::vector<std::string> pools;
  Activity activity;
};

[[nodiscard]] std::string activity_text(const ServerActivity& server);
[[nodiscard]] nlohmann::ordered_json activity_json(const std::vector<ServerActivity>& servers);

}  // namespace weir::cli
