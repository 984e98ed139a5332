// How values are read: each into the member of a config that it is for, or a message that names
// file and line (or variable) and key, what was expected and what was found.
//
// A text is shown as it stands in the file, never with its variables filled in: what a variable
// holds may be a secret. read_text and text_of show no value at all: they also read `dsn`.
//
// Threads: free functions without state, but for the environment (getenv).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/duration.h"
#include "base/status.h"
#include "base/text.h"
#include "config/pool_config.h"
#include "config/tree.h"

namespace weir::config {

/// Where a key stands, for messages.
struct Spot {
  Source source;
  std::string path;  // "pool.main.max"

  [[nodiscard]] Status bad(const std::string& what) const {
    return {Code::kBadConfig, source.text() + ": " + path + ": " + what};
  }
  [[nodiscard]] Status expected(std::string_view form, const std::string& found) const {
    return bad("expected " + std::string(form) + ", found " + found);
  }
  /// The spot of the key `name` in this one's table.
  [[nodiscard]] Spot below(std::string_view name, const Source& from) const;
};

/// A key's value and where the key stands.
struct Item {
  Spot spot;
  const ConfigNode& node;
};

/// `node` as a key of the table at `table`.
[[nodiscard]] Item item_in(const Spot& table, const ConfigNode& node);

/// `name` as it is if it is a bare key; what needs quotes in a file may be any bytes at all.
[[nodiscard]] std::string shown_key(std::string_view name);
/// "a number": what the value is, without showing it.
[[nodiscard]] std::string kind_of(const ConfigNode& node);
/// The value as a message shows it: as it stands in the file.
[[nodiscard]] std::string found(const ConfigNode& node);

// ---- reading one value --------------------------------------------------------------------------

inline constexpr std::string_view kTextForm = "a text that is not empty";
inline constexpr std::string_view kTextsForm = "a text or an array of texts, none of them empty";

/// A text that is not empty, its variables filled in; `form` is what was expected.
[[nodiscard]] Result<std::string> text_of(const Item& item, std::string_view form);

template <auto kMember, typename Target>
Status read_text(const Item& item, Target& target) {
  Result<std::string> text = text_of(item, kTextForm);
  if (!text.ok()) return text.status();
  target.*kMember = std::move(text).value();
  return {};
}

/// A text that `kIsGood` accepts.
template <auto kMember, auto kIsGood, const std::string_view& kForm, typename Target>
Status read_word_like(const Item& item, Target& target) {
  Result<std::string> text = text_of(item, kForm);
  if (!text.ok()) return text.status();
  if (!kIsGood(text.value())) return item.spot.expected(kForm, found(item.node));
  target.*kMember = std::move(text).value();
  return {};
}

template <auto kMember, CountRange kRange, typename Target>
Status read_count(const Item& item, Target& target) {
  const std::int64_t number = item.node.integer;
  if (item.node.kind != ConfigNode::Kind::kInteger || number < kRange.least ||
      number > kRange.most) {
    const std::string form =
        "a number from " + std::to_string(kRange.least) + " to " + std::to_string(kRange.most);
    return item.spot.expected(form, found(item.node));
  }
  target.*kMember = static_cast<std::uint32_t>(number);
  return {};
}

template <auto kMember, typename Target>
Status read_duration(const Item& item, Target& target) {
  if (item.node.kind != ConfigNode::Kind::kText) {
    return item.spot.expected(kDurationForm, found(item.node));
  }
  const Result<std::string> text = text_of(item, kDurationForm);
  if (!text.ok()) return text.status();
  const auto duration = parse_duration(text.value());
  if (!duration) return item.spot.expected(kDurationForm, found(item.node));
  target.*kMember = *duration;
  return {};
}

/// Also "never", which is nullopt.
template <auto kMember, typename Target>
Status read_duration_or_never(const Item& item, Target& target) {
  if (item.node.kind == ConfigNode::Kind::kText) {
    const Result<std::string> text = text_of(item, kDurationForm);
    if (text.ok() && text.value() == "never") {
      target.*kMember = std::nullopt;
      return {};
    }
  }
  return read_duration<kMember>(item, target);
}

/// One of the texts of `kChoices`, pairs of text and value.
template <auto kMember, const auto& kChoices, typename Target>
Status read_choice(const Item& item, Target& target) {
  std::string form;
  for (const auto& [name, value] : kChoices) {
    form += (form.empty() ? "" : ", ") + show_text(name);
  }
  form = "one of " + form;
  const Result<std::string> text = text_of(item, form);
  if (!text.ok()) return text.status();
  for (const auto& [name, value] : kChoices) {
    if (name == text.value()) {
      target.*kMember = value;
      return {};
    }
  }
  return item.spot.expected(form, found(item.node));
}

template <auto kMember, typename Target>
Status read_flag(const Item& item, Target& target) {
  if (item.node.kind != ConfigNode::Kind::kBoolean) {
    return item.spot.expected("true or false", found(item.node));
  }
  target.*kMember = item.node.boolean;
  return {};
}

template <auto kMember, typename Target>
Status read_texts(const Item& item, Target& target) {
  std::vector<std::string> texts;
  const auto read_one = [&](const ConfigNode& node) -> Status {
    Result<std::string> text = text_of({item.spot, node}, kTextsForm);
    if (!text.ok()) return text.status();
    texts.push_back(std::move(text).value());
    return {};
  };
  if (item.node.kind == ConfigNode::Kind::kArray) {
    for (const ConfigNode& node : item.node.children) WEIR_TRY(read_one(node));
  } else {
    WEIR_TRY(read_one(item.node));
  }
  target.*kMember = std::move(texts);
  return {};
}

}  // namespace weir::config
