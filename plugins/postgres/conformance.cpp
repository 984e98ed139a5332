#include "conformance.h"

#include <libpq-fe.h>

#include <cstdio>
#include <memory>
#include <string>

namespace weir::postgres {
namespace {

constexpr const char* kAsker = "weir-conformance-asks";

PGconn* conn(void* native) { return static_cast<PGconn*>(native); }

/// The first field of a statement's first row, "" if there is none, "error" and the SQLSTATE if the
/// server refused it.
std::string ask(PGconn* on, const std::string& statement) {
  const std::unique_ptr<PGresult, decltype(&PQclear)> result(PQexec(on, statement.c_str()),
                                                             &PQclear);
  const ExecStatusType status = PQresultStatus(result.get());
  if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
    const char* const sqlstate = PQresultErrorField(result.get(), PG_DIAG_SQLSTATE);
    return std::string("error ") + (sqlstate != nullptr ? sqlstate : "");
  }
  return PQntuples(result.get()) > 0 ? PQgetvalue(result.get(), 0, 0) : "";
}

std::int32_t code_of(const std::string& answer) {
  return answer.starts_with("error") ? WEIR_DATABASE_ERROR : WEIR_OK;
}

std::string ask_server(const char* dsn, const std::string& statement) {
  // By a name of its own: it is not to be counted, not even while it ends.
  const char* const keywords[] = {"dbname", "application_name", nullptr};
  const char* const values[] = {dsn, kAsker, nullptr};
  const std::unique_ptr<PGconn, decltype(&PQfinish)> own(PQconnectdbParams(keywords, values, 1),
                                                         &PQfinish);
  return PQstatus(own.get()) == CONNECTION_OK ? ask(own.get(), statement) : "error";
}

std::string of_session(const char* what, std::int64_t session) {
  return std::string("SELECT ") + what +
         " FROM pg_stat_activity WHERE pid = " + std::to_string(session);
}

std::int64_t session_of(void* native) { return PQbackendPID(conn(native)); }

std::int32_t query(void* native) {
  return ask(conn(native), "SELECT 42") == "42" ? WEIR_OK : WEIR_DATABASE_ERROR;
}

std::int32_t leave_state(void* native) {
  return code_of(ask(conn(native), "SET search_path = left_behind"));
}

std::int32_t has_state(void* native) {
  return ask(conn(native), "SHOW search_path") == "left_behind" ? 1 : 0;
}

std::int32_t leave_transaction(void* native) { return code_of(ask(conn(native), "BEGIN")); }

std::int32_t leave_unread(void* native) {
  return PQsendQuery(conn(native), "SELECT 1") == 1 ? WEIR_OK : WEIR_DATABASE_ERROR;
}

std::int32_t sleep_long(void* native) {
  const std::string answer = ask(conn(native), "SELECT pg_sleep(60)");
  return answer == "error 57014" ? WEIR_CANCELLED : code_of(answer);  // query_canceled
}

std::int32_t count_sessions(const char* dsn) {
  const std::string answer = ask_server(
      dsn, std::string("SELECT count(*) FROM pg_stat_activity WHERE usename = current_user "
                       "AND backend_type = 'client backend' AND application_name <> '") +
               kAsker + "'");
  int count = -1;
  return std::sscanf(answer.c_str(), "%d", &count) == 1 ? count : -1;
}

std::int32_t is_busy(const char* dsn, std::int64_t session) {
  return ask_server(dsn, of_session("state", session)) == "active" ? 1 : 0;
}

std::int32_t client_name_of(const char* dsn, std::int64_t session, char* name, size_t size) {
  const std::string answer = ask_server(dsn, of_session("application_name", session));
  std::snprintf(name, size, "%s", answer.c_str());
  return code_of(answer);
}

std::int32_t terminate(const char* dsn, std::int64_t session) {
  const std::string answer =
      ask_server(dsn, "SELECT pg_terminate_backend(" + std::to_string(session) + ")");
  return answer == "t" ? WEIR_OK : WEIR_DATABASE_ERROR;
}

}  // namespace

const weir_conformance_t& conformance() {
  static const weir_conformance_t table = {
      .struct_size = sizeof table,
      .session_of = session_of,
      .query = query,
      .leave_state = leave_state,
      .has_state = has_state,
      .leave_transaction = leave_transaction,
      .leave_unread = leave_unread,
      .sleep_long = sleep_long,
      .statement = "SET search_path = public; SELECT generate_series(1, 1000)",
      .slow_statement = "SELECT pg_sleep(4)",
      .refused_statement = "SELECT 1/0",
      .refusal = "22012",
      .count_sessions = count_sessions,
      .is_busy = is_busy,
      .client_name_of = client_name_of,
      .terminate = terminate,
      .freeze = nullptr,
      .thaw = nullptr,
  };
  return table;
}

}  // namespace weir::postgres
