#include "conformance.h"

#include <sqlite3.h>

#include <atomic>
#include <string>

#include "sql.h"

namespace weir::sqlite {
namespace {

std::atomic<std::int64_t> busy = 0;  // the session that sleeps

sqlite3* handle(void* native) { return static_cast<sqlite3*>(native); }

std::int32_t code_of(int result) { return result == SQLITE_OK ? WEIR_OK : WEIR_DATABASE_ERROR; }

std::int64_t session_of(void* native) { return reinterpret_cast<std::int64_t>(native); }

std::int32_t query(void* native) { return code_of(run(handle(native), "SELECT 42")); }

std::int32_t leave_state(void* native) {
  const int result = run(handle(native), "PRAGMA recursive_triggers = on");
  return result != SQLITE_OK ? code_of(result)
                             : code_of(run(handle(native), "CREATE TEMP TABLE left_behind (x)"));
}

std::int32_t has_state(void* native) {
  std::string setting, tables;
  if (run(handle(native), "PRAGMA recursive_triggers", &setting) != SQLITE_OK ||
      run(handle(native), "SELECT count(*) FROM temp.sqlite_master", &tables) != SQLITE_OK) {
    return -1;
  }
  return setting == "1" || tables != "0" ? 1 : 0;
}

std::int32_t leave_transaction(void* native) { return code_of(run(handle(native), "BEGIN")); }

std::int32_t sleep_long(void* native) {
  // Out of the statement itself, so that it runs for certain when is_busy says so.
  const auto note = [](sqlite3_context* context, int, sqlite3_value**) {
    busy = session_of(sqlite3_context_db_handle(context));
    sqlite3_result_int(context, 0);
  };
  sqlite3_create_function(handle(native), "weir_note_busy", 0, SQLITE_UTF8, nullptr, note, nullptr,
                          nullptr);
  const int result = run(handle(native),
                         "WITH RECURSIVE n (i) AS (SELECT weir_note_busy() UNION ALL "
                         "SELECT i + 1 FROM n) SELECT count(*) FROM n");
  busy = 0;
  return (result & 0xff) == SQLITE_INTERRUPT ? WEIR_CANCELLED : code_of(result);
}

std::int32_t is_busy(const char* /*dsn*/, std::int64_t session) { return busy == session ? 1 : 0; }

}  // namespace

const weir_conformance_t& conformance() {
  static const weir_conformance_t table = {
      .struct_size = sizeof table,
      .session_of = session_of,
      .query = query,
      .leave_state = leave_state,
      .has_state = has_state,
      .leave_transaction = leave_transaction,
      .leave_unread = nullptr,
      .sleep_long = sleep_long,
      .statement = "SELECT 1; SELECT 2",
      .slow_statement =
          "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
          "SELECT count(*) FROM n",
      .refused_statement = "SELECT * FROM weir_has_no_such_table",
      .refusal = "ERROR",
      .count_sessions = nullptr,
      .is_busy = is_busy,
      .client_name_of = nullptr,
      .terminate = nullptr,
      .freeze = nullptr,
      .thaw = nullptr,
  };
  return table;
}

}  // namespace weir::sqlite
