// The self-check of a LuaPolicy: each sample is a tick of its own, with the script's own params.
#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "policy/lua_decision.h"
#include "policy/lua_policy.h"
#include "policy/lua_sample.h"

namespace weir::policy {
namespace {

constexpr std::string_view kSampleKeys[] = {"view", "params", "conn", "size", "evict", "breaker"};

Status check_keys(const LuaValue& sample) {
  if (sample.table() == nullptr) return type_error("a sample", "a table", sample.shown());
  for (const LuaValue::Entry& entry : *sample.table()) {
    const std::string* key = entry.key.text();
    const bool is_known =
        key != nullptr && std::count(std::begin(kSampleKeys), std::end(kSampleKeys), *key) != 0;
    if (!is_known) {
      return type_error("a sample", "view, params, conn, size, evict or breaker",
                        entry.key.shown());
    }
  }
  return {};
}

bool is_plain(const LuaValue& value) {
  return !value.is_nil() && value.table() == nullptr &&
         !std::holds_alternative<LuaValue::Other>(value.held);
}

Status check_state(const LuaValue* state) {
  if (state == nullptr) return {};
  if (state->table() == nullptr) return type_error("view.state", "a table", state->shown());
  for (const LuaValue::Entry& entry : *state->table()) {
    if (is_plain(entry.key) && is_plain(entry.value)) continue;
    return type_error("view.state", "numbers, texts and booleans alone", entry.value.shown());
  }
  return {};
}

Status compare(Eviction decision, const LuaValue& expected) {
  const Result<Eviction> wanted = read_eviction({&expected, 1});
  if (!wanted.ok()) return wanted.status();
  if (wanted.value() == decision) return {};
  return type_error("evict", std::string(name_of(wanted.value())), std::string(name_of(decision)));
}

/// `expected`: a state, or a list of state and retry_ms.
Status compare(const BreakerDecision& decision, const LuaValue& expected) {
  std::vector<LuaValue> values;
  if (expected.table() == nullptr) {
    values.push_back(expected);
  } else {
    for (const LuaValue::Entry& entry : *expected.table()) values.push_back(entry.value);
  }
  const Result<BreakerDecision> wanted = read_breaker(values);
  if (!wanted.ok()) return wanted.status();
  if (wanted.value().state != decision.state) {
    return type_error("breaker", std::string(name_of(wanted.value().state)),
                      std::string(name_of(decision.state)));
  }
  if (values.size() < 2 || wanted.value().retry_ms == decision.retry_ms) return {};
  return type_error("breaker.retry_ms", std::to_string(wanted.value().retry_ms),
                    std::to_string(decision.retry_ms));
}

}  // namespace

Status LuaPolicy::check_itself(const LuaValue& samples) {
  if (samples.table() == nullptr) return type_error("self_check", "a list", samples.shown());
  for (const LuaValue::Entry& entry : *samples.table()) {
    const std::string number = std::to_string(++samples_);
    const auto* at = std::get_if<std::int64_t>(&entry.key.held);
    if (at == nullptr || std::to_string(*at) != number) {
      return type_error("self_check", "a list", "the key " + entry.key.shown());
    }
    loses_state_ = true;
    begin_tick();
    Status status = check_sample(entry.value);
    sample_params_ = nullptr;
    sample_state_ = nullptr;
    if (!status.ok()) return std::move(status).in("self_check " + number);
  }
  loses_state_ = true;
  return {};
}

Status LuaPolicy::check_sample(const LuaValue& sample) {
  WEIR_TRY(check_keys(sample));
  SampleView view;
  if (const LuaValue* given = sample.field("view")) WEIR_TRY(view.read(*given));
  WEIR_TRY(check_state(view.state()));
  Params params = defaults_;
  if (const LuaValue* given = sample.field("params")) {
    const Result<Params> overrides = read_params(*given);
    if (!overrides.ok()) return overrides.status();
    Result<Params> both = with_overrides(defaults_, overrides.value());
    if (!both.ok()) return both.status();
    params = std::move(both).value();
  }
  ConnectionView connection;
  if (const LuaValue* given = sample.field("conn")) {
    const Result<ConnectionView> read = read_sample_connection(*given);
    if (!read.ok()) return read.status();
    connection = read.value();
  }
  sample_params_ = &params;
  sample_state_ = view.state();

  bool expects_any = false;
  for (std::size_t i = 0; i < kFunctions.size(); ++i) {
    if (sample.field(kFunctions[i]) == nullptr) continue;
    expects_any = true;
    if (!functions_[i]) return type_error(kFunctions[i], "a function of this name", "none");
  }
  if (!expects_any) return type_error("a sample", "size, evict or breaker", "none of them");
  if (const LuaValue* expected = sample.field("size")) {
    const Result<SizeDecision> decision = size(view.view());
    if (!decision.ok()) return decision.status();
    WEIR_TRY(compare_size(decision.value(), *expected));
  }
  if (const LuaValue* expected = sample.field("evict")) {
    const Result<Eviction> decision = evict(connection, view.view());
    if (!decision.ok()) return decision.status();
    WEIR_TRY(compare(decision.value(), *expected));
  }
  if (const LuaValue* expected = sample.field("breaker")) {
    const Result<BreakerDecision> decision = breaker(view.view());
    if (!decision.ok()) return decision.status();
    WEIR_TRY(compare(decision.value(), *expected));
  }
  return {};
}

}  // namespace weir::policy
