#include "config/pool_config.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/duration.h"
#include "base/text.h"

namespace weir::config {
namespace {

constexpr std::size_t kLongestName = 31;

using Problem = std::optional<ConfigProblem>;

ConfigProblem make_problem(std::string_view key, const std::string& expected,
                           const std::string& found) {
  return {std::string(key), "expected " + expected + ", found " + found};
}

std::string found_text(const std::string& text) {
  return text.empty() ? "nothing" : show_text(text);
}

Problem name_problem(std::string_view key, const std::string& name) {
  if (is_valid_name(name)) return std::nullopt;
  return make_problem(key, "a name ([a-z][a-z0-9]*, at most 31 bytes)", found_text(name));
}

Problem count_problem(std::string_view key, std::uint32_t count, CountRange range) {
  if (count >= range.least && count <= range.most) return std::nullopt;
  return make_problem(key, std::to_string(range.least) + " to " + std::to_string(range.most),
                      std::to_string(count));
}

struct DurationRule {
  std::string_view key;
  milliseconds value;
  bool may_be_zero;
};

Problem duration_problem(const DurationRule& rule) {
  // Only a host can get here with a negative one: the text form has none.
  const std::string found = rule.value < milliseconds::zero()
                                ? std::to_string(rule.value.count()) + "ms"
                                : duration_text(rule.value);
  if (rule.value < milliseconds::zero() ||
      (rule.value == milliseconds::zero() && !rule.may_be_zero)) {
    return make_problem(rule.key, rule.may_be_zero ? "at least 0s" : "more than 0s", found);
  }
  if (rule.value > kLongestDuration) {
    return make_problem(rule.key, "at most " + duration_text(kLongestDuration), found);
  }
  return std::nullopt;
}

Problem on_connect_problem(const std::vector<std::string>& statements) {
  const bool has_empty = std::any_of(statements.begin(), statements.end(),
                                     [](const std::string& text) { return text.empty(); });
  if (!has_empty) return std::nullopt;
  return make_problem("on_connect", "statements", "an empty text");
}

Problem classes_problem(const std::vector<std::string>& classes, std::uint32_t max) {
  constexpr std::size_t kMost = 8;
  if (classes.size() > kMost) {
    return make_problem("class", "at most " + std::to_string(kMost) + " classes",
                        std::to_string(classes.size()));
  }
  std::uint64_t sum = 0;
  std::vector<std::string> names;
  for (const std::string& text : classes) {
    const auto one = class_floor(text);
    if (!one) {
      return make_problem("class", R"("NAME: FLOOR", such as "auth: 5")", show_text(text));
    }
    if (std::find(names.begin(), names.end(), one->name) != names.end()) {
      return make_problem("class", "each class once", show_text(one->name) + " twice");
    }
    names.push_back(one->name);
    sum += one->floor;
  }
  if (sum <= max) return std::nullopt;
  return make_problem("class", "floors of at most max (" + std::to_string(max) + ") together",
                      std::to_string(sum));
}

Status to_status(const std::string& section, const std::string& name, const Problem& problem) {
  if (!problem) return {};
  const std::string shown = is_valid_name(name) ? name : show_text(name);
  return {Code::kBadConfig, section + "." + shown + "." + problem->key + ": " + problem->text};
}

}  // namespace

std::optional<ConfigProblem> PoolConfig::problem() const {
  // 1. Each value for itself.
  for (const auto& [key, value] : {std::pair{"name", &name}, std::pair{"driver", &driver}}) {
    if (Problem found = name_problem(key, *value)) return found;
  }
  if (dsn.empty()) return make_problem("dsn", "a DSN", "nothing");
  if (dsn.find('\0') != std::string::npos) {
    return make_problem("dsn", "text", "a zero byte in it");
  }
  if (!quota.empty()) {
    if (Problem found = name_problem("quota", quota)) return found;
  }

  struct CountRule {
    std::string_view key;
    std::uint32_t value;
    CountRange range;
  };
  for (const auto& [key, value, range] : {
           CountRule{"max", max, kMaxRange},
           CountRule{"min", min, kConnectionsRange},
           CountRule{"keep", kept(), kConnectionsRange},
           CountRule{"max_per_worker", max_per_worker, kConnectionsRange},
           CountRule{"reserve", reserve, kConnectionsRange},
           CountRule{"max_waiting", max_waiting, kWaitingRange},
           CountRule{"connect_concurrency", connect_concurrency, kConcurrencyRange},
       }) {
    if (Problem found = count_problem(key, value, range)) return found;
  }

  const milliseconds unset = milliseconds::zero();
  for (const DurationRule& rule : {
           DurationRule{"acquire_timeout", acquire_timeout, false},
           DurationRule{"idle_timeout", idle_timeout, true},
           DurationRule{"max_lifetime", max_lifetime, true},
           DurationRule{"validate_after", validate_after.value_or(unset), true},
           DurationRule{"connect_timeout", connect_timeout, false},
           DurationRule{"statement_timeout", statement_timeout, true},
           DurationRule{"close_timeout", close_timeout, false},
           DurationRule{"permit_quantum", permit_quantum, true},
           DurationRule{"handover_after", handover_after, true},
           DurationRule{"linger_max", linger_max.value_or(unset), true},
           DurationRule{"reserve_after", reserve_after, true},
           DurationRule{"leak_after", leak_after, true},
           DurationRule{"keepalive", keepalive, true},
       }) {
    if (Problem found = duration_problem(rule)) return found;
  }
  if (Problem found = on_connect_problem(on_connect)) return found;

  // 2. Values against each other.
  const std::string at_most_max = "at most max (" + std::to_string(max) + ")";
  if (min > max) return make_problem("min", at_most_max, std::to_string(min));
  if (kept() > max) return make_problem("keep", at_most_max, std::to_string(kept()));
  if (reserve >= max) {
    return make_problem("reserve", "less than max (" + std::to_string(max) + ")",
                        std::to_string(reserve));
  }
  if (min > max - reserve) {
    return make_problem("min", "at most max less reserve (" + std::to_string(max - reserve) + ")",
                        std::to_string(min));
  }
  if (Problem found = classes_problem(classes, max)) return found;
  if (policy.empty() && !policy_params.empty()) {
    return make_problem("policy_params", "them beside policy only", "no policy");
  }
  return std::nullopt;
}

Status PoolConfig::validate() const { return to_status("pool", name, problem()); }

std::optional<ConfigProblem> QuotaConfig::problem() const {
  if (Problem found = name_problem("name", name)) return found;
  if (Problem found = count_problem("leave", leave, kConnectionsRange)) return found;
  if (is_auto) return std::nullopt;
  if (leave > 0) {
    return make_problem("leave", R"(it beside limit = "auto" only)",
                        "limit = " + std::to_string(limit));
  }
  if (limit == 0) return make_problem("limit", "1 to " + std::to_string(kMaxRange.most), "nothing");
  return count_problem("limit", limit, kMaxRange);
}

Status QuotaConfig::validate() const { return to_status("quota", name, problem()); }

std::optional<ClassFloor> class_floor(const std::string& text) {
  constexpr std::size_t kLongest = 15;
  constexpr std::uint32_t kMost = 10'000;
  const std::size_t colon = text.find(':');
  if (colon == std::string::npos) return std::nullopt;
  ClassFloor floor;
  floor.name = text.substr(0, colon);
  std::size_t at = text.find_first_not_of(' ', colon + 1);
  if (!is_name(floor.name) || floor.name.size() > kLongest || at == std::string::npos) {
    return std::nullopt;
  }
  for (; at < text.size(); ++at) {
    if (text[at] < '0' || text[at] > '9' || floor.floor > kMost) return std::nullopt;
    floor.floor = floor.floor * 10 + static_cast<std::uint32_t>(text[at] - '0');
  }
  return floor.floor <= kMost ? std::optional<ClassFloor>(floor) : std::nullopt;
}

bool is_valid_name(const std::string& name) { return is_name(name) && name.size() <= kLongestName; }

}  // namespace weir::config
