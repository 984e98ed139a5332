#include "cli/dsn_command.h"

#include <array>
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>

#include "cli/drivers.h"
#include "cli/json_text.h"
#include "cli/render.h"
#include "driver/plugin_path.h"

namespace weir::cli {
namespace {

// Sixteen digits: not every reader of JSON keeps 64 bits of a number.
std::string hex(std::uint64_t value) {
  std::array<char, 17> text{};
  std::snprintf(text.data(), text.size(), "%016llx", static_cast<unsigned long long>(value));
  return text.data();
}

Result<DsnParts> parts_of(const DsnOptions& options) {
  std::string text = options.dsn;
  if (text == "-" && !std::getline(std::cin, text)) {
    return Status(Code::kBadArgument, "dsn: expected a line on stdin, found none");
  }
  const Result<driver::Dsn> dsn =
      parse_dsn(options.driver, text,
                options.plugins.empty() ? driver::default_plugin_path() : options.plugins);
  if (!dsn.ok()) return dsn.status();
  return DsnParts{.driver = dsn.value().driver().name(),
                  .version = dsn.value().driver().table().version,
                  .display = dsn.value().display(),
                  .server_identity = dsn.value().server_identity(),
                  .fingerprint = dsn.value().fingerprint()};
}

}  // namespace

ExitCode run_dsn_check(const DsnOptions& options) {
  const Result<DsnParts> parts = parts_of(options);
  if (parts.ok()) {
    return show_once(options.json ? json_text(dsn_json(parts.value()), false)
                                  : dsn_text(parts.value()));
  }
  if (!options.json) {
    return tell_failure("dsn check", Status(parts.status().code(), parts.status().to_string()));
  }
  static_cast<void>(show_once(json_text(dsn_error_json(parts.status()), false)));
  return kFailed;
}

std::string dsn_text(const DsnParts& parts) {
  return "dsn          " + printable(parts.display) + "\nserver       " +
         printable(parts.server_identity) + "\nfingerprint  " + hex(parts.fingerprint) +
         "\ndriver       " + printable(parts.driver) + " " + printable(parts.version) + "\n";
}

nlohmann::ordered_json dsn_json(const DsnParts& parts) {
  return {{"format", 1},
          {"outcome", "good"},
          {"driver", parts.driver},
          {"driver_version", parts.version},
          {"dsn", parts.display},
          {"server_identity", parts.server_identity},
          {"fingerprint", hex(parts.fingerprint)}};
}

nlohmann::ordered_json dsn_error_json(const Status& status) {
  return {{"format", 1},
          {"outcome", "error"},
          {"kind", code_name(status.code())},
          {"message", status.message()}};
}

}  // namespace weir::cli
