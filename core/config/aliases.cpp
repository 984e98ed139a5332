#include "config/aliases.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <utility>

#include "base/duration.h"
#include "base/text.h"
#include "config/alias_values.h"
#include "config/pool_config.h"
#include "config/sizes.h"

namespace weir::config {
namespace {

constexpr std::array<std::string_view, 2> kSqlDrivers = {"postgres", "sqlite"};
constexpr std::array<std::string_view, 1> kMongoDrivers = {"mongodb"};
constexpr std::array<std::string_view, 1> kRedisDrivers = {"redis"};

// SQLAlchemy's own defaults, for the one of the two sizes that is not set (QueuePool).
constexpr std::int64_t kSqlalchemyPoolSize = 5;
constexpr std::int64_t kSqlalchemyMaxOverflow = 10;
// What "test before use" comes to here: HikariCP's aliveBypassWindow, and weir's default.
constexpr std::string_view kPrePing = "500ms";

/// Whether `word` stands in `text` between blanks and commas.
bool has_word(std::string_view text, std::string_view word) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find_first_of(" ,"), text.size());
    if (text.substr(0, end) == word && !word.empty()) return true;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return false;
}

/// Whether the file reads one of `variables` for that key itself: then it knows what it is for.
bool fills_in(const ConfigNode& node, const std::string& variables) {
  if (node.kind != ConfigNode::Kind::kText || node.is_literal) return false;
  std::string_view rest = node.text;
  for (std::size_t at; (at = rest.find("${")) != std::string_view::npos;) {
    rest.remove_prefix(at + 2);
    const std::string_view name = rest.substr(0, rest.find_first_of(":}"));
    if (has_word(variables, name)) return true;
  }
  return false;
}

class Aliases {
 public:
  Aliases(const Environment& environment, ConfigNode& root, std::vector<std::string>& notes)
      : environment_(environment), root_(root), notes_(notes) {}

  Status apply() {
    WEIR_TRY(apply_database_url());
    WEIR_TRY(apply_sql());
    WEIR_TRY(apply_mongodb());
    return apply_redis();
  }

 private:
  static Source from(const std::string& variables) { return {Source::Kind::kAlias, variables, 0}; }

  /// The pool that variables of a kind of driver speak to; null if there is none.
  template <std::size_t kCount>
  ConfigNode* pool_for(const std::array<std::string_view, kCount>& drivers) {
    ConfigNode* const pools = root_.find_table("pool");
    if (pools == nullptr) return nullptr;
    std::vector<ConfigNode*> found;
    for (ConfigNode& pool : pools->children) {
      if (pool.kind != ConfigNode::Kind::kTable) continue;
      const std::string driver = text_at(pool, "driver");
      if (std::find(drivers.begin(), drivers.end(), driver) != drivers.end()) {
        found.push_back(&pool);
      }
    }
    if (found.size() == 1) return found.front();
    const auto main = std::find_if(found.begin(), found.end(),
                                   [](const ConfigNode* pool) { return pool->name == "main"; });
    return main != found.end() ? *main : nullptr;
  }

  template <std::size_t kCount>
  bool is_any_set(const std::array<const char*, kCount>& variables) const {
    return std::any_of(variables.begin(), variables.end(),
                       [&](const char* name) { return environment_.find(name) != nullptr; });
  }

  void note_unused(const std::string& variables) {
    notes_.push_back(variables +
                     ": no pool is the only one of its kind of driver or called main; "
                     "not used");
  }

  /// Unless an override has spoken, or the file says the same.
  void set(ConfigNode& pool, ConfigNode node) {
    if (const ConfigNode* before = pool.find(node.name)) {
      if (before->source.kind == Source::Kind::kEnvironment) return;
      const bool is_same = node.kind == ConfigNode::Kind::kInteger
                               ? count_at(pool, node.name) == node.integer
                               : text_at(pool, node.name) == node.text;
      if (is_same || fills_in(*before, node.source.name)) return;
      if (before->source.kind == Source::Kind::kFile) {
        notes_.push_back("pool." + pool.name + "." + node.name + ": " + node.source.text() +
                         " goes before " + before->source.text());
      }
    }
    pool.set(std::move(node));
  }

