#include "server_queries.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstring>
#include <string_view>

namespace weir::postgres {
namespace {

// A role without pg_read_all_stats sees neither backend_type nor state of others; what is no client
// of a database then shows by having no user or no database.
#define WEIR_IS_CLIENT_SESSION          \
  "(backend_type = 'client backend' OR" \
  " (backend_type IS NULL AND datid IS NOT NULL AND usesysid IS NOT NULL))"
#define WEIR_CLIENT_SESSIONS "FROM pg_catalog.pg_stat_activity WHERE " WEIR_IS_CLIENT_SESSION

bool has_shape(const PGresult* result, int least_rows, int columns) {
  return result != nullptr && PQntuples(result) >= least_rows && PQnfields(result) == columns;
}

std::string_view text_at(const PGresult* result, int row, int column) {
  return {PQgetvalue(result, row, column),
          static_cast<std::size_t>(PQgetlength(result, row, column))};
}

/// -1 for null.
template <typename Integer>
Integer number_at(const PGresult* result, int row, int column) {
  Integer number = -1;
  const std::string_view text = text_at(result, row, column);
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

template <std::size_t kSize>
void copy_cut(char (&target)[kSize], std::string_view text) {
  const std::size_t length = std::min(text.size(), kSize - 1);
  std::memcpy(target, text.data(), length);
  target[length] = '\0';
}

}  // namespace

// reserved_connections came with PostgreSQL 16, client_connection_check_interval with 14. A role's
// and a database's limit of -1 is none.
const char* const kLimitsStatement =
    "SELECT current_setting('max_connections'),"
    " current_setting('superuser_reserved_connections')::int"
    " + coalesce(nullif(current_setting('reserved_connections', true), '')::int, 0),"
    " (SELECT rolconnlimit FROM pg_catalog.pg_roles WHERE rolname = session_user),"
    " (SELECT datconnlimit FROM pg_catalog.pg_database WHERE datname = current_database()),"
    " (SELECT setting FROM pg_catalog.pg_settings"
    " WHERE name = 'client_connection_check_interval' AND unit = 'ms')";

// As libpq finds it out when it connects (fe-connect.c, CONNECTION_CHECK_WRITABLE and _STANDBY).
const char* read_only_statement(Writable asked) {
  return asked == Writable::kPrimary
             ? "SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN 'on' ELSE 'off' END"
             : "SHOW transaction_read_only";
}

bool read_read_only(const PGresult* result, bool* is_read_only) {
  if (!has_shape(result, 1, 1)) return false;
  *is_read_only = text_at(result, 0, 0) == "on";
  return true;
}

bool read_limits(const PGresult* result, weir_server_limits_t* limits) {
  if (!has_shape(result, 1, 5)) return false;
  limits->max_connections = number_at<std::int32_t>(result, 0, 0);
  limits->reserved = number_at<std::int32_t>(result, 0, 1);
  limits->role_limit = number_at<std::int32_t>(result, 0, 2);
  limits->database_limit = number_at<std::int32_t>(result, 0, 3);
  if (limits->struct_size >= sizeof(weir_server_limits_t)) {  // not of a host of ABI 1.0
    limits->client_check_ms = number_at<std::int32_t>(result, 0, 4);
  }
  return true;
}

// What a session does is null to who may not see it, and 'disabled' if it set track_activities off:
// if that is so for any, their number would be a guess.
const char* const kActivityStatement =
    "SELECT total, CASE WHEN hidden = 0 THEN active END, CASE WHEN hidden = 0 THEN idle END,"
    " CASE WHEN hidden = 0 THEN in_transaction END,"
    " CASE WHEN hidden = 0 THEN coalesce(longest, 0) END FROM (SELECT"
    " count(*) AS total,"
    " count(*) FILTER (WHERE state = 'active') AS active,"
    " count(*) FILTER (WHERE state = 'idle') AS idle,"
    " count(*) FILTER (WHERE state LIKE 'idle in transaction%') AS in_transaction,"
    " count(*) FILTER (WHERE state = 'disabled'"
    " OR (state IS NULL AND query = '<insufficient privilege>')) AS hidden,"
    " (max(extract(epoch FROM clock_timestamp() - query_start))"
    " FILTER (WHERE state = 'active') * 1000)::bigint AS longest " WEIR_CLIENT_SESSIONS
    ") AS sessions";

bool read_activity(const PGresult* result, weir_server_activity_t* activity) {
  if (!has_shape(result, 1, 5)) return false;
  activity->total = number_at<std::int32_t>(result, 0, 0);
  activity->active = number_at<std::int32_t>(result, 0, 1);
  activity->idle = number_at<std::int32_t>(result, 0, 2);
  activity->idle_in_transaction = number_at<std::int32_t>(result, 0, 3);
  activity->longest_query_ms = number_at<std::int64_t>(result, 0, 4);
  return true;
}

const char* const kSessionsStatement =
    "SELECT pid, application_name, state,"
    " greatest(extract(epoch FROM clock_timestamp() - state_change) * 1000, 0)::bigint,"
    " wait_event_type || ':' || wait_event " WEIR_CLIENT_SESSIONS;

bool read_sessions(const PGresult* result, const weir_sessions_t* sessions) {
  if (!has_shape(result, 0, 5)) return false;
  for (int row = 0; row < PQntuples(result); ++row) {
    weir_session_t session{};
    session.struct_size = sizeof session;
    session.server_pid = number_at<std::int64_t>(result, row, 0);
    copy_cut(session.client_name, text_at(result, row, 1));
    copy_cut(session.state, text_at(result, row, 2));
    // greatest() skips nulls, so a time that may not be seen would read 0.
    const bool is_known = PQgetisnull(result, row, 2) == 0;
    session.state_ms = is_known ? number_at<std::int64_t>(result, row, 3) : -1;
    copy_cut(session.wait, text_at(result, row, 4));
    sessions->each(sessions->context, &session);
  }
  return true;
}

std::string gone_statement(std::int32_t pid, std::chrono::milliseconds age) {
  // Two clocks are compared, and the server's may be set: only one that is younger by far is
  // another.
  constexpr std::chrono::milliseconds kClocksMayDiffer = std::chrono::minutes(1);
  const auto least_age = std::max(age - kClocksMayDiffer, std::chrono::milliseconds(0));
  return "SELECT pg_catalog.pg_backend_pid(),"
         " EXISTS (SELECT " WEIR_CLIENT_SESSIONS " AND pid = " +
         std::to_string(pid) +
         " AND (backend_start IS NULL OR backend_start < clock_timestamp() - interval '" +
         std::to_string(least_age.count()) + " milliseconds'))";
}

bool read_gone(const PGresult* result, GoneAnswer* answer) {
  if (!has_shape(result, 1, 2)) return false;
  *answer = {number_at<std::int32_t>(result, 0, 0), text_at(result, 0, 1) == "f"};
  return true;
}

}  // namespace weir::postgres
