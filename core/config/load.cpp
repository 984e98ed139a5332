#include "config/load.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/text.h"
#include "config/text.h"
#include "config/tree.h"
#include "config/values.h"

namespace weir::config {
namespace {

// ---- the keys there are -------------------------------------------------------------------------

constexpr std::string_view kNameForm = "a name ([a-z][a-z0-9]*, at most 31 bytes)";
constexpr std::string_view kServiceForm =
    "a label (letters, digits, \".\", \"_\", \"-\"; at most 31 bytes)";
constexpr std::string_view kSegmentForm = "a segment's name ([a-z][a-z0-9_-]*, at most 31 bytes)";
constexpr std::size_t kLongestLabel = 31;

bool is_among(std::string_view text, std::string_view begin, std::string_view others) {
  return text.size() <= kLongestLabel && begin.find(text.front()) != std::string_view::npos &&
         text.find_first_not_of(others) == std::string_view::npos;
}

bool is_service(std::string_view text) {
  constexpr std::string_view kBytes =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
  return is_among(text, kBytes, kBytes);
}

bool is_segment(std::string_view text) {
  constexpr std::string_view kBytes = "abcdefghijklmnopqrstuvwxyz0123456789_-";
  return is_among(text, kBytes.substr(0, 26), kBytes);
}

constexpr std::array<std::pair<std::string_view, ResetMode>, 3> kResets = {{
    {"tracked", ResetMode::kTracked},
    {"always", ResetMode::kAlways},
    {"transaction", ResetMode::kTransaction},
}};
constexpr std::array<std::pair<std::string_view, Orphans>, 2> kOrphans = {{
    {"terminate", Orphans::kTerminate},
    {"wait", Orphans::kWait},
}};

template <typename Target>
struct Key {
  std::string_view name;
  Status (*read)(const Item&, Target&);
};

constexpr Key<RuntimeConfig> kRuntimeKeys[] = {
    {"service", read_word_like<&RuntimeConfig::service, is_service, kServiceForm>},
    {"segment", read_word_like<&RuntimeConfig::segment, is_segment, kSegmentForm>},
    {"folder", read_text<&RuntimeConfig::folder>},
    {"plugin_path", read_texts<&RuntimeConfig::plugin_path>},
};

constexpr Key<QuotaConfig> kQuotaKeys[] = {
    {"limit", read_count<&QuotaConfig::limit, kMaxRange>},
};

constexpr Key<PoolConfig> kPoolKeys[] = {
    {"driver", read_word_like<&PoolConfig::driver, is_valid_name, kNameForm>},
    {"dsn", read_text<&PoolConfig::dsn>},
    {"quota", read_word_like<&PoolConfig::quota, is_valid_name, kNameForm>},
    {"min", read_count<&PoolConfig::min, kConnectionsRange>},
    {"keep", read_count<&PoolConfig::keep, kConnectionsRange>},
    {"max", read_count<&PoolConfig::max, kMaxRange>},
    {"max_per_worker", read_count<&PoolConfig::max_per_worker, kConnectionsRange>},
    {"max_waiting", read_count<&PoolConfig::max_waiting, kWaitingRange>},
    {"connect_concurrency", read_count<&PoolConfig::connect_concurrency, kConcurrencyRange>},
    {"acquire_timeout", read_duration<&PoolConfig::acquire_timeout>},
    {"idle_timeout", read_duration<&PoolConfig::idle_timeout>},
    {"max_lifetime", read_duration<&PoolConfig::max_lifetime>},
    {"validate_after", read_duration_or_never<&PoolConfig::validate_after>},
    {"connect_timeout", read_duration<&PoolConfig::connect_timeout>},
    {"statement_timeout", read_duration<&PoolConfig::statement_timeout>},
    {"close_timeout", read_duration<&PoolConfig::close_timeout>},
    {"permit_quantum", read_duration<&PoolConfig::permit_quantum>},
    {"linger_max", read_duration<&PoolConfig::linger_max>},
    {"leak_after", read_duration<&PoolConfig::leak_after>},
    {"keepalive", read_duration<&PoolConfig::keepalive>},
    {"reset", read_choice<&PoolConfig::reset, kResets>},
    {"orphans", read_choice<&PoolConfig::orphans, kOrphans>},
    {"on_connect", read_texts<&PoolConfig::on_connect>},
};

// ---- reading sections ---------------------------------------------------------------------------

template <typename Target, std::size_t kCount>
Status read_keys(const Item& section, const Key<Target> (&keys)[kCount], Target& target) {
  for (const ConfigNode& node : section.node.children) {
    const Item item = item_in(section.spot, node);
    const auto* key = std::find_if(std::begin(keys), std::end(keys),
                                   [&](const auto& known) { return known.name == node.name; });
    if (key == std::end(keys)) {
      std::array<std::string_view, kCount> names;
      std::transform(std::begin(keys), std::end(keys), names.begin(),
                     [](const auto& known) { return known.name; });
      return item.spot.bad("unknown key; the nearest valid key is " +
                           show_text(nearest(node.name, names)));
    }
    WEIR_TRY(key->read(item, target));
  }
  return {};
}

Status check_is_table(const Item& item, const std::string& header) {
  if (item.node.kind == ConfigNode::Kind::kTable) return {};
  return item.spot.expected("a section " + header, kind_of(item.node));
}

/// A section that was read, for messages about what its values mean together.
template <typename Config>
struct Sourced {
  Config config;
  Item section;

