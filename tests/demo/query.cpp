#include "demo/query.h"

#include <cstdio>
#include <cstdlib>
#include <stdexcept>

namespace weir::demo {
namespace {

struct ClearResult {
  void operator()(PGresult* result) const { PQclear(result); }
};
using OwnResult = std::unique_ptr<PGresult, ClearResult>;

}  // namespace

std::string run_query(PGconn* connection, std::uint32_t hold_us) {
  char sql[64];
  std::snprintf(sql, sizeof(sql), "SELECT pg_sleep(%.6f)", hold_us / 1e6);
  const OwnResult result(PQexec(connection, sql));
  if (PQresultStatus(result.get()) == PGRES_TUPLES_OK) return {};
  const std::string error = PQerrorMessage(connection);
  return error.empty() ? "query failed" : error;
}

std::uint32_t query_number(PGconn* connection, const char* sql) {
  const OwnResult result(PQexec(connection, sql));
  if (PQresultStatus(result.get()) != PGRES_TUPLES_OK || PQntuples(result.get()) != 1) {
    throw std::runtime_error(std::string(sql) + ": " + PQerrorMessage(connection));
  }
  return static_cast<std::uint32_t>(std::strtoul(PQgetvalue(result.get(), 0, 0), nullptr, 10));
}

}  // namespace weir::demo