  void set_duration(ConfigNode& pool, const char* key, milliseconds duration,
                    const char* variable) {
    set(pool, text_node(key, duration_text(duration), from(variable)));
  }

  Status apply_database_url() {
    const std::string* const text = environment_.find("DATABASE_URL");
    if (text == nullptr) return {};
    const std::optional<Url> url = url_of(*text);
    ConfigNode* pool = pool_for(kSqlDrivers);
    if (pool == nullptr) pool = main_without_driver();
    if (pool == nullptr) {
      note_unused("DATABASE_URL");
      return {};
    }
    const std::string driver = text_at(*pool, "driver");
    if (driver.empty()) {
      if (!url || url->driver.empty()) {
        return {Code::kBadConfig,
                "DATABASE_URL: expected a URL that begins with postgresql:// or sqlite://, found "
                "another one (not shown)"};
      }
      set(*pool, text_node("driver", url->driver, from("DATABASE_URL")));
    } else if (!url || (!url->driver.empty() && url->driver != driver)) {
      notes_.push_back("DATABASE_URL: for another driver than " + driver + ", the one of pool." +
                       pool->name + "; not used");
      return {};
    }
    ConfigNode dsn = text_node("dsn", url->dsn, from("DATABASE_URL"));
    if (text_at(*pool, "dsn") == *text) {  // the file takes it as it is: but for its scheme
      dsn.source = pool->find("dsn")->source;
      pool->set(std::move(dsn));
    } else {
      set(*pool, std::move(dsn));
    }
    return {};
  }

  /// [pool.main] where it leaves the driver open; made where there is no pool at all.
  ConfigNode* main_without_driver() {
    if (root_.find("pool") == nullptr) root_.set(make_table("pool", from("DATABASE_URL")));
    ConfigNode* const pools = root_.find_table("pool");
    if (pools == nullptr) return nullptr;
    if (pools->children.empty()) pools->set(make_table("main", from("DATABASE_URL")));
    ConfigNode* const main = pools->find_table("main");
    return main != nullptr && main->find("driver") == nullptr ? main : nullptr;
  }

  Status apply_sql() {
    constexpr std::array kVariables = {
        "DB_POOL_SIZE",    "DB_MAX_OVERFLOW",    "DB_POOL_TIMEOUT",
        "DB_POOL_RECYCLE", "DB_POOL_PRE_PING",   "DB_ECHO",
        "DB_CONN_MAX_AGE", "DB_CONNECT_TIMEOUT", "DB_STATEMENT_TIMEOUT"};
    if (!is_any_set(kVariables)) return {};
    ConfigNode* const pool = pool_for(kSqlDrivers);
    if (pool == nullptr) {
      note_unused("DB_...");
      return {};
    }
    WEIR_TRY(apply_sql_sizes(*pool));
    WEIR_TRY(apply_seconds(*pool, "DB_POOL_TIMEOUT", "acquire_timeout"));
    WEIR_TRY(apply_seconds(*pool, "DB_CONNECT_TIMEOUT", "connect_timeout"));
    WEIR_TRY(apply_statement_timeout(*pool));
    WEIR_TRY(apply_recycle(*pool));
    WEIR_TRY(apply_conn_max_age(*pool));
    WEIR_TRY(apply_pre_ping(*pool));
    return apply_echo();
  }

