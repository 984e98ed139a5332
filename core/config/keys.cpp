#include "config/keys.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <utility>

#include "base/text.h"
#include "config/presets.h"
#include "config/text.h"
#include "config/written.h"

namespace weir::config {
namespace {

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
constexpr std::array<std::pair<std::string_view, Handover>, 3> kHandovers = {{
    {"live", Handover::kLive},
    {"permit", Handover::kPermit},
    {"off", Handover::kOff},
}};

constexpr std::array<std::pair<std::string_view, Order>, 3> kOrders = {{
    {"any", Order::kAny},
    {"fifo", Order::kFifo},
    {"lifo", Order::kLifo},
}};
constexpr std::array<std::pair<std::string_view, OnConnectError>, 2> kOnConnectErrors = {{
    {"fail_fast", OnConnectError::kFailFast},
    {"retry_until_deadline", OnConnectError::kRetryUntilDeadline},
}};
constexpr std::array<std::pair<std::string_view, OnConflict>, 3> kConflicts = {{
    {"keep", OnConflict::kKeep},
    {"replace", OnConflict::kReplace},
    {"refuse", OnConflict::kRefuse},
}};
// Text and value are the same: the preset's name.
constexpr auto kPresetNames = [] {
  std::array<std::pair<std::string_view, std::string_view>, kPresets.size()> names;
  for (std::size_t i = 0; i < names.size(); ++i) names[i] = {kPresets[i].name, kPresets[i].name};
  return names;
}();

// ---- one line for each key ----------------------------------------------------------------------

template <auto kMember, typename Target>
constexpr Key<Target> text_key(std::string_view name) {
  return {name, Form::kText, read_text<kMember>, write_text_if_any<kMember, Target>};
}
template <auto kMember, auto kIsGood, const std::string_view& kForm, typename Target>
constexpr Key<Target> word_key(std::string_view name) {
  return {name, Form::kText, read_word_like<kMember, kIsGood, kForm>,
          write_text_if_any<kMember, Target>};
}
template <auto kMember, typename Target>
constexpr Key<Target> texts_key(std::string_view name) {
  return {name, Form::kTexts, read_texts<kMember>, write_text_if_any<kMember, Target>};
}
template <auto kMember, CountRange kRange, typename Target>
constexpr Key<Target> count_key(std::string_view name) {
  return {name, Form::kCount, read_count<kMember, kRange>, write_value<kMember, Target>};
}
template <auto kMember, typename Target>
constexpr Key<Target> flag_key(std::string_view name) {
  return {name, Form::kFlag, read_flag<kMember>, write_value<kMember, Target>};
}
template <auto kMember>
constexpr Key<PoolConfig> duration_key(std::string_view name) {
  return {name, Form::kDuration, read_duration<kMember>, write_value<kMember, PoolConfig>};
}
template <auto kMember, const auto& kChoices, typename Target>
constexpr Key<Target> choice_key(std::string_view name) {
  return {name, Form::kChoice, read_choice<kMember, kChoices>,
          write_choice<kMember, kChoices, Target>};
}

std::string write_nothing(const PoolConfig& /*unused*/) { return {}; }

constexpr Key<RuntimeConfig> kRuntimeKeys[] = {
    word_key<&RuntimeConfig::service, is_service, kServiceForm, RuntimeConfig>("service"),
    word_key<&RuntimeConfig::segment, is_segment, kSegmentForm, RuntimeConfig>("segment"),
    text_key<&RuntimeConfig::folder, RuntimeConfig>("folder"),
    texts_key<&RuntimeConfig::plugin_path, RuntimeConfig>("plugin_path"),
    flag_key<&RuntimeConfig::aliases, RuntimeConfig>("aliases"),
};

// What this stands for is asked of the server, when the quota is declared.
constexpr std::string_view kAuto = "auto";

Status read_limit(const Item& item, QuotaConfig& quota) {
  if (item.node.kind != ConfigNode::Kind::kText) {
    return read_count<&QuotaConfig::limit, kMaxRange>(item, quota);
  }
  const std::string form = "a number from " + std::to_string(kMaxRange.least) + " to " +
                           std::to_string(kMaxRange.most) + " or \"auto\"";
  const Result<std::string> text = text_of(item, form);
  if (!text.ok()) return text.status();
  if (text.value() != kAuto) return item.spot.expected(form, found(item.node));
  quota.is_auto = true;
  return {};
}

std::string write_limit(const QuotaConfig& quota) {
  return quota.is_auto ? written(std::string(kAuto)) : written(quota.limit);
}

constexpr Key<QuotaConfig> kQuotaKeys[] = {
    {"limit", Form::kCount, read_limit, write_limit},
    count_key<&QuotaConfig::leave, kConnectionsRange, QuotaConfig>("leave"),
    choice_key<&QuotaConfig::on_conflict, kConflicts, QuotaConfig>("on_conflict"),
};

// Which of these a script has, and of which type, is for the script to say.
Status read_policy_params(const Item& item, PoolConfig& pool) {
  using Kind = ConfigNode::Kind;
  if (item.node.kind != Kind::kTable) {
    return item.spot.expected("a table such as { headroom = 1.5 }", kind_of(item.node));
  }
  for (const ConfigNode& node : item.node.children) {
    const Item param = item_in(item.spot, node);
    const std::string form = "a finite number, true, false or a text that is not empty";
    if (node.kind == Kind::kInteger) {
      pool.policy_params[node.name] = static_cast<double>(node.integer);
    } else if (node.kind == Kind::kFraction && std::isfinite(node.fraction)) {
      pool.policy_params[node.name] = node.fraction;
    } else if (node.kind == Kind::kBoolean) {
      pool.policy_params[node.name] = node.boolean;
    } else {
      Result<std::string> text = text_of(param, form);
      if (!text.ok()) return text.status();
      pool.policy_params[node.name] = std::move(text).value();
    }
  }
  return {};
}

std::string write_policy_params(const PoolConfig& pool) {
  std::string out;
  for (const auto& [name, value] : pool.policy_params) {
    out += (out.empty() ? "{ " : ", ") + shown_key(name) + " = " +
           std::visit([](const auto& one) { return written(one); }, value);
  }
  return out.empty() ? out : out + " }";
}

constexpr Key<PoolConfig> kPoolKeys[] = {
    word_key<&PoolConfig::driver, is_valid_name, kNameForm, PoolConfig>("driver"),
    {"dsn", Form::kText, read_text<&PoolConfig::dsn>, write_nothing, true},
    text_key<&PoolConfig::password_file, PoolConfig>("password_file"),
    word_key<&PoolConfig::quota, is_valid_name, kNameForm, PoolConfig>("quota"),
    choice_key<&PoolConfig::preset, kPresetNames, PoolConfig>("preset"),
    count_key<&PoolConfig::min, kConnectionsRange, PoolConfig>("min"),
    {"keep", Form::kCount, read_count<&PoolConfig::keep, kConnectionsRange>,
     [](const PoolConfig& pool) { return written(pool.kept()); }},
    count_key<&PoolConfig::max, kMaxRange, PoolConfig>("max"),
    count_key<&PoolConfig::max_per_worker, kConnectionsRange, PoolConfig>("max_per_worker"),
    count_key<&PoolConfig::reserve, kConnectionsRange, PoolConfig>("reserve"),
    duration_key<&PoolConfig::reserve_after>("reserve_after"),
    count_key<&PoolConfig::max_waiting, kWaitingRange, PoolConfig>("max_waiting"),
    count_key<&PoolConfig::connect_concurrency, kConcurrencyRange, PoolConfig>(
        "connect_concurrency"),
    duration_key<&PoolConfig::acquire_timeout>("acquire_timeout"),
    duration_key<&PoolConfig::connect_timeout>("connect_timeout"),
    duration_key<&PoolConfig::statement_timeout>("statement_timeout"),
    duration_key<&PoolConfig::close_timeout>("close_timeout"),
    duration_key<&PoolConfig::idle_timeout>("idle_timeout"),
    duration_key<&PoolConfig::max_lifetime>("max_lifetime"),
    {"validate_after", Form::kDuration, read_duration_or_never<&PoolConfig::validate_after>,
     write_duration_or_never<&PoolConfig::validate_after, PoolConfig>},
    duration_key<&PoolConfig::keepalive>("keepalive"),
    duration_key<&PoolConfig::leak_after>("leak_after"),
    choice_key<&PoolConfig::reset, kResets, PoolConfig>("reset"),
    texts_key<&PoolConfig::on_connect, PoolConfig>("on_connect"),
    choice_key<&PoolConfig::on_connect_error, kOnConnectErrors, PoolConfig>("on_connect_error"),
    choice_key<&PoolConfig::orphans, kOrphans, PoolConfig>("orphans"),
    {"linger_max", Form::kDuration, read_duration<&PoolConfig::linger_max>,
     write_if_set<&PoolConfig::linger_max, PoolConfig>},
    choice_key<&PoolConfig::handover, kHandovers, PoolConfig>("handover"),
    duration_key<&PoolConfig::permit_quantum>("permit_quantum"),
    duration_key<&PoolConfig::handover_after>("handover_after"),
    texts_key<&PoolConfig::classes, PoolConfig>("class"),
    choice_key<&PoolConfig::order, kOrders, PoolConfig>("order"),
    flag_key<&PoolConfig::start_paused, PoolConfig>("start_paused"),
    flag_key<&PoolConfig::pause_on_populate_error, PoolConfig>("pause_on_populate_error"),
    flag_key<&PoolConfig::capture_stack, PoolConfig>("capture_stack"),
    choice_key<&PoolConfig::on_conflict, kConflicts, PoolConfig>("on_conflict"),
    text_key<&PoolConfig::policy, PoolConfig>("policy"),
    {"policy_params", Form::kTable, read_policy_params, write_policy_params},
};

// What other pools call it: SQLAlchemy, Django, MongoDB's drivers, redis-py, psycopg, HikariCP, Go.
constexpr std::pair<std::string_view, std::string_view> kOthersWords[] = {
    {"pool_size", "keep"},
    {"max_overflow", "max"},  // the overflow counts in
    {"pool_timeout", "acquire_timeout"},
    {"pool_recycle", "max_lifetime"},
    {"pool_pre_ping", "validate_after"},
    {"conn_max_age", "max_lifetime"},
    {"maxPoolSize", "max"},
    {"minPoolSize", "min"},
    {"maxIdleTimeMS", "idle_timeout"},
    {"waitQueueTimeoutMS", "acquire_timeout"},
    {"serverSelectionTimeoutMS", "connect_timeout"},
    {"connectTimeoutMS", "connect_timeout"},
    {"socketTimeoutMS", "statement_timeout"},
    {"max_connections", "max"},
    {"socket_connect_timeout", "connect_timeout"},
    {"socket_timeout", "statement_timeout"},
    {"health_check_interval", "keepalive"},
    {"max_size", "max"},
    {"min_size", "min"},
    {"maximumPoolSize", "max"},
    {"minimumIdle", "min"},
    {"connectionTimeout", "acquire_timeout"},
    {"leakDetectionThreshold", "leak_after"},
    {"max_open_conns", "max"},
    {"max_idle_conns", "keep"},
    {"url", "dsn"},
};

template <typename Target>
void append_infos(std::span<const Key<Target>> keys, std::vector<KeyInfo>& out) {
  for (const Key<Target>& key : keys) out.push_back({key.name, key.form});
}

}  // namespace

std::span<const Key<RuntimeConfig>> runtime_keys() { return kRuntimeKeys; }
std::span<const Key<QuotaConfig>> quota_keys() { return kQuotaKeys; }
std::span<const Key<PoolConfig>> pool_keys() { return kPoolKeys; }

std::vector<KeyInfo> key_infos(std::string_view family) {
  std::vector<KeyInfo> infos;
  if (family == "runtime") append_infos(runtime_keys(), infos);
  if (family == "quota") append_infos(quota_keys(), infos);
  if (family == "pool") append_infos(pool_keys(), infos);
  return infos;
}

std::optional<std::string> key_problem(std::string_view family, std::string_view name) {
  std::vector<std::string_view> names;
  for (const KeyInfo& info : key_infos(family)) names.push_back(info.name);
  if (std::find(names.begin(), names.end(), name) != names.end()) return std::nullopt;
  const auto word = std::find_if(std::begin(kOthersWords), std::end(kOthersWords),
                                 [&](const auto& pair) { return pair.first == name; });
  if (family == "pool" && word != std::end(kOthersWords)) {
    return "unknown key; weir's word for it is " + show_text(word->second);
  }
  return "unknown key; the nearest valid key is " + show_text(nearest(name, names));
}

}  // namespace weir::config