  /// The spot of a key of the section; the section's own line if the key is not there.
  [[nodiscard]] Spot spot_of(std::string_view key) const {
    const ConfigNode* node = section.node.find(key);
    return section.spot.below(key, node != nullptr ? node->line : section.spot.line);
  }
};

/// Every [FAMILY.NAME] below `family`.
template <typename Config, std::size_t kCount>
Status read_family(const Item& family, const Key<Config> (&keys)[kCount],
                   std::vector<Sourced<Config>>& out) {
  const std::string header = "[" + family.node.name + ".NAME]";
  WEIR_TRY(check_is_table(family, header));
  for (const ConfigNode& node : family.node.children) {
    const Item section = item_in(family.spot, node);
    if (!is_valid_name(node.name)) {
      return section.spot.expected(kNameForm, shown_key(node.name));
    }
    WEIR_TRY(check_is_table(section, header));
    Sourced<Config> read{Config{}, section};
    read.config.name = node.name;
    WEIR_TRY(read_keys(section, keys, read.config));
    if (const auto problem = read.config.problem()) {
      return read.spot_of(problem->key).bad(problem->text);
    }
    out.push_back(std::move(read));
  }
  return {};
}

/// What the sections say about each other.
Status check_quota_of(const Sourced<PoolConfig>& pool,
                      const std::vector<Sourced<QuotaConfig>>& quotas) {
  if (pool.config.quota.empty()) return {};
  std::vector<std::string_view> names;
  for (const auto& quota : quotas) {
    names.push_back(quota.config.name);
    if (quota.config.name != pool.config.quota) continue;
    if (pool.config.max <= quota.config.limit) return {};
    const Spot limit = quota.spot_of("limit");
    const bool is_default = pool.section.node.find("max") == nullptr;
    return pool.spot_of("max").expected(
        "at most " + std::to_string(quota.config.limit) + ", the limit of its quota (line " +
            std::to_string(limit.line) + ")",
        std::to_string(pool.config.max) + (is_default ? " (the default)" : ""));
  }
  const std::string known =
      names.empty() ? "; there is no [quota.NAME] section"
                    : "; the nearest one is " + show_text(nearest(pool.config.quota, names));
  return pool.spot_of("quota").expected("the name of a quota",
                                        found(*pool.section.node.find("quota")) + known);
}

/// A relative path in the file is meant from the folder that the file is in.
void resolve(std::string& path, const std::filesystem::path& folder) {
  if (!path.empty()) path = (folder / path).lexically_normal().string();
}

Result<RuntimeConfig> read_config(const std::string& text, const std::string& origin,
                                  const std::filesystem::path& folder) {
  const Result<ConfigNode> root = parse_tree(text, origin);
  if (!root.ok()) return root.status();

  RuntimeConfig config;
  std::vector<Sourced<QuotaConfig>> quotas;
  std::vector<Sourced<PoolConfig>> pools;
  for (const ConfigNode& node : root.value().children) {
    const Item item = item_in(Spot{origin, 1, ""}, node);
    if (node.name == "runtime") {
      WEIR_TRY(check_is_table(item, "[runtime]"));
      WEIR_TRY(read_keys(item, kRuntimeKeys, config));
    } else if (node.name == "quota") {
      WEIR_TRY(read_family(item, kQuotaKeys, quotas));
    } else if (node.name == "pool") {
      WEIR_TRY(read_family(item, kPoolKeys, pools));
    } else {
      constexpr std::array<std::string_view, 3> kSections = {"runtime", "quota", "pool"};
      return item.spot.bad("unknown section; the nearest valid one is " +
                           show_text(nearest(node.name, kSections)));
    }
  }
  if (pools.empty()) {
    return Spot{origin, 1, "pool"}.expected("at least one section [pool.NAME]", "none");
  }
  for (const auto& pool : pools) WEIR_TRY(check_quota_of(pool, quotas));

  for (auto& quota : quotas) config.quotas.push_back(std::move(quota.config));
  for (auto& pool : pools) config.pools.push_back(std::move(pool.config));
  resolve(config.folder, folder);
  for (std::string& path : config.plugin_path) resolve(path, folder);
  return config;
}

// ---- files --------------------------------------------------------------------------------------

// Enough for parse_tree to see that a file is too large, without reading all of a huge one.
constexpr std::size_t kMostRead = (1 << 20) + 1;

Result<std::string> read_file(const std::string& path) {
  const auto failed = [&](int error_number) { return Status::system_error(path, error_number); };
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "re"),
                                                             &std::fclose);
  if (file == nullptr) {
    if (errno == ENOENT) return Status(Code::kNotFound, path + ": expected a file, found none");
    return failed(errno);
  }
  std::string text(kMostRead, '\0');
  errno = 0;
  text.resize(std::fread(text.data(), 1, text.size(), file.get()));
  if (std::ferror(file.get()) != 0) return failed(errno);  // e.g. it is a folder
  return text;
}

}  // namespace

Result<RuntimeConfig> load_config_file(const std::string& path) {
  const Result<std::string> text = read_file(path);
  if (!text.ok()) return text.status();
  std::error_code error;
  const std::filesystem::path whole = std::filesystem::absolute(path, error);
  if (error) return Status::system_error(path, error.value());
  return read_config(text.value(), path, whole.parent_path());
}

Result<RuntimeConfig> parse_config(const std::string& text, const std::string& origin) {
  std::error_code ignored;  // without a working folder, relative paths stay as they are
  return read_config(text, origin, std::filesystem::current_path(ignored));
}

}  // namespace weir::config