  /// SQLAlchemy: pool_size are kept, max_overflow more are opened, in each worker.
  Status apply_sql_sizes(ConfigNode& pool) {
    const Result<MaybeCount> size = count_of(environment_, "DB_POOL_SIZE", 0, kMaxRange.most);
    if (!size.ok()) return size.status();
    const Result<MaybeCount> overflow =
        count_of(environment_, "DB_MAX_OVERFLOW", -1, kMaxRange.most);
    if (!overflow.ok()) return overflow.status();
    if (!size.value() && !overflow.value()) return {};
    const std::int64_t kept = size.value().value_or(kSqlalchemyPoolSize);
    const std::int64_t more = overflow.value().value_or(kSqlalchemyMaxOverflow);
    const std::string variables = !overflow.value() ? "DB_POOL_SIZE"
                                  : !size.value()   ? "DB_MAX_OVERFLOW"
                                                    : "DB_POOL_SIZE plus DB_MAX_OVERFLOW";
    // SQLAlchemy's "no limit": all that the quota allows.
    if (kept == 0 || more < 0) {
      WEIR_TRY(set_unlimited_max(pool, kept == 0 ? "DB_POOL_SIZE" : "DB_MAX_OVERFLOW"));
    } else {
      WEIR_TRY(set_size(pool, "max", kept + more, variables));
    }
    if (kept == 0) return {};
    return set_size(pool, "keep", kept, size.value() ? "DB_POOL_SIZE" : "DB_MAX_OVERFLOW");
  }

  /// `per_worker` for `key`, made machine-wide; what is not `max` is cut to it.
  Status set_size(ConfigNode& pool, const char* key, std::int64_t per_worker,
                  const std::string& variables) {
    const auto workers = worker_count(environment_);
    if (!workers.ok()) return workers.status();
    MachineWide size = machine_wide(per_worker, workers.value(), most_of(root_, pool));
    if (const MaybeCount max = count_at(pool, "max"); max && std::string_view(key) != "max") {
      size.count = std::min(size.count, std::max<std::int64_t>(*max, 0));
    }
    set(pool, count_node(key, size.count, from(variables + size.how)));
    return {};
  }

  Status set_unlimited_max(ConfigNode& pool, const std::string& variable) {
    const MaybeCount limit = quota_limit(root_, pool);
    if (!limit) {
      return {Code::kBadConfig,
              variable +
                  ": expected a number of connections, found the value for \"no limit\"; "
                  "give the pool a quota, whose limit it then is, or a number"};
    }
    set(pool, count_node("max", *limit, from(variable + ", no limit but the quota's")));
    return {};
  }

  Status apply_seconds(ConfigNode& pool, const char* variable, const char* key) {
    const std::string* const text = environment_.find(variable);
    if (text == nullptr) return {};
    const auto duration = duration_of(*text, 1000);
    if (!duration || duration->count() == 0) {
      return refuse(variable, "a number of seconds, more than 0", *text);
    }
    set_duration(pool, key, *duration, variable);
    return {};
  }

  Status apply_statement_timeout(ConfigNode& pool) {
    const char* const variable = "DB_STATEMENT_TIMEOUT";
    const std::string* const text = environment_.find(variable);
    if (text == nullptr) return {};
    const auto duration = duration_of(*text, 1);
    if (!duration) return refuse(variable, "a number of milliseconds", *text);
    set_duration(pool, "statement_timeout", *duration, variable);
    return {};
  }

  /// SQLAlchemy's pool_recycle: -1 is never.
  Status apply_recycle(ConfigNode& pool) {
    const char* const variable = "DB_POOL_RECYCLE";
    const std::string* const text = environment_.find(variable);
    if (text == nullptr) return {};
    const auto duration = *text == "-1" ? milliseconds(0) : duration_of(*text, 1000);
    if (!duration || (*text != "-1" && duration->count() == 0)) {
      return refuse(variable, "a number of seconds, more than 0, or -1 for never", *text);
    }
    set_duration(pool, "max_lifetime", *duration, variable);
    return {};
  }

