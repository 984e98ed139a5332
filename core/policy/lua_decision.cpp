#include "policy/lua_decision.h"

#include <array>
#include <cmath>
#include <optional>
#include <string_view>
#include <variant>

namespace weir::policy {
namespace {

/// A field of a size decision: what a script calls it, and where it goes.
struct SizeField {
  std::string_view name;
  std::variant<std::uint32_t SizeDecision::*, std::uint64_t SizeDecision::*> member;
  std::uint64_t most;
};
constexpr SizeField kSizeFields[] = {
    {"target", &SizeDecision::target, kMostConnections},
    {"warm", &SizeDecision::warm, kMostConnections},
    {"max", &SizeDecision::max, kMostConnections},
    {"max_per_worker", &SizeDecision::max_per_worker, kMostConnections},
    {"handover_after_ms", &SizeDecision::handover_after_ms, kLongestMs},
};
constexpr const char* kSizeForm = "target, warm, max, max_per_worker or handover_after_ms";

constexpr std::array<std::string_view, 3> kEvictions = {"keep", "close", "check"};
constexpr std::array<std::string_view, 3> kStates = {"closed", "open", "half_open"};

const SizeField* field_named(const LuaValue& key) {
  for (const SizeField& field : kSizeFields) {
    if (key.text() != nullptr && *key.text() == field.name) return &field;
  }
  return nullptr;
}

/// The place of `value` in `names`.
std::optional<std::size_t> find(const std::array<std::string_view, 3>& names,
                                const LuaValue& value) {
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (value.text() != nullptr && *value.text() == names.at(i)) return i;
  }
  return std::nullopt;
}

const LuaValue& first_of(std::span<const LuaValue> values) {
  static const LuaValue nil;
  return values.empty() ? nil : values.front();
}

Status check_count(std::span<const LuaValue> values, std::size_t most, const char* name) {
  if (values.size() <= most) return {};
  return type_error(name, std::to_string(most) + (most == 1 ? " value" : " values"),
                    std::to_string(values.size()));
}

}  // namespace

Status type_error(const std::string& name, const std::string& expected, const std::string& found) {
  return {Code::kPolicyType, name + ": expected " + expected + ", found " + found};
}

std::string_view name_of(Eviction eviction) {
  return kEvictions.at(static_cast<std::size_t>(eviction));
}
std::string_view name_of(BreakerState state) { return kStates.at(static_cast<std::size_t>(state)); }

Result<std::uint64_t> read_whole(const LuaValue& value, const std::string& name,
                                 std::uint64_t most) {
  double number = 0;
  if (const auto* whole = std::get_if<std::int64_t>(&value.held)) {
    number = static_cast<double>(*whole);
  } else if (const auto* fraction = std::get_if<double>(&value.held)) {
    number = *fraction;
  } else {
    return type_error(name, "a number", value.shown());
  }
  // Beyond what a double holds exactly it is out of range anyway. NaN is in no range.
  if (!(number >= 0 && number <= static_cast<double>(most))) {
    return type_error(name, "a number from 0 to " + std::to_string(most), value.shown());
  }
  return static_cast<std::uint64_t>(std::llround(number));
}

Result<SizeDecision> read_size(std::span<const LuaValue> values, const SizeDecision& built_in) {
  WEIR_TRY(check_count(values, 1, "size"));
  const LuaValue& value = first_of(values);
  if (value.table() == nullptr) return type_error("size", "a table", value.shown());
  SizeDecision decision = built_in;
  for (const LuaValue::Entry& entry : *value.table()) {
    const SizeField* field = field_named(entry.key);
    if (field == nullptr) return type_error("size", kSizeForm, entry.key.shown());
    const Result<std::uint64_t> number =
        read_whole(entry.value, "size." + std::string(field->name), field->most);
    if (!number.ok()) return number.status();
    std::visit(
        [&](auto member) {
          using Number = std::remove_reference_t<decltype(decision.*member)>;
          decision.*member = static_cast<Number>(number.value());
        },
        field->member);
  }
  return decision;
}

Status compare_size(const SizeDecision& decision, const LuaValue& expected) {
  const Result<SizeDecision> wanted = read_size({&expected, 1}, decision);
  if (!wanted.ok()) return wanted.status();
  for (const SizeField& field : kSizeFields) {
    const auto number_in = [&](const SizeDecision& one) {
      return std::visit([&](auto member) { return static_cast<std::uint64_t>(one.*member); },
                        field.member);
    };
    if (number_in(decision) == number_in(wanted.value())) continue;
    return type_error("size." + std::string(field.name), std::to_string(number_in(wanted.value())),
                      std::to_string(number_in(decision)));
  }
  return {};
}

Result<Eviction> read_eviction(std::span<const LuaValue> values) {
  WEIR_TRY(check_count(values, 1, "evict"));
  const auto found = find(kEvictions, first_of(values));
  if (found) return static_cast<Eviction>(*found);
  return type_error("evict", R"("keep", "close" or "check")", first_of(values).shown());
}

Result<BreakerDecision> read_breaker(std::span<const LuaValue> values) {
  WEIR_TRY(check_count(values, 2, "breaker"));
  const auto found = find(kStates, first_of(values));
  if (!found) {
    return type_error("breaker", R"("closed", "open" or "half_open")", first_of(values).shown());
  }
  BreakerDecision decision{static_cast<BreakerState>(*found), 0};
  if (decision.state == BreakerState::kOpen) decision.retry_ms = FixedPolicy::kLongestRetryMs;
  if (values.size() < 2 || values[1].is_nil()) return decision;
  const Result<std::uint64_t> retry_ms = read_whole(values[1], "breaker.retry_ms", kLongestMs);
  if (!retry_ms.ok()) return retry_ms.status();
  decision.retry_ms = retry_ms.value();
  return decision;
}

}  // namespace weir::policy
