#include "cli/doctor_command.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "cli/json_text.h"
#include "cli/render.h"
#include "cli/screen.h"
#include "cli/servers.h"
#include "config/load.h"
#include "shm/snapshot.h"

namespace weir::cli {
namespace {

void append(std::vector<Finding>& to, std::vector<Finding> more) {
  std::move(more.begin(), more.end(), std::back_inserter(to));
}

std::optional<FileFacts> facts_of(const std::string& path) {
  struct stat file {
  }, folder{};
  const std::string parent = path.substr(0, path.rfind('/') + 1);
  if (stat(path.c_str(), &file) != 0 || stat(parent.c_str(), &folder) != 0) return std::nullopt;
  return FileFacts{
      path, file.st_uid, folder.st_uid, file.st_mode & 07777, folder.st_mode & 07777, geteuid()};
}

Result<ServerFacts> ask(const Server& server, Deadline deadline) {
  ServerFacts facts;
  facts.display = server.dsn.display();
  facts.pools = server.pools;
  Result<driver::Connection> connection =
      connect(server, "weir doctor " + std::to_string(getpid()), deadline);
  if (!connection.ok()) return connection.status();
  weir_server_limits_t limits{};
  limits.struct_size = sizeof limits;
  limits.max_connections = limits.reserved = limits.role_limit = limits.database_limit = -1;
  limits.client_check_ms = -1;
  const Status asked = connection.value().run(WEIR_OP_LIMITS, &limits, deadline);
  static_cast<void>(connection.value().run(WEIR_OP_CLOSE, nullptr, deadline));
  if (asked.code() == Code::kNotSupported) return facts;
  WEIR_TRY(asked);
  facts.max_connections = limits.max_connections;
  facts.reserved = limits.reserved;
  facts.role_limit = limits.role_limit;
  facts.database_limit = limits.database_limit;
  facts.client_check_ms = limits.client_check_ms;
  return facts;
}

void look_at_servers(const config::RuntimeConfig& config, const shm::Snapshot* snapshot,
                     Nanos timeout, std::vector<Finding>& found) {
  const auto pools = pools_of(config, "");
  if (!pools.ok()) return;  // a configuration has at least one
  const Result<std::vector<Server>> servers = servers_of(config, pools.value());
  if (!servers.ok()) {
    found.push_back({Severity::kCritical, "configuration", servers.status().message(),
                     "weir config check tells the rest"});
    return;
  }
  for (const Server& server : servers.value()) {
    const Result<ServerFacts> facts = ask(server, Deadline::after(timeout));
    if (facts.ok()) {
      append(found, check_server(facts.value(), config, snapshot));
      continue;
    }
    const bool is_full = facts.status().code() == Code::kServerFull;
    found.push_back({is_full ? Severity::kWarning : Severity::kCritical,
                     "server " + server.dsn.display(), facts.status().message(),
                     is_full ? "weir doctor needs one session beyond the quota: leave it room"
                             : "is it running, and reachable from here?"});
  }
}

// The segment as a monitor sees it; what is wrong with it, or that there is none, is a finding.
std::optional<shm::Snapshot> look_at_segment(const shm::SegmentOptions& options,
                                             std::vector<Finding>& found) {
  const auto segment = open_segment(options);
  if (!segment.ok()) {
    const bool is_missing = segment.status().code() == Code::kNotFound;
    // "segment PATH: what": the path is what it is about.
    const std::string& message = segment.status().message();
    const std::size_t colon = std::min(message.find(": "), message.size());
    found.push_back({is_missing ? Severity::kNote : Severity::kCritical, message.substr(0, colon),
                     message.substr(std::min(colon + 2, message.size())), ""});
    return std::nullopt;
  }
  shm::Snapshot snapshot = shm::take_snapshot(*segment.value());
  const shm::HeaderFacts& header = segment.value()->header().facts;
  found.push_back({Severity::kNote, "segment " + snapshot.path,
                   "layout " + std::to_string(header.abi_major) + "." +
                       std::to_string(header.abi_minor) + ", weir " WEIR_VERSION ", " +
                       std::to_string(snapshot.workers.size()) + " workers, " +
                       std::to_string(snapshot.pools.size()) + " pools",
                   ""});
  if (header.abi_minor != shm::kAbiMinor) {
    found.push_back({Severity::kWarning, "segment " + snapshot.path,
                     "made by a weir of layout " + std::to_string(header.abi_major) + "." +
                         std::to_string(header.abi_minor) + ", this command has " +
                         std::to_string(shm::kAbiMajor) + "." + std::to_string(shm::kAbiMinor),
                     "let all processes of the machine use one version"});
  }
  if (const auto facts = facts_of(snapshot.path)) append(found, check_file(*facts));
  append(found, check_segment(snapshot, segment.value()->geometry()));
  return snapshot;
}

}  // namespace

int run_doctor(const DoctorOptions& options) {
  std::vector<Finding> found;
  std::optional<config::Loaded> loaded;
  const Result<Target> target = resolve(options.where);
  if (target.ok() && !options.where.config.empty()) {
    Result<config::Loaded> read = config::load_config_file(options.where.config);
    if (read.ok()) loaded = std::move(read).value();
  }
  if (!target.ok()) {
    found.push_back({Severity::kCritical, "configuration", target.status().message(),
                     "weir config check tells more"});
  } else {
    const std::optional<shm::Snapshot> snapshot = look_at_segment(target.value().segment, found);
    append(found, check_others(snapshot ? snapshot->path : std::string(), segments_in_reach()));
    if (loaded) {
      append(found, check_config(*loaded));
      if (snapshot) append(found, check_in_force(loaded->config, *snapshot));
      look_at_servers(loaded->config, snapshot ? &*snapshot : nullptr, options.timeout, found);
    } else {
      found.push_back({Severity::kNote, "configuration",
                       "not looked at, nor the servers: that takes --config", ""});
    }
  }
  std::stable_sort(found.begin(), found.end(),
                   [](const Finding& a, const Finding& b) { return a.severity > b.severity; });
  const ExitCode written =
      show_once(options.json ? json_text(findings_json(found), false) : findings_text(found));
  return written == kShown ? exit_code_of(found) : static_cast<int>(Severity::kCritical);
}

std::string findings_text(const std::vector<Finding>& findings) {
  std::string text;
  std::size_t warnings = 0, critical = 0;
  for (const Finding& finding : findings) {
    warnings += finding.severity == Severity::kWarning ? 1 : 0;
    critical += finding.severity == Severity::kCritical ? 1 : 0;
    std::string severity = severity_name(finding.severity);
    severity.resize(9, ' ');
    text += severity + printable(finding.about) + ": " + printable(finding.what) + "\n";
    if (!finding.to_do.empty()) text += "         -> " + printable(finding.to_do) + "\n";
  }
  return text + std::to_string(critical) + " critical, " + std::to_string(warnings) +
         (warnings == 1 ? " warning\n" : " warnings\n");
}

nlohmann::ordered_json findings_json(const std::vector<Finding>& findings) {
  nlohmann::ordered_json all = nlohmann::ordered_json::array();
  for (const Finding& finding : findings) {
    all.push_back({{"severity", severity_name(finding.severity)},
                   {"about", finding.about},
                   {"what", finding.what},
                   {"to_do", finding.to_do}});
  }
  return {{"format", 1}, {"exit_status", exit_code_of(findings)}, {"findings", std::move(all)}};
}

int exit_code_of(const std::vector<Finding>& findings) {
  int worst = 0;
  for (const Finding& finding : findings) {
    worst = std::max(worst, static_cast<int>(finding.severity));
  }
  return worst;
}

}  // namespace weir::cli