  /// Django's CONN_MAX_AGE: None is never, 0 is "not kept after use". Beside DB_POOL_RECYCLE the
  /// shorter of the two holds both promises.
  Status apply_conn_max_age(ConfigNode& pool) {
    const char* const variable = "DB_CONN_MAX_AGE";
    const std::string* const text = environment_.find(variable);
    if (text == nullptr) return {};
    const bool is_never = lower_case(*text) == "none";
    const auto duration = is_never ? milliseconds(0) : duration_of(*text, 1000);
    if (!duration) {
      return refuse(variable, "a number of seconds, 0 to keep none, or None for never", *text);
    }
    if (!is_never && duration->count() == 0) {
      set(pool, count_node("keep", 0, from(variable)));
      return {};
    }
    const ConfigNode* const before = pool.find("max_lifetime");
    if (before != nullptr && before->source.kind == Source::Kind::kAlias) {
      const auto other = parse_duration(before->text).value_or(milliseconds(0));
      const bool is_shorter = !is_never && (other.count() == 0 || *duration < other);
      if (!is_shorter) return {};
    }
    set_duration(pool, "max_lifetime", *duration, variable);
    return {};
  }

  /// A pool that checks already goes on as it does.
  Status apply_pre_ping(ConfigNode& pool) {
    const char* const variable = "DB_POOL_PRE_PING";
    const std::string* const text = environment_.find(variable);
    if (text == nullptr) return {};
    const std::optional<bool> flag = flag_of(*text);
    if (!flag) return refuse(variable, "true or false", *text);
    const bool checks =
        pool.find("validate_after") != nullptr && text_at(pool, "validate_after") != "never";
    if (*flag && checks) return {};
    set(pool, text_node("validate_after", *flag ? std::string(kPrePing) : "never", from(variable)));
    return {};
  }

  Status apply_echo() {
    const std::string* const text = environment_.find("DB_ECHO");
    if (text == nullptr) return {};
    const std::optional<bool> flag = flag_of(*text);
    if (!flag && lower_case(*text) != "debug") return refuse("DB_ECHO", "true or false", *text);
    if (flag.value_or(true)) notes_.emplace_back("DB_ECHO: weir logs no statements; not used");
    return {};
  }

  Status apply_mongodb() {
    constexpr std::array kVariables = {"MONGODB_MAX_POOL_SIZE", "MONGODB_MIN_POOL_SIZE"};
    if (!is_any_set(kVariables)) return {};
    ConfigNode* const pool = pool_for(kMongoDrivers);
    if (pool == nullptr) {
      note_unused("MONGODB_...");
      return {};
    }
    const auto max = count_of(environment_, "MONGODB_MAX_POOL_SIZE", 0, kMaxRange.most);
    if (!max.ok()) return max.status();
    if (max.value() == 0) WEIR_TRY(set_unlimited_max(*pool, "MONGODB_MAX_POOL_SIZE"));
    if (max.value().value_or(0) > 0) {
      WEIR_TRY(set_size(*pool, "max", *max.value(), "MONGODB_MAX_POOL_SIZE"));
    }
    const auto min = count_of(environment_, "MONGODB_MIN_POOL_SIZE", 0, kMaxRange.most);
    if (!min.ok()) return min.status();
    if (!min.value()) return {};
    return set_size(*pool, "min", *min.value(), "MONGODB_MIN_POOL_SIZE");
  }

  Status apply_redis() {
    const char* const variable = "REDIS_MAX_CONNECTIONS";
    if (environment_.find(variable) == nullptr) return {};
    ConfigNode* const pool = pool_for(kRedisDrivers);
    if (pool == nullptr) {
      note_unused(variable);
      return {};
    }
    const auto max = count_of(environment_, variable, 1, kMaxRange.most);
    if (!max.ok()) return max.status();
    return set_size(*pool, "max", *max.value(), variable);
  }

  const Environment& environment_;
  ConfigNode& root_;
  std::vector<std::string>& notes_;
};

}  // namespace

Status apply_aliases(const Environment& environment, ConfigNode& root,
                     std::vector<std::string>& notes) {
  return Aliases(environment, root, notes).apply();
}

}  // namespace weir::config
