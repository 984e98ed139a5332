#include "demo/postgres.h"

#include <sstream>
#include <stdexcept>
#include <utility>

namespace weir::demo {
namespace {

constexpr const char* kRole = "app";
// The server keeps kReserved connections free of ordinary roles, beside those that superusers have.
constexpr int kReserved = 2;
constexpr int kSampler = 1;

test::PostgresSettings settings(std::uint32_t quota) {
  test::PostgresSettings settings;
  settings.max_connections = static_cast<int>(quota) + kReserved + kSampler;
  settings.superuser_reserved_connections = kReserved;
  settings.extra = {{"log_connections", "on"}, {"log_line_prefix", "%m [%p] SQLSTATE=%e "}};
  return settings;
}

}  // namespace

// ---- PostgresClient -----------------------------------------------------------------------------

PostgresClient::PostgresClient(std::string conninfo) : conninfo_(std::move(conninfo)) {}

Connection PostgresClient::open(std::string* error) const {
  OwnConnection connection(PQconnectdb(conninfo_.c_str()));
  if (PQstatus(connection.get()) == CONNECTION_OK) return {connection.release(), {this}};
  *error = PQerrorMessage(connection.get());
  return {nullptr, {this}};
}

void PostgresClient::close(void* native) const { PQfinish(static_cast<PGconn*>(native)); }

std::string PostgresClient::serve(void* native, std::uint32_t hold_us) const {
  return run_query(static_cast<PGconn*>(native), hold_us);
}

// ---- PostgresCounter ----------------------------------------------------------------------------

PostgresCounter::PostgresCounter(const std::string& conninfo, const std::string& role)
    : connection_(PQconnectdb(conninfo.c_str())),
      sql_("SELECT count(*) FROM pg_stat_activity WHERE usename = '" + role + "'") {
  if (PQstatus(connection_.get()) != CONNECTION_OK) {
    throw std::runtime_error(PQerrorMessage(connection_.get()));
  }
}

std::uint32_t PostgresCounter::count() { return query_number(connection_.get(), sql_.c_str()); }

pid_t PostgresCounter::backend() const { return PQbackendPID(connection_.get()); }

// ---- PostgresDatabase ---------------------------------------------------------------------------

PostgresDatabase::PostgresDatabase(std::uint32_t quota)
    : server_(settings(quota)), client_(server_.dsn_as(kRole)) {}

const DatabaseFacts& PostgresDatabase::facts() const {
  static const DatabaseFacts facts{.driver = "postgres",
                                   .wording = {.sessions = "backends",
                                               .counter = "the server",
                                               .refusals = "\"too many clients\"",
                                               .note = ""}};
  return facts;
}

std::string PostgresDatabase::dsn() const { return server_.dsn_as(kRole); }

std::unique_ptr<SessionCounter> PostgresDatabase::make_counter() const {
  return std::make_unique<PostgresCounter>(server_.superuser_dsn(), kRole);
}

std::optional<Tally> PostgresDatabase::tally() {
  const std::string accepted = std::string("connection authorized: user=") + kRole;
  const std::string refused = "SQLSTATE=53300";  // too_many_connections
  Tally tally;
  std::istringstream log(server_.log());
  for (std::string line; std::getline(log, line);) {
    if (line.find(accepted) != std::string::npos) ++tally.connects;
    if (line.find(refused) != std::string::npos) ++tally.refused;
  }
  return tally;
}

}  // namespace weir::demo
