#include "config/sizes.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/text.h"
#include "config/pool_config.h"
#include "config/text.h"

namespace weir::config {

Result<std::optional<std::uint32_t>> worker_count(const Environment& environment) {
  const std::string* const text = environment.find("WEB_CONCURRENCY");
  if (text == nullptr) return std::optional<std::uint32_t>();
  std::uint32_t count = 0;
  const char* const end = text->data() + text->size();
  const auto [rest, error] = std::from_chars(text->data(), end, count);
  if (error != std::errc{} || rest != end || count < 1 || count > kMaxRange.most) {
    return Status(Code::kBadConfig, "WEB_CONCURRENCY: expected a number from 1 to " +
                                        std::to_string(kMaxRange.most) + ", found " +
                                        show_text(*text));
  }
  return std::optional(count);
}

ConfigNode count_node(std::string key, std::int64_t count, Source source) {
  ConfigNode node;
  node.name = std::move(key);
  node.source = std::move(source);
  node.kind = ConfigNode::Kind::kInteger;
  node.integer = count;
  return node;
}

ConfigNode text_node(std::string key, std::string text, Source source) {
  ConfigNode node;
  node.name = std::move(key);
  node.source = std::move(source);
  node.kind = ConfigNode::Kind::kText;
  node.text = std::move(text);
  node.is_literal = true;
  return node;
}

std::string text_at(const ConfigNode& table, std::string_view key) {
  const ConfigNode* const node = table.find(key);
  if (node == nullptr || node->kind != ConfigNode::Kind::kText) return {};
  if (node->is_literal) return node->text;
  Result<std::string> text = expand_variables(node->text);
  return text.ok() ? std::move(text).value() : std::string();  // who reads the key will tell
}

std::optional<std::int64_t> count_at(const ConfigNode& table, std::string_view key) {
  const ConfigNode* const node = table.find(key);
  if (node == nullptr || node->kind != ConfigNode::Kind::kInteger) return std::nullopt;
  return node->integer;
}

std::optional<std::int64_t> quota_limit(const ConfigNode& root, const ConfigNode& pool) {
  const std::string name = text_at(pool, "quota");
  const ConfigNode* const quotas = root.find("quota");
  const ConfigNode* const quota = quotas != nullptr && !name.empty() ? quotas->find(name) : nullptr;
  return quota != nullptr ? count_at(*quota, "limit") : std::nullopt;
}

std::int64_t most_of(const ConfigNode& root, const ConfigNode& pool) {
  return std::clamp<std::int64_t>(quota_limit(root, pool).value_or(kMaxRange.most), kMaxRange.least,
                                  kMaxRange.most);
}

MachineWide machine_wide(std::int64_t per_worker, std::optional<std::uint32_t> workers,
                         std::int64_t most) {
  MachineWide size{per_worker * workers.value_or(1), workers ? " times WEB_CONCURRENCY" : ""};
  if (size.count > most) {
    size.count = most;
    size.how += ", cut to " + std::to_string(most);
  }
  return size;
}

}  // namespace weir::config
