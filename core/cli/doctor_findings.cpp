#include "cli/doctor_findings.h"

#include <algorithm>
#include <set>

#include "cli/outage.h"
#include "cli/render.h"
#include "cli/status_report.h"
#include "weir/codes.h"

namespace weir::cli {
namespace {

using shm::PlaceState;

constexpr std::uint64_t kLingersLongNs = 10'000'000'000;

std::string number(std::uint64_t value) { return std::to_string(value); }

std::string octal(std::uint32_t mode) {
  std::string text;
  for (std::uint32_t rest = mode & 07777; rest > 0; rest >>= 3) {
    text.insert(text.begin(), static_cast<char>('0' + (rest & 7)));
  }
  return text.empty() ? "0" : text;
}

void check_room(std::vector<Finding>& found, const std::string& about, const char* what,
                std::size_t used, std::uint32_t all, const char* to_do) {
  if (used * 10 < std::size_t{all} * 9) return;
  found.push_back({Severity::kWarning, about,
                   number(used) + " of " + number(all) + " " + what + " are in use", to_do});
}

void check_worker(std::vector<Finding>& found, const shm::WorkerSnapshot& worker) {
  const std::string about = "worker " + number(worker.row) + " (pid " + number(worker.pid) + ")";
  if (worker.dead) {
    found.push_back({Severity::kWarning, about, "dead, and nobody has settled what it had",
                     "weir reap, or start a worker"});
  } else if (is_quiet(worker)) {
    found.push_back({Severity::kWarning, about,
                     "its keeper has been quiet for " + age_text(worker.beat_ago_ns),
                     "continue the process if it is stopped; a host without threads must call "
                     "weir_keep each second"});
  }
}

void check_pool(std::vector<Finding>& found, const shm::Snapshot& snapshot,
                const shm::PoolSnapshot& pool) {
  const std::string about = "pool " + pool.name;
  if (cannot_connect(pool)) {
    const bool full =
        pool.breaker == shm::BreakerState::kClosed && pool.connect_code == WEIR_SERVER_FULL;
    found.push_back({Severity::kCritical, about, outage_text(snapshot, pool),
                     full ? "find who else uses the server (weir activity), or lower the limits "
                            "to what it leaves"
                          : "the workers' log has the server's own words (connect_failed)"});
  }
  const auto lingers_long =
      std::count_if(pool.places.begin(), pool.places.end(), [](const shm::PlaceSnapshot& place) {
        return place.state == PlaceState::kLingering && place.state_ns >= kLingersLongNs;
      });
  if (lingers_long > 0) {
    found.push_back({Severity::kWarning, about,
                     number(static_cast<std::uint64_t>(lingers_long)) +
                         " of dead workers' connections have lingered for long",
                     "weir activity shows whether the server's sessions are busy; end them there"});
  }
  if (pool.paused) {
    found.push_back({Severity::kWarning, about, "paused: nothing is lent",
                     "weir resume " + pool.name + ", once that is meant to end"});
  }
  if (pool.configured_max != pool.max) {
    found.push_back({Severity::kNote, about,
                     "max " + number(pool.max) + " set by an operator, " +
                         number(pool.configured_max) + " configured",
                     "write it into the configuration if it should outlive the segment"});
  }
}

void check_quota(std::vector<Finding>& found, const shm::QuotaSnapshot& quota) {
  const std::string about = "quota " + quota.name;
  if (quota.configured != quota.limit) {
    found.push_back({Severity::kNote, about,
                     "limit " + number(quota.limit) + " set by an operator, " +
                         number(quota.configured) + " configured",
                     "write it into the configuration if it should outlive the segment"});
  }
  if (quota.held > quota.limit) {
    found.push_back({Severity::kNote, about,
                     number(quota.held) + " in use of " + number(quota.limit) +
                         ": it was lowered, and leases are still out",
                     ""});
  }
}

// The limit that counts for pools of one server: of each quota once, of pools without one their
// max.
struct Wanted {
  std::uint64_t connections = 0;
  std::string of;           // "quota pg (20), pool jobs (5)"
  bool is_unknown = false;  // "auto", and nobody has asked yet
};

Wanted wanted_by(const std::vector<std::string>& pools, const config::RuntimeConfig& config,
                 const shm::Snapshot* snapshot) {
  Wanted wanted;
  std::set<std::string> counted;
  const auto add = [&](const std::string& what, std::uint32_t limit) {
    wanted.connections += limit;
    wanted.of += (wanted.of.empty() ? "" : ", ") + what + " (" + number(limit) + ")";
  };
  for (const config::PoolConfig& pool : config.pools) {
    if (std::find(pools.begin(), pools.end(), pool.name) == pools.end()) continue;
    if (pool.quota.empty()) {
      const shm::PoolSnapshot* const seen =
          snapshot != nullptr ? snapshot->pool(pool.name) : nullptr;
      add("pool " + pool.name, seen != nullptr ? seen->max : pool.max);
      continue;
    }
    if (!counted.insert(pool.quota).second) continue;
    std::uint32_t limit = 0;
    for (const config::QuotaConfig& quota : config.quotas) {
      if (quota.name == pool.quota) limit = quota.limit;
    }
    if (snapshot != nullptr) {
      for (const shm::QuotaSnapshot& quota : snapshot->quotas) {
        if (quota.name == pool.quota) limit = quota.limit;
      }
    }
    wanted.is_unknown |= limit == 0;
    add("quota " + pool.quota, limit);
  }
  return wanted;
}

}  // namespace

const char* severity_name(Severity severity) {
  switch (severity) {
    case Severity::kNote:
      return "note";
    case Severity::kWarning:
      return "warning";
    case Severity::kCritical:
      return "critical";
  }
  return "?";
}

std::vector<Finding> check_file(const FileFacts& facts) {
  std::vector<Finding> found;
  const std::string about = "file " + facts.path;
  if ((facts.mode & 02) != 0) {
    found.push_back({Severity::kCritical, about,
                     "mode " + octal(facts.mode) + ": anybody may write to it; workers refuse it",
                     "chmod o-rwx"});
  } else if ((facts.mode & 04) != 0) {
    found.push_back({Severity::kWarning, about,
                     "mode " + octal(facts.mode) +
                         ": anybody may read it, and with a session's token end what it runs",
                     "chmod o-rwx, and the umask of the workers"});
  }
  if ((facts.folder_mode & 02) != 0) {
    found.push_back({Severity::kCritical, about,
                     "its folder has mode " + octal(facts.folder_mode) +
                         ": anybody may put another file there; workers refuse it",
                     "chmod o-w the folder"});
  }
  if (facts.folder_owner != 0 && facts.folder_owner != facts.owner) {
    found.push_back({Severity::kWarning, about,
                     "owned by user " + number(facts.owner) + ", its folder by user " +
                         number(facts.folder_owner),
                     "one user runs the workers, or root owns the folder (/run/weir, mode 2770)"});
  }
  if (facts.looker != 0 && facts.looker != facts.owner) {
    found.push_back(
        {Severity::kNote, about,
         "owned by user " + number(facts.owner) + ", looked at by user " + number(facts.looker),
         "to change anything, run weir as the workers' user"});
  }
  return found;
}

std::vector<Finding> check_others(const std::string& path,
                                  const std::vector<std::string>& in_reach) {
  std::vector<Finding> found;
  for (const std::string& other : in_reach) {
    if (other == path) continue;
    found.push_back({Severity::kWarning, "segment " + other,
                     "another segment on this machine: quotas hold within one, not across",
                     "let all services that share a server name one folder and segment; remove a "
                     "file that nobody uses any more"});
  }
  return found;
}

std::vector<Finding> check_segment(const shm::Snapshot& snapshot, const shm::Geometry& geometry) {
  std::vector<Finding> found;
  const std::string about = "segment " + snapshot.path;
  if (!snapshot.poison_reason.empty()) {
    found.push_back({Severity::kCritical, about, "out of service: " + snapshot.poison_reason,
                     "keep a copy of the file for a report, then restart all workers"});
  }
  check_room(found, about, "worker rows", snapshot.workers.size(), geometry.workers,
             "fewer processes; one more is refused (shm_full)");
  check_room(found, about, "rows of the line", snapshot.waiters.size(), geometry.waiters,
             "callers are about to be turned away: raise limits, or lower max_waiting");
  for (const shm::WorkerSnapshot& worker : snapshot.workers) check_worker(found, worker);
  for (const shm::QuotaSnapshot& quota : snapshot.quotas) check_quota(found, quota);
  for (const shm::PoolSnapshot& pool : snapshot.pools) check_pool(found, snapshot, pool);
  return found;
}

std::vector<Finding> check_config(const config::Loaded& loaded) {
  std::vector<Finding> found;
  for (const config::Setting& setting : loaded.settings) {
    const bool is_size = setting.key == "max" || setting.key == "keep" || setting.key == "min";
    if (!is_size || setting.source.kind != config::Source::Kind::kAlias) continue;
    const std::string source = setting.source.text();
    const std::string what = setting.section + "." + setting.key + " = " + setting.value +
                             " for the whole machine, from " + source;
    // "DB_POOL_SIZE times WEB_CONCURRENCY, cut to 80"
    if (source.find("WEB_CONCURRENCY") == std::string::npos) {
      found.push_back({Severity::kWarning, "environment",
                       what + ", which elsewhere counts per worker",
                       "set WEB_CONCURRENCY to the number of workers, or the key itself"});
    } else if (source.find("cut to") != std::string::npos) {
      found.push_back({Severity::kNote, "environment", what,
                       "the workers together ask for more than the quota; that is what it is for"});
    } else {
      found.push_back({Severity::kNote, "environment", what, ""});
    }
  }
  for (const std::string& note : loaded.notes) {
    found.push_back({Severity::kNote, "configuration", note, ""});
  }
  return found;
}

std::vector<Finding> check_in_force(const config::RuntimeConfig& config,
                                    const shm::Snapshot& snapshot) {
  std::vector<Finding> found;
  const auto differs = [&](const std::string& about, const char* key, std::uint32_t stands,
                           std::uint32_t configured, std::uint32_t file) {
    if (file == configured) return;  // an operator's is told apart
    found.push_back(
        {Severity::kWarning, about,
         std::string(key) + " " + number(file) + " in this file, " + number(stands) + " in force",
         "restart the workers with one configuration, or on_conflict = \"replace\""});
  };
  for (const config::QuotaConfig& quota : config.quotas) {
    for (const shm::QuotaSnapshot& seen : snapshot.quotas) {
      if (seen.name != quota.name || quota.is_auto) continue;
      differs("quota " + quota.name, "limit", seen.limit, seen.configured, quota.limit);
    }
  }
  for (const config::PoolConfig& pool : config.pools) {
    const shm::PoolSnapshot* const seen = snapshot.pool(pool.name);
    if (seen == nullptr) continue;
    differs("pool " + pool.name, "max", seen->max, seen->configured_max, pool.max);
  }
  return found;
}

std::vector<Finding> check_server(const ServerFacts& server, const config::RuntimeConfig& config,
                                  const shm::Snapshot* snapshot) {
  std::vector<Finding> found;
  const std::string about = "server " + server.display;
  const Wanted wanted = wanted_by(server.pools, config, snapshot);
  if (server.max_connections >= 0) {
    std::int64_t allowed = std::int64_t{server.max_connections} - std::max(server.reserved, 0);
    std::string by = "max_connections " + std::to_string(server.max_connections) + ", " +
                     std::to_string(std::max(server.reserved, 0)) + " reserved";
    for (const auto& [limit, name] : {std::pair{server.role_limit, "the role's limit "},
                                      std::pair{server.database_limit, "the database's limit "}}) {
      if (limit < 0 || limit >= allowed) continue;
      allowed = limit;
      by = name + std::to_string(limit);
    }
    const auto asked = static_cast<std::int64_t>(wanted.connections);
    const std::string what =
        wanted.of +
        (wanted.of.find(',') == std::string::npos ? std::string()
                                                  : " together " + std::to_string(asked)) +
        "; the server allows " + std::to_string(allowed) + " (" + by + ")";
    if (asked > allowed) {
      found.push_back({Severity::kCritical, about, what,
                       "lower the limits, or raise the server's: max_connections needs a restart "
                       "of the server, a reload does not do"});
    } else if (asked == allowed && !wanted.is_unknown) {
      found.push_back({Severity::kWarning, about, what + ": nothing is left for anybody else",
                       "leave a few for weir activity, backups and people"});
    } else if (!wanted.is_unknown) {
      found.push_back({Severity::kNote, about, what, ""});
    }
  }
  if (server.client_check_ms == 0) {
    found.push_back({Severity::kWarning, about,
                     "client_connection_check_interval is 0: it notices that a killed worker is "
                     "gone only when the statement ends, and the connection counts until then",
                     "ALTER SYSTEM SET client_connection_check_interval = '1s', then reload"});
  }
  return found;
}

}  // namespace weir::cli
