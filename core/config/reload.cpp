#include "config/reload.h"

#include <algorithm>
#include <array>

#include "config/keys.h"

namespace weir::config {
namespace {

// What the others decide is part of what sessions are, or of how callers are served all along.
constexpr std::array<std::string_view, 25> kReloadablePoolKeys = {"min",
                                                                  "keep",
                                                                  "max",
                                                                  "max_per_worker",
                                                                  "reserve",
                                                                  "reserve_after",
                                                                  "max_waiting",
                                                                  "connect_concurrency",
                                                                  "acquire_timeout",
                                                                  "connect_timeout",
                                                                  "close_timeout",
                                                                  "idle_timeout",
                                                                  "max_lifetime",
                                                                  "validate_after",
                                                                  "keepalive",
                                                                  "leak_after",
                                                                  "linger_max",
                                                                  "permit_quantum",
                                                                  "handover_after",
                                                                  "on_connect_error",
                                                                  "pause_on_populate_error",
                                                                  "capture_stack",
                                                                  "on_conflict",
                                                                  "policy",
                                                                  "policy_params"};
constexpr std::array<std::string_view, 2> kReloadableQuotaKeys = {"limit", "on_conflict"};

template <std::size_t kCount>
bool is_among(const std::array<std::string_view, kCount>& keys, std::string_view key) {
  return std::find(keys.begin(), keys.end(), key) != keys.end();
}

Status fixed(const std::string& section, std::string_view key, const std::string& what) {
  return Status(Code::kBadConfig, section + "." + std::string(key) + ": " + what +
                                      " cannot change while workers run; nothing was changed. "
                                      "Restart the workers for it");
}

// The keys of one section that differ.
template <typename Section>
Status compare(std::string_view family, std::span<const Key<Section>> keys, const Section& now,
               const Section& next, std::vector<Change>& changes) {
  const std::string section = std::string(family) + "." + now.name;
  for (const Key<Section>& key : keys) {
    std::string was = key.write(now), is = key.write(next);
    if (was == is) continue;
    if (!is_reloadable(family, key.name)) return fixed(section, key.name, was + " to " + is);
    changes.push_back({section, std::string(key.name), std::move(was), std::move(is)});
  }
  return {};
}

template <typename Section>
Status compare_names(std::string_view family, const std::vector<Section>& now,
                     const std::vector<Section>& next) {
  const auto names = [](const std::vector<Section>& all) {
    std::string text;
    for (const Section& one : all) text += (text.empty() ? "" : ", ") + one.name;
    return text.empty() ? std::string("none") : text;
  };
  if (names(now) == names(next)) return {};
  return Status(Code::kBadConfig, std::string(family) + "s: " + names(now) + " to " + names(next) +
                                      " cannot change while workers run; nothing was changed. "
                                      "Restart the workers for it");
}

}  // namespace

bool is_reloadable(std::string_view family, std::string_view key) {
  if (family == "pool") return is_among(kReloadablePoolKeys, key);
  return family == "quota" && is_among(kReloadableQuotaKeys, key);
}

Result<std::vector<Change>> changes_between(const RuntimeConfig& now, const RuntimeConfig& next) {
  std::vector<Change> changes;
  WEIR_TRY(compare_names("quota", now.quotas, next.quotas));
  WEIR_TRY(compare_names("pool", now.pools, next.pools));
  for (const Key<RuntimeConfig>& key : runtime_keys()) {
    if (key.write(now) != key.write(next)) {
      return fixed("runtime", key.name, key.write(now) + " to " + key.write(next));
    }
  }
  for (std::size_t i = 0; i < now.quotas.size(); ++i) {
    if (now.quotas[i].is_auto != next.quotas[i].is_auto) {
      return fixed("quota." + now.quotas[i].name, "limit", "between \"auto\" and a number");
    }
    WEIR_TRY(compare("quota", quota_keys(), now.quotas[i], next.quotas[i], changes));
  }
  for (std::size_t i = 0; i < now.pools.size(); ++i) {
    if (now.pools[i].dsn != next.pools[i].dsn) {
      return fixed("pool." + now.pools[i].name, "dsn", "the server or session");
    }
    WEIR_TRY(compare("pool", pool_keys(), now.pools[i], next.pools[i], changes));
  }
  return changes;
}

}  // namespace weir::config
