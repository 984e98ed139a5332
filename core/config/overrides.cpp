#include "config/overrides.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>
#include <vector>

#include "base/text.h"
#include "config/keys.h"
#include "config/pool_config.h"
#include "config/text.h"
#include "config/values.h"

namespace weir::config {
namespace {

constexpr std::string_view kRuntimePrefix = "WEIR_RUNTIME_";
constexpr std::string_view kQuotaPrefix = "WEIR_QUOTA_";
constexpr std::string_view kPoolPrefix = "WEIR_POOL_";

std::string upper_case(std::string_view text) {
  std::string upper(text);
  std::transform(upper.begin(), upper.end(), upper.begin(), [](char c) {
    if (c == '.') return '_';
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  });
  return upper;
}

/// Which key a variable speaks of.
struct Target {
  std::string_view family;  // "runtime", "quota", "pool"
  std::string name;         // of quota or pool; else empty
  std::string key;
};

/// nullopt: a variable of another kind.
std::optional<Target> target_of(std::string_view variable) {
  if (variable.starts_with(kRuntimePrefix)) {
    return Target{"runtime", "", lower_case(variable.substr(kRuntimePrefix.size()))};
  }
  for (const auto& [prefix, family] :
       {std::pair{kQuotaPrefix, "quota"}, std::pair{kPoolPrefix, "pool"}}) {
    if (!variable.starts_with(prefix)) continue;
    const std::string_view rest = variable.substr(prefix.size());
    const std::size_t end = std::min(rest.find('_'), rest.size());  // names have no "_"
    const std::string_view key = rest.substr(std::min(end + 1, rest.size()));
    return Target{family, lower_case(rest.substr(0, end)), lower_case(key)};
  }
  return std::nullopt;
}

bool is_upper_case(std::string_view variable) { return upper_case(variable) == variable; }

/// Every variable that could be meant.
std::vector<std::string> valid_names(const ConfigNode& root) {
  std::vector<std::string> names;
  const auto add = [&](const std::string& section, std::string_view family) {
    for (const KeyInfo& info : key_infos(family))
      names.push_back(override_name(section, info.name));
  };
  add("runtime", "runtime");
  for (const ConfigNode& family : root.children) {
    if (family.name != "quota" && family.name != "pool") continue;
    for (const ConfigNode& section : family.children) {
      add(family.name + "." + section.name, family.name);
    }
  }
  return names;
}

Status unknown(const std::string& variable, const ConfigNode& root) {
  const std::vector<std::string> names = valid_names(root);
  const std::vector<std::string_view> views(names.begin(), names.end());
  return {Code::kBadConfig, shown_key(variable) + ": unknown variable; the nearest valid one is " +
                                std::string(nearest(variable, views))};
}

std::optional<std::int64_t> whole_number(std::string_view text) {
  std::int64_t number = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || rest != text.data() + text.size()) return std::nullopt;
  return number;
}

bool is_quoted(std::string_view text) { return text.starts_with('"') || text.starts_with('\''); }

void set_origin(ConfigNode& node, const Source& source) {
  node.source = source;
  node.is_literal = true;
  for (ConfigNode& child : node.children) set_origin(child, source);
}

/// nullopt: it begins as TOML does, and goes on otherwise.
std::optional<ConfigNode> value_of(const std::string& text, Form form) {
  ConfigNode node;
  if (is_quoted(text) || (form == Form::kTexts && text.starts_with('[')) ||
      (form == Form::kTable && text.starts_with('{'))) {
    return parse_value(text);
  }
  if (const auto number = whole_number(text);
      number && (form == Form::kCount || form == Form::kDuration)) {
    node.kind = ConfigNode::Kind::kInteger;
    node.integer = *number;
  } else if (form == Form::kFlag && (text == "true" || text == "false")) {
    node.kind = ConfigNode::Kind::kBoolean;
    node.boolean = text == "true";
  } else {
    node.kind = ConfigNode::Kind::kText;
    node.text = text;
  }
  return node;
}

/// The section's table, made if it may be; null if it is not there.
ConfigNode* section_of(ConfigNode& root, const Target& target, bool may_add, const Source& source) {
  const std::string family(target.family);
  if (root.find(family) == nullptr) {
    if (!may_add && family != "runtime") return nullptr;
    root.set(make_table(family, source));
  }
  ConfigNode* const outer = root.find_table(family);
  if (outer == nullptr || target.name.empty()) return outer;
  if (outer->find(target.name) == nullptr && may_add && is_valid_name(target.name)) {
    outer->set(make_table(target.name, source));
  }
  return outer->find_table(target.name);
}

Status apply(const std::string& variable, const std::string& value, const Target& target,
             bool may_add, ConfigNode& root) {
  const Source source{Source::Kind::kEnvironment, variable, 0};
  const std::vector<KeyInfo> keys = key_infos(target.family);
  const auto key = std::find_if(keys.begin(), keys.end(),
                                [&](const KeyInfo& info) { return info.name == target.key; });
  if (key == keys.end() || !is_upper_case(variable)) return unknown(variable, root);
  ConfigNode* const section = section_of(root, target, may_add, source);
  if (section == nullptr) return unknown(variable, root);

  std::optional<ConfigNode> node = value_of(value, key->form);
  if (!node) {
    return {Code::kBadConfig,
            variable + ": expected a value as TOML has it, found a mistake in it (not shown)"};
  }
  node->name = target.key;
  set_origin(*node, source);
  section->set(*std::move(node));
  return {};
}

}  // namespace

Status apply_overrides(const Environment& environment, bool may_add_sections, ConfigNode& root) {
  for (const auto& [variable, value] : environment.all()) {
    const std::optional<Target> target = target_of(variable);
    if (!target || value.empty()) continue;
    WEIR_TRY(apply(variable, value, *target, may_add_sections, root));
  }
  return {};
}

std::string override_name(std::string_view section, std::string_view key) {
  return "WEIR_" + upper_case(section) + "_" + upper_case(key);
}

}  // namespace weir::config
