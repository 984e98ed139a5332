#include "cli/config_report.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>

#include "cli/render.h"
#include "config/tree.h"
#include "config/written.h"

namespace weir::cli {
namespace {

using config::ConfigNode;
using config::Loaded;
using config::Setting;
using nlohmann::ordered_json;

constexpr std::size_t kRemarkColumn = 44;

std::string find(const Displays& displays, const Setting& setting) {
  const auto found = displays.find(setting.section + "." + setting.key);
  return found != displays.end() ? found->second : std::string();
}

/// The value as TOML; empty: nothing is set.
std::string value_of(const Setting& setting, const Displays& displays) {
  if (!setting.is_secret) return setting.value;
  const std::string display = find(displays, setting);
  return display.empty() ? std::string(config::kNotShown) : config::written(display);
}

std::string origin_of(const Loaded& loaded) {
  return loaded.origin.empty() ? "the environment" : printable(loaded.origin);
}

std::string line_of(const Setting& setting, const Displays& displays) {
  const std::string value = value_of(setting, displays);
  const std::string comes_to = find(displays, setting);
  std::string line = setting.key + " = " + value;
  if (value.empty()) {
    line = "# " + setting.key + " is not set" + (comes_to.empty() ? "" : ": " + comes_to);
  }
  line = printable(line);
  line.append(line.size() < kRemarkColumn ? kRemarkColumn - line.size() : 1, ' ');
  return line + "# " + printable(setting.source.text()) + "\n";
}

ordered_json json_of(const ConfigNode& node) {
  switch (node.kind) {
    case ConfigNode::Kind::kText:
      return node.text;
    case ConfigNode::Kind::kInteger:
      return node.integer;
    case ConfigNode::Kind::kFraction:
      return node.fraction;
    case ConfigNode::Kind::kBoolean:
      return node.boolean;
    case ConfigNode::Kind::kTable: {
      ordered_json object = ordered_json::object();
      for (const ConfigNode& child : node.children) object[child.name] = json_of(child);
      return object;
    }
    case ConfigNode::Kind::kArray: {
      ordered_json array = ordered_json::array();
      for (const ConfigNode& child : node.children) array.push_back(json_of(child));
      return array;
    }
    default:
      return nullptr;
  }
}

std::string counted(std::size_t count, const char* what) {
  return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

}  // namespace

std::string config_text(const Loaded& loaded, const Displays& displays) {
  std::string text = "# " + origin_of(loaded) +
                     ", as it is in effect; behind each value where it " + "comes from\n";
  std::string_view section;
  for (const Setting& setting : loaded.settings) {
    if (setting.section != section) text += "\n[" + setting.section + "]\n";
    section = setting.section;
    text += line_of(setting, displays);
  }
  for (const std::string& note : loaded.notes) text += "\n# note: " + printable(note);
  return loaded.notes.empty() ? text : text + "\n";
}

ordered_json config_json(const Loaded& loaded, const Displays& displays) {
  ordered_json settings = ordered_json::array();
  for (const Setting& setting : loaded.settings) {
    const std::optional<ConfigNode> value = config::parse_value(value_of(setting, displays));
    ordered_json one = {{"section", setting.section},
                        {"key", setting.key},
                        {"value", value ? json_of(*value) : ordered_json(nullptr)},
                        {"from", config::kind_name(setting.source.kind)},
                        {"source", setting.source.text()}};
    if (setting.is_secret) one["secret"] = true;
    if (const std::string comes_to = find(displays, setting); !value && !comes_to.empty()) {
      one["comes_to"] = comes_to;
    }
    settings.push_back(std::move(one));
  }
  return {{"file", loaded.origin.empty() ? ordered_json(nullptr) : ordered_json(loaded.origin)},
          {"settings", std::move(settings)},
          {"notes", loaded.notes}};
}

std::string config_summary(const Loaded& loaded, bool is_good) {
  std::string text = origin_of(loaded) + ": " + (is_good ? "good" : "not good") + ": " +
                     counted(loaded.config.quotas.size(), "quota") + ", " +
                     counted(loaded.config.pools.size(), "pool") + "\n";
  for (const std::string& note : loaded.notes) text += "note: " + printable(note) + "\n";
  return text;
}

}  // namespace weir::cli
