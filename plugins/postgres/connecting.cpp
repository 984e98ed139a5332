#include "connecting.h"

#include <poll.h>

#include <vector>

#include "host.h"
#include "wait.h"

namespace weir::postgres {
namespace {

constexpr std::size_t kClientNameBytes = 63;  // NAMEDATALEN - 1: the server cuts longer ones

/// What DSN, environment or service say of `options`, and our setting behind it. Given at startup
/// it is what RESET ALL goes back to, so DISCARD ALL keeps it.
std::string startup_options(const Dsn& dsn, std::uint32_t statement_timeout_ms) {
  std::string options = dsn.effective("options");
  if (!options.empty()) options += ' ';
  return options + "-c statement_timeout=" + std::to_string(statement_timeout_ms);
}

}  // namespace

Connecting::~Connecting() { trace_.stop(conn_); }

PGconn* Connecting::start(const Dsn& dsn, const SessionOptions& options) {
  const std::string client_name = options.client_name.substr(0, kClientNameBytes);
  const std::string startup = startup_options(dsn, options.statement_timeout_ms);
  std::vector<const char*> keywords;
  std::vector<const char*> values;
  const auto add = [&](const char* keyword, const char* value) {
    keywords.push_back(keyword);
    values.push_back(value);
  };
  // libpq uses this name only if neither the DSN nor the environment gives application_name. Of a
  // keyword that comes twice the later counts: the DSN's own fallback stays.
  if (!client_name.empty()) add("fallback_application_name", client_name.c_str());
  for (const auto& [keyword, value] : dsn.given()) add(keyword.c_str(), value.c_str());
  if (options.statement_timeout_ms != 0) add("options", startup.c_str());
  if (options.password) add("password", options.password->c_str());
  add(nullptr, nullptr);

  conn_ = PQconnectStartParams(keywords.data(), values.data(), 0);
  if (conn_ == nullptr || PQstatus(conn_) == CONNECTION_BAD) return conn_;
  PQsetErrorVerbosity(conn_, PQERRORS_VERBOSE);  // connect_failure() needs it
  trace_.start(conn_);
  return conn_;
}

Progress Connecting::step(Failure* failure) {
  if (PQstatus(conn_) != CONNECTION_BAD) {
    // libpq takes being called for being ready.
    const short events = wants_ == Progress::kWantWrite ? POLLOUT : POLLIN;
    if (!is_ready(PQsocket(conn_), events)) return wants_;
    switch (PQconnectPoll(conn_)) {
      case PGRES_POLLING_READING:
        return wants_ = Progress::kWantRead;
      case PGRES_POLLING_WRITING:
        return wants_ = Progress::kWantWrite;
      case PGRES_POLLING_OK:
        trace_.stop(conn_);
        PQsetErrorVerbosity(conn_, PQERRORS_DEFAULT);
        return Progress::kDone;
      default:
        break;
    }
  }
  *failure = connect_failure(conn_);
  return Progress::kFailed;
}

std::optional<SessionToken> Connecting::token() const {
  const auto address = server_address(conn_);
  const std::int32_t pid = PQbackendPID(conn_);
  if (!address || pid == 0) return std::nullopt;
  SessionToken token{pid, std::nullopt, host::now_ns(), *address};
  const auto key = trace_.key();
  if (key && key->pid == pid) token.cancel_key = key->key;
  return token;
}

}  // namespace weir::postgres
