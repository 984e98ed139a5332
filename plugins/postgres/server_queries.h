// What the driver asks a server about its sessions: statements, and how their answers are read.
//
// A role that may not see other roles' sessions gets what it may: such fields are unknown, never
// wrong. Threads: pure functions.
#pragma once

#include <libpq-fe.h>

#include <chrono>
#include <cstdint>
#include <string>

#include "dsn.h"
#include "weir/driver.h"

namespace weir::postgres {

/// WEIR_OP_LIMITS.
extern const char* const kLimitsStatement;
[[nodiscard]] bool read_limits(const PGresult* result, weir_server_limits_t* limits);

/// WEIR_OP_ACTIVITY: client sessions of the whole server, the asking one (which is active)
/// included.
extern const char* const kActivityStatement;
[[nodiscard]] bool read_activity(const PGresult* result, weir_server_activity_t* activity);

/// WEIR_OP_SESSIONS: the same sessions one by one.
extern const char* const kSessionsStatement;
[[nodiscard]] bool read_sessions(const PGresult* result, const weir_sessions_t* sessions);

/// Whether the server still is what `asked` says; answers "on" if not. REQUIRES: something is
/// asked.
[[nodiscard]] const char* read_only_statement(Writable asked);
[[nodiscard]] bool read_read_only(const PGresult* result, bool* is_read_only);

/// WEIR_OP_CONFIRM_GONE, of a session that was connected `age` ago: a backend with that pid that
/// has begun much later is another session's.
[[nodiscard]] std::string gone_statement(std::int32_t pid, std::chrono::milliseconds age);
struct GoneAnswer {
  std::int32_t own_pid = 0;  // of the server process that answered
  bool is_gone = false;
};
[[nodiscard]] bool read_gone(const PGresult* result, GoneAnswer* answer);

}  // namespace weir::postgres
