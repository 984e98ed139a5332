#include "config/values.h"

#include <algorithm>

#include "config/text.h"

namespace weir::config {

using Kind = ConfigNode::Kind;

Spot Spot::below(std::string_view name, const Source& from) const {
  return {from, (path.empty() ? "" : path + ".") + shown_key(name)};
}

Item item_in(const Spot& table, const ConfigNode& node) {
  return {table.below(node.name, node.source), node};
}

std::string shown_key(std::string_view name) {
  constexpr std::size_t kLongestShown = 64;
  const bool is_bare = !name.empty() && name.size() <= kLongestShown &&
                       std::all_of(name.begin(), name.end(), [](char c) {
                         return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                                (c >= '0' && c <= '9') || c == '_' || c == '-';
                       });
  return is_bare ? std::string(name) : show_text(name);
}

std::string kind_of(const ConfigNode& node) {
  switch (node.kind) {
    case Kind::kTable:
      return "a table";
    case Kind::kArray:
      return "an array";
    case Kind::kText:
      return "a text";
    case Kind::kInteger:
      return "a number";
    case Kind::kFraction:
      return "a number with a fraction";
    case Kind::kBoolean:
      return "a boolean";
    case Kind::kOther:
      break;
  }
  return node.text;
}

std::string found(const ConfigNode& node) {
  if (node.kind == Kind::kText) return show_text(node.text);
  if (node.kind == Kind::kInteger) return std::to_string(node.integer);
  return kind_of(node);
}

Result<std::string> text_of(const Item& item, std::string_view form) {
  if (item.node.kind != Kind::kText) return item.spot.expected(form, kind_of(item.node));
  Result<std::string> value =
      item.node.is_literal ? Result<std::string>(item.node.text) : expand_variables(item.node.text);
  if (!value.ok()) return item.spot.bad(value.status().message());
  if (value.value().empty()) return item.spot.expected(form, "an empty text");
  if (value.value().find('\0') != std::string::npos) {
    return item.spot.expected(form, "a zero byte in it");
  }
  return value;
}

}  // namespace weir::config
