#include "config/tree.h"

#include <toml++/toml.h>

#include <algorithm>
#include <exception>
#include <utility>

#include "config/depth.h"

namespace weir::config {
namespace {

constexpr std::size_t kMostBytes = 1 << 20;

using Positioned = std::pair<toml::source_position, ConfigNode>;

ConfigNode to_tree(const toml::node& from, const std::string& origin);

/// The nodes in the order of their positions: toml++ sorts a table by name.
std::vector<ConfigNode> in_file_order(std::vector<Positioned> nodes) {
  std::stable_sort(nodes.begin(), nodes.end(),
                   [](const Positioned& a, const Positioned& b) { return a.first < b.first; });
  std::vector<ConfigNode> ordered;
  ordered.reserve(nodes.size());
  for (Positioned& node : nodes) ordered.push_back(std::move(node.second));
  return ordered;
}

std::vector<ConfigNode> children_of(const toml::table& table, const std::string& origin) {
  std::vector<Positioned> children;
  for (const auto& [key, node] : table) {
    const toml::source_position position = key.source().begin;
    ConfigNode& child = children.emplace_back(position, to_tree(node, origin)).second;
    child.name = key.str();
    child.source.line = position.line;
  }
  return in_file_order(std::move(children));
}

std::vector<ConfigNode> children_of(const toml::array& array, const std::string& origin) {
  std::vector<ConfigNode> children;
  for (const toml::node& node : array) children.push_back(to_tree(node, origin));
  return children;
}

ConfigNode to_tree(const toml::node& from, const std::string& origin) {
  ConfigNode node;
  node.source = in_file(origin, from.source().begin.line);
  if (const toml::table* table = from.as_table(); table != nullptr) {
    node.kind = ConfigNode::Kind::kTable;
    node.children = children_of(*table, origin);
  } else if (const toml::array* array = from.as_array(); array != nullptr) {
    node.kind = ConfigNode::Kind::kArray;
    node.children = children_of(*array, origin);
  } else if (const auto* text = from.as_string(); text != nullptr) {
    node.kind = ConfigNode::Kind::kText;
    node.text = text->get();
  } else if (const auto* integer = from.as_integer(); integer != nullptr) {
    node.kind = ConfigNode::Kind::kInteger;
    node.integer = integer->get();
  } else if (const auto* boolean = from.as_boolean(); boolean != nullptr) {
    node.kind = ConfigNode::Kind::kBoolean;
    node.boolean = boolean->get();
  } else if (const auto* fraction = from.as_floating_point(); fraction != nullptr) {
    node.kind = ConfigNode::Kind::kFraction;
    node.fraction = fraction->get();
  } else {
    node.text = "a date or time";
  }
  return node;
}

/// The line with that number, from 1; empty past the end.
std::string_view line_of(std::string_view text, unsigned number) {
  for (; number > 1; --number) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) return {};
    text.remove_prefix(end + 1);
  }
  return text.substr(0, text.find('\n'));
}

/// toml++'s words, which can quote what stands in the file, unless a password may stand there.
std::string syntax_fault(std::string_view text, const toml::parse_error& error) {
  const std::string_view line = line_of(text, error.source().begin.line);
  if (line.find("dsn") != std::string_view::npos || line.find("://") != std::string_view::npos) {
    return R"(expected TOML such as dsn = "...", found something else (not shown))";
  }
  return "expected TOML, found a mistake: " + std::string(error.description());
}

}  // namespace

const ConfigNode* ConfigNode::find(std::string_view key) const {
  const auto child = std::find_if(children.begin(), children.end(),
                                  [&](const ConfigNode& node) { return node.name == key; });
  return child != children.end() ? &*child : nullptr;
}

ConfigNode* ConfigNode::find(std::string_view key) {
  return const_cast<ConfigNode*>(std::as_const(*this).find(key));
}

ConfigNode* ConfigNode::find_table(std::string_view key) {
  ConfigNode* const child = find(key);
  return child != nullptr && child->kind == Kind::kTable ? child : nullptr;
}

void ConfigNode::set(ConfigNode child) {
  if (ConfigNode* const before = find(child.name)) {
    *before = std::move(child);
  } else {
    children.push_back(std::move(child));
  }
}

Result<ConfigNode> parse_tree(std::string_view text, const std::string& origin) {
  const auto refuse = [&](unsigned line, const std::string& why) {
    return Status(Code::kBadConfig, origin + ":" + std::to_string(line) + ": " + why);
  };
  if (text.size() > kMostBytes) {
    return refuse(1, "expected a configuration of at most " + std::to_string(kMostBytes) +
                         " bytes, found " + std::to_string(text.size()));
  }
  if (const auto line = line_nested_too_deep(text)) {
    return refuse(*line, "expected sections and keys such as [pool.main], found deeper nesting");
  }
  try {
    return to_tree(toml::parse(text, std::string_view(origin)), origin);
  } catch (const toml::parse_error& error) {
    return refuse(error.source().begin.line, syntax_fault(text, error));
  } catch (const std::exception& error) {
    return refuse(1, std::string("cannot be read: ") + error.what());
  }
}

std::optional<ConfigNode> parse_value(std::string_view text) {
  if (text.find('\n') != std::string_view::npos) return std::nullopt;  // would begin another key
  Result<ConfigNode> root = parse_tree("value = " + std::string(text), "");
  if (!root.ok() || root.value().children.size() != 1) return std::nullopt;
  return std::move(root).value().children.front();
}

ConfigNode make_table(std::string name, Source source) {
  ConfigNode table;
  table.name = std::move(name);
  table.source = std::move(source);
  table.kind = ConfigNode::Kind::kTable;
  return table;
}

}  // namespace weir::config
