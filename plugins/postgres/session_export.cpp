#include "session_export.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>

namespace weir::postgres {
namespace {

// GUC_REPORT in PostgreSQL 10 to 18 (src/backend/utils/misc/guc_tables.c); libpq itself needs some.
constexpr auto kReported = std::to_array<const char*>(
    {"server_version", "server_encoding", "client_encoding", "is_superuser",
     "session_authorization", "DateStyle", "IntervalStyle", "TimeZone", "integer_datetimes",
     "standard_conforming_strings", "application_name", "in_hot_standby",
     "default_transaction_read_only", "scram_iterations", "search_path"});

bool refuse(Failure* failure, std::int32_t code, const std::string& why) {
  *failure = {code, "postgres: cannot be exported: " + why, {}};
  return false;
}

}  // namespace

bool is_movable(const PGconn* conn, Failure* failure) {
  // Neither function changes the connection; their parameters are not const for historical reasons.
  auto* const asked = const_cast<PGconn*>(conn);
  if (PQsslInUse(asked) != 0) {
    return refuse(failure, WEIR_NOT_SUPPORTED, "the session is encrypted with TLS");
  }
  if (PQgssEncInUse(asked) != 0) {
    return refuse(failure, WEIR_NOT_SUPPORTED, "the session is encrypted with GSS");
  }
  if (const int version = PQprotocolVersion(conn); version != 3) {
    return refuse(failure, WEIR_NOT_SUPPORTED,
                  "protocol " + std::to_string(version) + " found, 3 expected");
  }
  return true;
}

bool is_silent(const PGconn* conn, Failure* failure) {
  char byte = 0;
  const ssize_t n = recv(PQsocket(conn), &byte, sizeof byte, MSG_PEEK | MSG_DONTWAIT);
  if (n < 0 && errno == EAGAIN) return true;
  if (n > 0 || (n < 0 && errno == EINTR)) {
    return refuse(failure, WEIR_WOULD_BLOCK, "the server has said something that nobody has read");
  }
  return refuse(failure, WEIR_CONNECTION_BROKEN, "the server hung up");
}

bool read_parameters(const PGconn* conn, const std::vector<std::string>& names,
                     std::vector<Parameter>* parameters, Failure* failure) {
  const auto is_there = [&](std::string_view name) {
    return std::any_of(parameters->begin(), parameters->end(),
                       [&](const Parameter& parameter) { return parameter.name == name; });
  };
  const auto add = [&](const char* name) {
    const char* const value = PQparameterStatus(conn, name);
    if (value != nullptr && !is_there(name)) parameters->push_back({name, value});
  };
  parameters->clear();
  for (const char* const name : kReported) add(name);
  for (const std::string& name : names) add(name.c_str());
  for (const std::string_view needed : kNeededParameters) {
    if (is_there(needed)) continue;
    return refuse(failure, WEIR_NOT_SUPPORTED,
                  "the server did not report its " + std::string(needed));
  }
  if (parameters->size() > kMostParameters) {
    return refuse(failure, WEIR_NOT_SUPPORTED,
                  "the server reported " + std::to_string(parameters->size()) +
                      " parameters, at most " + std::to_string(kMostParameters) + " move");
  }
  for (const Parameter& parameter : *parameters) {
    if (parameter.name.size() > kMostNameBytes || parameter.value.size() > kMostValueBytes) {
      return refuse(failure, WEIR_NOT_SUPPORTED,
                    "parameter " + parameter.name.substr(0, kMostNameBytes) + " has " +
                        std::to_string(parameter.value.size()) + " bytes, at most " +
                        std::to_string(kMostValueBytes) + " move");
    }
  }
  return true;
}

}  // namespace weir::postgres
