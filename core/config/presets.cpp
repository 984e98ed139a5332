#include "config/presets.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "config/sizes.h"

namespace weir::config {
namespace {

void set_if_open(ConfigNode& pool, ConfigNode node) {
  if (pool.find(node.name) == nullptr) pool.set(std::move(node));
}

void apply(const Preset& preset, std::optional<std::uint32_t> web_concurrency,
           const ConfigNode& root, ConfigNode& pool) {
  const Source base{Source::Kind::kPreset, std::string(preset.name), 0};
  const std::uint32_t workers = web_concurrency.value_or(preset.workers);
  const auto size = [&](const char* key, std::uint32_t per_worker, std::int64_t most) {
    const MachineWide wide = machine_wide(per_worker, workers, most);
    Source source = base;
    if (web_concurrency) source.name += " times WEB_CONCURRENCY";
    if (wide.count < std::int64_t{per_worker} * workers)
      source.name += ", cut to " + std::to_string(wide.count);
    set_if_open(pool, count_node(key, wide.count, source));
  };
  size("max", preset.pool_size + preset.max_overflow, most_of(root, pool));
  // Kept are at most as many as there may be, also where `max` is explicit.
  const std::int64_t max = count_at(pool, "max").value_or(most_of(root, pool));
  size("keep", preset.pool_size, std::max<std::int64_t>(max, 0));
  set_if_open(pool, text_node("acquire_timeout", std::string(preset.acquire_timeout), base));
  set_if_open(pool, text_node("max_lifetime", "1h", base));
  set_if_open(pool, text_node("validate_after", "500ms", base));
}

}  // namespace

Status apply_presets(const Environment& environment, ConfigNode& root) {
  ConfigNode* const pools = root.find_table("pool");
  if (pools == nullptr) return {};
  for (ConfigNode& pool : pools->children) {
    if (pool.kind != ConfigNode::Kind::kTable) continue;
    const std::string name = text_at(pool, "preset");
    const auto preset = std::find_if(kPresets.begin(), kPresets.end(),
                                     [&](const Preset& known) { return known.name == name; });
    if (preset == kPresets.end()) continue;  // who reads the key will tell
    const auto workers = worker_count(environment);
    if (!workers.ok()) return workers.status();
    apply(*preset, workers.value(), root, pool);
  }
  return {};
}

}  // namespace weir::config
