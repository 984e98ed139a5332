#include "cli/policy_command.h"

#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>

#include "cli/json_text.h"
#include "cli/policy_named.h"
#include "cli/render.h"
#include "policy/script_source.h"

namespace weir::cli {
namespace {

std::string summary_of(const std::string& file, const policy::LuaPolicy& policy) {
  std::string functions;
  for (std::size_t i = 0; i < policy::LuaPolicy::kFunctions.size(); ++i) {
    if (!policy.has(static_cast<policy::LuaPolicy::Function>(i))) continue;
    functions += (functions.empty() ? "" : ", ") + std::string(policy::LuaPolicy::kFunctions.at(i));
  }
  std::string text = printable(file) + ": good\nname       " + policy.name() + "\nhash       " +
                     policy.hash() + "\nfunctions  " + (functions.empty() ? "none" : functions) +
                     "\nsamples    " + std::to_string(policy.samples()) + "\n";
  const char* title = "params     ";
  for (const auto& [name, value] : policy.params()) {
    text += title + printable(name) + " = " + printable(policy::show_param(value)) + "\n";
    title = "           ";
  }
  return text;
}

std::string_view outcome_of(Code code) {
  switch (code) {
    case Code::kOk:
      return "value";
    case Code::kPolicyBudget:
      return "budget";
    case Code::kPolicyMemory:
      return "memory";
    case Code::kBadConfig:
      return "refused";
    default:
      return "error";
  }
}

/// Of 1 to n, in this order.
bool is_array(const policy::LuaValue::Table& table) {
  std::int64_t next = 1;
  for (const policy::LuaValue::Entry& entry : table) {
    const auto* key = std::get_if<std::int64_t>(&entry.key.held);
    if (key == nullptr || *key != next++) return false;
  }
  return !table.empty();
}

nlohmann::ordered_json table_json(const policy::LuaValue::Table& table) {
  if (is_array(table)) {
    auto array = nlohmann::ordered_json::array();
    for (const policy::LuaValue::Entry& entry : table) array.push_back(value_json(entry.value));
    return array;
  }
  auto object = nlohmann::ordered_json::object();
  for (const policy::LuaValue::Entry& entry : table) {
    const std::string* key = entry.key.text();
    object[key != nullptr ? *key : entry.key.shown()] = value_json(entry.value);
  }
  return object;
}

}  // namespace

nlohmann::ordered_json value_json(const policy::LuaValue& value) {
  if (value.is_nil()) return nullptr;
  if (const bool* flag = std::get_if<bool>(&value.held)) return *flag;
  if (const auto* whole = std::get_if<std::int64_t>(&value.held)) return *whole;
  if (const auto* number = std::get_if<double>(&value.held)) {
    if (std::isfinite(*number)) return *number;
    return value.shown();
  }
  if (value.text() != nullptr) return *value.text();
  if (value.table() != nullptr) return table_json(*value.table());
  return "<" + std::string(std::get<policy::LuaValue::Other>(value.held).type) + ">";
}

ExitCode run_policy_check(const PolicyCheckOptions& options) {
  const Result<policy::Params> params = params_of(options.params);
  if (!params.ok()) {
    tell_failure("policy check", params.status());
    return kUsage;
  }
  const Result<std::string> source = policy::read_script(options.file);
  if (!source.ok()) return tell_failure("policy check", source.status());
  const auto policy = policy::LuaPolicy::load(source.value(), options.file, params.value());
  if (!policy.ok()) return tell_failure("policy check", policy.status());
  return show_once(summary_of(options.file, *policy.value()));
}

ExitCode run_policy_eval(const PolicyEvalOptions& options) {
  using std::chrono::steady_clock;
  policy::LuaSandbox sandbox;
  Status status;
  double elapsed_ms = 0;
  for (const std::string& file : options.files) {
    const Result<std::string> source = policy::read_script(file);
    const auto began = steady_clock::now();
    sandbox.begin_turn();
    status = source.ok() ? sandbox.compile(source.value(), file)
                         : Status(Code::kBadConfig, source.status().message());
    if (status.ok()) status = sandbox.run();
    elapsed_ms = std::chrono::duration<double, std::milli>(steady_clock::now() - began).count();
  }
  auto values = nlohmann::ordered_json::array();
  if (status.ok()) {
    for (const policy::LuaValue& value : sandbox.results()) values.push_back(value_json(value));
  }
  const nlohmann::ordered_json line = {
      {"outcome", outcome_of(status.code())},
      {"values", std::move(values)},
      {"kind", status.ok() ? std::string_view() : code_name(status.code())},
      {"message", status.message()},
      {"elapsed_ms", std::round(elapsed_ms * 1'000) / 1'000},
      {"memory_bytes", sandbox.peak_bytes()}};
  return show_once(json_text(line, true));
}

}  // namespace weir::cli
