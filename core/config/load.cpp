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
#include "config/aliases.h"
#include "config/environment.h"
#include "config/keys.h"
#include "config/overrides.h"
#include "config/presets.h"
#include "config/text.h"
#include "config/tree.h"
#include "config/values.h"

namespace weir::config {
namespace {

// ---- reading sections ---------------------------------------------------------------------------

template <typename Target>
Status read_keys(const Item& section, std::string_view family, std::span<const Key<Target>> keys,
                 Target& target) {
  for (const ConfigNode& node : section.node.children) {
    const Item item = item_in(section.spot, node);
    if (const auto problem = key_problem(family, node.name)) return item.spot.bad(*problem);
    const auto key = std::find_if(keys.begin(), keys.end(),
                                  [&](const auto& known) { return known.name == node.name; });
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

  [[nodiscard]] Source source_of(std::string_view key) const {
    const ConfigNode* node = section.node.find(key);
    return node != nullptr ? node->source : Source{};
  }
  /// The spot of a key of the section; the section's own line if the key is not there.
  [[nodiscard]] Spot spot_of(std::string_view key) const {
    const ConfigNode* node = section.node.find(key);
    return section.spot.below(key, node != nullptr ? node->source : section.spot.source);
  }
};

/// What a contradiction is about may not stand beside it: "max (10, from preset small)".
template <typename Config>
std::string where_max_is_from(const Sourced<Config>& read, const ConfigProblem& problem) {
  if (problem.key != "min" && problem.key != "keep") return {};
  const Source source = read.source_of("max");
  if (source.kind == Source::Kind::kDefault || source.kind == Source::Kind::kFile) return {};
  return "; max comes from " + source.text();
}

/// Every [FAMILY.NAME] below `family`.
template <typename Config>
Status read_family(const Item& family, std::span<const Key<Config>> keys,
                   std::vector<Sourced<Config>>& out) {
  const std::string header = "[" + family.node.name + ".NAME]";
  WEIR_TRY(check_is_table(family, header));
  for (const ConfigNode& node : family.node.children) {
    const Item section = item_in(family.spot, node);
    if (!is_valid_name(node.name)) {
      return section.spot.expected("a name ([a-z][a-z0-9]*, at most 31 bytes)",
                                   shown_key(node.name));
    }
    WEIR_TRY(check_is_table(section, header));
    Sourced<Config> read{Config{}, section};
    read.config.name = node.name;
    WEIR_TRY(read_keys(section, family.node.name, keys, read.config));
    if (const auto problem = read.config.problem()) {
      return read.spot_of(problem->key).bad(problem->text + where_max_is_from(read, *problem));
    }
    out.push_back(std::move(read));
  }
  return {};
}

std::string place_of(const Source& source) {
  return source.kind == Source::Kind::kFile ? "line " + std::to_string(source.line) : source.text();
}

/// What the sections say about each other.
Status check_quota_of(const Sourced<PoolConfig>& pool,
                      const std::vector<Sourced<QuotaConfig>>& quotas) {
  if (pool.config.quota.empty()) return {};
  std::vector<std::string_view> names;
  for (const auto& quota : quotas) {
    names.push_back(quota.config.name);
    if (quota.config.name != pool.config.quota) continue;
    if (quota.config.is_auto || pool.config.max <= quota.config.limit) return {};
    const bool is_default = pool.section.node.find("max") == nullptr;
    return pool.spot_of("max").expected(
        "at most " + std::to_string(quota.config.limit) + ", the limit of its quota (" +
            place_of(quota.spot_of("limit").source) + ")",
        std::to_string(pool.config.max) + (is_default ? " (the default)" : ""));
  }
  const std::string known =
      names.empty() ? "; there is no [quota.NAME] section"
                    : "; the nearest one is " + show_text(nearest(pool.config.quota, names));
  return pool.spot_of("quota").expected("the name of a quota",
                                        found(*pool.section.node.find("quota")) + known);
}

/// The server that an "auto" asks is a pool's.
Status check_auto(const Sourced<QuotaConfig>& quota,
                  const std::vector<Sourced<PoolConfig>>& pools) {
  const bool is_used = std::any_of(pools.begin(), pools.end(), [&](const auto& pool) {
    return pool.config.quota == quota.config.name;
  });
  if (!quota.config.is_auto || is_used) return {};
  return quota.spot_of("limit").expected("a number, for no pool draws on this quota", "\"auto\"");
}

/// A relative path in the file is meant from the folder that the file is in.
void resolve(std::string& path, const std::filesystem::path& folder) {
  if (!path.empty()) path = (folder / path).lexically_normal().string();
}

template <typename Config>
void list(const std::string& section, const Config& config, const ConfigNode* node,
          std::span<const Key<Config>> keys, std::vector<Setting>& out) {
  for (const Key<Config>& key : keys) {
    const ConfigNode* const said = node != nullptr ? node->find(key.name) : nullptr;
    out.push_back({section, std::string(key.name), key.write(config), key.is_secret,
                   said != nullptr ? said->source : Source{}});
  }
}

// ---- all of it ----------------------------------------------------------------------------------

struct Input {
  std::string origin;  // the file's name; empty: there is none
  std::filesystem::path folder;
};

bool takes_aliases(const ConfigNode& root) {
  const ConfigNode* const runtime = root.find("runtime");
  const ConfigNode* const aliases = runtime != nullptr ? runtime->find("aliases") : nullptr;
  return aliases == nullptr || aliases->kind != ConfigNode::Kind::kBoolean || aliases->boolean;
}

Result<Loaded> read_tree(ConfigNode root, const Input& input) {
  const Environment environment = Environment::of_process();
  Loaded loaded;
  loaded.origin = input.origin;
  // From the strongest to the weakest; none replaces what a stronger one has set.
  WEIR_TRY(apply_overrides(environment, input.origin.empty(), root));
  if (takes_aliases(root)) WEIR_TRY(apply_aliases(environment, root, loaded.notes));
  WEIR_TRY(apply_presets(environment, root));

  RuntimeConfig& config = loaded.config;
  std::vector<Sourced<QuotaConfig>> quotas;
  std::vector<Sourced<PoolConfig>> pools;
  const Source top = in_file(input.origin, 1);
  for (const ConfigNode& node : root.children) {
    const Item item = item_in(Spot{top, ""}, node);
    if (node.name == "runtime") {
      WEIR_TRY(check_is_table(item, "[runtime]"));
      WEIR_TRY(read_keys(item, "runtime", runtime_keys(), config));
    } else if (node.name == "quota") {
      WEIR_TRY(read_family(item, quota_keys(), quotas));
    } else if (node.name == "pool") {
      WEIR_TRY(read_family(item, pool_keys(), pools));
    } else {
      constexpr std::array<std::string_view, 3> kSections = {"runtime", "quota", "pool"};
      return item.spot.bad("unknown section; the nearest valid one is " +
                           show_text(nearest(node.name, kSections)));
    }
  }
  if (pools.empty() && input.origin.empty()) {
    return Status(Code::kNotFound,
                  "configuration: expected a weir.toml in the working folder, WEIR_CONFIG with the "
                  "path of one, DATABASE_URL or variables WEIR_POOL_<NAME>_<KEY>, found none of "
                  "them");
  }
  if (pools.empty()) {
    return Spot{top, "pool"}.expected("at least one section [pool.NAME]", "none");
  }
  for (const auto& pool : pools) WEIR_TRY(check_quota_of(pool, quotas));
  for (const auto& quota : quotas) WEIR_TRY(check_auto(quota, pools));

  resolve(config.folder, input.folder);
  for (std::string& path : config.plugin_path) resolve(path, input.folder);
  list("runtime", config, root.find("runtime"), runtime_keys(), loaded.settings);
  for (auto& quota : quotas) {
    list("quota." + quota.config.name, quota.config, &quota.section.node, quota_keys(),
         loaded.settings);
    config.quotas.push_back(std::move(quota.config));
  }
  for (auto& pool : pools) {
    resolve(pool.config.password_file, input.folder);
    resolve(pool.config.policy, input.folder);
    list("pool." + pool.config.name, pool.config, &pool.section.node, pool_keys(), loaded.settings);
    config.pools.push_back(std::move(pool.config));
  }
  return loaded;
}

Result<Loaded> read_text(const std::string& text, const Input& input) {
  Result<ConfigNode> root = parse_tree(text, input.origin);
  if (!root.ok()) return root.status();
  return read_tree(std::move(root).value(), input);
}

std::filesystem::path working_folder() {
  std::error_code ignored;  // without a working folder, relative paths stay as they are
  return std::filesystem::current_path(ignored);
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

Result<Loaded> load_config_file(const std::string& path) {
  const Result<std::string> text = read_file(path);
  if (!text.ok()) return text.status();
  std::error_code error;
  const std::filesystem::path whole = std::filesystem::absolute(path, error);
  if (error) return Status::system_error(path, error.value());
  return read_text(text.value(), {path, whole.parent_path()});
}

Result<Loaded> load_config_text(const std::string& text, const std::string& origin) {
  return read_text(text, {origin, working_folder()});
}

Result<Loaded> load_config_environment() {
  return read_tree(make_table("", {}), {"", working_folder()});
}

std::string default_config_path() {
  const Environment environment = Environment::of_process();
  if (const std::string* named = environment.find("WEIR_CONFIG")) return *named;
  std::error_code ignored;
  return std::filesystem::exists("weir.toml", ignored) ? "weir.toml" : "";
}

Result<Loaded> load_config(const std::string& path) {
  const std::string file = path.empty() ? default_config_path() : path;
  return file.empty() ? load_config_environment() : load_config_file(file);
}

Result<RuntimeConfig> parse_config(const std::string& text, const std::string& origin) {
  Result<Loaded> loaded = load_config_text(text, origin);
  if (!loaded.ok()) return loaded.status();
  return std::move(loaded).value().config;
}

}  // namespace weir::config
